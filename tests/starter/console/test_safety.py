"""What strangers, other pages and old tabs cannot do. Asked as a browser asks, without one."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from html.parser import HTMLParser

import httpx2
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, Route

from starter.app import create_app
from starter.console.auth.sessions import COOKIE, LINK_LASTS, Sessions, link_key
from starter.console.rendering import safe_path
from starter.web.security import HEADERS
from tests.support.service import HOME, TOKEN, Service, serving, unique
from tests.support.waiting import http_client

HTML = {"Accept": "text/html"}
ANYBODYS = {  # what is open without a token or a session, and what a stranger is answered there
    ("GET", "/healthz"): 200,
    ("GET", "/readyz"): 200,
    ("GET", "/sign-in"): 200,
    ("GET", "/sign-in/openid"): 404,  # the service has no provider
    ("GET", "/sign-in/openid/callback"): 404,
    ("POST", "/sign-in"): 403,  # without the token
    ("GET", "/upcoming.ics"): 404,  # without its own key
    ("HEAD", "/upcoming.ics"): 404,
    ("GET", "/static/"): 404,  # the files in it
}


@asynccontextmanager
async def visiting(service: Service, name: str = "", url: str = "") -> AsyncIterator[httpx2.AsyncClient]:
    """A browser without a window; ``name`` is signed in."""
    async with http_client(base_url=url or service.url, headers=HTML) as browser:
        if name:
            cookie = await Sessions(service.clients.directory.database, TOKEN).begin(name, HOME)
            browser.cookies.set(COOKIE, cookie or "")
        yield browser


def reached(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The method and the path of every route, with something put in for parameters. A mount is its path, with GET."""
    for route in routes:
        if isinstance(route, Mount):
            yield "GET", f"{route.path}/"
        elif isinstance(route, Route | APIRoute):
            path = re.sub(r"\{[^}]*\}", "some", prefix + route.path)
            yield from ((method, path) for method in sorted(route.methods or ()))
        else:
            router, included = getattr(route, "original_router", None), getattr(route, "include_context", None)
            assert router, f"{route} is a kind of route that nobody thought of here"
            assert included
            yield from reached(router.routes, prefix + included.prefix)


def all_routes(service: Service) -> set[tuple[str, str]]:
    return set(reached(create_app(service.clients, TOKEN).router.routes))


async def test_nothing_is_served_without_signing_in_but_what_is_listed(service: Service) -> None:
    """A new route that nobody thought of fails here: it asks for a token or a session, or it is put into the list."""
    routes = all_routes(service)
    assert {("GET", "/clients.csv"), ("GET", "/live"), ("PATCH", "/api/v1/clients/some"), *ANYBODYS} <= routes
    async with visiting(service) as stranger:
        for method, path in sorted(routes):
            page = await stranger.request(method, path)
            bare = await stranger.request(method, path, headers={"Accept": "*/*"})
            if (method, path) in ANYBODYS:
                assert (page.status_code, bare.status_code) == (ANYBODYS[method, path],) * 2, (method, path)
            elif path.startswith("/api/"):
                assert (page.status_code, bare.status_code) == (401, 401), (method, path)
            elif method in ("GET", "HEAD"):
                assert (page.status_code, bare.status_code) == (303, 401), (method, path)
                assert page.headers["location"].startswith("/sign-in"), path
                assert not page.text
            else:
                assert (page.status_code, bare.status_code) == (401, 401), (method, path)
                assert method != "POST" or "You are signed out" in page.text, path


FROM_ELSEWHERE = {
    "another site": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    "another port": {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
    "another site, said by Origin alone": {"Origin": "http://evil.example"},
    "another port, said by Origin alone": {"Origin": "http://127.0.0.1:1"},
    "a sandbox": {"Origin": "null"},
    "what no browser says": {"Sec-Fetch-Site": ""},
}


@pytest.mark.parametrize("headers", FROM_ELSEWHERE.values(), ids=FROM_ELSEWHERE)
async def test_no_route_takes_a_change_from_another_page(service: Service, headers: dict[str, str]) -> None:
    """Whoever is signed in, or has the token: what a page of another origin sends is refused before it is looked at."""
    client = await service.create(unique("Forged"))
    changing = sorted((m, p) for m, p in all_routes(service) if m not in ("GET", "HEAD"))
    assert {("POST", "/sign-in"), ("POST", "/sign-out"), ("DELETE", "/api/v1/clients/some/planned/some")} <= set(
        changing
    )
    async with visiting(service, "ann") as browser:
        for method, route in changing:
            path = route.replace("some", client["client_id"], 1).replace("/systems/some", "/systems/telephony")
            form = {"kind": "suspend", "reason": "forged", "theme": "dark", "token": TOKEN}
            for more in ({}, {"Authorization": f"Bearer {TOKEN}"}):
                answer = await browser.request(method, path, data=form, headers=headers | more)
                assert answer.status_code == 403, (method, path, answer.status_code)
                assert "A page of another address sent this" in answer.text
                assert "set-cookie" not in answer.headers
        assert (await browser.get("/clients")).status_code == 200, "still signed in"
    assert (await service.client(client["client_id"]))["status"] == "active"
    assert not any(line["reason"] == "forged" for line in await service.history(client["client_id"]))


async def test_a_form_of_ours_is_taken_whichever_of_the_two_a_browser_says(service: Service) -> None:
    async with visiting(service, "ann") as browser:
        for headers in ({"Origin": service.url}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
            themed = await browser.post("/theme", data={"theme": "dark"}, headers=headers)
            assert themed.status_code == 303, headers


async def test_a_token_that_is_not_ascii_is_only_a_wrong_one(service: Service) -> None:
    async with visiting(service) as stranger:
        assert (await stranger.post("/sign-in", data={"token": "é"})).status_code == 403
        assert (await stranger.get("/sign-in?key=é.é.é")).status_code == 403
        assert (await stranger.get("/sign-in?key=..")).status_code == 403
        for wrong in ("Bearer é", "Bearer", "é", f"Basic {TOKEN}", f"Bearer {TOKEN}é"):
            answer = await stranger.get("/api/v1/clients", headers={b"Authorization": wrong.encode()})
            assert answer.status_code == 401, wrong


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil",
        "/%5cevil.example",
        "/%2Fevil.example",
        "/%09/evil.example",
        "/..//evil.example",
        "/.//evil.example",
        "/clients/%2e%2e//evil.example",
        "/clients/../../sign-out",
        "/clients//evil.example",
        " //evil.example",
    ],
)
async def test_nobody_is_sent_to_another_host(service: Service, elsewhere: str) -> None:
    assert safe_path(elsewhere) == "/"
    async with visiting(service) as stranger:
        entered = await stranger.post("/sign-in", data={"token": TOKEN, "next": elsewhere})
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert (await stranger.get("/sign-in", params={"next": elsewhere})).headers["location"] == "/"
        themed = await stranger.post("/theme", data={"next": elsewhere})
        assert themed.headers["location"] == "/"


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_ends_by_itself(service: Service) -> None:
    async with visiting(service) as stranger:
        entered = await stranger.post("/sign-in", data={"token": TOKEN})
        cookie = entered.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"):
            assert part in cookie, cookie
        value = entered.cookies[COOKIE]
    rows = await service.clients.directory.database.read("SELECT session_digest FROM console_sessions")
    assert value.encode() not in {row["session_digest"] for row in rows}  # what lies there lets nobody in


def inline(page: str) -> list[str]:
    """What of a page would be a script or a style of its own. Names that look like it are text."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            names = {name for name, _ in attrs}
            found.extend(name for name in names if name == "style" or name.startswith("on"))
            if tag == "style" or (tag == "script" and "src" not in names):
                found.append(tag)

    Reader().feed(page)
    return found


async def test_every_page_forbids_what_it_does_not_need(service: Service) -> None:
    site = await service.site()  # others' clients are called things that look like what is looked for
    client = await service.create(unique("Guarded"), site=site)
    async with visiting(service, "ann") as browser:
        pages = (
            f"/clients?site={site}",
            f"/clients/{client['client_id']}",
            "/docs",
            "/clients/nobody",
            "/static/live.js",
            "/no-page",
        )
        for path in (*pages, "/sign-in", "/clients.csv", "/clients.xlsx", f"/clients/{client['client_id']}/history"):
            answer = await browser.get(path)
            for name, value in HEADERS.items():
                assert answer.headers.get(name) == value, (path, name)
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            if "text/html" in answer.headers.get("content-type", ""):
                assert not inline(answer.text), path
        assert (await browser.get("/clients")).headers["cache-control"] == "no-store"


async def test_who_fails_too_often_waits_and_is_told_how_long_but_the_right_token_goes_through(
    service: Service,
) -> None:
    app = create_app(service.clients, TOKEN)
    app.state.guesses.clock = lambda: 0.0
    async with serving(app) as url, visiting(service, url=url) as stranger:
        for _ in range(10):
            assert (await stranger.post("/sign-in", data={"token": "wrong"})).status_code == 403
        refused = await stranger.post("/sign-in", data={"token": "wrong", "name": "Cyd"})
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 301
        assert "Too many attempts. Try again in 5 minutes." in refused.text
        assert 'value="Cyd"' in refused.text
        app.state.guesses.clock = lambda: 241.0
        assert "Try again in 1 minute." in (await stranger.post("/sign-in", data={"token": "wrong"})).text
        assert COOKIE not in stranger.cookies
        assert (await stranger.post("/sign-in", data={"token": TOKEN})).status_code == 303
        assert COOKIE in stranger.cookies


async def test_what_another_page_sends_to_sign_in_is_not_counted(service: Service) -> None:
    async with serving(create_app(service.clients, TOKEN)) as url, visiting(service, url=url) as stranger:
        for _ in range(11):
            forged = await stranger.post("/sign-in", data={"token": "x"}, headers={"Origin": "https://evil.example"})
            assert forged.status_code == 403
        assert "not the token" in (await stranger.post("/sign-in", data={"token": "wrong"})).text


@pytest.mark.parametrize("unseen", ["\x00", "\x1b", "\u202e", "\u200b", "\u2028", "\xad"], ids=ascii)
async def test_a_name_that_shows_as_another_is_refused_and_shown_as_it_is_seen(service: Service, unseen: str) -> None:
    async with visiting(service) as stranger:
        refused = await stranger.post("/sign-in", data={"token": TOKEN, "name": f"an{unseen}n"})
        assert refused.status_code == 422
        assert "characters that cannot be seen" in refused.text
        assert 'value="ann"' in refused.text
        assert COOKIE not in stranger.cookies


async def test_a_link_is_no_good_when_it_is_old_or_made_up(service: Service) -> None:
    old = link_key(TOKEN, datetime.now(UTC) - LINK_LASTS * 1.01)
    mine = link_key("another token", datetime.now(UTC))
    async with visiting(service) as stranger:
        for key in (old, mine, old.replace(old.split(".")[0], "9999999999"), "9" * 5000):
            answer = await stranger.get("/sign-in", params={"key": key})
            assert answer.status_code == 403
            assert "too old" in answer.text
            assert COOKIE not in stranger.cookies


async def test_the_token_still_opens_the_reference(service: Service) -> None:
    async with visiting(service) as stranger:
        assert (await stranger.get("/docs", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200
        assert (await stranger.get("/docs", headers={"Authorization": "Bearer wrong"})).status_code == 303
