"""Claims about the stream of changes, whoever reads it."""

import asyncio

import pytest

from starter.console import live
from starter.directory.watching import Watch


async def test_the_end_of_a_stream_strikes_nobody_who_reads_it_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CALM", 0)

    async def always() -> bool:
        return True

    watch, over = Watch("postgresql://nobody@127.0.0.1:1/none"), asyncio.Event()
    stream = live._stream(watch, "", 1.0, always)
    assert await anext(stream) == "retry: 1000\n\n"
    asyncio.get_running_loop().call_soon(watch.end)
    assert await anext(stream) == "event: changed\ndata:\n\n"
    asyncio.get_running_loop().call_later(1.2, over.set)
    await over.wait()  # the reader is busy; meanwhile the stream's time is over
    assert [message async for message in stream] == []
