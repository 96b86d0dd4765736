"""Events of the whole service: what a reader of pages, a waiting one, and one of a stream are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from starter.api import events
from starter.app import create_app
from starter.directory.watching import EVENTS
from starter.web.admission import AdmissionLimits
from tests.support.service import SITE, TOKEN, Service, calling, number, serving, unique
from tests.support.waiting import HANGING, eventually, unless_it_hangs


async def newest(api: httpx2.AsyncClient) -> int:
    """The number of the newest event."""
    return int((await events_page(api))["last"])


async def events_page(
    api: httpx2.AsyncClient, headers: dict[str, str] | None = None, **query: str | int
) -> dict[str, Any]:
    answer = await api.get("/events", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def settled(api: httpx2.AsyncClient, client_id: str, after: int = 0) -> list[dict[str, Any]]:
    """The events of a client, as soon as a proof says that all is settled."""

    async def found() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await events_page(api, client=client_id, after=after))["items"]
        assert items
        assert (items[-1]["kind"], items[-1]["settled"]) == ("proven", True)
        return items

    return await eventually(found)


async def test_a_suspension_is_requested_effective_and_proven_by_each_system(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client = await service.create(internet={"down_mbps": 100, "up_mbps": 20})
    client_id = client["client_id"]
    before = await settled(api, client_id)
    assert [event["command"] for event in before[:3]] == ["create", "create", "activate"]
    key = unique("inv")
    named = {"Idempotency-Key": key, "X-Request-ID": "billing-run-7", "Prefer": "wait=60"}
    body = {"source": "billing", "reason": "unpaid"}
    answer = await api.post(f"/clients/{client_id}/suspend", json=body, headers=named)
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (200, "billing-run-7")
    events = await settled(api, client_id, before[-1]["seq"])
    assert [event["kind"] for event in events] == ["requested", "effective", "proven", "proven"]
    requested, effective, *proofs = events
    for event in (requested, effective):
        assert (event["command"], event["command_id"], event["by"], event["source"]) == (
            "suspend",
            key,
            "api",
            "billing",
        )
    assert {(event["command_id"], event["request_id"]) for event in events} == {(key, "billing-run-7")}
    assert effective["status"] == "suspended"
    assert [system for event in proofs for system in event["systems"]] in (
        ["telephony", "internet"], ["internet", "telephony"],
    )  # fmt: skip
    assert {event["revision"] for event in events} == {effective["revision"]}
    assert [event["settled"] for event in events] == [False, False, False, True]
    assert {event["billable_from"] for event in events} == {before[-1]["billable_from"]} != {None}
    assert "unpaid" not in json.dumps(events)


async def test_each_event_names_the_request_that_it_follows_from(service: Service, api: httpx2.AsyncClient) -> None:
    new = {"name": unique("Named"), "type": "residential", "site": SITE, "lines": [{"number": number(), "office": "1"}]}
    made = await api.post("/clients", json=new, headers={"X-Request-ID": "order-1"})
    client_id = made.json()["client_id"]
    before = await settled(api, client_id)
    assert {event["request_id"] for event in before} == {"order-1"}
    again = {"Idempotency-Key": unique("key")}
    sent = [await api.post(f"/clients/{client_id}/suspend", json={}, headers=again) for _ in range(2)]
    first, second = (answer.headers["X-Request-ID"] for answer in sent)
    assert first != second, "whoever names none is given one"
    assert {event["request_id"] for event in await settled(api, client_id, before[-1]["seq"])} == {first}
    last = await newest(api)
    refused = await api.post(f"/clients/{client_id}/activate", json={}, headers={"X-Request-ID": "wrong-1"})
    assert refused.status_code == 409
    (failed,) = (await events_page(api, client=client_id, after=last, wait=60))["items"]
    assert (failed["kind"], failed["request_id"]) == ("failed", "wrong-1")


async def test_a_reader_waits_for_the_next_event_and_hears_of_it(service: Service, api: httpx2.AsyncClient) -> None:
    client_id = (await service.create())["client_id"]
    last = (await settled(api, client_id))[-1]["seq"]
    waiting = asyncio.create_task(events_page(api, {"Prefer": "wait=60"}, client=client_id, after=last))
    reader = asyncio.create_task(events_page(api, client=client_id, after=last, kind="effective", wait=60))
    for _ in range(3):  # others are answered meanwhile
        assert (await events_page(api, client=client_id, after=last))["items"] == []
    assert not waiting.done()
    assert not reader.done()
    await service.post(client_id, "suspend", wait=0)
    async with unless_it_hangs():
        assert (await waiting)["items"][0]["kind"] == "requested"
        assert [event["kind"] for event in (await reader)["items"]] == ["effective"]


async def test_who_waits_in_vain_is_told_where_to_go_on(service: Service, api: httpx2.AsyncClient) -> None:
    page = await events_page(api, client="nobody-here", wait=1)
    assert (page["items"], page["next"]) == ([], page["last"])


@asynccontextmanager
async def streaming(
    api: httpx2.AsyncClient, last: int, **query: str | int
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The events of a stream that goes on after a number."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
    async with api.stream("GET", "/events", params=query, headers=headers, timeout=HANGING) as answer:
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        yield _events_of(answer)


async def _events_of(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "data":
            event = json.loads(value)
            assert (fields["id"], fields["event"]) == (str(event["seq"]), event["kind"])
            yield event
        fields[name] = value


async def test_a_stream_goes_on_after_the_last_event_that_was_read(service: Service, api: httpx2.AsyncClient) -> None:
    client_id = (await service.create())["client_id"]
    events = await settled(api, client_id)
    async with unless_it_hangs(), streaming(api, events[0]["seq"], client=client_id, after=10**9) as stream:
        for event in events[1:]:
            assert await anext(stream) == event
        await service.post(client_id, "suspend", wait=0)
        assert (await anext(stream))["command"] == "suspend"


async def test_what_is_wrong_with_a_request_is_said_before_a_stream_begins(
    service: Service, api: httpx2.AsyncClient
) -> None:
    last = await newest(api)
    for headers in ({}, {"Accept": "text/event-stream"}):
        beyond = await api.get("/events", params={"after": last + 10**6}, headers=headers)
        assert (beyond.status_code, beyond.json()["field"]) == (422, "after")
    wrong = await api.get("/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "x"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "Last-Event-ID")


async def test_who_asks_for_events_that_are_gone_is_told_what_to_do(service: Service, api: httpx2.AsyncClient) -> None:
    await settled(api, (await service.create())["client_id"])
    async with service.directory() as connection:
        await connection.execute("UPDATE event_log SET forgotten = 1")
        try:
            gone = await api.get("/events", params={"after": 0})
            assert (gone.status_code, gone.json()["title"]) == (410, "Events forgotten")
            assert "leave after out" in gone.json()["detail"]
            assert (await events_page(api, limit=1))["items"][0]["seq"] == 2
        finally:
            await connection.execute("UPDATE event_log SET forgotten = 0")


async def test_a_caller_of_some_sites_sees_the_events_of_their_clients_alone(
    service: Service, api: httpx2.AsyncClient
) -> None:
    site, other = await service.site(), await service.site()
    mine = (await service.create(site=site))["client_id"]
    theirs = (await service.create(site=other))["client_id"]
    await settled(api, theirs)
    after = (await settled(api, mine))[0]["seq"] - 1
    made = await api.post("/tokens", json={"name": unique("crm"), "role": "viewer", "sites": [site]})
    assert made.status_code == 201, made.text
    async with calling(service.url, made.json()["token"]) as limited:
        assert {event["client_id"] for event in (await events_page(limited))["items"]} == {mine}
        for query in ({"client": theirs}, {"site": other}):
            assert (await events_page(limited, **query))["items"] == []
        async with unless_it_hangs(), streaming(limited, after) as stream:
            assert (await anext(stream))["client_id"] == mine


async def test_a_stream_ends_with_the_token_that_began_it(service: Service, api: httpx2.AsyncClient) -> None:
    client_id = (await service.create())["client_id"]
    last = (await settled(api, client_id))[-1]["seq"]
    made = (await api.post("/tokens", json={"name": unique("crm"), "role": "viewer"})).json()
    async with (
        calling(service.url, made["token"]) as viewer,
        unless_it_hangs(),
        streaming(viewer, last - 1, client=client_id) as stream,
    ):
        assert (await anext(stream))["seq"] == last
        await api.delete(f"/tokens/{made['token_id']}")
        await service.post(client_id, "suspend", wait=0)
        assert [event async for event in stream] == []


async def test_who_waits_for_an_event_with_a_token_that_is_revoked_meanwhile_is_told_nothing(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client_id = (await service.create())["client_id"]
    last = (await settled(api, client_id))[-1]["seq"]
    made = (await api.post("/tokens", json={"name": unique("crm"), "role": "viewer"})).json()
    app = create_app(service.clients, TOKEN)
    async with serving(app) as url, calling(url, made["token"]) as viewer, calling(url) as admin, unless_it_hangs():
        query = {"client": client_id, "after": last, "wait": 60}
        waiting = asyncio.create_task(viewer.get("/events", params=query, timeout=HANGING))

        async def waits() -> bool:
            return bool(service.clients.watch._watchers.get(EVENTS))

        await eventually(waits)
        await admin.delete(f"/tokens/{made['token_id']}")
        await service.post(client_id, "suspend", wait=0)
        answer = await waiting
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["detail"] == "The token is no longer valid. Send another."
    assert client_id not in answer.text


async def test_a_stream_says_how_far_it_has_read_when_there_is_nothing_for_its_filter(
    service: Service, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an id without an event, which its reader keeps: who comes back a year later than the last event that was for
    him is not refused for events that were not, and have been forgotten."""
    monkeypatch.setattr(events, "SIGN_OF_LIFE", 0.05)
    last = (await settled(api, (await service.create())["client_id"]))[-1]["seq"]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last - 1)}
    query = {"client": "nobody-here"}
    async with unless_it_hangs(), api.stream("GET", "/events", params=query, headers=headers, timeout=HANGING) as found:
        lines = found.aiter_lines()
        assert [await anext(lines) for _ in range(3)] == ["retry: 1000", "", ": still here"]
        name, _, read = (await anext(lines)).partition(": ")
    assert (name, int(read) >= last) == ("id", True)


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("TEXT/Event-Stream", True),
        ("application/json;q=0.5, text/event-stream", True),
        ("application/json, text/event-stream;q=0", False),
        ("text/*", False),
        ('application/json;of="text/event-stream"', False),
    ],
)
async def test_who_says_so_is_sent_a_stream_and_nobody_else(
    api: httpx2.AsyncClient, accept: str, streams: bool
) -> None:
    async with api.stream("GET", "/events", headers={"Accept": accept}, timeout=HANGING) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream" if streams else "application/json")


async def test_who_waits_for_events_takes_no_place_of_who_works_and_more_than_may_wait_are_answered_at_once(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client_id = (await service.create())["client_id"]
    last = (await settled(api, client_id))[-1]["seq"]
    limits = AdmissionLimits(working=2, waiting=2, per_second=0)
    async with serving(create_app(service.clients, TOKEN, limits=limits)) as url, calling(url) as other:
        async with streaming(other, last, client=client_id) as first, streaming(other, last, client=client_id):
            answer = await other.get(
                "/events", params={"client": client_id, "after": last}, headers={"Prefer": "wait=60"}
            )
            assert (answer.json()["items"], answer.headers.get("Preference-Applied")) == ([], None)
            async with unless_it_hangs(), streaming(other, last - 1, client=client_id) as third:
                assert [event["seq"] async for event in third] == [last], "what there is, and then it ends"
            await service.post(client_id, "suspend", wait=0)
            async with unless_it_hangs():
                assert (await anext(first))["command"] == "suspend"

        async def ended() -> bool:
            answer = await other.get("/events", params={"after": last}, headers={"Prefer": "wait=1"})
            return "Preference-Applied" in answer.headers

        await eventually(ended)


async def test_a_stream_goes_on_after_a_number_alone(api: httpx2.AsyncClient) -> None:
    for number_sent in (str(2**53 + 1), str(2**63 - 1), str(2**63), "9" * 20, "-1", "1e3", "none"):
        headers = {"Accept": "text/event-stream", "Last-Event-ID": number_sent}
        answer = await api.get("/events", headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (422, "Last-Event-ID"), number_sent
