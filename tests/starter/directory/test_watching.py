"""Claims about hearing of changes: nobody waits in vain, also when the connection that listens is lost."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from activities.background import background
from starter.directory.watching import CHANNEL, EVERY_CLIENT, Changed, Watch, until_settled
from starter.local.postgres import EmbeddedPostgres
from tests.support.cut_proxy import CutProxy
from tests.support.service import Service
from tests.support.waiting import HANGING, eventually
from workflows.domain.lifecycle import Status


async def test_only_those_who_watch_a_client_or_all_hear_of_it(service: Service) -> None:
    watch = service.clients.watch
    with watch.of("acme") as mine, watch.of("other") as other, watch.of() as every:
        async with service.directory() as connection:

            async def notified() -> bool:
                await connection.execute("SELECT pg_notify($1, 'acme')", CHANNEL)
                return mine.is_set()

            await eventually(notified)  # it listens
            for event in (mine, other, every):
                event.clear()
            await eventually(notified)
        assert (every.is_set(), other.is_set()) == (True, False)


async def test_a_lost_connection_is_made_anew_and_everybody_looks_again(service: Service) -> None:
    dsn = service.settings.directory_dsn.get_secret_value()
    watch = Watch(f"{dsn}?application_name=watched", pause=0.05)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'watched'"
    with watch.of("acme") as changed:
        async with background(watch.run), service.directory() as connection:
            await eventually(changed.is_set)  # connected
            changed.clear()
            await eventually(lambda: connection.fetch(cut))
            await eventually(changed.is_set)


async def test_a_connection_that_went_silent_is_noticed_and_made_anew(
    service: Service, postgres: EmbeddedPostgres
) -> None:
    dsn = service.settings.directory_dsn.get_secret_value()
    async with CutProxy("127.0.0.1", postgres.port) as proxy:
        watch = Watch(dsn.replace(f":{postgres.port}/", f":{proxy.port}/"), pause=0.05, heartbeat=0.2)
        async with background(watch.run):
            with watch.of("acme") as changed:
                await eventually(changed.is_set)  # connected
                changed.clear()
                proxy.hang()  # and nobody closes anything
                await eventually(lambda: proxy.connections > 1)
                proxy.recover()
                await eventually(changed.is_set)


async def test_what_only_the_driver_can_fail_with_ends_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(service.settings.directory_dsn.get_secret_value(), pause=0.01)
    connect, failed = asyncpg.connect, list[bool]()

    async def fails_once(*args: Any, **named: Any) -> asyncpg.Connection:
        if not failed:
            failed.append(True)
            raise asyncpg.InternalClientError("the server's last words came while nobody listened")
        return await connect(*args, **named)

    monkeypatch.setattr(asyncpg, "connect", fails_once)
    async with background(watch.run, pause=HANGING):
        with watch.of("acme") as changed:
            await eventually(changed.is_set)


async def test_a_wait_ends_although_nothing_was_heard(service: Service) -> None:
    client = await service.create(wait=0)
    deaf = Watch("postgresql://nobody@127.0.0.1:1/none")
    decided = await service.clients.client(client["client_id"])
    view = await until_settled(service.clients.directory, deaf, decided, seconds=HANGING, look_every=0.05)
    assert view is not None
    assert view.status == "active"


async def test_a_wait_for_what_never_comes_ends_in_time(service: Service) -> None:
    client = await service.create()
    decided = (await service.clients.client(client["client_id"])).model_copy(update={"revision": 10**6})
    assert await until_settled(service.clients.directory, service.clients.watch, decided, seconds=0.2) is None


async def test_whoever_waits_is_answered_when_the_service_stops(service: Service) -> None:
    client = await service.create()
    decided = (await service.clients.client(client["client_id"])).model_copy(update={"revision": 10**6})
    waits = asyncio.Event()

    class Waited(Watch):
        @contextmanager
        def of(self, client_id: str = EVERY_CLIENT) -> Iterator[Changed]:
            waits.set()
            with super().of(client_id) as changed:
                yield changed

    watch = Waited("postgresql://nobody@127.0.0.1:1/none")
    waiting = asyncio.create_task(
        until_settled(service.clients.directory, watch, decided, seconds=2 * HANGING, look_every=2 * HANGING)
    )
    await asyncio.wait_for(waits.wait(), HANGING)
    watch.end()
    assert await asyncio.wait_for(waiting, HANGING) is None


async def test_what_is_shown_is_not_taken_for_another_decision_of_the_same_revision(service: Service) -> None:
    """As when a workflow was reset, and decides otherwise."""
    client = await service.clients.client((await service.create())["client_id"])
    decided = client.model_copy(update={"status": Status.SUSPENDED})
    assert await until_settled(service.clients.directory, service.clients.watch, client, seconds=HANGING)
    assert await until_settled(service.clients.directory, service.clients.watch, decided, seconds=0.2) is None


async def test_a_canary_that_changes_all_the_time_wakes_no_list(service: Service) -> None:
    watch = service.clients.watch
    with watch.of("connect-canary-york") as own, watch.of() as every:
        async with service.directory() as directory:

            async def wakes() -> bool:
                await directory.execute("SELECT pg_notify('connect_clients', 'connect-canary-york')")
                every.clear()  # of what others do meanwhile: both are told in one step
                return own.is_set()

            await eventually(wakes)
            assert not every.is_set()
