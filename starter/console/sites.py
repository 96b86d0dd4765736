"""Which site a page is about: chosen in its address, or remembered from another page. None is all of them."""

from collections.abc import Iterable

from fastapi import Request
from fastapi.responses import Response

from starter.console.shell import REFRESH, SITE_COOKIE
from starter.schemas import Site

YEAR = 365 * 86400


def site_of(request: Request, sites: Iterable[Site]) -> Site | None:
    """The site that the address says; where it says none, the one that was chosen last."""
    asked = request.query_params.get("site", request.cookies.get(SITE_COOKIE, ""))
    return next((site for site in sites if site.site_id == asked), None)


def remembering(request: Request, answer: Response, site: Site | None) -> Response:
    """The answer, which has the browser remember a site that was chosen just now."""
    if "site" in request.query_params and REFRESH not in request.headers:
        chosen = site.site_id if site else ""
        answer.set_cookie(SITE_COOKIE, chosen, max_age=YEAR, httponly=True, samesite="lax")
    return answer
