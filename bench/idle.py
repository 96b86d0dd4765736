"""Clients that do nothing but wait for a day next year: how fast they come, and what they weigh."""

import asyncio
import sqlite3
import time
from pathlib import Path

import asyncpg

from bench.house import House
from bench.subjects import Ours
from bench.usage import cpu_seconds, resident_bytes

CALLERS = 16
A_YEAR = 365  # days
CALM = 2.0  # seconds


async def measure(house: House, ours: Ours, first: int, clients: int, seconds: float) -> dict[str, object]:
    """Create ``clients`` clients numbered from ``first``, or as many as ``seconds`` allow."""
    before, begun = await _weight(house), time.perf_counter()
    used = cpu_seconds(house.pids())
    numbers = iter(range(first, first + clients))

    count = 0

    async def caller() -> None:
        nonlocal count
        for number in numbers:
            if time.perf_counter() > begun + seconds:
                break
            await ours.create(number, starts_in=A_YEAR)
            count += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())
    took = time.perf_counter() - begun
    created = cpu_seconds(house.pids())
    await asyncio.sleep(CALM)
    calm = cpu_seconds(house.pids())
    after = await _weight(house)
    return {
        "clients": count,
        "expected": clients,
        "per_second": round(count / took, 2),
        "cpu_ms": {part: round((created[part] - used[part]) / count * 1000, 2) for part in used},
        "temporal_bytes": round((after["temporal_file"] - before["temporal_file"]) / count),
        "postgres_bytes": round((after["postgres_data"] - before["postgres_data"]) / count),
        "worker_memory": {"before": before["worker"], "after": after["worker"]},
        "temporal_memory": {"before": before["temporal"], "after": after["temporal"]},
        "idle_cpu_percent": {part: round((calm[part] - created[part]) / CALM * 100, 1) for part in used},
    }


async def _weight(house: House) -> dict[str, int]:
    """Bytes on disk and in memory."""
    pids = house.pids()
    return {
        "temporal_file": await asyncio.to_thread(_sqlite_bytes, house.temporal_file),
        "postgres_data": await _postgres_bytes(house.postgres.dsn()),
        "worker": resident_bytes(pids["worker"]),
        "temporal": resident_bytes(pids["temporal"]),
    }


def _sqlite_bytes(file: Path) -> int:
    """What is in use of the file, with what its log still holds."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
    try:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    finally:
        connection.close()
    return int((pages - free) * size)


async def _postgres_bytes(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        total = await connection.fetchval(
            "SELECT sum(pg_database_size(datname)) FROM pg_database WHERE datname IN ('connect', 'kamailio', 'radius')"
        )
        return int(total)
    finally:
        await connection.close()
