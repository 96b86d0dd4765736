"""What people write is text everywhere: no name, reason or office is ever taken for markup."""

from typing import Any

from playwright.async_api import expect

from tests.browser.browsing import Browsers
from tests.support.service import Service, number

EVIL = """<img src=x onerror="document.title='owned'"><b>"'&amp;{{ 7*7 }}</b>"""
OFFICE = "<i>3&amp;</i>"


async def test_markup_is_shown_as_text_on_every_page(browsers: Browsers, service: Service) -> None:
    line = {"number": number(), "office": OFFICE}
    site = await service.site(EVIL[:60])
    record: dict[str, Any] = {"site": site, "lines": [line], "billing_ref": "<u>1</u>"}
    client_id = (await service.create(EVIL, client_id="markup", **record))["client_id"]
    await service.post(client_id, "suspend", source="billing", reason=EVIL)
    await service.post(client_id, "activate", reason=EVIL, by=EVIL)
    await service.post(client_id, "decommission", last_day="2199-03-31", reason=EVIL)
    await service.known(client_id)
    page = await browsers.signed_in(name="<b>ann</b>")
    for path in (
        f"/clients?site={site}",
        f"/clients?q={EVIL[:30].replace(' ', '+')}",
        f"/clients/{client_id}",
        f"/clients/{client_id}/history",
        f"/clients/{client_id}/edit",
        f"/clients/{client_id}/status",
        f"/clients/{client_id}/planned/decommission/cancel",
        f"/clients/{client_id}/credentials",
        f"/clients/{client_id}/lines",
        f"/clients/{client_id}/offices",
        f"/clients/{client_id}/systems/telephony",
        f"/clients/{client_id}/erase",
        f"/upcoming?site={site}&month=2199-04",
        f"/clients/new?site={site}",
        f"/clients/new?from={client_id}",
        "/attention",
        "/sites",
        "/tokens",
        "/webhooks",
        f"/sites/{site}",
        "/matters",
    ):
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        assert await page.locator("img, b > b, u, i, main b:text('{{ 7*7 }}')").count() == 0, path
        assert await page.title() != "owned"
        await expect(page.locator(".account summary")).to_have_text("<b>ann</b>")
    await page.goto(f"/clients/{client_id}")
    await expect(page.get_by_role("heading", level=1)).to_have_text(EVIL)
    await expect(page.get_by_text(OFFICE).first).to_be_visible()
    await expect(page.get_by_text(EVIL, exact=False).nth(1)).to_be_visible()
