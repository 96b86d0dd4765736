"""Claims about what a session is worth: what it hears ends with it, and only what it was told by us is shown to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx2
import pytest

from activities.database import Database
from starter.app import create_app
from starter.console import live
from starter.console.auth.sessions import COOKIE, Session, Sessions, link_key, seal, unseal
from starter.console.rendering import NOTICE_COOKIE, NOTICE_LASTS, SITE_COOKIE, THEME_COOKIE
from starter.contract.callers import Caller
from starter.directory.paging import DirectoryDatabase
from starter.local.postgres import EmbeddedPostgres
from tests.support.cut_proxy import CutProxy
from tests.support.service import HOME, TOKEN, Service, serving, unique
from tests.support.waiting import eventually, http_client

NOW = datetime(2027, 3, 1, tzinfo=UTC)
ANN = Session(Caller("ann"), NOW, b"a key")


async def cookie_of(service: Service, name: str = "ann") -> dict[str, str]:
    """The cookie of a new session."""
    return {COOKIE: await Sessions(service.clients.directory.database, TOKEN).begin(name, HOME) or ""}


def browsing(service: Service, cookies: dict[str, str], url: str = "") -> httpx2.AsyncClient:
    headers = {"Accept": "text/html"}
    return http_client(
        base_url=url or service.url,
        cookies=cookies,
        headers=headers,
        follow_redirects=True,
    )


async def ends(lines: AsyncIterator[str], most: int = 200) -> bool:
    """Whether a stream comes to its end before it has told of a change, or given so many more lines."""
    seen = 0
    async for line in lines:
        seen += 1
        if line == "event: changed" or seen > most:
            return False
    return True


async def test_a_stream_ends_when_its_session_is_ended_in_another_process(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SIGN_OF_LIFE", 0.05)
    cookies = await cookie_of(service)
    async with serving(create_app(service.clients, TOKEN)) as other, browsing(service, cookies) as browser:
        async with browser.stream("GET", "/live") as stream:
            lines = stream.aiter_lines()
            async for line in lines:
                if line == ": still here":
                    break
            async with browsing(service, cookies, other) as elsewhere:
                assert (await elsewhere.post("/sign-out")).status_code == 200
            assert await ends(lines)
        assert (await browser.get("/live", headers={"Accept": "text/event-stream"})).status_code == 401


async def test_who_has_signed_out_hears_of_no_change_any_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SIGN_OF_LIFE", 20.0)  # longer than the change takes to be heard
    client, cookies = await service.create(unique("Unheard")), await cookie_of(service)
    async with (
        browsing(service, cookies) as browser,
        browser.stream("GET", f"/live?client={client['client_id']}") as stream,
    ):
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 1000"
        async with browsing(service, cookies) as elsewhere:
            assert (await elsewhere.post("/sign-out")).status_code == 200
        await service.post(client["client_id"], "suspend")
        assert await ends(lines)


async def test_the_text_of_a_cookie_that_somebody_else_set_is_not_shown_as_ours(service: Service) -> None:
    async with browsing(service, await cookie_of(service)) as browser:
        bob = Session(Caller("bob"), NOW, b"another key")
        soon = datetime.now(UTC) + NOTICE_LASTS
        for forged in ("Pay at evil.example", quote("Pay at evil.example"), seal(bob.key, "Pay at evil.example", soon)):
            browser.cookies.set(NOTICE_COOKIE, forged, domain="127.0.0.1")
            page = await browser.get("/clients")
            assert page.status_code == 200
            assert "evil" not in page.text
            assert f'{NOTICE_COOKIE}=""' in page.headers["set-cookie"], "it is dropped"
            browser.cookies.delete(NOTICE_COOKIE)


async def test_a_notice_of_ours_is_shown_once(service: Service) -> None:
    async with browsing(service, await cookie_of(service)) as browser:
        name = unique("Noticed & Söhne")
        form = {"name": name, "site": "thames", "type": "virtual", "activation": "automatic"}
        page = await browser.post("/clients/new", data=form)
        assert page.status_code == 200, page.text
        notice = f'<p class="notice" role="status">Created {name.replace("&", "&amp;")}.</p>'
        assert notice in page.text
        assert notice not in (await browser.get(page.url.path)).text


def test_what_is_sealed_is_worth_something_to_its_session_for_its_time() -> None:
    sealed = seal(ANN.key, "Created Ä; & co.", NOW + NOTICE_LASTS)
    assert sealed.isascii()
    assert ";" not in sealed
    assert unseal(ANN.key, sealed, NOW) == "Created Ä; & co."
    assert not unseal(ANN.key, sealed, NOW + NOTICE_LASTS + timedelta(seconds=1))
    assert not unseal(b"another", sealed, NOW)
    until, _, rest = sealed.partition(".")
    for other in (f"{int(until) + 60}.{rest}", f"{until}0.{rest}", f"²{until}.{rest}", f"{until}.{rest[1:]}"):
        assert not unseal(ANN.key, other, NOW), other
    for nothing in (f"{sealed}x", "..", ""):
        assert not unseal(ANN.key, nothing, NOW), nothing


async def test_what_a_cookie_says_of_theme_and_site_counts_only_when_there_is_such_a_one(service: Service) -> None:
    async with browsing(service, await cookie_of(service)) as browser:
        for name in (THEME_COOKIE, SITE_COOKIE):
            browser.cookies.set(name, "evil'%22%3E", domain="127.0.0.1")
        for path in ("/clients", "/clients/new", "/upcoming", "/attention", "/sites"):
            page = await browser.get(path)
            assert page.status_code == 200
            assert 'data-theme="auto"' in page.text
            assert "evil" not in page.text + str(page.url)


async def test_the_key_of_a_link_stays_in_no_address(service: Service) -> None:
    """Nor does it work again, in another process either: the database has it, longer than a link lasts."""
    link = f"/sign-in?key={link_key(TOKEN, datetime.now(UTC))}&next=/upcoming"
    async with http_client(base_url=service.url) as browser:
        entered = await browser.get(link)
        assert (entered.status_code, entered.headers["location"]) == (303, "/upcoming")
        assert entered.headers["referrer-policy"] == "same-origin"
        assert entered.headers["cache-control"] == "no-store"
    async with serving(create_app(service.clients, TOKEN)) as url, http_client() as another:
        assert (await another.get(f"{url}{link}")).status_code == 403


async def test_nothing_but_the_files_is_kept_by_a_browser(service: Service) -> None:
    async with browsing(service, await cookie_of(service)) as browser:
        for path in ("/clients", "/clients.csv", "/docs", "/docs.css", "/openapi.json", "/sign-in", "/nowhere"):
            assert (await browser.get(path)).headers["cache-control"] == "no-store", path
        assert (await browser.get("/static/live.js")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("link", [None, "a link"])
async def test_signing_in_works_though_the_answer_to_its_write_was_lost(
    service: Service, postgres: EmbeddedPostgres, link: str | None
) -> None:
    """The write is sent again then, and finds what it did the first time."""
    settings, directory, name = service.settings, service.clients.directory.database, unique("ann")
    dsn = settings.directory_dsn.get_secret_value()
    link = link and unique(link)

    async def begun() -> bool:
        return bool(await directory.read("SELECT FROM console_sessions WHERE caller = $1", name))

    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(CutProxy("127.0.0.1", postgres.port))
        through = dsn.replace(f":{postgres.port}/", f":{proxy.port}/")
        database = await stack.enter_async_context(Database("directory", through, settings))
        sessions = Sessions(DirectoryDatabase(database), TOKEN)
        proxy.lose_after(name.encode())
        entering = asyncio.create_task(sessions.begin(name, HOME, link))
        await eventually(begun)
        proxy.recover()
        cookie = await entering
        assert cookie
        if link:
            assert await sessions.begin(unique("bob"), HOME, link) is None, "a link is good for once"
    async with browsing(service, {COOKIE: cookie}) as browser:
        assert (await browser.get("/clients")).status_code == 200
