"""A line of log per request: short, of printable text, and but few for what strangers ask again and again."""

from types import SimpleNamespace

import httpx2
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from starter.contract.callers import Caller, Role
from starter.request_ids import HEADER
from starter.web.access import AccessLog
from starter.web.admission import AdmissionLimits
from starter.web.repeats import FEW, KINDS, Repeats
from tests.support.away import AppOf
from tests.support.service import TOKEN, Service, unique
from tests.support.waiting import eventually, http_client


async def closed(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that knows whoever asks for /mine."""
    if scope["path"] == "/mine":
        scope.setdefault("state", {})["caller"] = "ann"
        scope["route"] = SimpleNamespace(path="/mine")
    await PlainTextResponse("", 200 if scope["path"] == "/mine" else 401)(scope, receive, send)


def asking(log: AccessLog, address: str = "192.0.2.1") -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(log, client=(address, 1)), base_url="http://connect")


async def test_what_a_stranger_asks_again_and_again_is_counted_in_one_line() -> None:
    log = AccessLog(closed, window=0.5)
    with capture_logs() as lines:
        async with asking(log) as one, asking(log, "192.0.2.2") as other:
            for number in range(FEW + 30):
                await one.get(f"/guess/{number}")
            await other.get("/guess")
            for _ in range(FEW + 5):
                await one.get("/mine")
        written = [(line["path"], line.get("address")) for line in lines]
        assert written[FEW] == ("…", "192.0.2.2"), "each address has lines of its own"
        assert written[FEW + 1 :] == [("/mine", None)] * (FEW + 5), "who is known has every line"
        (summary,) = await eventually(lambda: [line for line in lines if line["event"] == "requests_repeated"])
    assert (summary["status"], summary["address"], summary["times"]) == (401, "192.0.2.1", 30)


async def test_nothing_of_a_path_or_method_that_a_stranger_made_up_is_in_the_log() -> None:
    with capture_logs() as lines:
        async with asking(AccessLog(closed)) as stranger:
            for path in ("/Jane%20Doe", "/api/v1/Jane%20Doe", "/static/Jane%20Doe", "/%0d%0a%1b[31mJane=Doe"):
                await stranger.request("JANE", path)
    assert [(line["method"], line["path"]) for line in lines] == [
        ("OTHER", path) for path in ("…", "/api/v1/…", "/static/…", "…")
    ]


async def test_a_line_has_the_route_and_the_id_of_a_client_that_there_is(service: Service) -> None:
    client_id, name = (await service.create())["client_id"], unique("jane-doe")
    with capture_logs() as lines:
        for path in (client_id, name, f"{name}/systems/{name}/retry", f"{client_id}/planned/{name}"):
            await service.api.request("DELETE" if "planned" in path else "GET", f"/clients/{path}")
        await service.api.post(f"/clients/{name}/suspend", json={"no": "such field"})
        async with http_client(base_url=service.url, headers={"Authorization": f"Bearer {TOKEN}"}) as console:
            await console.get(f"/clients/{client_id}")
    said = [(it["path"], it["status"], it["client_id"]) for it in lines if it["event"] == "request_answered"]
    of_client = "/api/v1/clients/{client_id}"
    assert (of_client, 200, client_id) in said
    assert (of_client, 404, None) in said
    assert (f"{of_client}/suspend", 422, None) in said
    assert ("/clients/{client_id}", 200, client_id) in said
    assert name not in str(lines)


async def test_what_is_turned_away_before_its_route_is_looked_for_has_the_route_too() -> None:
    """Nobody of ours, a body that is no JSON, and more than a token may ask."""
    away = AppOf({"shop": Caller("shop", Role.VIEWER)}, AdmissionLimits(per_second=0.001))
    path, transport = "/api/v1/clients/Jane%20Doe/suspend", httpx2.ASGITransport(app=away.app)
    with capture_logs() as lines:
        async with (
            away.calling("shop") as shop,
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as stranger,
        ):
            await stranger.post(path)
            await stranger.get("/clients/Jane%20Doe/planned/a/b/cancel")
            await stranger.get("/clients/Jane%20Doe/no/such/page")
            await shop.post(path, content=b"text", headers={"Content-Type": "text/plain"})
            await shop.get("/api/v1/clients/Jane%20Doe")
            await shop.get("/api/v1/clients/Jane%20Doe")
    written = [(it["path"], it["status"]) for it in lines if it["event"] == "request_answered"]
    of_client = "/api/v1/clients/{client_id}"
    assert written == [
        (f"{of_client}/suspend", 401),
        ("/clients/{client_id}/planned/{change:path}/cancel", 401),
        ("…", 401),
        (f"{of_client}/suspend", 415),
        (of_client, 404),
        (of_client, 429),
    ]
    assert "Jane" not in str(lines)


async def test_each_request_has_an_id_in_the_log_and_in_its_answer_that_says_nothing_but_itself() -> None:
    bad = ["", "two words", "x" * 101, "forged=1\tline", "é"]
    with capture_logs() as lines:
        async with asking(AccessLog(closed)) as one:
            named = await one.get("/mine", headers={HEADER: "a1b2-c3:d4/e5"})
            replaced = [await one.get("/mine", headers={HEADER.encode(): text.encode()}) for text in bad]
    answered = [answer.headers[HEADER] for answer in (named, *replaced)]
    assert [line["request_id"] for line in lines] == answered
    assert answered[0] == "a1b2-c3:d4/e5"
    assert len({*answered, *bad}) == len(answered) + len(bad)


async def test_kinds_without_end_are_one_kind() -> None:
    summaries: list[tuple[int | None, int]] = []
    repeats = Repeats[int](lambda kind, times: summaries.append((kind, times)), window=0.5)
    assert sum(repeats.few(kind) for kind in range(2 * KINDS)) == KINDS + FEW
    await eventually(lambda: summaries == [(None, KINDS - FEW)])
