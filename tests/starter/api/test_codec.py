"""The codec endpoint of Temporal's UI and program: admins read payloads in the clear, and nothing makes it fail."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send
from temporalio.api.common.v1 import Payloads

from starter.api.codec import decode
from starter.console.auth.sessions import COOKIE, Sessions
from starter.local.ui_proxy import UiProxy
from tests.starter.test_encryption import without_keys
from tests.support.service import HOME, TOKEN, Service
from tests.support.waiting import http_client

BEARER = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content-Type": "application/json"}


async def started(service: Service, client_id: str) -> dict[str, Any]:
    """What a client's workflow was started with, as the UI sends it to be decoded."""
    events = service.temporal.get_workflow_handle(f"client-{client_id}").fetch_history_events()
    first = await anext(events)
    payloads = first.workflow_execution_started_event_attributes.input.payloads
    found: dict[str, Any] = MessageToDict(Payloads(payloads=payloads))
    return found


def text_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return "".join(base64.b64decode(payload.get("data", "")).decode() for payload in answer.json()["payloads"])


async def post(service: Service, body: object, verb: str = "decode", **headers: str) -> httpx2.Response:
    async with http_client() as caller:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await caller.post(f"{service.url}/codec/{verb}", content=content, headers=JSON | (headers or BEARER))


async def test_an_admin_reads_what_others_cannot(service: Service) -> None:
    client_id: str = (await service.create("Okapi Ltd"))["client_id"]
    sent = await started(service, client_id)
    assert "Okapi" in text_of(await post(service, sent))
    assert (await post(service, sent, "encode")).json() == sent
    for verb in ("decode", "encode"):
        stranger = await post(service, sent, verb, Accept="application/json")
        assert (stranger.status_code, "Okapi" in stranger.text) == (401, False)


async def test_what_cannot_be_read_is_answered_as_it_came(service: Service) -> None:
    one, two = [(await service.create())["client_id"] for _ in range(2)]
    good = (await started(service, one))["payloads"][0]
    moved = {**good, "metadata": {**good["metadata"], "encryption-key-id": base64.b64encode(two.encode()).decode()}}
    garbage = [
        {**good, "data": "AAAA"},
        {"metadata": {"encoding": good["metadata"]["encoding"]}},
        moved,
        {"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": base64.b64encode(b"1").decode()},
    ]
    answer = await post(service, {"payloads": [*garbage, good]})
    assert answer.json()["payloads"][:4] == garbage
    assert answer.json()["payloads"][4] != good
    async with without_keys(service):
        assert (await post(service, {"payloads": [good]})).json() == {"payloads": [good]}


@pytest.mark.parametrize("body", [b"", b"\xff", b'{"payloads": 1}', b'{"payloads": [{"data": "\xc3"}]}', b"[" * 9999])
async def test_what_is_no_list_of_payloads_is_refused(service: Service, body: bytes) -> None:
    assert (await post(service, body)).status_code == 422


async def test_nobody_waits_while_many_payloads_are_read(service: Service) -> None:
    body, turns = b'{"payloads": [' + b"{}, " * 20_000 + b"{}]}", 0

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    answer = await decode(Request({"type": "http", "method": "POST", "headers": []}, receive), service.clients)
    waiting.cancel()
    assert (len(json.loads(bytes(answer.body))["payloads"]), turns > 10) == (20_001, True)


async def test_payloads_are_sent_as_json(service: Service) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        sent = await post(service, {"payloads": []}, **BEARER, **{"Content-Type": kind})
        assert sent.status_code == 415


class Behind:
    """The proxy in front of the UI, at the UI's own address."""

    def __init__(self, api: str) -> None:
        self.proxy = UiProxy("127.0.0.1:1", "", api)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.proxy({**scope, "raw_path": scope["path"].encode()}, receive, send)

    async def close(self) -> None:
        await self.proxy._transport.aclose()


@pytest_asyncio.fixture
async def ui(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser that is signed in to the console, on a page of the UI."""
    cookie = await Sessions(service.clients.directory.database, TOKEN).begin("api", HOME)
    behind = Behind(service.url.removeprefix("http://"))
    transport = httpx2.ASGITransport(behind)
    own = {"Cookie": f"{COOKIE}={cookie}", "Origin": "http://127.0.0.1:8233", "Sec-Fetch-Site": "same-origin"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8233", headers=own) as browser:
        yield browser
    await behind.close()


async def test_the_ui_asks_through_its_own_address_for_who_is_signed_in(
    service: Service, ui: httpx2.AsyncClient
) -> None:
    client_id: str = (await service.create("Okapi Ltd"))["client_id"]
    sent = await started(service, client_id)
    assert "Okapi" in text_of(await ui.post("/codec/decode", json=sent))
    for headers, status in (
        ({"Cookie": ""}, 401),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 421),
    ):
        answer = await ui.post("/codec/decode", json=sent, headers=headers)
        assert (answer.status_code, "Okapi" in answer.text) == (status, False), headers
