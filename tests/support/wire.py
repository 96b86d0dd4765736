"""Requests as no library would send them."""

import asyncio

import httpx2

from tests.support.waiting import HANGING


async def answer_to(url: str, *lines: str, body: str = "") -> tuple[int, str]:
    """What a request of these header lines is answered: its status, and all of it."""
    address = httpx2.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write("\r\n".join([*lines, "Connection: close", "", body]).encode())
        answer = (await asyncio.wait_for(reader.read(), HANGING)).decode()
    finally:
        writer.close()
    return int(answer.split(" ", 2)[1]), answer
