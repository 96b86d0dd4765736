"""An erased client: who it was is gone from the directory, from histories and from backups; what was proven stays."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload

from activities.database import Database
from activities.keys.client_keys import KeyDestroyed
from activities.keys.codec import ClientCodec, is_encrypted
from starter.app import create_app
from starter.clients import ClientService
from starter.directory.erasing import TABLES, Kept, Removed
from starter.directory.reads import DirectoryReads
from starter.erasing import Eraser
from starter.local.postgres import EmbeddedPostgres, installed_wheel
from tests.starter.lives import lived
from tests.starter.test_encryption import stored_by_temporal, without_keys
from tests.support.databases import fetch
from tests.support.service import KEYRING, LIMITS, TOKEN, Service, calling, serving
from tests.support.terminal import Terminal
from tests.support.waiting import HANGING, eventually

TEXTS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'character', 'json', 'jsonb', 'ARRAY',
  'bytea', 'xml', 'inet', 'name', 'USER-DEFINED', 'tsvector')"""


@pytest_asyncio.fixture(scope="module")
async def erasing(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller of a service that keeps nobody after the end."""
    app = create_app(service.clients, TOKEN, eraser=Eraser(service.clients, timedelta(0)))
    async with serving(app) as url, calling(url) as api:
        yield api


async def test_every_column_that_holds_text_is_erased_or_kept_for_a_reason(service: Service) -> None:
    rows = await fetch(service.settings.directory_dsn.get_secret_value(), TEXTS)
    assert len(rows) > 50
    of_clients = {table for table, column in rows if column == "client_id"} - {"canaries"}  # which are clients of ours
    forgotten = [f"{table}.{column}" for table, column in rows if not has_rule(table, column, table in of_clients)]
    assert not forgotten, "say in starter/directory/erasing.py what becomes of them"


def has_rule(table: str, column: str, of_clients: bool) -> bool:
    """Whether the table of what is erased says what becomes of a column: of one about clients, column by column."""
    match TABLES.get(table):
        case None:
            return False
        case Removed():
            return True
        case Kept():
            return not of_clients
        case columns:
            return column in columns


async def whole_history(service: Service, client_id: str) -> list[dict[str, Any]]:
    """Every line, newest first."""
    page = (await service.api.get(f"/clients/{client_id}/history", params={"limit": 200})).json()
    assert page["next"] is None
    return list(page["items"])


async def test_an_erased_client_leaves_ids_times_and_proofs(service: Service, erasing: httpx2.AsyncClient) -> None:
    life = await lived(service)
    before = await whole_history(service, life.client_id)
    answer = await erasing.post(f"/clients/{life.client_id}/erase")
    assert (answer.status_code, answer.json()["client_id"]) == (200, life.client_id), answer.text
    assert (await erasing.post(f"/clients/{life.client_id}/erase")).json() == answer.json()
    answer = await service.api.get(f"/clients/{life.client_id}")
    assert answer.status_code == 404
    assert f"Client {life.client_id} was erased on " in answer.json()["detail"]
    for command in ("suspend", "decommission", "notes"):
        body: dict[str, Any] = {"text": "too late"} if command == "notes" else {}
        assert (await service.post(life.client_id, command, **body)).status_code == 404
    last, *after = await whole_history(service, life.client_id)
    assert (last["kind"], last["by"], last["reason"]) == ("erase", "api", "")
    same = [("history_id", "event", "at", "kind", "by", "source", "revision")] * len(before)
    assert [{n: line[n] for n in names} for line, names in zip(after, same, strict=True)] == [
        {n: line[n] for n in names} for line, names in zip(before, same, strict=True)
    ]
    ids = {old["command_id"]: new["command_id"] for old, new in zip(before, after, strict=True)}
    assert len(set(ids.values())) == len(ids), "what one request did is still told apart from what another did"
    assert all(life.word in old if new != old else life.word not in old for old, new in ids.items())
    proven = [line["facts"] for line in before if line["event"] == "proven"]
    assert proven
    assert [line["facts"] for line in after if line["event"] == "proven"] == proven
    assert life.word not in str(after).lower()
    listed = await service.api.get("/clients", params={"inactive": True, "q": life.client_id})
    listed_as = [(it["name"], it["billing_ref"]) for it in listed.json()["items"]]
    assert listed_as == [("Erased client", f"erased:{life.client_id}")]


@pytest.mark.parametrize("what", ["active", "early"])
async def test_who_may_not_be_erased_is_told_why(service: Service, erasing: httpx2.AsyncClient, what: str) -> None:
    client = await (service.create() if what == "active" else service.closed())
    api, why = (erasing, "is not over") if what == "active" else (service.api, "and is kept until")
    answer = await api.post(f"/clients/{client['client_id']}/erase")
    assert (answer.status_code, why in answer.json()["detail"]) == (409, True), answer.text
    assert (await service.client(client["client_id"]))["name"] == "Acme Ltd"
    assert (await api.post("/clients/nobody-there/erase")).status_code == 404


async def test_what_was_interrupted_is_completed(service: Service, erasing: httpx2.AsyncClient) -> None:
    life = await lived(service)
    async with without_keys(service):
        half = await erasing.post(f"/clients/{life.client_id}/erase")
        assert (half.status_code, "run `connect migrate`" in half.json()["detail"]) == (503, True), half.text
    await Eraser(service.clients).agree()
    assert service.encryption.keys
    with pytest.raises(KeyDestroyed):
        await service.encryption.keys.find(life.client_id)


def run(program: str, *arguments: str) -> str:
    """A program of PostgreSQL, as an operator runs it for backups."""
    path = installed_wheel() / "pginstall/bin" / program
    return subprocess.run(
        [path, *arguments], capture_output=True, check=True, encoding="utf-8", env={**os.environ}
    ).stdout


@asynccontextmanager
async def restored(
    postgres: EmbeddedPostgres, service: Service, backup: Path
) -> AsyncIterator[tuple[str, ClientService]]:
    """A directory that was restored from a backup, and the service on it, with today's keys."""
    dsn = await postgres.ensure_database(f"restored_{uuid4().hex[:8]}")
    await asyncio.to_thread(run, "psql", "--quiet", "--dbname", dsn, "--file", str(backup))
    settings = service.settings.model_copy(update={"directory_dsn": dsn})
    async with Database("directory", dsn, settings) as database:
        directory = DirectoryReads(database, timeout=HANGING)
        yield dsn, ClientService(service.clients.gateway, directory, service.clients.watch, LIMITS, KEYRING)


def payloads_in(message: Message) -> Iterator[Payload]:
    """Every payload in what Temporal tells, however deep: inputs, results, failures, memos, summaries."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        of_map = field.message_type.GetOptions().map_entry
        for item in value.values() if of_map else [value] if isinstance(value, Message) else value:
            if isinstance(item, Message):
                yield from payloads_in(item)


async def test_a_backup_from_before_says_nothing_with_todays_keys(
    service: Service,
    erasing: httpx2.AsyncClient,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    life, other = await lived(service), await lived(service)
    dsn, backup = service.settings.directory_dsn.get_secret_value(), tmp_path / "backup.sql"
    keys_dsn = service.settings.keys_dsn.get_secret_value()
    await asyncio.to_thread(run, "pg_dump", "--dbname", dsn, "--file", str(backup))
    assert life.secrets[1] not in backup.read_text(encoding="utf-8"), "passwords are nowhere, but in the key of all"
    of_keys = await asyncio.to_thread(run, "pg_dump", "--dbname", keys_dsn)
    assert life.client_id in of_keys
    assert not [word for word in (life.word, *life.secrets) if word in of_keys]
    handle = service.temporal.get_workflow_handle(f"client-{life.client_id}")
    history = await handle.fetch_history()
    assert (await erasing.post(f"/clients/{life.client_id}/erase")).status_code == 200

    now = await asyncio.to_thread(run, "pg_dump", "--dbname", dsn)
    assert (life.word in now, life.client_id in now, other.word in now) == (False, True, True)
    async with restored(postgres, service, backup) as (restored_dsn, clients):
        assert life.word in await asyncio.to_thread(run, "pg_dump", "--dbname", restored_dsn)
        await Eraser(clients).agree()
        left = await asyncio.to_thread(run, "pg_dump", "--dbname", restored_dsn)
        assert (life.word in left, other.word in left) == (False, True)
    payloads = [payload for event in history.events for payload in payloads_in(event) if is_encrypted(payload)]
    assert len(payloads) > 50
    assert life.word.encode() not in b"".join(event.SerializeToString() for event in history.events).lower()
    assert service.encryption.keys
    for codec in (ClientCodec(service.encryption.keys), ClientCodec(service.encryption.keys, makes=True)):
        for payload in payloads:
            with pytest.raises(KeyDestroyed):
                await codec.decode([payload])
    assert life.word.encode() not in await stored_by_temporal(service.temporal, handle.id)
    keys = await fetch(keys_dsn, "SELECT wrapped FROM client_keys WHERE client_id = $1", life.client_id)
    assert [row["wrapped"] for row in keys] == [None]
    logs = "".join(capsys.readouterr()).lower()
    assert (life.client_id in logs, life.word in logs, life.secrets[1].lower() in logs) == (True, False, False)


async def test_names_and_settings_of_further_services_go_and_what_was_proven_of_each_stays(
    with_doors: Service, erasing: httpx2.AsyncClient, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    word, dsn = f"quagga{uuid4().hex[:8]}", with_doors.settings.directory_dsn.get_secret_value()
    settings = {"card": f"{word}-0472"}
    doors = [{"kind": "doors", "name": f"{word}-{it}", "settings": settings} for it in ("gate", "attic")]
    client_id, backup = (await with_doors.create(services=doors))["client_id"], tmp_path / "backup.sql"
    await asyncio.to_thread(run, "pg_dump", "--dbname", dsn, "--file", str(backup))
    await with_doors.post(client_id, "decommission")
    await asyncio.wait_for(with_doors.temporal.get_workflow_handle(f"client-{client_id}").result(), HANGING)
    note = "UPDATE watched SET seen = $2 WHERE client_id = $1 RETURNING system"  # as an adapter does
    seen = settings | {"known_as": "as of old"}
    noted = await fetch(dsn, note, client_id, json.dumps(seen))
    assert {row["system"] for row in noted} == {"telephony", "doors"}
    silent = "INSERT INTO history (client_id, event, at, kind, text, by) VALUES ($1, 'proven', now(), 'doors', $2, '')"
    await fetch(dsn, silent, client_id, f"Doors watched no longer: {word}-gate: it went silent")
    assert (await erasing.post(f"/clients/{client_id}/erase")).status_code == 200

    watched = await fetch(dsn, "DELETE FROM watched WHERE client_id = $1 RETURNING system, seen", client_id)
    kept = {row["system"]: json.loads(row["seen"]) for row in watched}
    assert kept == {"telephony": {"known_as": "as of old"}, "doors": {}}
    facts = [line["facts"] for line in await whole_history(with_doors, client_id) if line["kind"] == "doors"]
    ended, *_, begun = [it for it in facts if it]
    assert (len(begun), ended.keys(), {*begun.values()}) == (2, begun.keys(), {"on"}), facts
    assert word not in await asyncio.to_thread(run, "pg_dump", "--dbname", dsn)
    async with restored(postgres, with_doors, backup) as (restored_dsn, clients):
        assert word in await asyncio.to_thread(run, "pg_dump", "--dbname", restored_dsn)
        await Eraser(clients).agree()
        left = await asyncio.to_thread(run, "pg_dump", "--dbname", restored_dsn)
        assert (word in left, client_id in left) == (False, True)


async def test_the_command_line_erases_and_says_what_keeps_it_from_it(
    service: Service, erasing: httpx2.AsyncClient, terminal: Terminal
) -> None:
    client = await service.closed()
    refused = await terminal.connect("client", "erase", client["client_id"], "--yes")
    assert (refused.status, "is kept until" in refused.err) == (1, True), refused
    terminal.environment["CONNECT_URL"] = str(erasing.base_url).removesuffix("/api/v1/")
    outcome = await terminal.connect("client", "erase", client["client_id"], "--yes")
    assert (outcome.status, outcome.out) == (0, f"Client {client['client_id']} is erased.\n"), outcome


async def test_nobody_has_the_id_of_an_erased_client(service: Service, erasing: httpx2.AsyncClient) -> None:
    """Whoever asks for it hears so, and so does whoever sends again what once created it."""
    key, new = {"Idempotency-Key": "Okapi-1042", "Prefer": "wait=60"}, {"type": "virtual", "site": "thames"}
    created = await erasing.post("/clients", json={"name": "Okapi", **new}, headers=key)
    client_id = created.json()["client_id"]
    await service.post(client_id, "decommission")
    await asyncio.wait_for(service.temporal.get_workflow_handle(f"client-{client_id}").result(), HANGING)

    async def erased() -> bool:
        return (await erasing.post(f"/clients/{client_id}/erase")).status_code == 200

    await eventually(erased)
    named = await erasing.post("/clients", json={"name": "Okapi", "client_id": client_id, **new})
    again = [await erasing.post("/clients", json={"name": "Okapi", **new}, headers=key) for _ in range(2)]
    assert [(it.status_code, it.json()["title"]) for it in (named, *again)] == [(409, "Client id taken")] * 3
