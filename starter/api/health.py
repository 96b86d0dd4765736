"""Whether this process lives, and whether it can work: for supervisors and load balancers."""

import asyncio

from fastapi import APIRouter

from starter.contract.answers import Readiness
from starter.errors import Away, NotReady, SearchAttributeMissing
from starter.web import problems
from starter.web.dependencies import Clients

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Alive")
async def healthz() -> dict[str, bool]:
    return {"alive": True}


@router.get("/readyz", summary="Able to work", responses={503: problems.answers()[503]})
async def readyz(clients: Clients) -> Readiness:
    """Temporal answers and has our search attributes, and the directory's database takes a write, which leaves nothing
    behind. If not, the problem document says what is wrong, and what to do."""
    answers = await asyncio.gather(clients.gateway.ready(), clients.directory.ready(), return_exceptions=True)
    if causes := [answer for answer in answers if isinstance(answer, Away | SearchAttributeMissing)]:
        raise NotReady(causes)
    for mistake in filter(None, answers):
        raise mistake
    return Readiness(ready=True)
