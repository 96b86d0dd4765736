"""Upcoming and Attention, as an operator works with them."""

import re
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.browser.browsing import NARROW, Browsers, Theme, fits, listening
from tests.support.service import Service, unique
from tests.support.waiting import eventually

ACCESS = {"down_mbps": 100, "up_mbps": 20}


async def planned(service: Service, client_id: str, command: str, last_day: str, **fields: Any) -> None:
    answer = await service.post(client_id, command, last_day=last_day, **fields)
    assert answer.status_code == 200, answer.text


async def in_trouble(service: Service, site: str, *names: str) -> list[str]:
    """Clients whose telephones could not be switched, and that are not tried again before an hour is over."""
    ids = [(await service.create(name, site=site))["client_id"] for name in names]
    async with service.without(service.telephony):
        for client_id in ids:
            await service.post(client_id, "suspend", wait=0)
            await service.tried(client_id)

        async def all_wait() -> bool:
            page = (await service.api.get("/attention", params={"site": site})).json()
            return {*ids} <= {item["client_id"] for item in page["items"]}

        await eventually(all_wait)
    return ids


@pytest_asyncio.fixture(scope="module")
async def mews(service: Service) -> str:
    """A site with three planned changes, two of them on one day."""
    site = await service.site()
    leaving = (await service.create("Ash Partners", site=site))["client_id"]
    held = (await service.create("Birch <Ltd>", site=site))["client_id"]
    await planned(service, leaving, "decommission", "2199-03-31", reason="contract not renewed")
    await planned(service, held, "suspend", "2199-03-31", reason="<b>unpaid</b>", source="billing")
    await service.create("Cedar Co", site=site, start_date="2199-04-20", wait=0)
    return site


# -- upcoming ---------------------------------------------------------------------------------------------------------


async def test_a_month_shows_what_is_planned_on_which_day(browsers: Browsers, mews: str) -> None:
    page = await browsers.signed_in(f"/upcoming?site={mews}&month=2199-04")
    month = page.get_by_role("table", name="Planned changes in April 2199")
    await expect(month.get_by_role("columnheader")).to_have_count(7)
    first = month.get_by_role("cell").filter(has=page.locator('time[datetime="2199-04-01"]'))
    await expect(first.get_by_role("link")).to_have_text(["Decommission Ash Partners", "Suspend (billing) Birch <Ltd>"])
    await first.get_by_role("link", name="Ash Partners").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ash Partners")


async def test_one_goes_from_month_to_month(browsers: Browsers, mews: str) -> None:
    page = await browsers.signed_in(f"/upcoming?site={mews}&month=2198-12")
    month = page.get_by_role("navigation", name="Month")
    await month.get_by_role("link", name="Jan 2199").click()
    await expect(page.get_by_role("heading", name="January 2199")).to_be_visible()
    await month.get_by_role("link", name="Dec 2198").click()
    await expect(page.get_by_role("heading", name="December 2198")).to_be_visible()
    await month.get_by_role("link", name="From today").click()
    await expect(page.get_by_role("heading", name="The next five weeks")).to_be_visible()
    await expect(page.locator("td[aria-current=date]")).to_contain_text("Today")
    await page.get_by_role("textbox", name="Month").fill("2199-04")
    await expect(page.get_by_role("heading", name="April 2199")).to_be_visible()


async def test_an_end_date_stands_among_what_is_planned_and_cancels_nothing(
    browsers: Browsers, service: Service
) -> None:
    site = await service.site()
    await service.create("Hazel Ltd", site=site, end_date="2199-05-31")
    page = await browsers.signed_in(f"/upcoming?site={site}&month=2199-05")
    day = page.locator("td").filter(has=page.locator('time[datetime="2199-05-31"]')).first
    await expect(day.get_by_role("link")).to_have_text(["End date Hazel Ltd"])
    row = page.locator(".ahead tbody tr")
    await expect(row).to_contain_text("nothing is switched")
    await expect(row.get_by_role("button")).to_have_count(0)
    await row.get_by_role("link", name="Edit the end date of Hazel Ltd").click()
    await expect(page.get_by_label("End date")).to_have_value("2199-05-31")


async def test_a_plan_is_moved_from_the_list(browsers: Browsers, service: Service) -> None:
    site = await service.site()
    client_id = (await service.create("Elm & Sons", site=site))["client_id"]
    await planned(service, client_id, "decommission", "2199-05-31", reason="moves out")
    page = await browsers.signed_in(f"/upcoming?site={site}")
    await page.get_by_role("link", name="Reschedule").click()
    await expect(page.locator('input[name="last_day"]').first).to_have_value("2199-05-31")
    await expect(page.locator("main")).to_contain_text("Decommission")


async def test_a_plan_is_cancelled_from_the_list_and_the_page_comes_back(browsers: Browsers, service: Service) -> None:
    site = await service.site()
    client_id = (await service.create("Fir Ltd", site=site))["client_id"]
    await planned(service, client_id, "decommission", "2199-05-31")
    page = await browsers.signed_in(f"/upcoming?site={site}")
    await page.get_by_role("link", name="Cancel decommission of Fir Ltd").click()
    await expect(page.locator("main")).to_contain_text("its contract and its services go on")
    await page.get_by_role("button", name="Cancel decommission").click()
    await expect(page.locator(".notice")).to_contain_text("Cancelled: decommission")
    await expect(page).to_have_url(re.compile(rf"/upcoming\?site={site}$"))
    await expect(page.get_by_text(f"Nothing is planned at {site}.")).to_be_visible()
    assert (await service.client(client_id))["planned"] == []


async def test_what_somebody_else_plans_appears_by_itself(browsers: Browsers, service: Service) -> None:
    site = await service.site()
    client_id = (await service.create("Gorse Ltd", site=site))["client_id"]
    page = await listening(await browsers.signed_in(f"/upcoming?site={site}&month=2199-06"))
    await expect(page.get_by_text("Nothing is planned")).to_be_visible()
    await planned(service, client_id, "decommission", "2199-06-09")
    await expect(page.locator(".ahead tbody tr")).to_have_count(1)
    await expect(page.locator(".month li")).to_contain_text("Gorse Ltd")


async def test_choosing_a_site_shows_its_plans_and_its_calendar(
    browsers: Browsers, service: Service, mews: str
) -> None:
    other = await service.site()
    page = await browsers.signed_in(f"/upcoming?site={mews}")
    await expect(page.locator(".ahead tbody tr")).to_have_count(3)
    await page.get_by_label("Site").select_option(other)
    await expect(page.get_by_text("Nothing is planned")).to_be_visible()
    await expect(page.get_by_label("Address of the calendar")).to_have_value(re.compile(f"site={other}"))
    await page.get_by_label("Site").select_option("")
    await expect(page.locator(".ahead tbody")).to_contain_text("Cedar Co")
    await expect(page.get_by_label("Address of the calendar")).not_to_have_value(re.compile("site="))


async def test_on_a_narrow_screen_a_day_says_how_many_and_leads_to_them(browsers: Browsers, mews: str) -> None:
    page = await browsers.signed_in(f"/upcoming?site={mews}&month=2199-04", width=NARROW)
    await page.get_by_role("link", name="2 planned on 1 Apr 2199").click()
    await expect(page.locator(".ahead tbody tr")).to_have_count(2)
    assert await fits(page)


# -- attention --------------------------------------------------------------------------------------------------------


async def test_those_that_are_ticked_try_again(browsers: Browsers, slow: Service) -> None:
    site = await slow.site()
    await in_trouble(slow, site, "First", "Second", "Third")
    page = await browsers.signed_in(f"/attention?site={site}", url=slow.url)
    rows = page.locator(".waiting-for tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.first).to_contain_text("telephony does not answer")
    await page.get_by_label("Choose First").check()
    await expect(page.get_by_text("1 of 3 chosen")).to_be_visible()
    await page.get_by_label("Choose Second").check()
    await page.get_by_role("button", name="Retry selected").click()
    await expect(
        page.get_by_role("status").filter(has_text="2 clients asked to try telephone lines again.")
    ).to_be_visible()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Third")


async def test_one_tick_ticks_all_and_stays_through_changes(browsers: Browsers, slow: Service) -> None:
    site = await slow.site()
    await in_trouble(slow, site, "First", "Second")
    page = await listening(await browsers.signed_in(f"/attention?site={site}", url=slow.url))
    every = page.get_by_label("Choose all shown")
    await every.check()
    await expect(page.get_by_label("Choose First")).to_be_checked()
    await expect(page.get_by_text("2 of 2 chosen")).to_be_visible()
    await more_trouble(slow, site)
    await expect(page.get_by_text("2 of 3 chosen")).to_be_visible()
    await expect(page.get_by_label("Choose Second")).to_be_checked()
    assert await every.evaluate("box => box.indeterminate")


async def more_trouble(service: Service, site: str) -> None:
    client_id = (await service.create("Third", site=site))["client_id"]
    await service.stuck(client_id, "suspend", service.telephony)


async def test_without_scripts_all_that_are_shown_try_again(browsers: Browsers, slow: Service) -> None:
    site = await slow.site()
    await in_trouble(slow, site, "First", "Second")
    page = await browsers.signed_in(f"/attention?site={site}", scripts=False, url=slow.url)
    await expect(page.get_by_label("Choose all shown")).to_be_hidden()
    await page.get_by_role("button", name="Retry all shown").click()
    await expect(page.get_by_text("2 clients asked to try telephone lines again.")).to_be_visible()

    async def waiting() -> Any:
        return (await slow.api.get("/attention", params={"site": site})).json()["total"]

    await eventually(waiting, equal=0)


async def test_who_needs_nobody_any_more_goes_by_itself(browsers: Browsers, slow: Service) -> None:
    site = await slow.site()
    [client_id] = await in_trouble(slow, site, "Only")
    page = await listening(await browsers.signed_in(f"/attention?site={site}", url=slow.url))
    counted = page.get_by_role("navigation", name="Main").locator(".count")
    before = int(re.sub(r"\D", "", await counted.inner_text()))
    assert (await slow.post(client_id, "systems/telephony/retry")).status_code == 200
    await expect(page.get_by_text("Nothing needs you.")).to_be_visible()

    async def fewer() -> bool:
        texts = await counted.all_inner_texts()
        return (int(re.sub(r"\D", "", texts[0])) if texts else 0) < before

    await eventually(fewer)


# -- for everybody ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_everybody_can_use_both_pages(browsers: Browsers, slow: Service, mews: str, theme: Theme) -> None:
    await in_trouble(slow, mews, unique("Trouble"))
    for path in (f"/upcoming?site={mews}&month=2199-04", "/upcoming?site=", f"/attention?site={mews}"):
        page = await browsers.signed_in(path, theme=theme, url=slow.url)
        await flawless(page)
        await page.set_viewport_size({"width": NARROW, "height": 900})
        await flawless(page)
        assert await fits(page)


async def flawless(page: Page) -> None:
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
