"""The API as a process of its own."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from activities.settings import Settings
from tests.support.service import TOKEN
from tests.support.terminal import PROGRAM


@asynccontextmanager
async def process(
    settings: Settings, temporal: str, port: int, more: Mapping[str, str] = {}, descriptors: int = 1024
) -> AsyncIterator[asyncio.subprocess.Process]:
    """``connect serve``, configured by its environment alone. It may have so many descriptors."""
    dsn = settings.directory_dsn.get_secret_value()
    running = await asyncio.create_subprocess_exec(
        PROGRAM,
        "serve",
        env={
            "PATH": os.environ["PATH"],
            "TEMPORAL_ADDRESS": temporal,
            "CONNECT_DIRECTORY_DSN": dsn,
            "CONNECT_TOKEN": TOKEN,
            "CONNECT_PORT": str(port),
            **more,
        },
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)),
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()
