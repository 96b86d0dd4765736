"""A UDP relay in front of somebody: it may lose what passes, change it, or say something of its own."""

import asyncio
import random
import socket
from collections.abc import Callable, Iterable
from typing import Any, Self

Address = tuple[str, int]
Handling = Callable[[bytes], Iterable[bytes]]
"""What is passed on in place of a datagram: nothing, itself, or others."""


def unchanged(data: bytes) -> Iterable[bytes]:
    return (data,)


class Relay(asyncio.DatagramProtocol):
    """Listens at ``here`` and passes on to ``target``, each client from a socket of its own; answers go back.

    Requests go through ``request`` and answers through ``answer``. ``loses`` is the part of both that gets lost.
    """

    def __init__(
        self,
        target: Address,
        here: Address = ("127.0.0.1", 0),
        request: Handling = unchanged,
        answer: Handling = unchanged,
        seed: int = 0,
    ) -> None:
        self.target, self.here, self.request, self.answer = target, here, request, answer
        self.loses, self.seen = 0.0, 0
        self._chance, self._behind = random.Random(seed), dict[Address, socket.socket]()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._transport, _ = await self._loop.create_datagram_endpoint(lambda: self, local_addr=self.here)
        self.port: int = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        for behind in self._behind.values():
            self._loop.remove_reader(behind)
            behind.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.seen += 1
        behind = self._behind.get(addr) or self._new(addr)
        for it in self._not_lost(self.request(data)):
            behind.sendto(it, self.target)

    @property
    def clients(self) -> list[Address]:
        """Who has asked."""
        return [*self._behind]

    def _new(self, addr: Address) -> socket.socket:
        behind = self._behind[addr] = socket.socket(type=socket.SOCK_DGRAM)
        behind.bind((self.here[0], 0))
        behind.setblocking(False)
        self._loop.add_reader(behind, self._answered, behind, addr)
        return behind

    def _answered(self, behind: socket.socket, addr: Address) -> None:
        try:
            data = behind.recv(4096)
        except OSError:  # nobody listens there
            return
        for it in self._not_lost(self.answer(data)):
            self._transport.sendto(it, addr)

    def _not_lost(self, datagrams: Iterable[bytes]) -> Iterable[bytes]:
        return [it for it in datagrams if self._chance.random() >= self.loses]
