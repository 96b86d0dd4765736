"""Waiting for what happens by itself, and free ports: the only place in the tests that sleeps.

The one limit of time ends what hangs, and claims nothing of how fast anything is: a machine may be busy.
"""

import asyncio
import inspect
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

from starter.local.ports import free_port as free_port
from starter.local.ports import is_free

T = TypeVar("T")
NOTHING = object()
HANGING = 120.0  # seconds, after which nobody believes that it will still happen


def unless_it_hangs() -> asyncio.Timeout:
    """A block that ends with a TimeoutError, if it hangs."""
    return asyncio.timeout(HANGING)


@overload
async def eventually(
    condition: Callable[[], Coroutine[Any, Any, T]],
    within: float = ...,
    every: float = ...,
    why: str = ...,
    equal: object = ...,
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T],
    within: float = ...,
    every: float = ...,
    why: str = ...,
    equal: object = ...,
) -> T: ...
async def eventually(
    condition: Callable[[], Any],
    within: float = HANGING,
    every: float = 0.02,
    why: str = "",
    equal: object = NOTHING,
) -> Any:
    """Ask until the answer is true, or ``equal`` to what is given, and return it. AssertionErrors meanwhile mean "not
    yet"; the last one is the cause of what is raised in the end.

    ``within`` and ``every`` are seconds. The condition may be a coroutine function.
    """
    end = time.monotonic() + within
    while True:
        complaint: AssertionError | None = None
        try:
            answer = condition()
            value = await answer if inspect.isawaitable(answer) else answer
            if value == equal if equal is not NOTHING else value:
                return value
            complaint = AssertionError(f"still {value!r}")
        except AssertionError as e:
            complaint = e
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s{': ' if why else ''}{why}") from complaint
        await asyncio.sleep(every)


def free_udp_port() -> int:
    """A port of loopback that nobody has for UDP, nor the one after it."""
    while True:
        port = free_port()
        if is_free(port, socket.SOCK_DGRAM) and is_free(port + 1, socket.SOCK_DGRAM):
            return port
