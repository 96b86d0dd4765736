"""TLS in front of a server that has none, as a deployment's PostgreSQL or Temporal speaks it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.certificates import HERE

SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # PostgreSQL manual, "SSLRequest": asked in the clear, answered S


@asynccontextmanager
async def tls_in_front(
    target: tuple[str, int], context: ssl.SSLContext, *, starttls: bool = False
) -> AsyncIterator[int]:
    """The port where ``target`` is reached by TLS alone: at once, or after it was asked for, as PostgreSQL wants it."""
    relays = set[asyncio.Task[None]]()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        relays.add(task)
        task.add_done_callback(relays.discard)
        with suppress(
            OSError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):  # or asyncio complains of a test's end
            await _relay(reader, writer)
        writer.transport.abort()

    async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if starttls:
            assert await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST
            writer.write(b"S")
            await writer.start_tls(context)
        answers, requests = await asyncio.open_connection(*target)
        pumps = [asyncio.create_task(_pump(*pair)) for pair in ((reader, requests), (answers, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            requests.transport.abort()

    server = await asyncio.start_server(relay, HERE, 0, ssl=None if starttls else context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in relays:
            task.cancel()
        await asyncio.gather(*relays, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
