"""Claims about signing in at an OpenID provider: with a real one, and with one that does what a real one should not."""

import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from starter.app import create_app
from starter.console.auth.sessions import COOKIE
from starter.console.calendar_feed import FEED
from starter.console.pages import openid as pages
from starter.console.pages.openid import CALLBACK, PATH
from starter.web.guesses import MOST, SECONDS
from starter.web.names import Names
from starter.web.openid import OpenId
from starter.web.provider import Provider
from tests.starter.web.test_guesses import Clock
from tests.support.openid import AUDIENCE, CLIENT, ISSUER, FakeProvider, now, settings
from tests.support.service import TOKEN, Service, unique
from tests.support.waiting import HANGING

HOME, REAL = "http://127.0.0.1:8000", "https://mock.example"
Browser = httpx2.AsyncClient


@pytest.fixture
def it() -> FakeProvider:
    return FakeProvider()


def browsing(service: Service, openid: OpenId | None) -> AbstractAsyncContextManager[Browser]:
    """A browser at the console of an app of its own, which does not follow by itself."""
    app = create_app(service.clients, TOKEN, names=Names(HOME), openid=openid)
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url=HOME, headers={"Accept": "text/html"}, timeout=30
    )


def coming_from(app: FastAPI, address: str) -> Browser:
    transport = httpx2.ASGITransport(app=app, client=(address, 50_000))
    return httpx2.AsyncClient(transport=transport, base_url=HOME, headers={"Accept": "text/html"}, timeout=30)


@pytest.fixture
async def browser(service: Service, it: FakeProvider) -> AsyncIterator[Browser]:
    """A browser where the provider in memory vouches for people, by the real time."""
    async with browsing(service, OpenId(settings(), it.provider)) as browser:
        yield browser


async def begin(browser: Browser, after: str = "/clients") -> str:
    """Where the button leads."""
    answer = await browser.get(PATH, params={"next": after})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


@contextmanager
def its_warnings_ignored() -> Iterator[None]:
    """oidc-provider-mock uses what Authlib calls deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def provider() -> httpx2.MockTransport:
    """The way to oidc-provider-mock, which knows two people, without a server and its port."""
    with its_warnings_ignored():
        from oidc_provider_mock import User, app
    people = [
        User(sub="4711", claims={"preferred_username": "ann", "email": "ann@firm.example", "roles": ["desk"]}),
        User(sub="4712", claims={"preferred_username": "bob", "roles": ["visitors"]}),
    ]
    wsgi = httpx2.WSGITransport(app(user_claims=people, require_nonce=True))

    def answer(request: httpx2.Request) -> httpx2.Response:
        with its_warnings_ignored():
            found = wsgi.handle_request(request)
        return httpx2.Response(found.status_code, headers=found.headers, content=found.read())

    return httpx2.MockTransport(answer)


@asynccontextmanager
async def at(provider: httpx2.MockTransport, service: Service) -> AsyncIterator[tuple[Browser, Browser]]:
    """A browser at the console, and the same one at the provider."""
    known = settings(oidc_issuer=REAL, oidc_client_secret="told-to-the-console")
    async with (
        browsing(service, OpenId(known, Provider(REAL, provider, longest_look=HANGING))) as browser,
        httpx2.AsyncClient(transport=provider) as there,
    ):
        yield browser, there


async def test_people_sign_in_at_a_real_provider_and_out_again(
    service: Service, provider: httpx2.MockTransport
) -> None:
    client = await service.create(unique("Signed"), type="virtual")
    page = f"/clients/{client['client_id']}"
    async with at(provider, service) as (browser, there):
        door = await browser.get((await browser.get(page)).headers["location"])
        assert 'href="http://127.0.0.1:8000/sign-in/openid?next=' in door.text
        allowed = await there.post(await begin(browser, page), data={"sub": "4711"})
        back = allowed.headers["location"]
        assert back.startswith(f"{HOME}{CALLBACK}?")
        inside = await browser.get(back, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
        assert (inside.status_code, inside.headers["location"]) == (303, page)
        seen = await browser.get(page)
        assert (seen.status_code, "oidc:ann" in seen.text) == (200, True)
        assert (await browser.get("/tokens")).status_code == 403, "ann is an operator"
        await browser.post(f"{page}/notes", data={"text": "By the provider"})
        assert (await browser.get(back)).headers["location"] == "/", "the way back works once"

        out = await browser.post("/sign-out")
        door = await browser.get(out.headers["location"])
        assert f'href="{REAL}/oauth2/end_session?client_id={CLIENT}' in door.text
        assert (await browser.get(page)).status_code == 303
    await service.still(client["client_id"])
    [note] = (await service.api.get(f"/clients/{client['client_id']}/notes")).json()["items"]
    assert (note["by"], note["text"]) == ("oidc:ann", "By the provider")


async def test_who_has_no_role_is_told_so(service: Service, provider: httpx2.MockTransport) -> None:
    async with at(provider, service) as (browser, there):
        visitor = await there.post(await begin(browser), data={"sub": "4712"})
        nobody = await browser.get(visitor.headers["location"])
        assert COOKIE not in browser.cookies
    assert (nobody.status_code, "oidc:bob has no role here" in nobody.text) == (403, True)


# -- a provider that does what a real one should not ------------------------------------------------------------------


async def test_each_sign_in_has_a_state_a_nonce_and_a_challenge_of_its_own(browser: Browser) -> None:
    first, second = [parse_qs(urlsplit(await begin(browser)).query) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name][0]) >= 32
    assert first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == [f"{HOME}{CALLBACK}"]
    assert (first["client_id"], first["response_type"], first["scope"]) == (
        [CLIENT],
        ["code"],
        ["openid profile email"],
    )


async def test_a_session_ends_soon_and_is_of_the_role_that_the_provider_gave(
    it: FakeProvider, service: Service, browser: Browser
) -> None:
    answer = await browser.get(it.allow(await begin(browser), preferred_username="late", roles=["billing"]))
    assert answer.headers["location"] == "/clients", answer.text
    rows = await service.clients.directory.database.read(
        "SELECT role, sources, sites, expires_at FROM console_sessions WHERE caller = 'oidc:late'"
    )
    assert [(row["role"], row["sources"], row["sites"]) for row in rows] == [("service", ["oidc:late"], None)]
    assert rows[0]["expires_at"] <= datetime.now(UTC) + timedelta(minutes=60)
    assert "Max-Age=3600" in answer.headers["set-cookie"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": now() - 90}, "exp: it has expired"),
    "for the API": ({"aud": AUDIENCE}, "aud: it is not for this service"),
    "of another issuer": ({"iss": "https://evil.example"}, "iss"),
    "of another sign-in": ({"nonce": "another"}, "nonce"),
    "of no sign-in": ({"nonce": None}, "nonce"),
    "issued to another": ({"aud": [CLIENT, "x"], "azp": "x"}, "azp: it was issued to another party"),
    "of somebody without a role": ({"roles": ["none"]}, "has no role here"),
}


@pytest.mark.parametrize("what", BAD)
async def test_an_id_token_that_breaks_a_rule_lets_nobody_in(it: FakeProvider, browser: Browser, what: str) -> None:
    more, why = BAD[what]
    await refused(browser, it.allow(await begin(browser), **more), why)


async def refused(browser: Browser, path: str, why: str, status: int = 403) -> None:
    """The sign-in page, with what is wrong; nobody is signed in, and the way back does not work again."""
    answer = await browser.get(path)
    assert (answer.status_code, COOKIE in browser.cookies) == (status, False), answer.text
    alert = answer.text.partition('role="alert"')[2].partition("</p>")[0]
    assert why in alert
    assert pages.NOT_THIS in (await browser.get(path)).text


async def test_what_is_no_id_token_lets_nobody_in(it: FakeProvider, browser: Browser) -> None:
    it.id_typ = "at+jwt"
    await refused(browser, it.allow(await begin(browser)), "typ: it is of another kind")
    it.extra = {"id_token": None}
    await refused(browser, it.allow(await begin(browser)), "id_token: there is none")
    it.extra = {"id_token": "a.b.c"}
    await refused(browser, it.allow(await begin(browser)), "JWT: it cannot be read")


@pytest.mark.parametrize("answer", [[], "x", 7, {}, {"access_token": "a"}, {"id_token": 7}, {"expires_in": "soon"}])
async def test_whatever_the_provider_answers_is_no_mistake_of_ours(
    it: FakeProvider, browser: Browser, answer: object
) -> None:
    back = it.allow(await begin(browser))
    it.answers["/token"] = answer
    said = await browser.get(back)
    assert (said.status_code in (403, 503), COOKIE in browser.cookies) == (True, False), said.text


async def test_a_code_that_somebody_else_was_given_leads_nowhere(
    it: FakeProvider, service: Service, browser: Browser
) -> None:
    back = it.allow(await begin(browser))
    async with browsing(service, OpenId(settings(), it.provider)) as other:
        await refused(other, back, pages.NOT_THIS, 400)
        own = await begin(other)
        stolen = parse_qs(urlsplit(back).query)["code"][0]
        state = parse_qs(urlsplit(own).query)["state"][0]
        await refused(other, f"{CALLBACK}?code={stolen}&state={state}", "invalid_grant")
    for state in ("", "x", "é"):
        await refused(browser, f"{CALLBACK}?code=code-0&state={state}", pages.NOT_THIS, 400)


@pytest.mark.parametrize("query", ["code=guess", "error=server_error", "code=c&iss=https://evil.example"])
async def test_a_stranger_who_replays_a_sign_in_of_its_own_waits(
    it: FakeProvider, service: Service, query: str
) -> None:
    app = create_app(service.clients, TOKEN, names=Names(HOME), openid=OpenId(settings(), it.provider))
    clock = app.state.sign_ins.clock = Clock()
    async with coming_from(app, "192.0.2.1") as stranger, coming_from(app, "192.0.2.2") as ann:
        state = parse_qs(urlsplit(await begin(stranger)).query)["state"][0]
        cookie = stranger.cookies[pages.COOKIE]

        async def replay() -> httpx2.Response:
            stranger.cookies.set(pages.COOKIE, cookie, domain="127.0.0.1")
            return await stranger.get(f"{CALLBACK}?state={state}&{query}")

        with capture_logs() as logs:
            answers = [await replay() for _ in range(3 * MOST)]
        asked = it.asked["/token"]
        assert [answer.status_code for answer in answers] == [403] * MOST + [429] * (2 * MOST)
        assert asked == (MOST if query == "code=guess" else 0)
        assert {answer.headers["retry-after"] for answer in answers[MOST:]} == {f"{SECONDS:g}"}
        warned = [line["event"] for line in logs if line["log_level"] == "warning"]
        assert warned.count("openid_sign_in_failed") == MOST
        assert warned.count("sign_ins_guessed") == 1

        assert (await ann.get(it.allow(await begin(ann)))).status_code == 303, "who is elsewhere does not wait"
        assert (await stranger.post("/sign-in", data={"token": "wrong"})).status_code == 403, "nor other ways in"
        clock.now += SECONDS
        assert (await replay()).status_code == 403


async def test_people_who_sign_in_from_one_office_do_not_wait(it: FakeProvider, browser: Browser) -> None:
    for number in range(2 * MOST):
        role = "desk" if number % 2 else "none"
        answer = await browser.get(it.allow(await begin(browser), roles=[role]))
        assert answer.status_code == (303 if role == "desk" else 403)
        browser.cookies.clear()


async def test_a_cookie_that_is_not_ours_or_too_old_begins_nothing(
    it: FakeProvider, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LASTS", timedelta(seconds=-1))
    location = await begin(browser)
    await refused(browser, it.allow(location), pages.NOT_THIS, 400)
    browser.cookies.set(pages.COOKIE, '9999999999.0.{"state": "x"}', domain="127.0.0.1")
    await refused(browser, f"{CALLBACK}?code=c&state=x", pages.NOT_THIS, 400)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("error=access_denied", "You were not let in"),
        ("error=server_error", "(server_error)"),
        ("error=%3Cb%3Epay", "(another error)"),
        ("error=pay%20at%20evil.example", "(another error)"),
        ("code=unknown", "(invalid_grant)"),
        ("code=unknown&iss=https://evil.example", "of another provider"),
    ],
)
async def test_errors_of_the_provider_are_said_in_our_words(browser: Browser, query: str, why: str) -> None:
    state = parse_qs(urlsplit(await begin(browser)).query)["state"][0]
    path = f"{CALLBACK}?state={state}&{query}&error_description=pay%20at%20evil.example"
    answer = await browser.get(path)
    assert (answer.status_code, why in answer.text, "evil" in answer.text) == (403, True, False)


@pytest.mark.parametrize("after", ["https://evil.example", "//evil.example", "/\\evil.example", "/%2f/evil.example"])
async def test_nobody_is_led_elsewhere(it: FakeProvider, browser: Browser, after: str) -> None:
    assert f'{PATH}?next=%2F"' in (await browser.get("/sign-in", params={"next": after})).text
    assert (await browser.get(it.allow(await begin(browser, after)))).headers["location"] == "/"
    assert (await browser.get(PATH, params={"next": after})).headers["location"] == "/", "who is in stays here"


async def test_the_userinfo_endpoint_says_what_the_id_token_lacks(it: FakeProvider, browser: Browser) -> None:
    it.metadata["userinfo_endpoint"] = f"{ISSUER}/userinfo"
    it.info = {"sub": "somebody else", "roles": ["admins"]}
    await refused(browser, it.allow(await begin(browser), roles=None), "userinfo: it is of somebody else")
    it.info = {"sub": "4711", "roles": ["admins"], "preferred_username": "not-this"}
    await browser.get(it.allow(await begin(browser), roles=None))
    page = await browser.get("/tokens")
    assert (page.status_code, "oidc:ann" in page.text) == (200, True)


async def test_a_provider_that_is_away_leaves_the_other_ways_in(it: FakeProvider, browser: Browser) -> None:
    it.away = True
    answer = await browser.get(PATH)
    assert (answer.status_code, "The OpenID provider does not answer" in answer.text) == (503, True)
    entered = await browser.post("/sign-in", data={"token": TOKEN, "name": "ann"})
    assert entered.status_code == 303


async def test_one_that_goes_away_meanwhile_says_so(it: FakeProvider, browser: Browser) -> None:
    back = it.allow(await begin(browser))
    it.away = True
    answer = await browser.get(back)
    assert (answer.status_code, COOKIE in browser.cookies) == (503, False)


async def test_without_a_provider_there_is_no_such_way(service: Service, it: FakeProvider) -> None:
    for openid in (None, OpenId(settings(oidc_client_id=""), it.provider)):
        async with browsing(service, openid) as browser:
            for path in (PATH, CALLBACK):
                assert (await browser.get(path)).status_code == 404
            assert PATH not in (await browser.get("/sign-in")).text


async def test_other_pages_reach_the_way_back_and_nothing_else(browser: Browser) -> None:
    other = {"Sec-Fetch-Site": "cross-site"}
    assert (await browser.get(CALLBACK, headers=other)).status_code == 400
    for path in (CALLBACK, PATH, "/sign-in", "/sign-out"):
        assert (await browser.post(path, headers=other)).status_code == 403
    policy = (await browser.get("/sign-in")).headers["content-security-policy"]
    assert "form-action 'self'" in policy
    assert ISSUER not in policy


async def test_nothing_that_lasts_longer_is_made_of_such_a_session(it: FakeProvider, browser: Browser) -> None:
    await browser.get(it.allow(await begin(browser)))
    assert FEED not in (await browser.get("/upcoming")).text
    await browser.post("/sign-out")
    await browser.post("/sign-in", data={"token": TOKEN, "name": "ann"})
    assert FEED in (await browser.get("/upcoming")).text


async def test_a_token_of_the_provider_begins_no_session(it: FakeProvider, browser: Browser) -> None:
    answer = await browser.post("/sign-in", data={"token": it.sign(iat=now(), exp=now() + 300), "name": "ann"})
    assert (answer.status_code, COOKIE in browser.cookies) == (403, False)


@pytest.mark.parametrize("name", ["oidc:ann", "OIDC:ann", " oidc:ann", "nexus:default/billing"])
async def test_nobody_takes_a_name_that_others_vouch_for(service: Service, browser: Browser, name: str) -> None:
    answer = await browser.post("/sign-in", data={"token": TOKEN, "name": name})
    assert (answer.status_code, COOKIE in browser.cookies) == (422, False)
    assert "Names that begin with oidc: or nexus: are" in answer.text
    created = await service.api.post("/tokens", json={"name": name, "role": "viewer"})
    assert (created.status_code, created.json()["field"]) == (422, "name")
