"""Waiting for what happens by itself, and free ports: the only place in the tests that sleeps."""

import asyncio
import inspect
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

from starter.local.ports import free_port as free_port
from starter.local.ports import is_free

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Coroutine[Any, Any, T]], within: float = ..., every: float = ..., why: str = ...
) -> T: ...
@overload
async def eventually(condition: Callable[[], T], within: float = ..., every: float = ..., why: str = ...) -> T: ...
async def eventually(condition: Callable[[], Any], within: float = 30.0, every: float = 0.02, why: str = "") -> Any:
    """Ask until the answer is true, and return it. AssertionErrors meanwhile mean "not yet"; the last one is raised.

    ``within`` and ``every`` are seconds. ``within`` ends what hangs, and claims nothing of how fast it is: a machine
    may be busy. The condition may be a coroutine function.
    """
    end = time.monotonic() + within
    while True:
        complaint: AssertionError | None = None
        try:
            answer = condition()
            value = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
        except AssertionError as e:
            complaint = e
        if time.monotonic() > end:
            raise complaint or AssertionError(f"not within {within:g} s{': ' if why else ''}{why}")
        await asyncio.sleep(every)


def free_udp_port() -> int:
    """A port of loopback that nobody has for UDP, nor the one after it."""
    while True:
        port = free_port()
        if is_free(port, socket.SOCK_DGRAM) and is_free(port + 1, socket.SOCK_DGRAM):
            return port
