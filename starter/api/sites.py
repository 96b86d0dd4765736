"""The routes about sites."""

from fastapi import APIRouter

from starter.contract.schemas import Site, SiteGiven, SitePage
from starter.web import problems
from starter.web.dependencies import AtDesk

router = APIRouter(tags=["sites"])


@router.get("/sites", summary="Every site", responses=problems.described())
async def list_sites(desk: AtDesk) -> SitePage:
    return await desk.directory.sites()


@router.post("/sites", summary="Add a site", status_code=201, responses=problems.described(409, 422))
async def add_site(desk: AtDesk, site: SiteGiven) -> Site:
    """The same site twice is one site."""
    return await desk.directory.add_site(site)
