"""What changes elsewhere appears here, and leaves what one is doing alone.

Nothing but what the server says has a page look again (static/live.js), so what appears was said.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest_asyncio
import uvicorn
from playwright.async_api import expect

from activities.background import background
from starter.app import create_app
from starter.clients import ClientService
from starter.directory.watching import Watch
from starter.web.http_server import Server
from tests.browser.browsing import Browsers, listening
from tests.support.service import KEYRING, LIMITS, TOKEN, Service, unique
from tests.support.waiting import eventually, free_port


@pytest_asyncio.fixture(scope="module")
async def site(service: Service) -> str:
    return await service.site()


@asynccontextmanager
async def serving_at(service: Service, port: int) -> AsyncIterator[str]:
    """The same service at a port of one's choice, which can so be stopped and started again."""
    watch = Watch(service.settings.directory_dsn.get_secret_value(), pause=0.1)
    clients = ClientService(service.clients.gateway, service.clients.directory, watch, LIMITS, KEYRING)
    app = create_app(clients, TOKEN)
    server = Server(uvicorn.Config(app, host="127.0.0.1", port=port, access_log=False, log_config=None), watch)
    async with background(watch.run), running(server):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[None]:
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield
    finally:
        server.handle_exit(15, None)
        await task


async def test_a_change_made_elsewhere_appears_and_leaves_everything_as_it_was(
    browsers: Browsers, service: Service, site: str
) -> None:
    mark = unique("Still")
    clients = [await service.create(f"{mark} {n:02}", site=site) for n in range(14)]
    page = await listening(await browsers.signed_in(f"/clients?site={site}", height=420))
    search = page.get_by_label("Search")
    await search.fill(mark)
    await expect(page.locator("tbody tr")).to_have_count(14)
    await page.locator("tbody summary").nth(5).click()
    await search.focus()
    await page.evaluate("document.querySelector('#q').setSelectionRange(2, 4)")
    await page.evaluate("scrollTo(0, 260)")
    row = page.locator(f'tr[data-key="{clients[5]["client_id"]}"]')
    await row.evaluate("row => { row.seenBefore = true }")
    assert (await service.post(clients[5]["client_id"], "suspend", reason="unpaid")).status_code == 200
    await expect(row.locator(".badge.suspended")).to_be_visible()
    await expect(page.locator("tbody .menu[open]")).to_have_count(1)
    await expect(search).to_be_focused()
    assert await page.evaluate("[document.activeElement.selectionStart, document.activeElement.selectionEnd]") == [2, 4]
    assert await page.evaluate("scrollY") == 260
    assert await row.evaluate("row => row.seenBefore")


async def test_two_browsers_see_the_same_without_a_reload(browsers: Browsers, service: Service, site: str) -> None:
    first = await listening(await browsers.signed_in(f"/clients?site={site}"))
    client = await service.create(unique("Both"), site=site, wait=0)
    second = await listening(await browsers.signed_in(f"/clients/{client['client_id']}", name="bob"))
    await expect(first.locator(f'tr[data-key="{client["client_id"]}"] .badge.settled')).to_be_visible()
    await expect(second.locator(".axes .badge.settled")).to_be_visible()
    await service.known(client["client_id"])
    async with service.without(service.telephony):
        answer = await service.post(client["client_id"], "suspend", wait=0, reason="unpaid")
        assert answer.status_code == 202
        await expect(first.locator(f'tr[data-key="{client["client_id"]}"] .badge.suspended')).to_be_visible()
        await expect(second.locator(".axes .badge.suspended")).to_be_visible()
    await expect(first.locator(f'tr[data-key="{client["client_id"]}"] .badge.settled')).to_be_visible()
    await expect(second.locator(".axes .badge.settled")).to_be_visible()


async def test_a_clients_page_keeps_what_one_types_while_it_changes(
    browsers: Browsers, service: Service, site: str
) -> None:
    client = await service.create(unique("Typing"), site=site)
    async with service.without(service.telephony):
        await service.post(client["client_id"], "suspend", wait=0)
        page = await listening(await browsers.signed_in(f"/clients/{client['client_id']}"))
        await page.get_by_text("Skip…").first.click()
        reason = page.get_by_label("Reason for skipping")
        await reason.press_sequentially("The switch is out of")
        seen = await page.locator("[data-part=latest] tbody tr").count()
        await service.post(client["client_id"], "suspend", wait=0, source="billing", reason="also unpaid")
        await expect(page.locator("[data-part=holds], [data-part=record]").first).to_contain_text("billing")
        await expect(reason).to_be_focused()
        await expect(reason).to_have_value("The switch is out of")
        assert seen
    await expect(page.locator(".axes .badge.settled")).to_be_visible()


async def test_a_lost_connection_says_so_and_recovers(browsers: Browsers, service: Service, site: str) -> None:
    browsers.expects("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE")
    client = await service.create(unique("Apart"), site=site)
    port = free_port()
    async with serving_at(service, port) as url:
        page = await listening(await browsers.signed_in(f"/clients?site={site}", url=url))
        lost = page.get_by_text("Connection lost.")
        await expect(lost).to_be_hidden()
    await expect(lost).to_be_visible()
    await service.post(client["client_id"], "suspend", reason="meanwhile")
    await page.get_by_label("Search").fill(client["name"])
    async with serving_at(service, port):
        await expect(lost).to_be_hidden()
        await expect(page.locator(f'tr[data-key="{client["client_id"]}"] .badge.suspended')).to_be_visible()
        await expect(page.get_by_label("Search")).to_have_value(client["name"])
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.goto("about:blank")


async def test_a_page_that_comes_back_from_memory_hears_again(browsers: Browsers, service: Service, site: str) -> None:
    client = await service.create(unique("Returned"), site=site)
    page = await listening(await browsers.signed_in(f"/clients?site={site}"))
    await page.locator(f'tr[data-key="{client["client_id"]}"] a.name').click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(client["name"])
    await service.post(client["client_id"], "suspend")
    await page.go_back()
    await expect(page.locator(f'tr[data-key="{client["client_id"]}"] .badge.suspended')).to_be_visible()
