"""Claims about overload: the least important is turned away first, operators last, and nobody behind a service."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from starter.app import create_app
from starter.contract.callers import Caller, Role
from starter.web.admission import BURST, SHARES, Admission, AdmissionLimits, Place
from starter.web.gate import Gate
from starter.web.media import media_refused
from tests.support.away import AppOf
from tests.support.service import TOKEN, Service, calling, serving, unique
from tests.support.waiting import eventually, http_client

BILLING, CRM = Caller("billing", Role.SERVICE, token_id="t-1"), Caller("crm", Role.SERVICE, token_id="t-2")
LIMITS = AdmissionLimits(working=10, waiting=10, per_second=0)


class Busy:
    """An app that answers nobody until it is let go."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun[scope["state"]["caller"].role] += 1
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})


async def respond(gate: Gate, role: Role) -> tuple[int, dict[str, str]]:
    """The status and the headers that a caller of this role gets."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "path": "/api/v1/sites",
        "method": "GET",
        "headers": [],
        "query_string": b"",
    }
    await gate(scope | {"state": {"caller": Caller(role, role)}}, _nothing, send)
    return messages[0]["status"], {name.decode(): value.decode() for name, value in messages[0]["headers"]}


async def _nothing() -> Message:
    return {"type": "http.request", "body": b""}


@asynccontextmanager
async def flooded(gate: Gate, busy: Busy, role: Role, requests: int) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """So many requests of a role, those that were let in being worked on until the end."""
    tasks = [asyncio.create_task(respond(gate, role)) for _ in range(requests)]
    await asyncio.sleep(0)  # each has its first turn, which ends where it is answered or worked on
    try:
        yield tasks
    finally:
        busy.go_on.set()
        await asyncio.gather(*tasks)


async def test_a_flood_of_one_role_leaves_room_for_all_above_it() -> None:
    busy = Busy()
    gate = Gate(busy, admission := Admission(LIMITS))
    async with flooded(gate, busy, Role.SERVICE, 50) as tasks:
        assert busy.begun == {"service": 7}
        turned_away = [task.result() for task in tasks if task.done()]
        assert [(status, headers["retry-after"]) for status, headers in turned_away] == [(429, "1")] * 43
        assert (await respond(gate, Role.VIEWER))[0] == 429
        async with flooded(gate, busy, Role.OPERATOR, 2), flooded(gate, busy, Role.ADMIN, 5):
            assert busy.begun == {"service": 7, "operator": 2, "admin": 1}, "all there is, and no more"
    assert admission.working == 0
    assert (await respond(gate, Role.VIEWER))[0] == 204


async def test_operators_never_wait_behind_services_which_are_turned_away_while_operators_are_many() -> None:
    busy = Busy()
    gate = Gate(busy, Admission(LIMITS))
    async with flooded(gate, busy, Role.OPERATOR, 8):
        assert [(await respond(gate, role))[0] for role in (Role.VIEWER, Role.SERVICE)] == [429, 429]
    assert [*SHARES] == [*Role], "from the least important on"
    assert SHARES[Role.VIEWER] < SHARES[Role.SERVICE] < SHARES[Role.OPERATOR] == SHARES[Role.ADMIN] == 1


async def test_who_waits_gives_no_work_and_where_too_many_wait_the_answer_comes_at_once() -> None:
    admission = Admission(AdmissionLimits(working=10, waiting=10, per_second=0))
    places = [Place(admission, Role.SERVICE) for _ in range(9)]
    begun = []
    for place in places:
        with place.working(), place.waiting() as may_wait:
            begun.append((may_wait, admission.working, admission.waiting))
    assert begun == [(True, 0, 1)] * 9
    waiting = [Place(admission, Role.SERVICE) for _ in range(8)]
    contexts = [place.waiting() for place in waiting]
    admission.working += len(waiting)
    assert [context.__enter__() for context in contexts] == [True] * 7 + [False]
    with Place(admission, Role.OPERATOR).waiting() as may_wait:
        assert may_wait
    for context in contexts:
        context.__exit__(None, None, None)
    assert (admission.working, admission.waiting) == (len(waiting), 0)


def test_a_token_may_ask_so_often_and_then_again_after_the_time_that_it_is_told() -> None:
    now = 100.0
    admission = Admission(AdmissionLimits(per_second=0.5), lambda: now)
    assert [admission.retry_after(BILLING) for _ in range(3)] == [0, 2, 2]
    assert admission.retry_after(CRM) == 0, "each token has its own"
    assert [admission.retry_after(Caller("olga", Role.OPERATOR)) for _ in range(9)] == [0] * 9
    now += 2
    assert [admission.retry_after(BILLING) for _ in range(2)] == [0, 2]
    quick = Admission(AdmissionLimits(per_second=10), lambda: now)
    assert [quick.retry_after(BILLING) for _ in range(21)] == [0] * int(BURST * 10) + [1]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"content-length": "0"}, None),
        ({"content-length": "2", "content-type": "application/json"}, None),
        ({"content-length": "2", "content-type": "Application/JSON; charset=utf-8"}, None),
        ({"content-length": "2"}, 415),
        ({"transfer-encoding": "chunked"}, 415),
        ({"content-length": "2", "content-type": "text/plain"}, 415),
        ({"content-length": "2", "content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-length": "2", "content-type": "application/jsonp"}, 415),
        ({"content-length": "2", "content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-length": "2", "content-type": "application/json", "content-encoding": "Identity"}, None),
        ({"content-encoding": "gzip"}, None),
        ({"content-length": "2", "content-type": 'application/json; v=1; charset="UTF-8"'}, None),
        ({"content-length": "2", "content-type": "application/json; charset=utf-16"}, 415),
        ({"content-length": "2", "content-type": "application/json, text/plain"}, 415),
        ({"accept": "*/*"}, None),
        ({"accept": ""}, None),
        ({"accept": "text/html, application/*;q=0.5"}, None),
        ({"accept": "application/problem+json"}, None),
        ({"accept": "text/html"}, 406),
        ({"accept": "text/html, application/json;q=0"}, 406),
        ({"accept": "application/xml;q=0.9, text/*+json"}, 406),
    ],
)
def test_what_cannot_be_read_or_answered_is_said(headers: dict[str, str], status: int | None) -> None:
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    refused = media_refused({"type": "http", "method": "POST", "headers": sent})
    assert (refused and refused.status) == status


async def test_an_operator_is_answered_while_a_service_takes_all_the_waiting_that_it_may(service: Service) -> None:
    """It waits for a system that does not answer. Nobody else waits for it."""
    limits = AdmissionLimits(working=10, waiting=4, per_second=0)
    held = [(await service.create())["client_id"] for _ in range(2)]
    other = (await service.create(type="virtual", lines=[]))["client_id"]
    name = unique("flood")
    async with (
        serving(create_app(service.clients, TOKEN, limits=limits)) as url,
        _with_token(service, url, name, Role.SERVICE) as flood,
        _with_token(service, url, unique("olga"), Role.OPERATOR) as operator,
    ):

        async def suspend(caller: httpx2.AsyncClient, client_id: str) -> httpx2.Response:
            body, headers = {"source": name}, {"Prefer": "wait=20"}
            return await caller.post(f"/clients/{client_id}/suspend", json=body, headers=headers)

        async with service.without(service.telephony):
            begun = [asyncio.create_task(suspend(flood, held[number % 2])) for number in range(6)]
            await eventually(lambda: sum(task.done() for task in begun) == 3)
            at_once = [task.result() for task in begun if task.done()]
            assert [(it.status_code, it.headers.get("Preference-Applied")) for it in at_once] == [(202, None)] * 3
            answer = await suspend(operator, other)
            assert (answer.status_code, answer.json()["status"]) == (200, "suspended"), answer.text
            assert sum(task.done() for task in begun) == 3
        assert {(await task).status_code for task in begun} <= {200, 202}


@pytest.mark.parametrize(
    "path", ["/clients.csv", "/clients.xlsx", "/clients", "/clients?q=x", "/upcoming", "/api/v1/sites"]
)
async def test_a_token_may_ask_so_often_wherever_it_asks(service: Service, path: str) -> None:
    limits = AdmissionLimits(per_second=0.001)
    created = await service.api.post("/tokens", json={"name": unique("often"), "role": "viewer"})
    headers = {"Authorization": f"Bearer {created.json()['token']}"}
    async with (
        serving(create_app(service.clients, TOKEN, limits=limits)) as url,
        http_client(base_url=url, headers=headers) as viewer,
        http_client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}) as admin,
    ):
        answers = [await viewer.get(path) for _ in range(3)]
        assert [it.status_code for it in answers] == [200, 429, 429]
        assert int(answers[1].headers["Retry-After"]) > 0
        assert [(await admin.get(path)).status_code for _ in range(3)] == [200] * 3


async def test_whoever_is_signed_in_is_not_counted() -> None:
    gate = Gate(busy := Busy(), Admission(AdmissionLimits(working=1)))
    scope = {"type": "http", "path": "/clients", "method": "GET", "headers": []}
    state = {"caller": Caller("ann", Role.VIEWER), "session": object()}
    busy.go_on.set()
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    for _ in range(300):
        await gate(scope | {"state": {**state}}, _nothing, send)
    assert {message["status"] for message in messages} == {204}


async def test_a_supervisor_is_answered_while_everybody_else_is_turned_away() -> None:
    """Or it would end a process because it is busy. Whether it may work at all, it says as ever: nothing is there."""
    away = AppOf({"olga": Caller("olga", Role.OPERATOR)}, AdmissionLimits(working=0))
    answers: Counter[tuple[str, int]] = Counter()
    bare = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=away.app), base_url="http://127.0.0.1")
    async with away.calling("olga") as olga, bare as supervisor:
        for path, caller in (
            ("/api/v1/sites", olga),
            ("/clients", olga),
            ("/healthz", olga),
            ("/healthz", supervisor),
            ("/readyz", supervisor),
        ):
            for answer in await asyncio.gather(*(caller.get(path) for _ in range(20))):
                answers[path, answer.status_code] += 1
    assert answers == {
        ("/api/v1/sites", 429): 20,
        ("/clients", 429): 20,
        ("/healthz", 200): 40,
        ("/readyz", 503): 20,
    }


@asynccontextmanager
async def _with_token(service: Service, url: str, name: str, role: Role) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller of this role, at another address of the same service."""
    created = await service.api.post("/tokens", json={"name": name, "role": role})
    assert created.status_code == 201, created.text
    async with calling(url, created.json()["token"]) as caller:
        yield caller
