"""A way for datagrams that can be cut, between a caller and a server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Relay(asyncio.DatagramProtocol):
    """Passes datagrams to a server and its answers back, unless it is ``cut``. When the server's host says that nobody
    listens, so does the relay: its own port is closed until ``open``."""

    def __init__(self, host: str, port: int) -> None:
        self._target, self._callers = (host, port), dict[Any, asyncio.DatagramTransport]()
        self.cut, self.port = False, 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        here, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", self.port))
        self._here = here
        self.port = here.get_extra_info("sockname")[1]

    def close(self) -> None:
        for transport in (self._here, *self._callers.values()):
            transport.close()
        self._callers.clear()

    @property
    def closed(self) -> bool:
        return self._here.is_closing()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.cut:
            asyncio.get_running_loop().create_task(self._pass_on(data, addr))

    async def _pass_on(self, data: bytes, caller: Any) -> None:
        if caller not in self._callers:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Back(self, caller), remote_addr=self._target
            )
            self._callers[caller] = transport
        self._callers[caller].sendto(data)

    def answered(self, data: bytes, caller: Any) -> None:
        if not (self.cut or self.closed):
            self._here.sendto(data, caller)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay, caller: Any) -> None:
        self._relay, self._caller = relay, caller

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._relay.answered(data, self._caller)

    def error_received(self, exc: Exception) -> None:
        self._relay.close()


@asynccontextmanager
async def relayed(address: str) -> AsyncIterator[Relay]:
    """A relay to ``host:port``."""
    host, _, port = address.rpartition(":")
    relay = Relay(host, int(port))
    await relay.open()
    try:
        yield relay
    finally:
        relay.close()
