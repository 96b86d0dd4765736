"""Claims about OpenID Connect with a certified provider, oidc-provider of npm: its tokens, pages, keys and refusals."""

import base64
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio

from starter.app import create_app
from starter.console.auth.sessions import COOKIE
from starter.console.pages.openid import CALLBACK, PATH
from starter.web.names import Names
from starter.web.openid import OpenId
from starter.web.provider import PAUSE, Provider
from tests.starter.web.test_openid import header_of, part_of
from tests.support.openid import CURVE, settings, signed
from tests.support.service import TOKEN, Service, unique
from tests.support.strict_provider import API, SECRET, Person, StrictProvider, a_person, running_strict_provider
from tests.support.waiting import HANGING, http_client

HOME = "http://127.0.0.1:8000"
HOUR = 3600


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict() -> AsyncIterator[StrictProvider]:
    async with running_strict_provider(HOME) as strict:
        yield strict


@dataclass
class Clocks:
    """What the clocks of the API say: of the day, as far from the real one, and since it started."""

    ahead: float = 0.0
    running: float = 1000.0


@dataclass
class Connect:
    """An app that this provider vouches for callers of, as a program and as a browser reach it."""

    api: httpx2.AsyncClient
    browser: httpx2.AsyncClient
    clocks: Clocks

    async def asks(self, token: str, method: str = "GET", path: str = "/sites", **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await self.api.request(method, f"/api/v1{path}", headers=headers, **more)

    async def rule_of(self, token: str) -> str:
        """The rule that a token breaks; empty for a good one."""
        answer = await self.asks(token)
        assert answer.status_code in (200, 401), answer.text
        return answer.headers.get("www-authenticate", "").partition('description="')[2].partition(":")[0]

    async def begin(self, after: str = "/clients") -> str:
        """Where the console's button leads."""
        answer = await self.browser.get(PATH, params={"next": after})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def enters(self, back: str) -> httpx2.Response:
        """The console's answer to who comes back from the provider."""
        assert back.startswith(f"{HOME}{CALLBACK}?")
        return await self.browser.get(back)


@asynccontextmanager
async def connect_at(service: Service, issuer: str, console: str = "console-RS256") -> AsyncIterator[Connect]:
    clocks = Clocks()
    known = settings(
        oidc_issuer=issuer,
        oidc_client_id=console,
        oidc_client_secret="" if console == "console-public" else SECRET,
        oidc_scopes="openid profile",
    )
    provider = Provider(issuer, clock=lambda: clocks.running, longest_look=HANGING)
    openid = OpenId(known, provider, lambda: time.time() + clocks.ahead)
    app = create_app(service.clients, TOKEN, names=Names(HOME), openid=openid)
    to_app: dict[str, Any] = {"transport": httpx2.ASGITransport(app=app), "base_url": HOME, "timeout": HANGING}
    async with (
        httpx2.AsyncClient(**to_app) as api,
        httpx2.AsyncClient(**to_app, headers={"Accept": "text/html"}) as browser,
    ):
        yield Connect(api, browser, clocks)


@pytest.fixture
async def connect(service: Service, strict: StrictProvider) -> AsyncIterator[Connect]:
    async with connect_at(service, strict.issuer) as connect:
        yield connect


@pytest.fixture
async def person() -> AsyncIterator[Person]:
    async with a_person(HOME) as person:
        yield person


# -- services -------------------------------------------------------------------------------------------------------


async def test_a_services_access_token_drives_the_api(
    service: Service, strict: StrictProvider, connect: Connect
) -> None:
    client_id = (await service.create(unique("Strict"), type="virtual"))["client_id"]
    token = await strict.token("billing")
    suspended = await connect.asks(token, "POST", f"/clients/{client_id}/suspend", json={"reason": "unpaid"})
    assert suspended.status_code in (200, 202), suspended.text
    await service.known(client_id)
    hold = (await service.client(client_id))["holds"][0]
    assert (hold["by"], hold["source"], hold["reason"]) == ("oidc:sub=billing", "oidc:sub=billing", "unpaid")
    refused = await connect.asks(token, "POST", f"/clients/{client_id}/decommission", json={})
    assert (refused.status_code, "has the role service" in refused.text) == (403, True)
    viewer = await connect.asks(await strict.token("crm"), "POST", f"/clients/{client_id}/unsuspend", json={})
    assert (viewer.status_code, "has the role viewer" in viewer.text) == (403, True)
    visitor = await connect.asks(await strict.token("visitor"))
    assert (visitor.status_code, "oidc:sub=visitor has no role here" in visitor.text) == (403, True)


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_each_signature_of_its_counts(strict: StrictProvider, connect: Connect, alg: str) -> None:
    token = await strict.token(resource=f"{API}{alg}")
    assert json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["alg"] == alg
    assert await connect.rule_of(token) == ""


async def test_tokens_of_its_that_are_not_for_this_api_count_for_nothing(
    strict: StrictProvider, connect: Connect
) -> None:
    elsewhere = await strict.token(resource="https://billing.example/api")
    assert await connect.rule_of(elsewhere) == "aud"
    assert await connect.rule_of(await strict.token(issuer=strict.other)) == "iss", "by the same key"
    assert await connect.rule_of(await strict.token(resource=f"{API}HS256")) == "alg", "a public key as a secret"
    bound = await strict.token(dpop=proof(f"{strict.issuer}/token"))
    assert await connect.rule_of(bound) == "cnf"
    opaque = await connect.asks(await strict.token(resource=f"{API}opaque"))
    assert (opaque.status_code, opaque.headers["www-authenticate"]) == (401, "Bearer")


def proof(address: str) -> str:
    """A proof of a key of one's own, which the provider then binds the token to (RFC 9449)."""
    said = {"jti": unique("proof"), "htm": "POST", "htu": address, "iat": int(time.time())}
    return signed(CURVE, said, typ="dpop+jwt", kid=None, jwk=CURVE.as_dict(private=False))


async def test_what_was_changed_of_its_tokens_counts_for_nothing(strict: StrictProvider, connect: Connect) -> None:
    token = await strict.token("crm")
    said = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert await connect.rule_of(part_of(token, 1, said | {"roles": ["admins"]})) == "signature"
    assert await connect.rule_of(header_of(token, alg="none").rpartition(".")[0] + ".") == "alg"
    assert await connect.rule_of(header_of(token, alg="HS256")) == "alg"
    assert await connect.rule_of(header_of(token, alg="ES256")) == "alg"
    assert await connect.rule_of(header_of(token, kid="another")) == "kid"
    assert await connect.rule_of(token) == ""


async def test_its_tokens_count_in_their_time_alone(strict: StrictProvider, connect: Connect) -> None:
    token = await strict.token()
    for ahead, rule in ((0, ""), (HOUR, "exp"), (-HOUR, "iat")):
        connect.clocks.ahead = ahead
        assert await connect.rule_of(token) == rule


async def test_keys_that_it_withdrew_count_no_longer_and_new_ones_at_once(
    strict: StrictProvider, connect: Connect
) -> None:
    old = await strict.token()
    assert await connect.rule_of(old) == ""
    await strict.sign_by_new_keys()
    new = await strict.token()
    assert await connect.rule_of(old) == "", "until the next look"
    assert await connect.rule_of(new) == "kid", "so soon after the last look"
    connect.clocks.running += PAUSE
    assert await connect.rule_of(new) == ""
    assert await connect.rule_of(old) == "kid"


async def test_one_that_is_away_turns_nobody_away_whose_key_is_known(service: Service) -> None:
    async with running_strict_provider(HOME) as strict, connect_at(service, strict.issuer) as connect:
        token = await strict.token()
        assert await connect.rule_of(token) == ""
        await strict.end()
        connect.clocks.running += PAUSE
        unknown = await connect.asks(header_of(token, kid="another"))
        assert (unknown.status_code, unknown.json()["title"]) == (503, "Provider away")
        assert await connect.rule_of(token) == ""
        async with connect_at(service, strict.issuer) as started_anew:
            assert (await started_anew.asks(token)).status_code == 503
            door = await started_anew.browser.get(PATH)
            assert (door.status_code, "The OpenID provider does not answer" in door.text) == (503, True)


# -- people ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "console",
    [
        *("console-RS256", "console-EdDSA"),  # as it signs its ID tokens
        *("console-post", "console-public"),  # as the console shows who it is
    ],
)
async def test_people_sign_in_by_its_pages(
    service: Service, strict: StrictProvider, person: Person, console: str
) -> None:
    async with connect_at(service, strict.issuer, console) as connect:
        address = await connect.begin("/attention")
        asked = parse_qs(urlsplit(address).query)
        back = await person.signs_in(address, "ann")
        assert person.seen == ["login", "consent"]
        answer = parse_qs(urlsplit(back).query)
        assert (answer["state"], answer["iss"]) == (asked["state"], [strict.issuer])
        inside = await connect.enters(back)
        assert (inside.status_code, inside.headers["location"]) == (303, "/attention"), inside.text
        page = await connect.browser.get("/clients")
        assert (page.status_code, "oidc:ann@strict" in page.text) == (200, True)
        assert (await connect.browser.get("/tokens")).status_code == 403, "ann is an operator"


async def test_signing_out_ends_both_sessions(connect: Connect, strict: StrictProvider, person: Person) -> None:
    await connect.enters(await person.signs_in(await connect.begin(), "ann"))
    door = await connect.browser.get((await connect.browser.post("/sign-out")).headers["location"])
    way_out = door.text.partition(f'href="{strict.issuer}/session/end?')[2].partition('"')[0].replace("&amp;", "&")
    assert (await connect.browser.get("/clients")).status_code == 303
    await person.signs_in(await connect.begin(), "ann")
    assert person.seen == [], "there she was signed in still"
    assert await person.signs_out(f"{strict.issuer}/session/end?{way_out}") == f"{HOME}/sign-in"
    await person.signs_in(await connect.begin(), "ann")
    assert "login" in person.seen


async def test_who_has_no_role_is_told_so(connect: Connect, person: Person) -> None:
    nobody = await connect.enters(await person.signs_in(await connect.begin(), "bob"))
    assert (nobody.status_code, "oidc:bob@strict has no role here" in nobody.text) == (403, True)
    assert COOKIE not in connect.browser.cookies


async def test_an_id_token_by_a_shared_secret_lets_nobody_in(
    service: Service, strict: StrictProvider, person: Person
) -> None:
    async with connect_at(service, strict.issuer, "console-HS256") as connect:
        refused = await connect.enters(await person.signs_in(await connect.begin(), "ann"))
        assert (refused.status_code, "alg: " in refused.text, COOKIE in connect.browser.cookies) == (403, True, False)


async def test_a_code_is_good_for_the_sign_in_that_it_is_of_alone(
    service: Service, strict: StrictProvider, connect: Connect, person: Person
) -> None:
    back = await person.signs_in(await connect.begin(), "ann")
    code = parse_qs(urlsplit(back).query)["code"][0]
    async with connect_at(service, strict.issuer) as other:
        own = parse_qs(urlsplit(await other.begin()).query)["state"][0]
        stolen = await other.enters(f"{HOME}{CALLBACK}?code={code}&state={own}&iss={strict.issuer}")
        assert (stolen.status_code, "invalid_grant" in stolen.text) == (403, True), "by its verifier"
        assert COOKIE not in other.browser.cookies
    assert (await connect.enters(back)).status_code == 303


async def test_it_lets_nobody_in_without_a_challenge_nor_back_to_another_page(connect: Connect, person: Person) -> None:
    address = await connect.begin()
    without = re.sub("&code_challenge(_method)?=[^&]*", "", address)
    assert parse_qs(urlsplit(await person.signs_in(without, "ann")).query)["error"] == ["invalid_request"]
    async with http_client() as http:
        elsewhere = await http.get(address.replace("openid%2Fcallback", "elsewhere"))
    assert (elsewhere.status_code, "redirect_uri" in elsewhere.text) == (400, True)
