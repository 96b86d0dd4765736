"""Which site a page is about: its address says so, and a new page begins with the last one. None is all of them."""

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from starter.clients import ClientService
from starter.console.errors import SeeOther
from starter.console.rendering import REFRESH, SITE_COOKIE, YEAR, page, remember
from starter.contract.answers import Site
from starter.web.dependencies import Clients


@dataclass(frozen=True)
class SiteChoice:
    """The sites there are, and the one that a page is about; None: all of them."""

    sites: list[Site]
    site: Site | None

    @classmethod
    async def of(cls, clients: ClientService, site_id: str) -> "SiteChoice":
        every = (await clients.directory.sites()).items
        sites = [site for site in every if not site.retired or site.site_id == site_id]
        return cls(sites, next((site for site in sites if site.site_id == site_id), None))

    @property
    def site_id(self) -> str:
        return self.site.site_id if self.site else ""

    def address(self, path: str, **query: object) -> str:
        """Where a page shows something else. A site is always named: to name none means the one chosen last."""
        named = {name: "true" if value is True else value for name, value in query.items() if value}
        return f"{path}?{urlencode({'site': self.site_id, **named})}"

    def page(self, request: Request, template: str, status: int = 200, **context: object) -> HTMLResponse:
        """The page about this site, which has the browser remember one that was chosen just now."""
        answer = page(request, template, status, sites=self.sites, site=self.site, **context)
        if "site" in request.query_params and REFRESH not in request.headers:
            remember(request, answer, SITE_COOKIE, self.site_id, YEAR)
        return answer


async def choose_site(request: Request, clients: Clients) -> SiteChoice:
    """The site that the address names. One that names none leads to the one that was chosen last, if any was.

    A page's own address then says what it shows: what is chosen in another tab does not reach it.
    """
    last, named = request.cookies.get(SITE_COOKIE, ""), request.query_params.get("site")
    choice = await SiteChoice.of(clients, last if named is None else named)
    if named is None and choice.site and REFRESH not in request.headers:
        query = [*request.query_params.multi_items(), ("site", last)]
        raise SeeOther(f"{request.url.path}?{urlencode(query)}")
    return choice if named is not None else replace(choice, site=None)


ChosenSite = Annotated[SiteChoice, Depends(choose_site)]
