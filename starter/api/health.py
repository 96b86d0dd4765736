"""Whether this process lives, and whether it can work: for supervisors and load balancers."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter

from starter.contract.answers import Readiness
from starter.errors import Away, NotReady
from starter.web import problems
from starter.web.dependencies import Clients

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Alive")
async def healthz() -> dict[str, bool]:
    return {"alive": True}


@router.get("/readyz", summary="Able to work", responses={503: problems.described()[503]})
async def readyz(clients: Clients) -> Readiness:
    """Temporal and the directory's database answer. The problem document says which does not."""
    away = [
        part
        for part in await asyncio.gather(_absence(clients.gateway.ready()), _absence(clients.directory.ready()))
        if part
    ]
    if away:
        raise NotReady(away)
    return Readiness(ready=True)


async def _absence(ready: Awaitable[None]) -> Away | None:
    try:
        await ready
    except Away as away:
        return away
    return None
