"""Waiting for what happens by itself, and free ports: the only place in the tests that sleeps.

The one limit of time ends what hangs, and claims nothing of how fast anything is: a machine may be busy.
"""

import asyncio
import inspect
import os
import random
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, TypeVar, overload

import httpx2

from starter.local.ports import FREE, is_free

T = TypeVar("T")
NOTHING = object()
LONGEST_PAUSE = 0.15  # seconds between two questions to a server, unless a test says otherwise
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
    yet"; the last one is the cause of what is raised in the end, and said in it.

    ``within`` and ``every`` are seconds. The condition may be a coroutine function: it asks a server, and its pauses
    grow, so that those who wait leave the machine to those who work.
    """
    end = time.monotonic() + within
    while True:
        complaint: AssertionError | None = None
        try:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
                every = max(every, min(1.3 * every, LONGEST_PAUSE))
            if value == equal if equal is not NOTHING else value:
                return value
            complaint = AssertionError(f"still {value!r}")
        except AssertionError as e:
            complaint = e
        if time.monotonic() > end:
            still = "; ".join(filter(None, (why, str(complaint)[:300])))
            raise AssertionError(f"not within {within:g} s: {still}") from complaint
        await asyncio.sleep(every)


def http_client(**options: Any) -> httpx2.AsyncClient:
    """A caller that a busy machine may keep waiting, and who asks no proxy."""
    return httpx2.AsyncClient(trust_env=False, timeout=HANGING, verify=_trusted(), **options)


@cache
def _trusted() -> ssl.SSLContext:
    """Whom every browser trusts. Reading their certificates takes as long as a test: it is done once."""
    return httpx2.create_ssl_context(trust_env=False)


PROCESSES = 8  # of pytest-xdist, at most (Makefile)
_taken_ports = set[int]()


def free_port() -> int:
    """A port of loopback that is free. From asking to listening it belongs to whom it was given: each process of
    pytest-xdist gives ports of its own, and none of them twice."""
    while True:
        port = random.choice(_own())
        if port not in _taken_ports and is_free(port):
            _taken_ports.add(port)
            return port


def free_udp_port() -> int:
    """A port of loopback that nobody has for UDP, nor the one after it."""
    while True:
        port = free_port()
        if port + 1 not in _taken_ports and all(is_free(it, socket.SOCK_DGRAM) for it in (port, port + 1)):
            _taken_ports.add(port + 1)
            return port


def _own() -> range:
    process = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if not process:
        return FREE
    each = len(FREE) // PROCESSES
    return FREE[int(process) % PROCESSES * each :][:each]
