"""Which site a page is about: its address says so, and a new page begins with the last one. None is all of them."""

from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from starter.console.rendering import REFRESH, SITE_COOKIE, remember
from starter.contract.answers import Site

YEAR = timedelta(days=365)


def chosen_before(request: Request, sites: Iterable[Site]) -> RedirectResponse | None:
    """For an address that says no site, the one that says the site which was chosen last, if any was.

    A page's own address then says what it shows: what is chosen in another tab does not reach it.
    """
    last = request.cookies.get(SITE_COOKIE, "")
    if "site" in request.query_params or REFRESH in request.headers or last not in {site.site_id for site in sites}:
        return None
    said = [*request.query_params.multi_items(), ("site", last)]
    return RedirectResponse(f"{request.url.path}?{urlencode(said)}", 303)


def site_of(request: Request, sites: Iterable[Site]) -> Site | None:
    """The site that the address says."""
    asked = request.query_params.get("site", "")
    return next((site for site in sites if site.site_id == asked), None)


def remembering(request: Request, answer: Response, site: Site | None) -> Response:
    """The answer, which has the browser remember a site that was chosen just now."""
    if "site" in request.query_params and REFRESH not in request.headers:
        remember(request, answer, SITE_COOKIE, site.site_id if site else "", YEAR)
    return answer
