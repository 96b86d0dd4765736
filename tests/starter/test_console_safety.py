"""What strangers, other pages and old tabs cannot do. Asked as a browser asks, without one."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount

from starter.api import create_app
from starter.console.sessions import COOKIE, LINK_LASTS, Sessions, link_key
from starter.console.shell import inside
from starter.security import HEADERS
from tests.starter.house import HOME, TOKEN, House, serving, unique

HTML = {"Accept": "text/html"}
ANYBODYS = {"/healthz", "/readyz", "/sign-in"}  # GET; the calendar asks for a secret of its own
SECRET = re.compile(r'name="csrf" value="([0-9a-f]+)"')


@asynccontextmanager
async def visiting(house: House, name: str = "", url: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A browser without a window; ``name`` is signed in."""
    async with httpx.AsyncClient(base_url=url or house.url, headers=HTML, trust_env=False, timeout=20) as browser:
        if name:
            cookie = await Sessions(house.desk.directory.database, TOKEN).begin(name, HOME)
            browser.cookies.set(COOKIE, cookie or "")
        yield browser


async def secret_of(browser: httpx.AsyncClient) -> str:
    """What the forms of this session carry."""
    found = SECRET.search((await browser.get("/clients")).text)
    assert found
    return found[1]


def reached(routes: Iterable[BaseRoute], method: str) -> list[str]:
    """The paths of all routes, with something put in for their parameters."""
    paths: list[str] = []
    for route in routes:
        below = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        if isinstance(route, APIRoute) and method in (route.methods or ()):
            paths.append(re.sub(r"\{[^}]*\}", "some", route.path))
        elif below and not isinstance(route, Mount):
            paths += reached(below, method)
    return paths


def all_paths(house: House, method: str) -> list[str]:
    return sorted(set(reached(create_app(house.desk, TOKEN).router.routes, method)))


async def test_nothing_is_served_without_signing_in_but_the_way_in_and_the_checks(house: House) -> None:
    paths = all_paths(house, "GET")
    assert {"/", "/clients", "/clients.csv", "/live", "/docs", "/clients/some", "/healthz", "/sign-in"} <= set(paths)
    async with visiting(house) as stranger:
        for path in paths:
            page = await stranger.get(path)
            if path in ANYBODYS:
                assert page.status_code == 200, path
            elif path.startswith("/api/"):
                assert page.status_code == 401, path
            elif path == "/upcoming.ics":
                assert page.status_code in (401, 403, 404), path
            else:
                assert page.status_code == 303, path
                assert page.headers["location"].startswith("/sign-in"), path
                assert not page.text
            bare = await stranger.get(path, headers={"Accept": "*/*"})
            assert path in ANYBODYS or bare.status_code in (401, 403, 404), path


async def test_nothing_can_be_sent_without_signing_in(house: House) -> None:
    paths = [path for path in all_paths(house, "POST") if path != "/sign-in"]
    assert {"/sign-out", "/theme"} <= set(paths)
    async with visiting(house) as stranger:
        for path in paths:
            answer = await stranger.post(path, data={"name": "x"})
            assert answer.status_code == (401 if path.startswith("/api/") else 303), path


async def test_a_form_without_the_sessions_secret_changes_nothing(house: House) -> None:
    client = await house.create(unique("Forged"))
    async with visiting(house, "ann") as browser, visiting(house, "bob") as other:
        theirs = await secret_of(other)
        paths = [path.replace("some", client["client_id"], 1) for path in all_paths(house, "POST")]
        paths = [path for path in paths if not path.startswith("/api/") and path != "/sign-in"]
        paths = [
            path.replace("/systems/some/some", "/systems/telephony/skip").replace("/systems/some", "/systems/internet")
            for path in paths
        ]
        for path in paths:
            for secret in ({}, {"csrf": ""}, {"csrf": theirs}, {"csrf": "0" * 32}):
                answer = await browser.post(
                    path, data={"kind": "suspend", "reason": "forged", "theme": "dark", **secret}
                )
                assert answer.status_code == 403, (path, answer.status_code)
                assert "expired" in answer.text
                assert "set-cookie" not in answer.headers
        assert (await browser.get("/clients")).status_code == 200
    assert (await house.api.get(f"/clients/{client['client_id']}")).json()["status"] == "active"
    assert not any(line["reason"] == "forged" for line in await house.history(client["client_id"]))


async def test_a_secret_that_is_not_ascii_is_only_a_wrong_one(house: House) -> None:
    async with visiting(house, "ann") as browser:
        assert (await browser.post("/sign-out", data={"csrf": "é\ud7ff"})).status_code == 403
    async with visiting(house) as stranger:
        assert (await stranger.post("/sign-in", data={"token": "é"})).status_code == 403
        assert (await stranger.get("/sign-in?key=é.é.é")).status_code == 403
        assert (await stranger.get("/sign-in?key=..")).status_code == 403


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil",
    ],
)
async def test_nobody_is_sent_to_another_host(house: House, elsewhere: str) -> None:
    assert inside(elsewhere) == "/"
    async with visiting(house) as stranger:
        entered = await stranger.post("/sign-in", data={"token": TOKEN, "next": elsewhere})
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert (await stranger.get("/sign-in", params={"next": elsewhere})).headers["location"] == "/"
        themed = await stranger.post("/theme", data={"csrf": await secret_of(stranger), "next": elsewhere})
        assert themed.headers["location"] == "/"


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_ends_by_itself(house: House) -> None:
    async with visiting(house) as stranger:
        entered = await stranger.post("/sign-in", data={"token": TOKEN})
        cookie = entered.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"):
            assert part in cookie, cookie
        value = entered.cookies[COOKIE]
    rows = await house.desk.directory.database.read("SELECT session_digest FROM console_sessions")
    assert value.encode() not in {row["session_digest"] for row in rows}  # what lies there lets nobody in


async def test_every_page_forbids_what_it_does_not_need(house: House) -> None:
    client = await house.create(unique("Guarded"))
    async with visiting(house, "ann") as browser:
        pages = (
            "/clients",
            f"/clients/{client['client_id']}",
            "/docs",
            "/clients/nobody",
            "/static/live.js",
            "/no-page",
        )
        for path in (*pages, "/sign-in", "/clients.csv", f"/clients/{client['client_id']}/history"):
            answer = await browser.get(path)
            for name, value in HEADERS.items():
                assert answer.headers.get(name) == value, (path, name)
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            if "text/html" in answer.headers.get("content-type", ""):
                assert not re.search(r"\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|<style", answer.text), path
        assert (await browser.get("/clients")).headers["cache-control"] == "no-store"


async def test_who_fails_too_often_waits_and_is_told_how_long(house: House) -> None:
    async with serving(create_app(house.desk, TOKEN)) as url, visiting(house, url=url) as stranger:
        for _ in range(10):
            assert (await stranger.post("/sign-in", data={"token": "wrong"})).status_code == 403
        refused = await stranger.post("/sign-in", data={"token": TOKEN, "name": "Cyd"})
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 301
        assert "Too many attempts" in refused.text
        assert 'value="Cyd"' in refused.text
        assert COOKIE not in stranger.cookies


async def test_a_link_is_no_good_when_it_is_old_or_made_up(house: House) -> None:
    old = link_key(TOKEN, datetime.now(UTC) - LINK_LASTS * 1.01)
    mine = link_key("another token", datetime.now(UTC))
    async with visiting(house) as stranger:
        for key in (old, mine, old.replace(old.split(".")[0], "9999999999"), "9" * 5000):
            answer = await stranger.get("/sign-in", params={"key": key})
            assert answer.status_code == 403
            assert "too old" in answer.text
            assert COOKIE not in stranger.cookies


async def test_the_token_still_opens_the_reference(house: House) -> None:
    async with visiting(house) as stranger:
        assert (await stranger.get("/docs", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200
        assert (await stranger.get("/docs", headers={"Authorization": "Bearer wrong"})).status_code == 303
