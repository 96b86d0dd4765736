"""Claims about what the Python client sends again: when, for how long, and what its caller is left with."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from starter.client import Away, Connect, ConnectError, Invalid, NotConnect, Patience, Refused, Unreached
from starter.client.connect import LONGEST_KEY
from starter.web import keys
from tests.starter.client.test_connect import Time, Wire, away, connected, never
from tests.support.service import TOKEN

DONE: Any = {"client_id": "acme", "provisioning": "settled"}
GOING_ON: Any = {"client_id": "acme", "provisioning": "changing"}
EVENT: Any = {"items": [{"seq": 8}], "next": 8, "last": 8}
NO_EVENT: Any = {"items": [], "next": 7, "last": 7}

Answering = Callable[[httpx2.Request], Awaitable[httpx2.Response]]


def page(status: int) -> httpx2.Response:
    """What a proxy says of itself."""
    return httpx2.Response(status, text="<html><h1>Sorry")


def cut_after(time: Time, seconds: float, then: Any) -> Answering:
    """A service whose first answer is cut off after that time."""
    cut = [httpx2.RemoteProtocolError("closed")]

    async def answer(_: httpx2.Request) -> httpx2.Response:
        if not cut:
            return httpx2.Response(200, json=then)
        time.now += seconds
        raise cut.pop()

    return answer


async def test_what_is_cut_off_after_a_long_wait_is_sent_again() -> None:
    time = Time()
    wire = Wire(cut_after(time, 59, DONE))
    async with connected(wire, time) as connect:
        assert await connect.suspend("acme", wait=60) == DONE
    assert (len(wire.sent), len(wire.keys)) == (2, 1)
    assert wire.sent[1].headers["Prefer"] == "wait=1", "what is left of the wait"


async def test_events_are_read_on_when_a_long_wait_for_them_is_cut_off() -> None:
    time = Time()
    async with connected(Wire(cut_after(time, 59, EVENT)), time) as connect:
        assert await anext(connect.events(after=7)) == EVENT["items"][0]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_a_proxy_cannot_pass_on_is_sent_again_whatever_its_words(status: int) -> None:
    other = httpx2.Response(status, json={"message": "no upstream"})
    wire, done = Wire(never, [page(status), other, httpx2.Response(200, json=DONE)]), Time()
    async with connected(wire, done) as connect:
        assert await connect.suspend("acme") == DONE
    assert len(wire.keys) == 1
    async with connected(Wire(never, [page(status)]), Time(), in_all=0) as connect:
        with pytest.raises(Away, match=f"http://127.0.0.1:1 answers {status}") as error:
            await connect.suspend("acme", key="inv-1042")
    assert (error.value.status, error.value.key, error.value.sent) == (status, "inv-1042", status != 429)


@pytest.mark.parametrize(
    "failure",
    [httpx2.ConnectError("refused"), away(), page(502), page(500), httpx2.Response(401, json={"detail": "No"})],
)
async def test_whatever_fails_once_a_command_is_accepted_its_answer_is_left(
    failure: Exception | httpx2.Response,
) -> None:
    time, wire = Time(), Wire(never, [httpx2.Response(202, json=GOING_ON), *[failure] * 99])
    async with connected(wire, time) as connect:
        assert await connect.suspend("acme", wait=20) == GOING_ON
    assert time.now == pytest.approx(20), "and no longer than it was to be waited for"
    time, wire = Time(), Wire(never, [httpx2.Response(202, json=GOING_ON), failure, httpx2.Response(200, json=DONE)])
    async with connected(wire, time) as connect:
        assert await connect.suspend("acme", wait=20) == DONE
    assert len(wire.keys) == 1


@pytest.mark.parametrize("answer", [httpx2.Response(409, json={"detail": "No"}), page(500), away(), page(504)])
async def test_every_error_of_a_command_has_its_key_also_one_that_was_made_up(answer: httpx2.Response) -> None:
    wire = Wire(never, [httpx2.ReadError("cut"), answer, *[answer] * 99])
    async with connected(wire, Time(), in_all=1) as connect:
        with pytest.raises(ConnectError) as error:
            await connect.suspend("acme")
    assert {error.value.key} == wire.keys
    assert error.value.sent, "the first one may have arrived"


@pytest.mark.parametrize(("status", "judged"), [(409, True), (401, True), (500, False)])
async def test_what_no_repeating_mends_is_not_sent_again(status: int, judged: bool) -> None:
    wire = Wire(never, [httpx2.Response(status, json={"detail": "No"})])
    async with connected(wire, Time()) as connect:
        with pytest.raises(Refused) as error:
            await connect.suspend("acme", wait=20)
    assert (error.value.status, error.value.sent) == (status, not judged)


async def test_a_service_that_has_no_place_to_wait_is_not_asked_without_pause() -> None:
    async def at_once(_: httpx2.Request) -> httpx2.Response:
        assert len(wire.sent) < 99, "without end"
        return httpx2.Response(202, json=GOING_ON)

    time, wire = Time(), Wire(at_once)
    async with connected(wire, time) as connect:
        assert await connect.suspend("acme", wait=30) == GOING_ON
    assert len(wire.sent) <= 13, "seven pauses that grow, and then of at least 5 s each"
    assert "Prefer" not in wire.sent[-1].headers, "looked at once more when the time is over"


async def test_events_that_nobody_waits_for_are_not_asked_for_without_pause() -> None:
    time = Time()

    async def at_once(_: httpx2.Request) -> httpx2.Response:
        assert len(wire.sent) < 99, "without end"
        return httpx2.Response(200, json=EVENT if time.now > 30 else NO_EVENT)

    wire = Wire(at_once)
    async with connected(wire, time) as connect:
        assert await anext(connect.events(after=7)) == EVENT["items"][0]
    assert len(wire.sent) <= 13


async def test_events_that_were_waited_for_are_asked_for_again_at_once() -> None:
    time = Time()

    async def waiting(request: httpx2.Request) -> httpx2.Response:
        time.now += float(httpx2.QueryParams(request.url.query)["wait"])
        return httpx2.Response(200, json=EVENT if time.now > 180 else NO_EVENT)

    async with connected(Wire(waiting), time) as connect:
        assert await anext(connect.events(after=7)) == EVENT["items"][0]
    assert time.pauses == []


def test_a_pause_stays_a_pause_however_often_it_was_in_vain() -> None:
    assert 5 <= Patience().pause(10_000) <= 10


@pytest.mark.parametrize("key", ["k\u00e4\u20ac", "k\n", "\x7f", "k" * (keys.LONGEST + 1)])
async def test_a_key_that_no_header_can_have_is_refused_before_anything_is_sent(key: str) -> None:
    time, wire = Time(), Wire(never)
    async with connected(wire, time) as connect:
        with pytest.raises(Invalid) as error:
            await connect.suspend("acme", key=key)
    assert (error.value.field, wire.sent, time.pauses) == (keys.HEADER, [], [])
    assert str(error.value) == "Idempotency-Key takes at most 200 letters, digits and signs of ASCII. Give another."
    assert LONGEST_KEY == keys.LONGEST, "as the service"


@pytest.mark.parametrize("token", ["", " ", "ctk_1\n", "ctk_\u00e4"])
def test_a_token_that_no_header_can_have_is_refused_at_once(token: str) -> None:
    with pytest.raises(
        Invalid, match=r"^token is empty or has characters that no token has\. Copy it anew\.$"
    ) as error:
        Connect("http://127.0.0.1:1", token)
    assert error.value.field == "token"


async def test_what_cannot_be_written_is_not_said_to_be_out_of_reach() -> None:
    time, wire = Time(), Wire(never)
    async with connected(wire, time) as connect:
        for call in (connect.note("acme", "\udcff"), connect.client("\udcff")):
            with pytest.raises(Invalid, match=r"characters that UTF-8 cannot write\. Leave them out"):
                await call
    assert (wire.sent, time.pauses) == ([], [])


@pytest.mark.parametrize("url", ["connect.example.net", "ftp://connect.example.net", "http://connect\n"])
async def test_an_address_that_is_none_is_said_at_once(url: str) -> None:
    time = Time()
    async with Connect(url, TOKEN, sleep=time.sleep, clock=time.clock) as connect:
        with pytest.raises(Unreached) as error:
            await connect.client("acme")
    assert (time.pauses, error.value.sent) == ([], False)


async def test_a_page_that_comes_with_success_is_no_answer() -> None:
    for answer in (page(200), httpx2.Response(302, json={}, headers={"Location": "http://127.0.0.1:2/"})):
        async with connected(Wire(never, [answer]), Time()) as connect:
            with pytest.raises(NotConnect):
                await connect.client("acme")
