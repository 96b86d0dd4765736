"""``python -m bench`` (``make bench``): one run, one server; a table, and JSON in bench/results/."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import uvloop
from rich.console import Console

from activities.database import Database
from activities.keys.encryption import Encryption
from bench import idle
from bench.changes import Bench, Measured, Phase
from bench.floor import PLAIN, TUNED
from bench.house import House
from bench.report import as_json, show
from bench.subjects import SITE, Bare, NotSettled, Ours, OverHttp, Verified, check_lines, check_proofs
from bench.worker import FLOOR_DSN, plain_client
from starter.clients import ClientService
from starter.contract.bodies import SiteGiven
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch
from starter.errors import StarterError
from starter.local.children import StartFailed
from starter.temporal.connection import connect
from starter.temporal.gateway import Gateway

RESULTS = Path(__file__).with_name("results")
AT_ONCE = 8


@dataclass(frozen=True)
class Size:
    """How much is measured. An odd number of changes leaves every client suspended after every other turn."""

    name: str
    phases: tuple[Phase, ...]
    idle: int
    seconds: float  # in which all is done but the start and the end

    @property
    def workflows(self) -> int:
        return max(phase.callers for phase in self.phases)


FULL = Size("full", (Phase(1, 8, 31, 60), Phase(8, 6, 15, 60), Phase(50, 6, 5, 60)), 10_000, 570)
QUICK = Size("quick", (Phase(1, 4, 15, 8), Phase(8, 2, 5, 8), Phase(50, 1, 1, 8)), 500, 48)
SMOKE = Size("smoke", (Phase(1, 1, 3, 2), Phase(3, 1, 3, 2), Phase(6, 1, 1, 2)), 10, 16)
WARMING_UP = Phase(4, 1, 4, 1)
LEAST_LEFT = 5.0  # seconds for idle clients, however long the changes took
SLOWEST = 60.0  # seconds in which a request is answered, on however busy a machine


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 when all was measured, whatever the numbers say."""
    size, file = _options(argv)
    console, begun = Console(width=None if sys.stdout.isatty() else 130), time.monotonic()
    try:
        result = _measure(size, console.print)
    except* (NotSettled, StartFailed, StarterError) as failed:
        console.print(f"[red]bench:[/] {failed.exceptions[0]}")
        result = None
    if result is None:
        return 1
    result |= {"at": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": round(time.monotonic() - begun, 1)}
    show(result, console)
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"Written to {file}")
    return 0


def _measure(size: Size, say: Callable[[str], None]) -> dict[str, Any]:
    """Beside the code, as the data folder of `connect up`: /tmp may be memory, where nothing waits for a disk."""
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="run-") as folder, House(Path(folder)).running() as house:
        return uvloop.run(_run(house, size, say))  # as the API


async def _run(house: House, size: Size, say: Callable[[str], None]) -> dict[str, Any]:
    settings, end = house.settings, time.monotonic() + size.seconds
    dsn = settings.directory_dsn.get_secret_value()
    token = {"Authorization": f"Bearer {house.token}"}
    async with (
        Database("directory", dsn, settings) as database,
        Encryption.of(settings, database) as encryption,
        httpx2.AsyncClient(base_url=house.url, headers=token, timeout=SLOWEST, trust_env=False) as http,
    ):
        directory, watch, temporal = DirectoryReads(database), Watch(dsn), await connect()
        gateway = Gateway(await connect(encryption.converter()), patience=SLOWEST, encryption=encryption)
        listening = asyncio.create_task(watch.run())
        await directory.add_site(SiteGiven(site_id=SITE, name="The bench", timezone="Europe/London"))
        ours = Ours(ClientService(gateway, directory, watch, settings.limits))
        floors = Bare(TUNED, temporal), Bare(PLAIN, await plain_client(temporal))
        subjects = ours, OverHttp(ours, http), *floors
        say(f"{size.name}: {size.workflows} clients, and as many workflows of each floor")
        begun = time.perf_counter()
        await _some_at_once(ours.create, size.workflows)
        settled_per_second = round(size.workflows / (time.perf_counter() - begun), 2)
        for floor in floors:
            await _some_at_once(floor.create, size.workflows)
            await floor.lay(os.environ[FLOOR_DSN])
        verified = Verified()

        async def check() -> None:
            await check_lines(settings.telephony_dsn.get_secret_value(), ours.now.values(), verified)

        bench, phases = Bench(temporal, house.pids(), size.workflows), dict[int, dict[str, Measured]]()
        await bench.measure(subjects, WARMING_UP, check)
        for phase in size.phases:
            say(f"changes, {phase.callers} at a time")
            phases[phase.callers] = await bench.measure(subjects, phase, check)
        await check_proofs(dsn, ours.changes, verified)
        say(f"{size.idle} idle clients")
        left = max(LEAST_LEFT, end - time.monotonic())
        resting = await idle.measure(house, ours, size.workflows, size.idle, left)
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
    resting["settled_per_second"] = settled_per_second
    return as_json(phases, resting, size=size.name, verified=asdict(verified))


async def _some_at_once(create: Callable[[int], Awaitable[None]], count: int) -> None:
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for number in numbers:
            await create(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_the_other())


def _options(argv: Sequence[str] | None) -> tuple[Size, Path]:
    parser = argparse.ArgumentParser(prog="make bench", description="The speed of a change beside its floors.")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="size", action="store_const", const=QUICK, help="in less than a minute")
    sizes.add_argument("--smoke", dest="size", action="store_const", const=SMOKE, help="only to see that it works")
    parser.add_argument("--clients", type=int, metavar="N", help="idle clients to create")
    parser.add_argument("--json", type=Path, default=RESULTS / "latest.json", metavar="FILE", help="where to write")
    options = parser.parse_args(argv)
    size: Size = options.size or FULL
    return (size if options.clients is None else replace(size, idle=max(1, options.clients))), options.json


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the SDK's threads can crash an interpreter that is shutting down (sdk-python issue 300)
