"""Claims about pages: they show nobody a link or a form that his role may not use, and to whom may use it, they do."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import reduce
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio

from starter.contract.callers import Caller, Permission, Role
from starter.web.roles import TABLE
from tests.support.service import SITE, Service, calling, unique

PATTERNS = [
    (method, re.compile(re.sub(r"\{[^}]*:path\}", ".+", re.sub(r"\{[^}:]*\}", "[^/]+", path))), permission)
    for route, permission in TABLE.items()
    for method, path in [route.split(" ", 1)]
]
CALLERS = {
    **{role.value: Caller(role.value, role, sources=("billing",)) for role in Role},
    "operator of a site": Caller("limited", Role.OPERATOR, (SITE,)),
}


class Offers(HTMLParser):
    """Where a page leads: the method and the path of every link and every button."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self._method = "GET"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = dict(attrs)
        if tag == "a" and at.get("href"):
            self.found.add(("GET", at["href"] or ""))
        if tag == "form":
            self._method = (at.get("method") or "get").upper()
            self.found.add((self._method, at.get("action") or ""))
        if at.get("formaction"):
            self.found.add((self._method, at["formaction"] or ""))


def permission_of(method: str, address: str) -> Permission | None:
    path = urlsplit(address).path
    return next((right for its, pattern, right in PATTERNS if its == method and pattern.fullmatch(path)), None)


@pytest_asyncio.fixture(scope="module")
async def pages(slow: Service) -> list[str]:
    """Every page there is, about a client with a plan, a tag and a system in attention."""
    client_id = (await slow.create(tags=[unique("tag")]))["client_id"]
    await slow.post(client_id, "suspend", last_day="2099-03-31", source="billing")
    await slow.stuck(client_id, "rotate-credentials", slow.telephony)
    gets = [path for route in TABLE for method, path in [route.split(" ", 1)] if method == "GET"]
    pages = [path for path in gets if not path.startswith(("/api/", "/live", "/docs")) and "{token_id}" not in path]
    new = (await slow.create(start_date="2199-01-01", wait=0))["client_id"]
    gone = (await slow.closed())["client_id"]
    webhook = (await slow.api.post("/webhooks", json={"url": "https://shown.example/"})).json()["webhook_id"]
    parts = {"{client_id}": client_id, "{site_id}": SITE, "{change:path}": "suspend", "{system}": "telephony"}
    parts["{webhook_id}"] = webhook
    return [f"/clients/{new}", f"/clients/{gone}"] + [
        reduce(lambda path, part: path.replace(*part), parts.items(), path) for path in pages
    ]


@pytest_asyncio.fixture(scope="module")
async def browsers(slow: Service) -> AsyncIterator[dict[str, httpx2.AsyncClient]]:
    async with AsyncExitStack() as stack:
        found = {}
        for name, caller in CALLERS.items():
            new_token = {"name": unique("who"), "role": caller.role.value, "sites": caller.sites and [*caller.sites]}
            new_token["sources"] = [*caller.sources] if caller.role is Role.SERVICE else []
            token = (await slow.api.post("/tokens", json=new_token)).json()["token"]
            browser = await stack.enter_async_context(calling(slow.url, token))
            entered = await browser.post(f"{slow.url}/sign-in", data={"token": token}, headers={"Accept": "text/html"})
            assert entered.status_code == 303
            del browser.headers["Authorization"]
            found[name] = browser
        yield found


@pytest.mark.parametrize("name", CALLERS)
async def test_pages_show_what_the_role_may_use_and_nothing_else(
    slow: Service, pages: list[str], browsers: dict[str, httpx2.AsyncClient], name: str
) -> None:
    caller, offered = CALLERS[name], set[Permission]()
    for path in pages:
        page = await browsers[name].get(slow.url + path, headers={"Accept": "text/html"}, follow_redirects=True)
        if page.status_code == 403:
            assert not caller.may(permission_of("GET", path) or Permission.READ), path
            continue
        assert page.status_code == 200, (path, page.status_code)
        if "text/html" not in page.headers["Content-Type"]:
            continue
        offers = Offers()
        offers.feed(page.text)
        for method, address in offers.found:
            if not address.startswith("/") or urlsplit(address).path in ("/sign-in", "/upcoming.ics"):
                continue
            permission = permission_of(method, address)
            assert permission is not None, f"{path} leads to {method} {address}, which is no route"
            assert caller.may(permission), f"{path} offers {name} {method} {address}"
            offered.add(permission)
    unseen = {Permission.INSTANCE_MATTERS, Permission.SESSION}  # no such matter is open here; every page has the other
    unseen |= {Permission.DECODE}  # no page has it
    assert offered - unseen == {permission for permission in Permission if caller.may(permission)} - unseen
