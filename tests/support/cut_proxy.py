"""A TCP proxy that misbehaves on command, between our service and a database."""

import asyncio
import socket
import struct
from enum import Enum, auto
from typing import Self


class Mode(Enum):
    """What happens to what passes."""

    PASS = auto()
    HANG = auto()  # calls are taken, nothing is forwarded
    LOSE_ANSWERS = auto()  # requests go through, answers vanish


class CutProxy:
    """Forwards to ``target``. ``connections`` counts the calls taken."""

    def __init__(self, host: str, port: int) -> None:
        self.target, self.mode, self.connections = (host, port), Mode.PASS, 0
        self._trigger: bytes | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._awake = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lose_after(self, marker: bytes) -> None:
        """Lose every answer from the moment these bytes are sent: did it happen or not?"""
        self._trigger = marker

    def hang(self) -> None:
        """Take calls and data, and say nothing."""
        self.mode = Mode.HANG
        self._awake.clear()

    def recover(self) -> None:
        """Cut what hangs and pass everything from now on."""
        self.cut()
        self.mode = Mode.PASS
        self._awake.set()

    def cut(self) -> None:
        """Reset every connection there is."""
        for writer in list(self._writers):
            raw = writer.get_extra_info("socket")
            if raw is not None:  # linger 0: RST instead of FIN
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            answers, requests = await asyncio.open_connection(*self.target)
            self._writers.add(requests)
            pumps = [
                asyncio.create_task(self._pump(reader, requests, answers=False)),
                asyncio.create_task(self._pump(answers, writer, answers=True)),
            ]
            self._tasks.update(pumps)
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            requests.transport.abort()
            self._writers.discard(requests)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            while data := await reader.read(65536):
                if not answers and self._trigger and self._trigger in data:
                    self.mode, self._trigger = Mode.LOSE_ANSWERS, None
                if self.mode is Mode.HANG:
                    await self._awake.wait()
                if not (answers and self.mode is Mode.LOSE_ANSWERS):
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            return
