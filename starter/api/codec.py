"""The codec endpoint of Temporal's UI and program (docs.temporal.io, "Codec Server"): ``/codec/decode``, for admins.

It is outside ``/api``, so that browsers that are signed in to the console may ask it through our proxy in front of the
UI, on the UI's own origin. No other origin may.
"""

import asyncio
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from starter.temporal.decoding import decoded, read_payloads, written
from starter.web.dependencies import Clients

router = APIRouter(prefix="/codec", include_in_schema=False)


@router.post("/decode")
async def decode(request: Request, clients: Clients) -> Response:
    """The payloads in the clear. What cannot be read is answered as it came."""
    return await _answer(await decoded(clients.gateway.encryption, await _payloads(request)))


@router.post("/encode")
async def encode(request: Request) -> Response:
    """The payloads as they came: plain ones are read, and whose they are is not said here."""
    return await _answer(await _payloads(request))


async def _payloads(request: Request) -> Any:
    try:
        return await asyncio.to_thread(read_payloads, await request.body())
    except ValueError as wrong:
        raise HTTPException(422, str(wrong)) from wrong


async def _answer(payloads: Any) -> Response:
    return Response(await asyncio.to_thread(written, payloads), media_type="application/json")
