"""Claims about the Python client: what other services write against, on the real service and on one that fails."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
import jsonschema
import pytest
import pytest_asyncio

from starter import client as package
from starter.client import (
    Conflict,
    Connect,
    Invalid,
    NotConnect,
    NotFound,
    Patience,
    Unauthorized,
    Undecided,
    Unreached,
)
from starter.client.webhooks import Webhooks
from tests.architecture.shapes import FOLDER, document, modules
from tests.support.service import SITE, TOKEN, Service, number, unique
from tests.support.waiting import http_client, unless_it_hangs

ACME: Any = {"client_id": "acme"}
Answer = Callable[[httpx2.Request], Awaitable[httpx2.Response]]


@dataclass
class Wire(httpx2.AsyncBaseTransport):
    """The way to the service. What is in ``faults`` happens first, one for each request; ``sent`` is what left."""

    answer: Answer
    faults: list[Exception | httpx2.Response] = field(default_factory=list)
    lose: bool = False  # the answers of requests that a fault meets: the service has had them
    sent: list[httpx2.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        await request.extensions["trace"]("http11.send_request_headers.started", {})
        if not self.faults:
            return await self.answer(request)
        if self.lose:
            await self.answer(request)
        fault = self.faults.pop(0)
        if isinstance(fault, Exception):
            raise fault
        return fault

    @property
    def keys(self) -> set[str]:
        """The keys with which commands were sent."""
        return {request.headers["Idempotency-Key"] for request in self.sent}


@dataclass
class Time:
    """A clock that goes on only while the client pauses, and what it paused."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def away(status: int = 503, **more: Any) -> httpx2.Response:
    """The answer of a service that cannot judge now."""
    problem = {"type": "about:blank", "title": "Away", "status": status, "detail": "Temporal is away", **more}
    return httpx2.Response(status, json=problem, headers={"Retry-After": "3"})


def connected(wire: Wire, time: Time, **patience: float) -> Connect:
    return Connect(
        "http://127.0.0.1:1",
        TOKEN,
        patience=Patience(**patience),
        sleep=time.sleep,
        clock=time.clock,
        transport=wire,
    )


@pytest_asyncio.fixture
async def wire(service: Service) -> AsyncIterator[Wire]:
    """The way to the real service."""
    async with http_client(base_url=service.url) as http:

        async def answer(request: httpx2.Request) -> httpx2.Response:
            headers = {**request.headers, "host": service.url.removeprefix("http://")}
            return await http.request(
                request.method, request.url.raw_path.decode(), content=request.content, headers=headers
            )

        yield Wire(answer)


# -- sent again ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [httpx2.ReadError("cut"), httpx2.ReadTimeout("late"), away(), away(429), away(502)])
async def test_a_command_whose_answer_is_lost_is_sent_again_with_its_key_and_done_once(
    service: Service, wire: Wire, fault: Exception | httpx2.Response
) -> None:
    client = await service.create()
    wire.faults, wire.lose = [fault, fault], True
    async with connected(wire, Time()) as connect:
        answer = await connect.suspend(client["client_id"], source="billing", reason="invoice 1042 unpaid", wait=20)
    assert (answer["status"], [hold["source"] for hold in answer["holds"]]) == ("suspended", ["billing"])
    assert len(wire.sent) == 3
    assert len(wire.keys) == 1
    lines = [line for line in await service.history(client["client_id"]) if line["command_id"] in wire.keys]
    assert sum(line["kind"] == "suspend" and line["event"] == "decided" for line in lines) == 1, lines


async def test_a_client_is_created_once_however_often_it_is_asked_for(service: Service, wire: Wire) -> None:
    wire.faults, wire.lose, name = [httpx2.ReadError("cut")], True, unique("Once")
    async with connected(wire, Time()) as connect:
        line = {"number": number(), "office": "3.12"}
        made = await connect.create({"name": name, "type": "residential", "site": SITE, "lines": [line]}, wait=20)  # type: ignore[list-item]
        found = [client async for client in connect.clients(q=name)]
    assert [client["client_id"] for client in found] == [made["client_id"]]


async def test_the_service_says_how_long_to_pause_and_callers_do_not_come_back_all_at_once() -> None:
    time, wire = Time(), Wire(never, [away(), away(), httpx2.ConnectError("refused"), httpx2.Response(200, json=ACME)])
    async with connected(wire, time) as connect:
        await connect.client("acme")
    assert time.pauses[:2] == [3.0, 3.0]
    assert 0.4 <= time.pauses[2] <= 0.8, "0.2 s, doubled twice, and up to half of it less"


async def test_when_patience_is_over_the_error_says_whether_it_may_have_arrived_and_how_to_repeat_it() -> None:
    time, wire = Time(), Wire(never, [httpx2.ReadTimeout("late"), *[httpx2.ConnectError("refused")] * 99])
    async with connected(wire, time, in_all=5) as connect:
        with pytest.raises(Unreached, match=r"cannot be reached at http://127.0.0.1:1 \(ConnectError\)") as error:
            await connect.suspend("acme", source="billing", key="inv-1042")
    assert (error.value.sent, error.value.key) == (True, "inv-1042")
    assert sum(time.pauses) <= 5, "no pause that ends after that is begun"
    assert len(wire.sent) > 4, "the first four take 3 s at most"


async def test_what_is_accepted_and_not_decided_is_told_from_what_was_never_judged() -> None:
    wire = Wire(never, [away(command_id="inv-1042")])
    async with connected(wire, Time(), in_all=0) as connect:
        with pytest.raises(Undecided) as error:
            await connect.suspend("acme", key="inv-1042")
    assert error.value.retry_after == 3


async def test_a_change_is_waited_for_with_the_same_key_until_the_time_is_over() -> None:
    time = Time()
    going_on, done = (cast("Any", {"provisioning": state, "client_id": "acme"}) for state in ("changing", "settled"))

    async def answer(request: httpx2.Request) -> httpx2.Response:
        time.now += float(request.headers["Prefer"].removeprefix("wait="))
        return httpx2.Response(200, json=done if time.now > 100 else going_on)

    wire = Wire(answer)
    async with connected(wire, time) as connect:
        assert await connect.suspend("acme", wait=300) == done
        assert [request.headers["Prefer"] for request in wire.sent] == ["wait=60", "wait=60"]
        assert len(wire.keys) == 1
        time.now = -500
        assert await connect.suspend("acme", wait=70) == going_on, "not settled in time"


async def test_once_accepted_a_command_is_answered_also_when_the_service_goes_away_meanwhile() -> None:
    time, going_on = Time(), cast("Any", {"provisioning": "changing", "client_id": "acme"})
    wire = Wire(never, [httpx2.Response(202, json=going_on), *[httpx2.ConnectError("refused")] * 99])
    async with connected(wire, time, in_all=0) as connect:
        assert await connect.suspend("acme", wait=20) == going_on
    assert len(wire.sent) > 3
    assert time.now == pytest.approx(20)


# -- what is answered ------------------------------------------------------------------------------------------------


async def test_refusals_are_errors_that_name_the_field_and_what_is_allowed(service: Service, wire: Wire) -> None:
    closed = await service.closed()
    async with connected(wire, Time()) as connect:
        with pytest.raises(NotFound, match="nobody"):
            await connect.client("nobody")
        with pytest.raises(Conflict) as conflict:
            await connect.suspend(closed["client_id"])
        with pytest.raises(Invalid, match="last_day") as invalid:
            await connect.suspend(closed["client_id"], last_day="tomorrow")
    assert (conflict.value.status, conflict.value.problem["client_status"]) == (409, "decommissioned")
    assert invalid.value.field == "last_day"
    async with Connect(service.url, "another") as connect:
        with pytest.raises(Unauthorized):
            await connect.client("nobody")


@pytest.mark.parametrize(
    "answer",
    [httpx2.Response(200, text=text) for text in ("<h1>It works", "[]", "[" * 99_999)]
    + [httpx2.Response(404, json={})],
)
async def test_what_is_not_connect_is_said_to_be_something_else(answer: httpx2.Response) -> None:
    async with connected(Wire(never, [answer]), Time()) as connect:
        with pytest.raises(NotConnect, match="is not Connect"):
            await connect.client("acme")


@pytest.mark.parametrize(("most", "limits"), [(None, [500, 500, 500]), (7, [7, 4, 1]), (6, [6, 3]), (2, [2])])
async def test_a_list_is_read_page_by_page_and_no_further_than_wanted(most: int | None, limits: list[int]) -> None:
    async def answer(request: httpx2.Request) -> httpx2.Response:
        query = httpx2.QueryParams(request.url.query)
        first = int(query.get("cursor", "0"))
        items = [{"client_id": str(n)} for n in range(first, first + min(3, int(query["limit"])))]
        return httpx2.Response(200, json={"items": items, "next": str(first + 3) if first < 6 else None, "total": 9})

    wire = Wire(answer)
    async with connected(wire, Time()) as connect:
        found = [client["client_id"] async for client in connect.clients(status="active", most=most)]
    assert found == [str(n) for n in range(9 if most is None else most)]
    assert [int(httpx2.QueryParams(request.url.query)["limit"]) for request in wire.sent] == limits


async def test_events_are_read_in_order_without_end_and_none_is_missed_when_the_service_goes_away(
    service: Service, wire: Wire
) -> None:
    client_id = (await service.create())["client_id"]
    seen: list[tuple[int, str]] = []
    before: int | None = None
    missing = {"requested suspend", "effective suspend", "proven "}  # in whichever order they were committed
    async with unless_it_hangs(), connected(wire, Time()) as connect:
        async for event in connect.events(client=client_id):
            seen.append((event["seq"], f"{event['kind']} {event['command']}"))
            if before is None and event["settled"]:
                before, wire.faults = len(seen), [httpx2.ReadError("cut"), away()]
                await service.post(client_id, "suspend", wait=0)
            if before is not None and missing <= {text for _, text in seen[before:]}:
                break
        again = [it["seq"] async for it in connect.events(client=client_id, wait=0)]
    assert [seq for seq, _ in seen] == again[: len(seen)]


# -- held against the API --------------------------------------------------------------------------------------------

LINE: Any = {"number": "+442079460001", "office": "3.12"}
WHOLE: Any = {"name": "Acme Ltd", "type": "residential", "site": "thames", "lines": [LINE]}
CALLS: dict[str, Callable[[Connect], Awaitable[Any]]] = {
    "client": lambda it: it.client("acme"),
    "credentials": lambda it: it.credentials("acme"),
    "sites": lambda it: it.sites(),
    "systems": lambda it: it.systems(),
    "create": lambda it: it.create(WHOLE, key="crm-7"),
    "edit": lambda it: it.edit("acme", {"name": "Acme Holdings Ltd"}, reason="renamed"),
    "activate": lambda it: it.activate("acme", reason="moves in early"),
    "suspend": lambda it: it.suspend("acme", source="billing", last_day="2099-03-31"),
    "unsuspend": lambda it: it.unsuspend("acme", source="all"),
    "decommission": lambda it: it.decommission("acme", at="2099-03-31T18:00:00+01:00", reason="contract ends"),
    "cancel_decommission": lambda it: it.cancel_decommission("acme"),
    "cancel_planned": lambda it: it.cancel_planned("acme", "suspend"),
    "convert": lambda it: it.convert("acme", to="virtual", last_day="2099-03-31"),
    "change_services": lambda it: it.change_services("acme", add_lines=[LINE], internet="none"),
    "rotate_credentials": lambda it: it.rotate_credentials("acme"),
    "note": lambda it: it.note("acme", "called"),
    "preview": lambda it: it.preview("acme", "suspend", {"source": "billing"}),
    "webhooks.all": lambda it: it.webhooks.all(),
    "webhooks.one": lambda it: it.webhooks.one("wh-1"),
    "webhooks.add": lambda it: it.webhooks.add({"url": "https://billing.example.net/", "kinds": ["proven"]}, key="k"),
    "webhooks.edit": lambda it: it.webhooks.edit("wh-1", sites=["thames"], enabled=False),
    "webhooks.rotate": lambda it: it.webhooks.rotate("wh-1"),
    "webhooks.replay": lambda it: it.webhooks.replay("wh-1", 7),
    "webhooks.remove": lambda it: it.webhooks.remove("wh-1"),
}
LISTS: dict[str, Callable[[Connect], AsyncIterator[Any]]] = {
    "clients": lambda it: it.clients(status="active", inactive=True),
    "history": lambda it: it.history("acme"),
    "notes": lambda it: it.notes("acme"),
    "events": lambda it: it.events(after=7, wait=0, kind="proven", client="acme", site="thames"),
    "attention": lambda it: it.attention(site="thames"),
    "matters": lambda it: it.matters(kind="attention"),
    "webhooks.deliveries": lambda it: it.webhooks.deliveries("wh-1", most=7),
}


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    """The document of the API."""
    return document()


@pytest.mark.parametrize("name", [*CALLS, *LISTS])
async def test_each_method_asks_what_the_api_describes(api: dict[str, Any], name: str) -> None:
    async def answer(request: httpx2.Request) -> httpx2.Response:
        following = 7 if request.url.path.endswith("/events") else None
        of_one = {"client_id": "acme", "webhook_id": "wh-1", "sip": [], "changed": True}
        return httpx2.Response(200, json=of_one | {"items": [], "next": following, "last": 7, "total": 0})

    wire = Wire(answer)
    async with connected(wire, Time()) as connect:
        if name in CALLS:
            await CALLS[name](connect)
        else:
            assert [item async for item in LISTS[name](connect)] == []
    (request,) = wire.sent
    operation = operation_of(api, request)
    known = {parameter["name"] for parameter in operation.get("parameters", ())}
    assert {*httpx2.QueryParams(request.url.query)} <= known
    if request.content:
        (content,) = operation["requestBody"]["content"].values()
        jsonschema.validate(json.loads(request.content), {**content["schema"], "components": api["components"]})
    assert request.method == "GET" or "Idempotency-Key" in request.headers or name == "preview"


def test_every_method_is_held_against_the_api() -> None:
    own = {
        f"{before}{name}"
        for kind, before in ((Connect, ""), (Webhooks, "webhooks."))
        for name, value in vars(kind).items()
        if callable(value) and not name.startswith("_")
    }
    assert own == {*CALLS, *LISTS, "send", "items", "pages", "request"}


def test_the_shapes_are_those_of_the_api(api: dict[str, Any]) -> None:
    for module, text in modules(api).items():
        assert (FOLDER / f"{module}.py").read_text(encoding="utf-8") == text, "python -m tests.architecture.shapes"


def test_it_installs_alone_and_needs_httpx2_and_nothing_else_of_ours(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*pip, str(tmp_path), str(FOLDER)], check=True, capture_output=True)
    look = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import connect_client as it; "
        "assert it.__file__.startswith(sys.path[0]); "
        "print(*{'starter', 'workflows', 'activities', 'pydantic', 'temporalio'} & {*sys.modules}); print(*it.__all__)"
    )
    there = [sys.executable, "-c", look]
    listing = subprocess.run(there, check=True, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert listing.stdout.split("\n")[:2] == ["", " ".join(package.__all__)]


async def never(_: httpx2.Request) -> httpx2.Response:
    raise AssertionError("nothing more was to be sent")


def operation_of(api: dict[str, Any], request: httpx2.Request) -> dict[str, Any]:
    """The operation of a request, by its path."""
    segments = request.url.path.split("/")
    for path, operations in api["paths"].items():
        parts = path.split("/")
        if len(parts) == len(segments) and all(a == b or a[:1] == "{" for a, b in zip(parts, segments, strict=True)):
            operation: dict[str, Any] = operations[request.method.lower()]
            return operation
    raise AssertionError(f"no route for {request.url.path}")
