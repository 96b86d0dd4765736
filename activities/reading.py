"""Answers of other systems over HTTP, read up to a limit and no further."""

from typing import Any

import httpx2
from pydantic_core import from_json

CHUNK = 65536
PLAIN = {"Accept-Encoding": "identity"}
"""A header for every request: what is packed may be a thousand times as large as it looks."""


class TooLarge(Exception):
    """There is more of an answer than is read, or it is packed, so that nobody can tell."""


async def read_up_to(answer: httpx2.Response, most: int) -> bytes:
    """The body of a streamed answer. Raises TooLarge as soon as there is more of it than ``most`` bytes."""
    packed = answer.headers.get("Content-Encoding", "identity")
    if packed.lower() != "identity":
        raise TooLarge("its answer is packed (Content-Encoding), which was not asked for")
    body = bytearray()
    async for chunk in answer.aiter_raw(CHUNK):
        body += chunk
        if len(body) > most:
            raise TooLarge(f"its answer is larger than {most // 1024} KiB")
    return bytes(body)


def as_json(body: bytes) -> Any:
    """The body's value. Raises ValueError, also for what is nested deeper than anybody writes it."""
    return from_json(body, allow_inf_nan=False)
