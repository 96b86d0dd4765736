"""Waiting for what happens by itself, and free ports: the only place in the tests that sleeps."""

import asyncio
import inspect
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_handed_out: set[int] = set()


async def eventually(
    condition: Callable[[], T | Awaitable[T]], within: float = 10.0, every: float = 0.02, why: str = ""
) -> T:
    """Ask until the answer is true, and return it. AssertionErrors meanwhile mean "not yet"; the last one is raised.

    ``within`` and ``every`` are seconds. The condition may be a coroutine function.
    """
    end = time.monotonic() + within
    while True:
        complaint: AssertionError | None = None
        try:
            answer = condition()
            value: T = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
        except AssertionError as e:
            complaint = e
        if time.monotonic() > end:
            raise complaint or AssertionError(f"not within {within:g} s{': ' if why else ''}{why}")
        await asyncio.sleep(every)


def free_port() -> int:
    """A TCP port on loopback that nobody uses now, and that was not handed out before."""
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port: int = s.getsockname()[1]
        if port not in _handed_out:
            _handed_out.add(port)
            return port
