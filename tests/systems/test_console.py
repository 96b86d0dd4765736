"""A client that an operator makes in the browser: its telephone really registers, and when suspended really cannot."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.browsing import PATIENCE, BrowserMissing, browser_file, running_browser
from tests.support.service import SITE, TOKEN, number
from tests.support.waiting import eventually
from tests.systems.service import Building

CREATED = re.compile(r".*/clients/(?!new)([a-z0-9-]+)(\?.*)?$")


async def test_a_client_made_and_suspended_in_the_browser_is_so_for_its_telephone(building: Building) -> None:
    try:
        browser_file()
    except BrowserMissing as missing:
        pytest.skip(str(missing))  # .ci/run, which installs one, fails in tests/console
    home = str(building.api.base_url.copy_with(path="/"))
    async with running_browser() as browser:
        context = await browser.new_context(base_url=home, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        await page.goto("/")
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_label("Your name").fill("ann")
        await page.get_by_role("button", name="Sign in").click()

        await page.goto(f"/clients/new?site={SITE}")
        await page.get_by_label("Name").fill("Browser & Sons")
        await page.locator("#number-0").fill(number())
        await page.locator("#office-0").fill("3.12")
        await page.get_by_role("button", name="Create client").click()
        await page.wait_for_url(CREATED)
        found = CREATED.match(page.url)
        assert found is not None
        client_id = found[1]
        await expect(page.locator("section", has_text="Telephone lines").locator(".badge.settled")).to_be_visible()

        async with await building.phone(client_id) as phone:
            assert await phone.register() == 200
            await page.goto(f"/clients/{client_id}/status?action=suspend")
            await page.get_by_role("button", name="Suspend now").click()
            await page.wait_for_url(CREATED)
            await expect(page.locator("dl.axes").get_by_text("Suspended", exact=True)).to_be_visible()
            await expect(page.locator("table.evidence").first).to_contain_text("Off")
            await eventually(phone.register, equal=403)
            await expect(page.locator("table.evidence .badge.proven").first).to_be_visible()
        await context.close()
