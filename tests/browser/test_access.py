"""Everybody can use every page: no violation that axe knows of, in both themes, on wide screens and narrow ones."""

import re
from typing import get_args

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.browser.browsing import NARROW, WIDE, Browsers, Theme, fits
from tests.support.service import Service, number, unique

STANDARD = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
PAGES = (
    "/clients?inactive=true",
    "/clients?q=nobody-of-that-name",
    "/clients/{client}",
    "/clients/{client}/history",
    "/clients/{client}/edit",
    "/clients/{client}/status",
    "/clients/{client}/planned/decommission/cancel",
    "/clients/{client}/credentials",
    "/clients/{client}/lines",
    "/clients/{client}/offices",
    "/clients/{client}/systems/telephony",
    "/clients/{client}/erase",
    "/clients/new",
    "/upcoming",
    "/attention",
    "/clients/new?from={client}",
    "/sites",
    "/sites/new",
    "/tokens",
    "/webhooks",
    "/matters",
)
LARGEST = 250_000  # bytes of a page


@pytest_asyncio.fixture(scope="module")
async def client(service: Service) -> str:
    line = {"number": number(), "office": "2.07"}
    made = await service.create(unique("Accessible"), lines=[line], internet={"down_mbps": 100, "up_mbps": 20})
    client_id: str = made["client_id"]
    assert (await service.post(client_id, "suspend", reason="unpaid")).status_code == 200
    assert (await service.post(client_id, "decommission", last_day="2199-03-31", reason="leaves")).status_code == 200
    return client_id


async def violations(page: Page, where: str, part: str | None = None) -> list[str]:
    """What axe finds on a page, or in a part of it."""
    found = await Axe().run(page, context=part, options=STANDARD)
    return [
        f"{where}: {violation['id']}: {violation['help']}: {[node['html'][:200] for node in violation['nodes']]}"
        for violation in found.response["violations"]
    ]


@pytest.mark.parametrize("theme", get_args(Theme))
@pytest.mark.parametrize("width", [WIDE, NARROW])
async def test_axe_finds_nothing_on_any_page(browsers: Browsers, client: str, theme: Theme, width: int) -> None:
    page = await browsers.open(theme=theme, width=width)
    await page.goto("/sign-in")
    found = await violations(page, "/sign-in")
    page = await browsers.signed_in(theme=theme, width=width)
    for path in PAGES:
        answer = await page.goto(path.format(client=client))
        assert answer is not None
        assert answer.status == 200, path
        found += await violations(page, path)
        if not await fits(page):
            found.append(f"{path}: wider than the screen")
        if len(await answer.body()) > LARGEST:
            found.append(f"{path}: {len(await answer.body())} bytes")
    await page.goto("/clients")
    await page.locator('tbody [name="client"]').first.check()
    found += await violations(page, "a selected client")
    await page.get_by_role("button", name="Suspend", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Suspend 1 client")
    found += await violations(page, "what would become of it")
    assert not found, found


async def test_axe_finds_nothing_in_the_reference(browsers: Browsers) -> None:
    page = await browsers.signed_in("/docs")
    found = await violations(page, "/docs")
    assert not found, found


@pytest.mark.parametrize("theme", get_args(Theme))
async def test_axe_finds_nothing_in_menus_problems_and_errors(
    browsers: Browsers, service: Service, client: str, theme: Theme
) -> None:
    browsers.expects("status of 404", "status of 403")
    page = await browsers.signed_in("/clients", theme=theme)
    await page.locator(".account summary").click()
    found = await violations(page, "account menu", ".account")
    await page.locator("tbody summary").first.click()
    await expect(page.locator("tbody .menu[open]")).to_have_count(1)
    found += await violations(page, "row menu", "tbody .menu[open]")  # both lie over others, which is their way
    await page.goto("/clients/nobody-at-all")
    found += await violations(page, "error")
    stranger = await browsers.open(theme=theme)
    await stranger.goto("/sign-in?key=used")
    found += await violations(stranger, "refused link")
    failing = await service.create(unique("Failing"))
    async with service.without(service.telephony):
        await service.post(failing["client_id"], "suspend", wait=0)
        await page.goto(f"/clients/{failing['client_id']}")
        await expect(page.locator(".axes .badge.attention")).to_be_visible()
        found += await violations(page, "attention")
        await page.goto("/attention")
        found += await violations(page, "attention list")
    assert not found, found


async def test_the_keyboard_goes_everywhere_and_is_seen_where_it_is(browsers: Browsers, client: str) -> None:
    page = await browsers.signed_in(f"/clients/{client}")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    seen: set[str] = set()
    while "Open in Temporal" not in seen and len(seen) < 60:
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            """() => { const e = document.activeElement; const s = getComputedStyle(e);
            return [(e.innerText || e.getAttribute('aria-label') || e.name || '').trim().split('\\n')[0],
                    s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2] }"""
        )
        if focused[0]:
            assert focused[1], f"focus on {focused[0]} cannot be seen"
        seen.add(re.sub(r"\s*\d+\+?$", "", focused[0]))  # beside Attention stands how many wait
    assert {"Clients", "Upcoming", "Open matters", "Edit client", "Edit status", "Open in Temporal"} <= seen
