"""What a page of somebody else can do to whom is signed in: nothing. Asked in a real browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.async_api import Browser, BrowserContext, Page, Response, expect
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.app import create_app
from starter.console.auth.sessions import COOKIE, Sessions
from starter.web.http_server import Server
from starter.web.names import Names
from tests.browser.browsing import new_context, running_browser, titled
from tests.support.service import HOME, TOKEN, Service, running, serving, unique
from tests.support.waiting import eventually, free_port, http_client

EVIL, OURS = "evil.example", "connect.example"
NAMES = f"--host-resolver-rules=MAP {EVIL} 127.0.0.1,MAP {OURS} 127.0.0.1"
SEND = """async ([address, form, method]) => {
    const body = new URLSearchParams(form);
    await fetch(address, { method, body, mode: "no-cors", credentials: "include" }).catch(() => 0);
}"""
READ = """async (address) => {
    try {
        return await (await fetch(address, { credentials: "include" })).text();
    } catch {
        return "";
    }
}"""
SUBMIT = """([address, form]) => {
    const made = document.body.appendChild(Object.assign(document.createElement("form"), { method: "post" }));
    made.action = address;
    for (const [name, value] of Object.entries(form))
        made.append(Object.assign(document.createElement("input"), { name, value }));
    made.submit();
}"""
GUESS = """async (path) => {
    const answer = await fetch(path, { headers: { Authorization: "Bearer guessed" } });
    return [answer.status, await answer.text()];
}"""


@pytest_asyncio.fixture(scope="module")
async def misled() -> AsyncIterator[Browser]:
    """A browser for which the attacker's name, and one of ours, lead to this machine."""
    async with running_browser(NAMES) as browser:
        yield browser


class Recorder:
    """Takes down what comes in at a service, and how it is answered: browsers tell nothing of it to a test."""

    def __init__(self, app: ASGIApp, seen: list[tuple[str, int]], cookies: list[str]) -> None:
        self._app, self._seen, self._cookies = app, seen, cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._seen.append((scope["path"], message["status"]))
                self._cookies.append(Headers(scope=scope).get("Cookie", ""))
            await send(message)

        await self._app(scope, receive, noting)


@asynccontextmanager
async def elsewhere() -> AsyncIterator[int]:
    """The port of a site of the attacker's."""
    site = FastAPI()

    @site.get("/{path:path}")
    async def page(path: str) -> HTMLResponse:
        return HTMLResponse(f"<!doctype html><title>{path}</title><p>Kittens")

    config = uvicorn.Config(site, host="127.0.0.1", port=free_port(), log_config=None)
    async with running(Server(config)):
        yield config.port


@asynccontextmanager
async def victim(browser: Browser, service: Service, url: str) -> AsyncIterator[tuple[BrowserContext, list[Response]]]:
    """The browser of somebody who is signed in, and what it is answered."""
    context = await new_context(browser)
    answers: list[Response] = []
    context.on("response", lambda answer: answers.append(answer))  # playwright marks what it is given
    cookie = await Sessions(service.clients.directory.database, TOKEN).begin("ann", HOME) or ""
    await context.add_cookies([{"name": COOKIE, "value": cookie, "url": url, "httpOnly": True, "sameSite": "Lax"}])
    try:
        yield context, answers
    finally:
        await context.close()


@pytest.mark.parametrize("host", [EVIL, "127.0.0.1"], ids=["another host", "another port, which is sent the cookie"])
async def test_a_page_of_another_origin_cannot_change_anything(misled: Browser, service: Service, host: str) -> None:
    client_id = (await service.create(unique("Victim")))["client_id"]
    attempts: list[tuple[str, dict[str, Any]]] = [
        (f"/clients/{client_id}/status", {"action": "suspend", "reason": "forged", "command_id": unique("forged")}),
        (f"/clients/{client_id}/edit", {"name": "Forged", "reason": "forged"}),
        (f"/api/v1/clients/{client_id}/suspend", {"reason": "forged"}),
        ("/sign-out", {}),
        ("/theme", {"theme": "dark"}),
        *[("/sign-in", {"token": "guess"})] * 11,
    ]
    app, seen, cookies = create_app(service.clients, TOKEN), list[tuple[str, int]](), list[str]()
    app.add_middleware(Recorder, seen=seen, cookies=cookies)
    async with elsewhere() as port, serving(app) as url:
        async with victim(misled, service, url) as (context, _):
            page = await context.new_page()
            await page.goto(f"http://{host}:{port}/")
            for path in ("/clients", "/clients.csv", f"/clients/{client_id}", f"/api/v1/clients/{client_id}", "/docs"):
                assert await page.evaluate(READ, f"{url}{path}") == "", "nothing of it can be read"
            assert host == EVIL or 200 in {status for _, status in seen}, "or there was nothing to read"
            seen.clear()
            cookies.clear()
            for path, form in attempts:
                await page.evaluate(SEND, [f"{url}{path}", form, "POST"])
            assert seen == [(path, 403) for path, _ in attempts]
            assert [COOKIE in cookie for cookie in cookies] == [host == "127.0.0.1"] * len(attempts), "or it is none"

            await page.evaluate(SUBMIT, [f"{url}/clients/{client_id}/status", attempts[0][1]])
            await expect(page.get_by_role("heading", name="Nothing was done")).to_be_visible()
            await expect(page.get_by_role("alert")).to_contain_text("A page of another address sent this")

            await page.goto(f"{url}/clients/{client_id}")
            await expect(page.locator(".account summary")).to_have_text("ann")
            assert await page.locator("html").get_attribute("data-theme") == "auto"
        async with http_client(base_url=url) as ann:
            wrong = await ann.post("/sign-in", data={"token": "mistyped"})
            assert wrong.status_code == 403, "nobody is locked out by what pages sent"
    client = await service.client(client_id)
    assert (client["status"], client["name"].startswith("Victim")) == ("active", True)
    assert not any(line["reason"] == "forged" for line in await service.history(client_id))


async def test_a_name_that_comes_to_lead_to_us_reads_nothing(misled: Browser, service: Service) -> None:
    """DNS rebinding: to the browser the attacker's page and our service are then one origin."""
    port = urlsplit(service.url).port
    async with victim(misled, service, f"http://{EVIL}:{port}") as (context, _):
        page = await context.new_page()
        answer = await page.goto(f"http://{EVIL}:{port}/clients")
        assert answer is not None
        assert answer.status == 421
        await expect(page.get_by_role("alert")).to_contain_text("does not answer to this host name")
        for path in ("/api/v1/clients", "/clients", "/clients.csv", "/sign-in", "/docs", "/static/console.css"):
            status, text = await page.evaluate(GUESS, path)
            assert status == 421, path
            assert "CONNECT_HOSTS" in text
            assert EVIL not in text


async def test_our_own_pages_work_under_a_name_of_ours_without_tls(misled: Browser, service: Service) -> None:
    """Browsers then send no Sec-Fetch-Site, and Origin says it all: so our pages must have them send it."""
    app = create_app(service.clients, TOKEN, names=Names(hosts=frozenset({OURS})))
    async with serving(app) as url:
        context = await new_context(misled, base_url=f"http://{OURS}:{urlsplit(url).port}")
        page = await context.new_page()
        await signs_in(page)
        await page.locator(".account summary").click()
        await page.get_by_role("button", name="Dark").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.goto("/clients")
        await page.locator(".account summary").click()
        async with page.expect_request(lambda request: request.method == "POST") as sent:
            await page.get_by_role("button", name="Sign out").click()
        headers = await (await sent.value).all_headers()
        assert "sec-fetch-site" not in headers
        assert headers["origin"] == f"http://{OURS}:{urlsplit(url).port}"
        await expect(page).to_have_title(titled("Sign in"))
        await context.close()


async def signs_in(page: Page) -> None:
    await page.goto("/clients")
    await page.get_by_label("Token").fill(TOKEN)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Clients", exact=True)).to_be_visible()


async def test_a_page_that_is_left_open_hears_nothing_after_signing_out(misled: Browser, service: Service) -> None:
    async with victim(misled, service, service.url) as (context, answers):
        page, other = await context.new_page(), await context.new_page()
        await page.goto(f"{service.url}/clients")
        await page.wait_for_selector("body[data-listening]")
        await other.goto(f"{service.url}/clients")
        await other.locator(".account summary").click()
        await other.get_by_role("button", name="Sign out").click()
        await expect(other).to_have_title(titled("Sign in"))
        await page.bring_to_front()
        await expect(page.locator("#session-ended")).to_be_visible()
        await eventually(lambda: any(a.url.endswith("/live") and a.status == 401 for a in answers))
