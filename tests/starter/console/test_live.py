"""Claims about the stream of changes, whoever reads it."""

import asyncio

import pytest

from starter.console import live
from starter.directory.watching import Watch
from tests.support.waiting import eventually


async def test_the_end_of_a_stream_strikes_nobody_who_reads_it_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CALM", 0)

    async def always(*_: set[str]) -> bool:
        return True

    watch, over = Watch("postgresql://nobody@127.0.0.1:1/none"), asyncio.Event()
    stream = live._stream(watch, "", 1.0, always, always)
    assert await anext(stream) == "retry: 1000\n\n"
    asyncio.get_running_loop().call_soon(watch.end)
    assert await anext(stream) == "event: changed\ndata:\n\n"
    asyncio.get_running_loop().call_later(1.2, over.set)
    await over.wait()  # the reader is busy; meanwhile the stream's time is over
    assert [message async for message in stream] == []


async def test_a_stream_is_silent_about_clients_that_its_caller_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CALM", 0)
    batches: list[set[str]] = []

    async def always() -> bool:
        return True

    async def sees(client_ids: set[str]) -> bool:
        batches.append(client_ids)
        return "mine" in client_ids

    for watched in ("", "others"):
        watch = Watch("postgresql://nobody@127.0.0.1:1/none")
        stream = live._stream(watch, watched, 60, always, sees)
        assert await anext(stream) == "retry: 1000\n\n"
        next_event = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        watch._on_notification(None, 0, "", "others")
        await eventually(lambda: {"others"} in batches)
        assert not next_event.done()
        batches.clear()
        if not watched:
            watch._on_notification(None, 0, "", "mine")
            assert await next_event == "event: changed\ndata:\n\n"
        next_event.cancel()
