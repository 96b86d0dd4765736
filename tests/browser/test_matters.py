"""The page Open matters: who needs something is one click away, and so is what to do about it."""

from typing import Any

from playwright.async_api import expect

from tests.browser.browsing import NARROW, Browsers, fits
from tests.browser.counting import actions, count_actions
from tests.support.service import Service, unique

PASSED: dict[str, Any] = {"start_date": "2026-01-01", "end_date": "2026-03-31"}


async def test_who_needs_something_is_one_click_away(browsers: Browsers, service: Service) -> None:
    site, name = await service.site(), unique("Stayers")
    await service.create(name, site=site, **PASSED)
    await service.create(unique("Waiting"), site=site, start_date="2026-01-01", activation="manual")
    page = await count_actions(await browsers.signed_in())
    await page.goto(f"/clients?site={site}")
    await page.get_by_role("navigation", name="Main").get_by_role("link", name="Open matters").click()
    row = page.get_by_role("row").filter(has_text=name)
    await expect(row).to_contain_text("The end date, 31 Mar 2026, has passed")
    await expect(row.get_by_role("link", name="Decommission")).to_be_visible()
    await expect(page.get_by_role("link", name="Activate")).to_be_visible()
    assert await actions(page) <= 1
    assert await fits(page)


async def test_a_matter_is_taken_put_aside_and_acknowledged(browsers: Browsers, service: Service) -> None:
    site, name = await service.site(), unique("Stayers")
    client_id = (await service.create(name, site=site, **PASSED))["client_id"]
    page = await browsers.signed_in(f"/matters?site={site}", width=NARROW)
    row = page.get_by_role("row").filter(has_text=name)
    await row.get_by_text("More about").click()
    await row.get_by_role("button", name="Assign to me").click()
    await expect(row.get_by_text("ann", exact=True)).to_be_visible()
    await page.get_by_label("Assigned to").select_option("me")
    await expect(row).to_be_visible()
    await row.get_by_text("More about").click()
    await row.get_by_label("Snooze until").fill("2199-01-04")
    await row.get_by_role("button", name="Snooze", exact=True).click()
    await expect(page.get_by_text("Nothing here needs you.")).to_be_visible()
    await page.get_by_label("Include what was snoozed").check()
    await expect(row).to_contain_text("snoozed until 4 Jan 2199, 00:00")
    await row.get_by_text("More about").click()
    await row.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator(".notice")).to_contain_text("Acknowledged.")
    assert await fits(page)
    await page.goto(f"/clients/{client_id}/history")
    await expect(page.get_by_text("Acknowledged. It is listed again when another end date has passed:")).to_be_visible()
