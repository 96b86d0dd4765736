"""The event loop of our processes: uvloop's where there is one (not on Windows), which costs less than asyncio's."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

try:
    import uvloop
except ImportError:
    NEW: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    NEW = uvloop.new_event_loop

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``."""
    with asyncio.Runner(loop_factory=NEW) as runner:
        return runner.run(main)
