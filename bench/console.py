"""``python -m bench.console`` (``make bench-console``): the Clients page over very many clients, beside its floors.

The directory is filled with rows of its own, not by workflows: a list reads nothing else. Each address is asked for
over HTTP by one signed-in browser, and so is /healthz; SELECT 1 is the least that a question to the database costs.
"""

import argparse
import asyncio
import json
import logging
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import structlog
import uvicorn
from rich.console import Console
from rich.table import Table

from activities.database import Database
from activities.directory.migrations import migrate
from activities.settings import Settings
from bench.report import machine
from starter.api.examples import ANSWERS
from starter.app import create_app
from starter.clients import ClientService
from starter.console.auth.sessions import COOKIE, Sessions
from starter.console.rendering import SITE_COOKIE
from starter.contract.bodies import SiteGiven
from starter.directory.paging import sealed
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch
from starter.local.ports import free_port
from starter.local.postgres import EmbeddedPostgres
from starter.temporal.connection import connect
from starter.temporal.gateway import Gateway
from starter.web.http_server import Server
from workflows.wire.views import ClientView

RESULTS = Path(__file__).with_name("results")
CLIENTS, QUICK = 100_000, 5_000
REQUESTS = 50  # times each
GOAL = 300.0  # milliseconds at the median (issue 4)
LARGEST = 250_000  # bytes of a page (issue 4)
SITES = 4
AT_ONCE = 2_000  # rows in a statement: each has a few seconds
PAGES = {
    "list": "/clients",
    "list, one site": "/clients?site=bench-1",
    "list, inactive too": "/clients?inactive=true",
    "list, suspended": "/clients?status=suspended",
    "list, virtual": "/clients?type=virtual",
    **{
        f"sort {name}{', falling' * falling}": f"/clients?sort={'-' * falling}{name}"
        for name in ("name", "billing_ref", "status", "start_date", "end_date", "next_change")
        for falling in (False, True)
        if (name, falling) != ("name", False)
    },
    "sort end_date, one site": "/clients?sort=end_date&site=bench-1",
    "search a name": "/clients?q=harbour+00042",
    "search what all have": "/clients?q=ltd",
    "search one letter": "/clients?q=h",
    "search what none has": "/clients?q=zzzz",
    "search a number": "/clients?q=2079400042",
    "search and sort": "/clients?q=harbour&sort=-end_date",
    "a page in the middle": f"/clients?cursor={sealed('name', (False, 'harbour', 'harbour', ''))}",
    "the same, by end date": f"/clients?sort=end_date&cursor={sealed('end_date', (False, '2028-01-01', '', ''))}",
}

_FILL = """
INSERT INTO clients (client_id, incarnation, revision, site_id, name, sort_name, type, status, billing_ref, start_date,
  end_date, management, offices, numbers, next_change_at, next_change_kind, document, search, created_at)
SELECT id, 'bench', 1, site, name, lower(name), type, status, ref, begins, ends, n < 4, ARRAY[office], ARRAY[number],
  due, CASE WHEN due IS NOT NULL THEN 'decommission' END,
  $1::jsonb || jsonb_build_object('client_id', id, 'name', name, 'site', site, 'type', type, 'status', status,
    'billing_ref', ref, 'start_date', begins, 'end_date', ends, 'offices', ARRAY[office], 'management', n < 4),
  lower(concat_ws(' ', name, ref, id, number, substr(number, 2), office)), now()
FROM (
  SELECT n, 'bench-' || n AS id, 'bench-' || n % $3 AS site,
    (ARRAY['Harbour', 'Ash', 'Birch', 'Meridian', 'Quill', 'Ärger'])[1 + n % 6] || ' '
      || lpad((n * 7919 % $2)::text, 6, '0') || ' Ltd' AS name,
    CASE WHEN n % 3 = 0 THEN 'virtual' ELSE 'residential' END AS type,
    (ARRAY['active', 'active', 'active', 'active', 'suspended', 'new', 'decommissioned'])[1 + n % 7] AS status,
    'C' || lpad((n * 6101 % $2)::text, 7, '0') AS ref,
    date '2020-01-01' + n % 2500 AS begins,
    CASE WHEN n % 4 = 0 THEN date '2026-01-01' + n % 1500 END AS ends,
    CASE WHEN n % 10 = 0 THEN timestamptz '2027-01-01' + n % 700 * interval '1 day' END AS due,
    n % 30 || '.' || lpad((n % 40)::text, 2, '0') AS office, '+4420794' || lpad(n::text, 5, '0') AS number
  FROM generate_series($4::int, least($4 + $5, $2) - 1) AS n) AS made"""

_SWITCH = """
INSERT INTO client_systems (client_id, system, wanted, proven, state, attention_since)
SELECT 'bench-' || n, system, 1, CASE WHEN system = 'internet' AND n % 50 = 0 OR n % 97 = 0 THEN 0 ELSE 1 END,
  CASE WHEN n % 97 = 0 THEN 'attention' WHEN n % 50 = 0 THEN 'changing' ELSE 'settled' END,
  CASE WHEN n % 97 = 0 THEN now() END
FROM generate_series($1::int, $1 + $2 - 1) AS n, unnest(ARRAY['telephony', 'internet']) AS system
WHERE EXISTS (SELECT FROM clients WHERE client_id = 'bench-' || n)"""

_PROVE = """
INSERT INTO proofs (client_id, system, revision, kind, at, method, findings)
SELECT 'bench-' || n, system, 1, 'change', now(), 'read back', $1::jsonb
FROM generate_series($2::int, $2 + $3 - 1) AS n, unnest(ARRAY['telephony', 'internet']) AS system
WHERE EXISTS (SELECT FROM clients WHERE client_id = 'bench-' || n)"""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 when all was measured, whatever the numbers say."""
    parser = argparse.ArgumentParser(prog="make bench-console", description="The Clients page beside its floors.")
    parser.add_argument("--clients", type=int, default=CLIENTS, metavar="N", help="rows")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} clients instead of {CLIENTS}")
    parser.add_argument("--json", type=Path, default=RESULTS / "console.json", metavar="FILE", help="where to write")
    parser.add_argument("--asked", type=int, default=REQUESTS, metavar="N", help="requests for each page")
    options = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console(width=None if sys.stdout.isatty() else 100)
    result = _measure(QUICK if options.quick else options.clients, options.requests)
    console.print(_table(result))
    options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"Written to {options.json}")
    return 0


def _measure(clients: int, requests: int) -> dict[str, Any]:
    """On a server with its durable settings, beside the code: /tmp may be memory."""
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="run-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", free_port(), secrets.token_urlsafe(16))
        postgres.start()
        try:
            return asyncio.run(_run(postgres, clients, requests))
        finally:
            postgres.stop()


async def _run(postgres: EmbeddedPostgres, clients: int, requests: int) -> dict[str, Any]:
    await postgres.ensure_database("bench")
    dsn, token = postgres.dsn("bench"), secrets.token_urlsafe(16)
    await migrate(dsn)
    settings = Settings(directory_dsn=dsn, telephony_dsn=dsn, internet_dsn=dsn, token=token)
    async with Database("directory", dsn, settings) as database:
        directory = DirectoryReads(database, timeout=60)
        for number in range(SITES):
            await directory.add_site(
                SiteGiven(site_id=f"bench-{number}", name=f"Bench {number}", timezone="Europe/London")
            )
        findings = [
            {"subject": "+442079460001", "in_service": True, "state": "proven", "why": "", "seen": {"in_service": "1"}}
        ]
        document = ClientView.model_validate(ANSWERS["ClientView"]).model_dump(mode="json")
        for first in range(0, clients, AT_ONCE):
            await database.write(_FILL, document, clients, SITES, first, AT_ONCE)
            await database.write(_SWITCH, first, AT_ONCE)
            await database.write(_PROVE, findings, first, AT_ONCE)
        await _vacuum(dsn)
        service = ClientService(Gateway(await connect(), "http://ui"), directory, Watch(dsn), settings.limits)
        cookie = await Sessions(directory.database, token).begin("bench", "http://127.0.0.1")
        async with _serving(
            Server(uvicorn.Config(create_app(service, token), port=free_port(), log_config=None))
        ) as url:
            cookies = {COOKIE: cookie or ""}
            async with httpx2.AsyncClient(base_url=url, cookies=cookies, trust_env=False, timeout=90) as browser:
                return await _measure_pages(browser, database, clients, requests)


async def _vacuum(dsn: str) -> None:
    """As autovacuum leaves the tables; outside of a transaction, and it may take its time."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("VACUUM ANALYZE clients, client_systems, proofs", timeout=120)
    finally:
        await connection.close()


async def _measure_pages(
    browser: httpx2.AsyncClient, database: Database, clients: int, requests: int
) -> dict[str, Any]:
    async def fetch(path: str) -> int:
        browser.cookies.delete(SITE_COOKIE)  # the site that was chosen last is not asked for next
        answer = await browser.get(path, headers={"Accept": "text/html"})
        answer.raise_for_status()
        return len(answer.content)

    async def one() -> int:
        return len(await database.read("SELECT 1"))

    floors = {"SELECT 1": await _time(one, requests), "/healthz": await _time(lambda: fetch("/healthz"), requests)}
    pages = {name: await _time(lambda path=path: fetch(path), requests) for name, path in PAGES.items()}  # type: ignore[misc]  # mypy #12557
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"machine": machine(), "at": at, "clients": clients, "asked": requests, "floors": floors, "pages": pages}


async def _time(call: Callable[[], Awaitable[int]], requests: int) -> dict[str, float]:
    """The median and the slowest but one, in milliseconds, of as many askings; and how much came."""
    times, size = [], await call()
    for _ in range(requests):
        begun = time.perf_counter()
        size = await call()
        times.append((time.perf_counter() - begun) * 1000)
    return {"p50_ms": round(statistics.median(times), 1), "p98_ms": round(sorted(times)[-2:][0], 1), "bytes": size}


def _table(result: dict[str, Any]) -> Table:
    table = Table(title=f"The Clients page over {result['clients']} clients, {result['asked']} requests each")
    for name in ("", "p50", "p98", "times /healthz", "kB", f"p50 ≤ {GOAL:.0f} ms, ≤ {LARGEST // 1000} kB"):
        table.add_column(name, justify="right" if table.columns else "left", no_wrap=True)
    floor = result["floors"]["/healthz"]["p50_ms"]
    for name, timed in (result["floors"] | result["pages"]).items():
        p50, size, floored = timed["p50_ms"], timed["bytes"], name in result["floors"]
        met = "floor" if floored else "[green]met" if p50 <= GOAL and size <= LARGEST else "[red]missed"
        ratio = "" if floored else f"{p50 / floor:.1f}"
        table.add_row(name, f"{p50:.1f} ms", f"{timed['p98_ms']:.1f} ms", ratio, f"{size / 1000:.0f}", met)
    return table


@asynccontextmanager
async def _serving(server: Server) -> AsyncIterator[str]:
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.config.port}"
    finally:
        server.should_exit = True
        await task


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # as in bench/__main__.py
