"""The route about everything that a person should see to."""

from typing import Annotated

from fastapi import APIRouter, Query

from starter.contract.answers import MatterPage
from starter.contract.bodies import MatterFilter
from starter.web import problems
from starter.web.dependencies import Clients

router = APIRouter(tags=["matters"])


@router.get("/matters", summary="Every open matter", responses=problems.described(422))
async def list_matters(clients: Clients, filters: Annotated[MatterFilter, Query()]) -> MatterPage:
    """What a person should see to, the oldest first: systems in attention or skipped, and workflows that cannot run.
    A matter goes by itself when it is mended. `remedies` say what to do, with the commands that do it."""
    return await clients.directory.matters(filters)
