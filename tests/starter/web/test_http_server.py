"""Callers that keep us waiting: half a request, half a body, an answer nobody reads, and more than we have room for."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx2
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from temporalio.client import Client

from activities.settings import Settings
from starter.web.http_server import HttpLimits, Server
from starter.web.repeats import FEW, count_repeats
from tests.support.serve import process
from tests.support.service import running
from tests.support.waiting import HANGING, eventually, free_port, http_client

HALF = b"GET / HTTP/1.1\r\nHost: connect\r\nX-Slow: "
SHORT = HttpLimits(headers=0.5, body=0.5, reader=0.5)
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class App:
    """An app that works for as long as the test likes, streams, says much, or echoes a body."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.streaming = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await (await self.answer(Request(scope, receive)))(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        match request.url.path:
            case "/work":  # and reads no body, as a handler may
                await self.go_on.wait()
                return PlainTextResponse("done")
            case "/stream":
                return StreamingResponse(self._stream())
            case "/much":
                return PlainTextResponse("x" * 20_000_000)
            case "/echo":
                return PlainTextResponse(await request.body())
            case "/headers":
                await request.body()
                return PlainTextResponse(repr(request.headers.items()))
        return PlainTextResponse("here")

    async def _stream(self) -> AsyncIterator[str]:
        self.streaming += 1
        try:
            yield "begun\n"
            await self.go_on.wait()
            yield "done\n"
        finally:
            self.streaming -= 1


@asynccontextmanager
async def served(limits: HttpLimits) -> AsyncIterator[tuple[App, Server, httpx2.AsyncClient]]:
    app = App()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=free_port(), lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = Server(config, limits=limits)
    async with running(server) as url, http_client(base_url=url) as caller:
        yield app, server, caller


async def sent(server: Server, data: bytes, stack: AsyncExitStack) -> Pair:
    """A connection on which this was sent, and nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
    stack.callback(writer.close)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def the_end(pair: Pair) -> bytes:
    """What comes until the server closes the connection."""
    try:
        return await asyncio.wait_for(pair[0].read(), HANGING)
    except ConnectionResetError:
        return b"reset"


async def test_half_a_request_is_not_waited_for_however_slowly_it_goes_on() -> None:
    async with served(SHORT) as (_, server, _), AsyncExitStack() as stack:
        silent, half = await sent(server, b"", stack), await sent(server, HALF, stack)
        slow = await sent(server, HALF, stack)

        def closed() -> bool:
            slow[1].write(b"x")
            return slow[1].is_closing()

        dripping = asyncio.create_task(eventually(closed, every=0.05))
        for pair in (silent, half, slow):
            await the_end(pair)
        assert await dripping


async def test_half_a_body_is_told_that_it_is_late() -> None:
    async with served(SHORT) as (_, server, _), AsyncExitStack() as stack:
        late = await sent(server, b"POST /echo HTTP/1.1\r\nHost: connect\r\nContent-Length: 9\r\n\r\nhalf", stack)
        head, _, text = (await the_end(late)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert f"Content-Length: {len(text)}".encode() in head
    assert b"did not come in time" in text


async def test_what_we_work_on_is_not_cut() -> None:
    async with served(SHORT) as (app, server, caller), AsyncExitStack() as stack:
        working = asyncio.create_task(caller.post("/work", content="a body that nobody reads"))
        stream = await stack.enter_async_context(caller.stream("GET", "/stream"))
        lines = stream.aiter_lines()
        assert await anext(lines) == "begun"
        for _ in range(3):  # three times as long as a caller is waited for
            await the_end(await sent(server, HALF, stack))
        app.go_on.set()
        assert await anext(lines) == "done"
        assert (await working).text == "done"


class Looking(Server):
    """A server that looks at its connections when it is told to, and may so be late."""

    async def on_tick(self, _: int) -> bool:
        return await super().on_tick(1)


async def test_a_server_with_no_time_to_look_closes_nobody_it_worked_for_meanwhile() -> None:
    config = uvicorn.Config(App(), host="127.0.0.1", port=free_port(), lifespan="off", log_config=None)
    server = Looking(config, limits=HttpLimits(headers=600))
    async with running(server) as url, http_client(base_url=url) as caller:
        assert (await caller.get("/")).text == "here"
        late = time.monotonic() + 601
        server.look(late)
        [connection] = server.server_state.connections
        assert not connection.transport.is_closing(), "since when it is idle nobody knows"
        server.look(late + 599)
        assert not connection.transport.is_closing()
        server.look(late + 601)
        await eventually(lambda: not server.server_state.connections)


async def test_an_idle_connection_outlives_that_of_callers_libraries() -> None:
    assert (httpx2.Limits().keepalive_expiry or 0) < HttpLimits().headers
    async with served(HttpLimits()) as (_, server, _):
        assert server.config.timeout_keep_alive == HttpLimits().headers


async def test_an_answer_that_nobody_reads_is_given_up() -> None:
    async with served(SHORT) as (_, server, caller), AsyncExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.config.port))
        deaf.sendall(b"GET /much HTTP/1.1\r\nHost: connect\r\n\r\n")
        await eventually(lambda: server.server_state.total_requests)
        await eventually(lambda: not server.server_state.connections)
        assert len((await caller.get("/much")).text) == 20_000_000, "who reads has all of it"


async def test_who_kept_us_waiting_longest_makes_room_for_others() -> None:
    patient = HttpLimits(connections=8, headers=600, body=600, reader=600)
    async with served(patient) as (app, server, caller), AsyncExitStack() as stack:
        stream = await stack.enter_async_context(caller.stream("GET", "/stream"))
        await eventually(lambda: app.streaming)
        oldest = await sent(server, HALF, stack)
        await eventually(lambda: len(server.server_state.connections) == 2)
        for _ in range(30):
            await sent(server, HALF, stack)
            async with http_client(base_url=caller.base_url) as another:
                assert (await another.get("/")).text == "here"
        await the_end(oldest)
        assert len(server.server_state.connections) <= 8 + server.config.backlog
        app.go_on.set()
        assert "done" in [line async for line in stream.aiter_lines()]


async def test_when_we_work_for_all_of_them_a_new_one_is_told_so() -> None:
    async with served(HttpLimits(connections=8)) as (app, server, caller):
        most = 8 + server.config.backlog
        working = list[asyncio.Task[httpx2.Response]]()
        while len(working) < most:
            working.append(asyncio.create_task(caller.get("/work")))
            await eventually(lambda: len(server.server_state.tasks) == len(working))
        assert (await caller.get("/")).status_code == 503
        app.go_on.set()
        assert {(await answer).text for answer in working} == {"done"}


async def test_two_hundred_half_sent_requests_with_few_descriptors_keep_nobody_out(
    settings: Settings, temporal: Client
) -> None:
    port, host = free_port(), temporal.service_client.config.target_host
    few = {"CONNECT_HTTP_HEADER_SECONDS": "2"}
    async with process(settings, host, port, few, descriptors=128) as api, AsyncExitStack() as stack:
        log = asyncio.create_task(api.stderr.read()) if api.stderr else None
        url = f"http://127.0.0.1:{port}/readyz"
        await eventually(lambda: ready(url))
        held = []
        for _ in range(200):
            held.append(await asyncio.open_connection("127.0.0.1", port))
            stack.callback(held[-1][1].close)
            held[-1][1].write(HALF)
        for _ in range(20):
            assert await ready(url)
        for pair in held:
            await the_end(pair)
        api.terminate()
        assert log
        lines = [json.loads(line) for line in (await log).splitlines()]
    assert sum(line.get("headers", 0) + line.get("room", 0) for line in lines) >= 200
    assert len(lines) < 100, [line["event"] for line in lines]


async def ready(url: str) -> bool:
    async with http_client() as caller:
        try:
            return (await caller.get(url)).is_success
        except httpx2.ConnectError:  # it does not listen yet
            return False


HEAD = b"GET / HTTP/1.1\r\nHost: connect\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"x" * 70_000,
        HEAD + b"X-Large: " + b"x" * 70_000,
        HEAD + b"X-" + b"x" * 70_000,
        HEAD + b"X-Many: x\r\n" * 7_000,
        HEAD + b"X-Large: " + b"x" * 17_000 + b"\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: connect\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Late: " + b"x" * 70_000,
    ],
    ids=["an address", "a header", "a name", "many headers", "an ended header", "a trailer"],
)
async def test_headers_have_a_largest_size(request_: bytes) -> None:
    async with served(HttpLimits()) as (_, server, caller), AsyncExitStack() as stack:
        refused = await sent(server, request_, stack)
        answered = await the_end(refused)
        assert answered == b"reset" or (
            answered.startswith(b"HTTP/1.1 431 ") and b"larger than 16384 bytes" in answered
        )
        assert (await caller.get("/")).text == "here"


async def test_what_follows_a_body_is_no_header() -> None:
    """A proxy in front sets its headers before, and knows nothing of what comes after."""
    forged = b"X-Forwarded-For: 192.0.2.1\r\nHost: elsewhere\r\nAuthorization: Bearer forged\r\n"
    head = b"POST /headers HTTP/1.1\r\nHost: connect\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with served(HttpLimits()) as (_, server, _), AsyncExitStack() as stack:
        answer = await the_end(await sent(server, head + b"2\r\n{}\r\n0\r\n" + forged + b"\r\n", stack))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert b"'connect'" in answer
    assert not [word for word in (b"192.0.2.1", b"elsewhere", b"forged") if word in answer], answer


async def test_large_headers_are_read_and_bodies_are_none_of_them() -> None:
    async with served(HttpLimits()) as (_, _, caller):
        assert (await caller.get("/", headers={"X-Large": "x" * 15_000})).text == "here"
        assert len((await caller.post("/echo", content=b"x" * 3_000_000)).content) == 3_000_000
        chunks = (bytes([n % 256]) * 1_000 for n in range(300))

        async def slowly() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        assert len((await caller.post("/echo", content=slowly())).content) == 300_000


async def test_a_head_that_comes_in_small_pieces_is_counted_too() -> None:
    async with served(HttpLimits()) as (_, server, _), AsyncExitStack() as stack:
        reader, writer = await sent(server, HEAD + b"X-Slow: ", stack)
        reading = asyncio.create_task(the_end((reader, writer)))
        sent_so_far = 0
        while not reading.done() and sent_so_far < 100_000:
            writer.write(b"x" * 100)
            sent_so_far += 100
            with suppress(ConnectionError):
                await writer.drain()
            await asyncio.wait([reading], timeout=0.001)
        assert (await reading).startswith((b"HTTP/1.1 431 ", b"reset"))
        assert 15_000 < sent_so_far < 100_000


async def test_a_request_that_waits_for_the_one_before_it_is_not_called_late() -> None:
    """Its body is not read before it is its turn."""
    async with served(SHORT) as (app, server, _), AsyncExitStack() as stack:
        first = b"GET /work HTTP/1.1\r\nHost: connect\r\n\r\n"
        second = b"POST /echo HTTP/1.1\r\nHost: connect\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
        pipelined = await sent(server, first + second, stack)
        await eventually(lambda: server.server_state.tasks)
        for _ in range(3):  # three times as long as a caller is waited for
            await the_end(await sent(server, HALF, stack))
        app.go_on.set()
        pipelined[1].write(b"body")
        answered = await the_end(pipelined)
        assert answered.count(b"HTTP/1.1 200 ") == 2
        assert answered.endswith(b"body")


async def test_malformed_requests_are_counted_not_logged_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    count_repeats()
    async with served(HttpLimits()) as (_, server, _), AsyncExitStack() as stack:
        for _ in range(5 * FEW):
            assert b" 400 " in await the_end(await sent(server, b"\0\r\n\r\n", stack))
    lines = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert 0 < len(lines) <= FEW


def test_a_process_has_as_many_descriptors_as_it_may_have() -> None:
    script = (
        "import resource as r; from starter.web.descriptors import raise_limit, room_for_connections as room\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (100, 400)); few = room(); raise_limit()\n"
        "print(*r.getrlimit(r.RLIMIT_NOFILE), few, room())"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True).stdout
    assert output.split() == ["400", "400", "18", "168"]
