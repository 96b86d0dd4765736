"""Answers of other systems over HTTP, read up to a limit and no further."""

from typing import Any

import httpx2
from pydantic_core import from_json

CHUNK = 65536
PLAIN = {"Accept-Encoding": "identity"}
"""A header for every request: a packed answer may be a thousand times larger than it looks."""


class TooLarge(Exception):
    """An answer is larger than the limit, or packed, so that its size is unknown."""


async def read_up_to(answer: httpx2.Response, most: int) -> bytes:
    """The body of a streamed answer. Raises TooLarge as soon as it is larger than ``most`` bytes."""
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
    """The JSON value of a body. Raises ValueError, also when it is nested too deeply."""
    return from_json(body, allow_inf_nan=False)
