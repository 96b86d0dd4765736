"""Claims about the API as a process of its own."""

import asyncio
import json
import signal

import httpx2
import pytest
from temporalio.client import Client

from activities.settings import Settings
from tests.support.serve import process
from tests.support.service import TOKEN
from tests.support.waiting import HANGING, eventually, free_port, http_client


async def _answers(port: int, path: str) -> httpx2.Response | None:
    try:
        async with http_client() as caller:
            return await caller.get(f"http://127.0.0.1:{port}{path}")
    except httpx2.TransportError:
        return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_becomes_ready_and_stops_when_told(settings: Settings, temporal: Client, number: int) -> None:
    port = free_port()
    async with process(settings, temporal.service_client.config.target_host, port) as running:
        ready = await eventually(lambda: _answers(port, "/readyz"))
        assert ready is not None
        assert ready.json() == {"ready": True}
        running.send_signal(number)
        _, log = await asyncio.wait_for(running.communicate(), HANGING)
    assert running.returncode == 0, log
    lines = [json.loads(line) for line in log.splitlines()]
    assert not [line for line in lines if line["level"] in ("error", "critical")]
    assert TOKEN not in log.decode()


async def test_it_starts_while_temporal_is_away_and_says_so(settings: Settings) -> None:
    port = free_port()
    async with process(settings, f"127.0.0.1:{free_port()}", port):
        answer = await eventually(lambda: _answers(port, "/readyz"))
        assert answer is not None
        assert answer.status_code == 503
        assert "Temporal cannot be reached" in answer.json()["detail"]


async def test_a_port_that_is_taken_ends_it(settings: Settings, temporal: Client) -> None:
    port, host = free_port(), temporal.service_client.config.target_host
    async with process(settings, host, port):
        await eventually(lambda: _answers(port, "/healthz"))
        async with process(settings, host, port) as second:
            _, log = await asyncio.wait_for(second.communicate(), HANGING)
    assert second.returncode == 1
    assert b"address already in use" in log
