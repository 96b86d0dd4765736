"""No page grows with its client: the largest client that there can be has pages that open on any connection."""

import pytest

from starter.web.roles import TABLE
from tests.starter.console.filling_in import ann
from tests.starter.console.largest import LATER, Desk, desk
from tests.support.service import SITE
from workflows.domain.services import ClientType

__all__ = ["ann", "desk"]

LARGEST = 250_000  # bytes of a page


ONE = "/clients/{client_id}"
ACTIONS = ("activate", "suspend", "unsuspend", "decommission", "rotate_credentials", "convert", "change_services")
NO_PAGES = {"/", "/clients.csv", "/clients.xlsx", "/live", "/docs.css"}
PAGES: dict[str, tuple[str, ...]] = {
    ONE: (ONE,),
    f"{ONE}/history": (f"{ONE}/history",),
    f"{ONE}/lines": (f"{ONE}/lines", f"{ONE}/lines?part-lines=20", f"{ONE}/lines?find-lines=0000"),
    f"{ONE}/offices": (f"{ONE}/offices",),
    f"{ONE}/systems/{{system}}": (f"{ONE}/systems/telephony", f"{ONE}/systems/doors"),
    f"{ONE}/edit": (f"{ONE}/edit",),
    f"{ONE}/status": (
        f"{ONE}/status",
        *(f"{ONE}/status?action={kind}" for kind in ACTIONS),
        f"{ONE}/status?action=convert&every-office=3.12",
        f"{ONE}/status?action=change_services&remove-all=yes",
        f"{ONE}/status?action=change_services&plan={{plan}}",
    ),
    f"{ONE}/status/check": (f"{ONE}/status/check?action=suspend&when=day&last_day={LATER}",),
    f"{ONE}/planned/{{change:path}}/cancel": (f"{ONE}/planned/change_services/cancel",),
    f"{ONE}/credentials": (f"{ONE}/credentials",),
    f"{ONE}/erase": (f"{ONE}/erase",),
    "/clients/new": ("/clients/new", "/clients/new?from={client_id}"),
    "/clients/selected": ("/clients/selected?action=suspend&client=nobody",),
    "/clients/selected/check": ("/clients/selected/check?action=suspend&client=nobody",),
    "/clients": ("/clients", "/clients?inactive=true"),
    "/sites": ("/sites",),
    "/sites/new": ("/sites/new",),
    "/sites/{site_id}": (f"/sites/{SITE}",),
    "/upcoming": ("/upcoming",),
    "/attention": ("/attention",),
    "/attention/retry": ("/attention/retry",),
    "/matters": ("/matters",),
    "/tokens": ("/tokens",),
    "/tokens/{token_id}/revoke": ("/tokens/1/revoke",),
    "/webhooks": ("/webhooks",),
    "/webhooks/{webhook_id}": ("/webhooks/1",),
    "/webhooks/{webhook_id}/edit": ("/webhooks/1/edit",),
    "/webhooks/{webhook_id}/remove": ("/webhooks/1/remove",),
    "/docs": ("/docs",),
}
"""Each page, with addresses at which it is as large as it can be."""


def test_each_page_is_held() -> None:
    pages = {route.removeprefix("GET ") for route in TABLE if route.startswith("GET /") and "/api/" not in route}
    assert pages - NO_PAGES == PAGES.keys(), "say below at which address a new page is largest"


@pytest.mark.parametrize("kind", ClientType)
async def test_no_page_of_the_largest_client_is_larger_than_any_connection_bears(desk: Desk, kind: ClientType) -> None:
    client_id = f"largest-{kind}"
    [plan] = (await desk.clients.client(client_id)).planned
    sizes: dict[str, int] = {}
    for address in [address for addresses in PAGES.values() for address in addresses]:
        path = address.format(client_id=client_id, plan=plan.change_id)
        if kind is ClientType.RESIDENTIAL or client_id in path:
            answer = await desk.ann.http.get(path)
            assert answer.status_code == 200 or client_id not in path, (path, answer.text)
            sizes[path] = len(answer.content)
    for path in ("edit/services/check", "status/check", "credentials"):
        every = {"action": "change_services", "remove-all": "yes", "find-lines": "", "part-lines": "3"}
        answer = await desk.ann.send(f"/clients/{client_id}/{path}", every)
        assert answer.status_code == 200, (path, answer.text)
        sizes[path] = len(answer.content)
    large = {path: size for path, size in sizes.items() if size > LARGEST}
    assert not large, large
