"""Claims about requests that a server which stops does not finish in time."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
import uvicorn
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from starter.web.http_server import Server
from starter.web.stopping import Stopping
from tests.support.service import running
from tests.support.waiting import eventually, free_port, http_client


class NeverDone:
    """An app that answers nothing, or begins to and does not end."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        if scope["path"] == "/stream":
            await StreamingResponse(self._stream())(scope, receive, send)
        await asyncio.Event().wait()

    async def _stream(self) -> AsyncIterator[str]:
        yield "begun"
        await asyncio.Event().wait()


async def stopped_meanwhile(path: str, **headers: str) -> httpx2.Response:
    """What a caller of a server is answered that stops, and waits for nobody."""
    app = NeverDone()
    config = uvicorn.Config(
        Stopping(app), port=free_port(), lifespan="off", log_config=None, timeout_graceful_shutdown=0
    )
    async with http_client() as caller:
        async with running(Server(config)) as url:
            asking = asyncio.create_task(caller.get(f"{url}{path}", headers=headers))
            await eventually(lambda: app.asked)
        return await asking


async def test_a_program_is_told_to_repeat_its_request() -> None:
    answer = await stopped_meanwhile("/api/v1/clients")
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"]
    assert "repeat the request, with the same Idempotency-Key" in answer.json()["detail"]


async def test_a_person_is_told_on_a_page() -> None:
    answer = await stopped_meanwhile("/clients", Accept="text/html")
    assert answer.status_code == 503
    assert "<h1>Connect is stopping</h1>" in answer.text


async def test_an_answer_that_has_begun_is_cut_and_not_taken_for_whole() -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await stopped_meanwhile("/stream")
