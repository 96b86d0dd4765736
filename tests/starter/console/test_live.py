"""Claims about the stream of changes, whoever reads it."""

import asyncio

from starter.console.live import _stream
from starter.directory.watching import Watch


async def test_the_end_of_a_stream_strikes_nobody_who_reads_it_slowly() -> None:
    async def always() -> bool:
        return True

    watch, over = Watch("postgresql://nobody@127.0.0.1:1/none"), asyncio.Event()
    stream = _stream(watch, "", 0.4, always)
    assert await anext(stream) == "retry: 1000\n\n"
    asyncio.get_running_loop().call_soon(watch.end)
    assert await anext(stream) == "event: changed\ndata:\n\n"
    asyncio.get_running_loop().call_later(0.6, over.set)
    await over.wait()  # the reader is busy; meanwhile the stream's time is over
    assert [message async for message in stream] == []
