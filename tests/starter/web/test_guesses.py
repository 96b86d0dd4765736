"""Claims about wrong tokens: many from one place are told to wait, wherever they are sent, and lock out nobody."""

from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from starter.app import create_app
from starter.contract.tokens import new_token
from starter.web.guesses import MOST, REMEMBERED, SECONDS, Guesses, source_of
from tests.support.service import TOKEN, Service, unique


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def app(service: Service) -> FastAPI:
    """An app of this test alone, by a clock that stands still."""
    app = create_app(service.clients, TOKEN)
    app.state.guesses.clock = Clock()
    return app


def coming_from(app: FastAPI, address: str = "192.0.2.1", token: str = "") -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx2.ASGITransport(app=app, client=(address, 50_000))
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "api": ("GET", "/api/v1/sites", {}),
    "a command": ("POST", "/api/v1/clients/acme/suspend", {"json": {}}),
    "assistants": ("POST", "/api/v1/mcp", {"json": {}}),
    "codec": ("POST", "/codec/decode", {"json": {"payloads": []}}),
    "reference": ("GET", "/docs", {}),
    "sign-in": ("POST", "/sign-in", {}),
}


async def guess(app: FastAPI, way: str, token: str, address: str = "192.0.2.1") -> httpx2.Response:
    method, path, sent = WAYS[way]
    async with coming_from(app, address, "" if way == "sign-in" else token) as caller:
        return await caller.request(method, path, **({"data": {"token": token}} if way == "sign-in" else sent))


@pytest.mark.parametrize("way", WAYS)
async def test_after_ten_wrong_tokens_from_an_address_the_next_is_told_to_wait(app: FastAPI, way: str) -> None:
    statuses, clock = Counter[int](), app.state.guesses.clock
    wrong = 403 if way == "sign-in" else 401
    for number in range(3 * MOST):
        answer = await guess(app, way, new_token()[1] if number % 2 else f"guess-{number}")
        statuses[answer.status_code] += 1
        if answer.status_code == 429:
            assert int(answer.headers["Retry-After"]) == SECONDS
            assert "WWW-Authenticate" not in answer.headers
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert statuses == {wrong: MOST, 429: 2 * MOST}
    assert (await guess(app, way, "another", "192.0.2.2")).status_code == wrong, "who is elsewhere does not wait"
    clock.now += SECONDS - 1
    assert (await guess(app, way, "guess")).headers["Retry-After"] == "1"
    clock.now += 1
    assert (await guess(app, way, "guess")).status_code == wrong


async def test_guesses_are_counted_together_wherever_they_are_sent(app: FastAPI) -> None:
    for _, way in zip(range(MOST), list(WAYS) * MOST, strict=False):
        assert (await guess(app, way, "guess")).status_code in (401, 403)
    assert {(await guess(app, way, "guess")).status_code for way in WAYS} == {429}


async def test_right_tokens_from_the_same_address_go_on(service: Service, app: FastAPI) -> None:
    """As behind one proxy, or in one office."""
    made = await service.api.post("/tokens", json={"name": unique("guesses"), "role": "viewer"})
    for number in range(2 * MOST):
        assert (await guess(app, "api", f"guess-{number}")).status_code in (401, 429)
    for token, way in product((TOKEN, made.json()["token"]), ("api", "sign-in")):
        assert (await guess(app, way, token)).status_code in (200, 303)
    assert (await guess(app, "codec", TOKEN)).status_code == 200
    assert (await guess(app, "api", "guess")).status_code == 429, "who knows a token wins no guesses for the others"


async def test_who_sends_no_token_guesses_none(app: FastAPI) -> None:
    for way in set(WAYS) - {"sign-in"}:
        for _ in range(MOST):
            assert (await guess(app, way, "")).status_code == 401
    assert (await guess(app, "api", "guess")).status_code == 401


async def test_logs_say_where_guesses_come_from_and_never_which(app: FastAPI) -> None:
    tokens = [f"secret-{number}-{new_token()[1]}" for number in range(2 * MOST)]
    with capture_logs() as logs:
        for token in tokens:
            await guess(app, "api", token)
            await guess(app, "sign-in", token)
    lines = [line for line in logs if line["event"] == "tokens_guessed"]
    assert [(line["address"], line["wrong"]) for line in lines] == [("192.0.2.1", MOST)]
    assert not [token for token in tokens if token in str(logs)]


def test_of_ipv6_it_is_the_network_that_waits() -> None:
    same = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9")
    assert len({source_of(address) for address in same}) == 1
    assert source_of("2001:db8:1:3::1") != source_of(same[0])
    assert source_of("::ffff:192.0.2.1") == source_of("192.0.2.1") == "192.0.2.1"
    assert source_of("") == ""
    guesses = Guesses(most=1, clock=Clock())
    assert [guesses.wrong(address) for address in same] == [0, SECONDS]


def test_what_is_remembered_is_bounded_and_who_goes_on_guessing_is_not_forgotten() -> None:
    guesses = Guesses(most=1, clock=Clock())
    guesses.wrong("192.0.2.1")
    for number in range(2 * REMEMBERED):
        guesses.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        if number % 1000 == 0:
            assert guesses.wrong("192.0.2.1") > 0
    assert len(guesses._wrong) == REMEMBERED
