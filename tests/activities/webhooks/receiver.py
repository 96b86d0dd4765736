"""A receiver of webhooks, as somebody else would write it: it verifies with the library of Standard Webhooks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

Answer = Callable[[int], int | None]
"""What is answered to a request, by its number from 0: a status; None: nothing, ever; or one of these."""

CUT, TWICE, SILENT = -1, -2, -3
"""It takes the event, and the connection is cut before its answer; it answers 200 and, at once, 500; it takes the event
and never says so."""


@dataclass
class Receiver:
    """``taken`` are the events that it answered 200, ``refused`` the statuses of other answers."""

    port: int = 0
    secret: str = ""
    answer: Answer = lambda number: 200
    requests: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    hanging: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def seqs(self) -> list[int]:
        return [event["data"]["seq"] for event in self.taken]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            number, self.requests = self.requests, self.requests + 1
            status = self.answer(number)
            if status is None:
                self.hanging += 1
                await reader.read()  # until the sender gives up
                return
            if status in (200, CUT, TWICE, SILENT):
                taken = self._take(headers, body)
                if status == SILENT:
                    self.hanging += 1
                    await reader.read()
                    return
                if status == CUT:
                    return
                again = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n" if status == TWICE else ""
                status = taken
            else:
                again = ""
            more = f"Location: {self.url}\r\n" if 300 <= status < 400 else ""
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{more}Connection: close\r\n\r\n{again}".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        try:
            event: dict[str, Any] = Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return 401
        assert headers["content-type"] == "application/cloudevents+json"
        assert headers["host"] == f"127.0.0.1:{self.port}"
        self.taken.append(event)
        self.ids.append(headers["webhook-id"])
        self.signatures.append(len(headers["webhook-signature"].split()))
        return 200


@asynccontextmanager
async def receiving(answer: Answer = lambda number: 200) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer=answer)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver
