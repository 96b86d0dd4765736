"""Claims about signing in at an OpenID provider that is one: oidc-provider-mock."""

import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx2
import pytest

from starter.console.auth.sessions import COOKIE
from starter.console.pages.openid import CALLBACK
from starter.web.openid import OpenId
from starter.web.provider import Provider
from tests.starter.console.test_openid import HOME, Browser, begin, browsing
from tests.support.openid import CLIENT, settings
from tests.support.service import Service, unique
from tests.support.waiting import HANGING

REAL = "https://mock.example"


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
