"""A client whose workflow cannot run: on its page, in the list, and on the page Attention, until it is mended."""

import html
import re
from collections.abc import AsyncIterator

import asyncpg
import httpx2
import pytest_asyncio
from temporalio.service import RPCError

from activities.watch.executions import Executions
from activities.watch.watch import WorkflowWatch
from tests.starter.console.test_kept import visiting
from tests.support.remedies import carry_out
from tests.support.service import Service, unique
from tests.support.waiting import eventually


@pytest_asyncio.fixture
async def directory(service: Service) -> AsyncIterator[asyncpg.Connection]:
    async with service.directory() as connection:
        yield connection


async def test_the_pages_say_what_cannot_run_and_what_mends_it(service: Service, directory: asyncpg.Connection) -> None:
    client_id = (await service.create(name="Halted & Sons"))["client_id"]
    stranger = unique("nobody")
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    await handle.terminate("by mistake")
    await service.temporal.start_workflow("ClientLifecycle", id=f"client-{stranger}", task_queue="nobody")
    watch = WorkflowWatch(Executions(service.temporal), service.settings.directory_dsn.get_secret_value())
    await directory.execute("DELETE FROM matters")  # of other tests: a page has a hundred, the oldest first
    await eventually(lambda: finds_all(watch, directory, {client_id, stranger}))
    async with visiting(service) as ann:
        attention = await page(ann, "/attention")
        assert "Workflows that cannot run" in attention
        counted = re.search(r'<b class="count">(\d+)', attention)
        assert counted, "beside the menu stands how many there are"
        assert int(counted[1]) >= 2
        assert f"terminate --workflow-id client-{stranger} " in attention
        assert f'href="/clients/{stranger}"' not in attention, "there is no page of it"
        assert "Workflows that cannot run" not in await page(ann, "/attention?system=telephony")
        listed = await page(ann, "/clients?open=true&q=Halted")
        assert "Cannot run" in listed
        assert 'name="open" value="true" checked' in listed
        own = await page(ann, f"/clients/{client_id}")
        assert "was terminated" in own
        remedy = html.unescape(own.partition("<code>temporal")[2].partition("</code>")[0])
        for under in ("status", "edit", "history"):
            assert "was terminated" in await page(ann, f"/clients/{client_id}/{under}")

        carry_out(service.temporal, f"temporal{remedy}")
        await service.temporal.get_workflow_handle(f"client-{stranger}").terminate()
        await eventually(lambda: finds_none(watch, directory, {client_id, stranger}))
        assert "was terminated" not in await page(ann, f"/clients/{client_id}")
        assert "No client matches" in await page(ann, "/clients?open=true&q=Halted")


async def test_the_clients_of_a_site_that_cannot_run_are_listed_with_it(
    service: Service, directory: asyncpg.Connection
) -> None:
    site = await service.site()
    client_id = (await service.create(name="Halted & Sons", site=site))["client_id"]
    await service.temporal.get_workflow_handle(f"client-{client_id}").terminate("by mistake")
    watch = WorkflowWatch(Executions(service.temporal), service.settings.directory_dsn.get_secret_value())
    await eventually(lambda: finds_all(watch, directory, {client_id}))
    async with visiting(service) as ann:
        attention = await page(ann, f"/attention?site={site}")
        assert f'<a href="/clients/{client_id}">Halted &amp; Sons</a>' in attention


async def finds_all(watch: WorkflowWatch, directory: asyncpg.Connection, matters: set[str]) -> bool:
    return matters <= await found(watch, directory)


async def finds_none(watch: WorkflowWatch, directory: asyncpg.Connection, matters: set[str]) -> bool:
    return not matters & await found(watch, directory)


async def found(watch: WorkflowWatch, directory: asyncpg.Connection) -> set[str]:
    try:
        return set(await watch.look(directory))
    except RPCError as error:  # a busy server lists nothing for once
        raise AssertionError(error) from error


async def page(visitor: httpx2.AsyncClient, path: str) -> str:
    answer = await visitor.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text
