"""The Clients page, as an operator works with it."""

import codecs
import csv
import io
import re
from typing import Any

import openpyxl
import pytest_asyncio
from openpyxl.worksheet.worksheet import Worksheet
from playwright.async_api import Page, expect

from tests.browser.browsing import Browsers, fits, listening, titled
from tests.browser.counting import actions, count_actions
from tests.support.service import Service, number, unique

PLACE = "Bright House"


class Mews:
    """A site of these tests, with a client in each state."""

    def __init__(self, service: Service, site: str) -> None:
        self.service, self.site = service, site

    async def create(self, name: str, **record: Any) -> str:
        client = await self.service.create(name, site=self.site, **record)
        return str(client["client_id"])

    def address(self, query: str = "") -> str:
        return f"/clients?site={self.site}{query and '&'}{query}"


@pytest_asyncio.fixture(scope="module")
async def mews(service: Service) -> Mews:
    site = await service.site(PLACE)
    mews = Mews(service, site)
    await mews.create("Zed Own Office", management=True, billing_ref=unique("OWN"))
    await mews.create("Ash Partners", billing_ref=unique("B-7"), end_date="2026-01-31", start_date="2025-01-01")
    held = await mews.create("Birch Ltd", type="virtual", billing_ref=unique("A-9"))
    assert (await service.post(held, "suspend", reason="unpaid")).status_code == 200
    await mews.create("Cedar Co", start_date="2199-01-01", wait=0)
    gone = await mews.create("Dogwood LLP", billing_ref=unique("C-1"))
    assert (await service.post(gone, "decommission")).status_code == 200
    leaving = await mews.create("Elm & Sons", lines=[{"number": number(), "office": "9.99"}])
    assert (await service.post(leaving, "decommission", last_day="2199-03-31")).status_code == 200
    return mews


async def lists(page: Page, *names: str) -> None:
    await expect(page.locator("tbody th a.name")).to_have_text(list(names))


async def test_every_client_is_told_at_a_glance(browsers: Browsers, mews: Mews) -> None:
    page = await browsers.signed_in(mews.address())
    await lists(page, "Zed Own Office", "Ash Partners", "Birch Ltd", "Cedar Co", "Elm & Sons")
    await expect(page.locator("tbody tr").nth(0)).to_contain_text("Management client")
    past = page.locator("tbody tr", has_text="Ash Partners").locator("td.past")
    await expect(past).to_have_text("31 Jan 2026 (past)")
    await expect(page.locator("tbody tr", has_text="Birch Ltd")).to_contain_text("Suspended")
    await expect(page.locator("tbody tr", has_text="Birch Ltd")).to_contain_text("Virtual Client")
    await expect(page.locator("tbody tr", has_text="Cedar Co")).to_contain_text("starts 1 Jan 2199")
    leaving = page.locator("tbody tr", has_text="Elm & Sons")
    await expect(leaving).to_contain_text("Decommission")
    await expect(leaving.locator("time")).to_have_text("last day 31 Mar 2199")
    await expect(leaving.locator(".badge.settled")).to_have_text("Settled")


async def test_inactive_clients_are_shown_on_request_and_counted(browsers: Browsers, mews: Mews) -> None:
    page = await browsers.signed_in(mews.address())
    await page.get_by_text("Filters").click()
    counts = page.get_by_role("navigation", name="By status")
    await expect(counts.get_by_role("link")).to_have_text(["All 5", "New 1", "Active 3", "Suspended 1"])
    await page.get_by_label("Show inactive clients").check()
    await expect(page.locator("tbody tr", has_text="Dogwood LLP")).to_contain_text("Inactive")
    await expect(counts.get_by_role("link")).to_have_text(["All 6", "New 1", "Active 3", "Suspended 1", "Inactive 1"])
    await counts.get_by_role("link", name="Inactive").click()
    await lists(page, "Dogwood LLP")
    await expect(page.get_by_role("link", name="Inactive 1")).to_have_attribute("aria-current", "true")


async def test_searching_acts_as_one_types_and_finds_names_refs_numbers_and_offices(
    browsers: Browsers, mews: Mews
) -> None:
    page = await browsers.signed_in(mews.address())
    search = page.get_by_label("Search")
    for typed, found in (
        ("sons elm", "Elm & Sons"),
        ("9.99", "Elm & Sons"),
        ("a-9", "Birch Ltd"),
        ("ASH", "Ash Partners"),
    ):
        await search.fill("")
        await search.press_sequentially(typed)
        await lists(page, found)
        await expect(search).to_be_focused()
    numbered = (await mews.service.api.get("/clients", params={"site": mews.site, "q": "elm"})).json()["items"][0]
    await search.fill(numbered["lines"][0]["number"][-6:])
    await lists(page, "Elm & Sons")
    assert "q=" in page.url
    await search.fill("100%_nobody\\")
    await expect(page.locator("main").get_by_text("No client matches.")).to_be_visible()
    await page.get_by_role("link", name="Show all").click()
    await expect(page.locator("tbody th a.name")).to_have_count(5)


async def test_filters_act_at_once_and_stay_in_the_address(browsers: Browsers, mews: Mews) -> None:
    page = await browsers.signed_in(mews.address())
    await page.get_by_text("Filters").click()
    await page.get_by_label("Type").select_option("virtual")
    await lists(page, "Birch Ltd")
    await page.reload()
    await lists(page, "Birch Ltd")
    await expect(page.get_by_label("Type")).to_have_value("virtual")
    await page.get_by_label("Type").select_option("")
    await page.get_by_label("Provisioning").select_option("attention")
    await expect(page.locator("main").get_by_text("No client matches.")).to_be_visible()


async def test_each_column_sorts_both_ways_below_the_management_client(browsers: Browsers, mews: Mews) -> None:
    page = await browsers.signed_in(mews.address())
    heads = page.locator("thead")
    await expect(heads.locator("th[aria-sort=ascending]")).to_have_text("Name ↑")
    await heads.get_by_role("link", name="Name").click()
    await lists(page, "Zed Own Office", "Elm & Sons", "Cedar Co", "Birch Ltd", "Ash Partners")
    await expect(heads.locator("th[aria-sort=descending]")).to_have_text("Name ↓")
    for column, first in (
        ("Status", "Ash Partners"),
        ("Start date", "Ash Partners"),
        ("End date", "Ash Partners"),
        ("Next planned change", "Cedar Co"),
    ):
        await heads.get_by_role("link", name=column).click()
        await expect(heads.locator("th[aria-sort=ascending]")).to_have_text(f"{column} ↑")
        await expect(page.locator("tbody tr").nth(0)).to_contain_text("Zed Own Office")
        await expect(page.locator("tbody tr").nth(1)).to_contain_text(first)
    await heads.get_by_role("link", name="Next planned change").click()
    await expect(page.locator("tbody tr").nth(1)).to_contain_text("Elm & Sons")


async def test_searching_keeps_the_sorting_and_the_status(browsers: Browsers, mews: Mews) -> None:
    page = await browsers.signed_in(mews.address("sort=-name&status=active"))
    await page.get_by_label("Search").fill("s")
    await lists(page, "Zed Own Office", "Elm & Sons", "Ash Partners")
    await page.get_by_role("link", name="Status").click()
    await expect(page.locator("th[aria-sort=ascending]")).to_have_text("Status ↑")
    await page.get_by_label("Search").fill("as")
    await lists(page, "Ash Partners")
    await expect(page.locator("th[aria-sort=ascending]")).to_have_text("Status ↑")


async def test_the_site_is_remembered_until_another_is_chosen(browsers: Browsers, mews: Mews) -> None:
    page = await browsers.signed_in("/clients")
    await page.get_by_label("Site").select_option(mews.site)
    await page.wait_for_url(f"**/clients?site={mews.site}")
    await page.goto("/clients")
    await expect(page.get_by_label("Site")).to_have_value(mews.site)
    await expect(page.locator("tbody th a.name")).to_have_count(5)
    await page.get_by_label("Site").select_option("")
    await page.wait_for_url("**/clients?site=")
    await page.goto("/clients")
    await expect(page.get_by_label("Site")).to_have_value("")


async def test_the_row_menu_works_from_the_keyboard(browsers: Browsers, mews: Mews) -> None:
    page = await browsers.signed_in(mews.address("q=ash"))
    more = page.locator("tbody summary")
    await more.focus()
    await page.keyboard.press("Enter")
    menu = page.locator("tbody .menu-body")
    await expect(menu.get_by_role("link")).to_have_text(["Edit client", "Edit status", "History", "Open in Temporal"])
    await expect(menu).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(menu.get_by_role("link", name="Edit client")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await expect(more).to_be_focused()
    await page.keyboard.press("Space")
    await expect(menu).to_be_visible()
    await page.get_by_role("heading", name="Clients", exact=True).click()
    await expect(menu).to_be_hidden()
    await more.click()
    await menu.get_by_role("link", name="History").click()
    await expect(page).to_have_title(titled("History of Ash Partners"))


async def test_one_row_menu_is_open_at_a_time_and_none_is_cut_off(browsers: Browsers, mews: Mews) -> None:
    for width in (1360, 360):
        page = await browsers.signed_in(mews.address(), width=width, height=640)
        for row in (0, 4):
            await page.locator("tbody summary").nth(row).click()
            opened = page.locator("tbody .menu[open]")
            await expect(opened).to_have_count(1)
            last = opened.get_by_role("link", name="Open in Temporal")
            await last.scroll_into_view_if_needed()
            await expect(last).to_be_in_viewport(ratio=1)
            await last.click(trial=True)
            assert await fits(page)


async def test_many_clients_come_page_by_page_each_once(browsers: Browsers, service: Service) -> None:
    site = await service.site()
    await copies(service, site, 120)
    page = await browsers.signed_in(f"/clients?site={site}&sort=billing_ref")
    seen: list[str] = []
    for expected in (50, 50, 20):
        await expect(page.locator("tbody tr")).to_have_count(expected)
        seen += await page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.key)")
        if expected == 50:
            await page.get_by_role("link", name="Next page").click()
            await page.wait_for_url("**cursor=**")
            await expect(page.locator(f'tr[data-key="{seen[-1]}"]')).to_have_count(0)
    assert len(set(seen)) == 120
    await expect(page.get_by_role("link", name="Next page")).to_have_count(0)
    await page.get_by_role("link", name="First page").click()
    await expect(page.locator(f'tr[data-key="{seen[0]}"]')).to_have_count(1)
    whole = await page.request.get(f"/clients?site={site}")
    assert len(await whole.body()) < 250_000
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Export CSV").click()
    exported = (await (await coming.value).path()).read_text(encoding="utf-8-sig")
    assert len(list(csv.DictReader(io.StringIO(exported)))) == 120


async def copies(service: Service, site: str, count: int) -> None:
    """As many rows of the directory, made from one client's: workflows of their own would take long."""
    client = await service.create(unique("Copied"))
    await service.clients.directory.database.write(
        "INSERT INTO clients (client_id, incarnation, revision, site_id, name, sort_name, type, status, billing_ref, "
        "start_date, management, offices, numbers, document, search, created_at) "
        "SELECT $2 || n, incarnation, revision, $2, 'Copy ' || n, 'copy ' || n, type, status, $2 || n, start_date, "
        "false, offices, numbers, "
        "document || jsonb_build_object('client_id', $2 || n, 'name', 'Copy ' || n, 'site', $2, "
        "'billing_ref', $2 || n), 'copy ' || n, created_at FROM clients, generate_series(1, $3) AS n "
        "WHERE client_id = $1",
        client["client_id"],
        site,
        count,
    )


async def test_what_is_shown_can_be_had_as_csv_without_formulas(browsers: Browsers, service: Service) -> None:
    own, evil = Mews(service, await service.site()), unique("=HYPERLINK")
    await own.create(f'{evil}("http://x")', billing_ref=unique("@SUM"), start_date="2199-01-01", wait=0)
    page = await browsers.signed_in(own.address(f"q={evil[1:]}"))
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Export CSV").click()
    download = await coming.value
    assert download.suggested_filename == "clients.csv"
    file = (await download.path()).read_bytes()
    assert file.startswith(codecs.BOM_UTF8), "or a spreadsheet takes it for Latin-1"
    rows = list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"))))
    assert [row["name"] for row in rows] == [f'\'{evil}("http://x")']
    assert rows[0]["billing_ref"].startswith("'@SUM")
    assert rows[0]["numbers"].startswith("'+44"), "else a spreadsheet makes a sum of it"
    assert rows[0]["next_change"] == "activate"
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Export to Excel").click()
    book = await coming.value
    assert book.suggested_filename == "clients.xlsx"
    sheet = openpyxl.load_workbook(io.BytesIO((await book.path()).read_bytes())).active
    assert isinstance(sheet, Worksheet)
    head, client = sheet.iter_rows(values_only=True)
    assert dict(zip(head, client, strict=True))["name"] == f'{evil}("http://x")'


async def test_a_search_is_exported_as_it_stands_now(browsers: Browsers, mews: Mews) -> None:
    page = await browsers.signed_in(mews.address())
    await page.get_by_label("Search").fill("birch")
    await lists(page, "Birch Ltd")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Export CSV").click()
    text = (await (await coming.value).path()).read_text(encoding="utf-8-sig")
    assert [row["name"] for row in csv.DictReader(io.StringIO(text))] == ["Birch Ltd"]


async def test_without_scripts_the_list_works_all_the_same(browsers: Browsers, mews: Mews) -> None:
    page = await browsers.signed_in(mews.address(), scripts=False)
    await page.get_by_label("Search").fill("birch")
    await page.get_by_text("Filters").click()
    await page.get_by_label("Type").select_option("virtual")
    await page.get_by_role("button", name="Show").click()
    await lists(page, "Birch Ltd")
    await page.get_by_label("Search").fill("")
    await page.get_by_label("Type").select_option("")
    await page.get_by_label("Show inactive clients").check()
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("tbody th a.name", has_text="Dogwood LLP")).to_be_visible()
    await page.get_by_role("link", name="Name").click()
    await expect(page.locator("tbody tr").nth(1)).to_contain_text("Elm & Sons")
    await page.locator("tbody summary").nth(1).click()
    await page.locator("tbody .menu[open]").get_by_role("link", name="History").click()
    await expect(page).to_have_title(titled("History of Elm & Sons"))
    await page.get_by_label("Show").select_option("decided")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("tbody tr.proven")).to_have_count(0)
    await page.locator(".account summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_title(titled("Sign in"))


async def test_an_address_that_makes_no_sense_leads_to_the_list(browsers: Browsers) -> None:
    page = await browsers.signed_in("/clients?status=asleep")
    await page.wait_for_url("**/clients")
    await expect(page.get_by_role("heading", name="Clients", exact=True)).to_be_visible()
    browsers.expects("status of 404")
    await page.goto("/clients?cursor=nonsense")
    await expect(page.get_by_role("alert")).to_be_visible()
    await listening(await browsers.signed_in("/clients"))


async def test_a_client_is_suspended_from_the_list_in_three_clicks(browsers: Browsers, service: Service) -> None:
    site = await service.site()
    ids = [(await service.create(name, site=site))["client_id"] for name in ("Iris Ltd", "Juniper Co", "Kale LLP")]
    page = await count_actions(await browsers.signed_in())
    await page.goto(f"/clients?site={site}&type=residential")
    many = page.get_by_role("group", name="With the selected clients")
    await expect(many).to_be_hidden()
    await page.get_by_label("Select Iris Ltd").check()
    await expect(many).to_contain_text("1 of 3 chosen")
    await many.get_by_role("button", name="Suspend", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Suspend 1 client")
    await page.get_by_role("button", name="Suspend 1 client now").click()
    await expect(page.locator(".notice")).to_have_text("1 client was suspended.")
    assert await actions(page) <= 4
    await expect(page).to_have_url(re.compile("type=residential"))
    assert [(await service.client(one))["status"] for one in ids] == ["suspended", "active", "active"]
    await page.get_by_label("Select all shown").check()
    await page.get_by_role("group", name="With the selected clients").get_by_role("button", name="Unsuspend").click()
    await expect(page.locator("main")).to_contain_text("2 clients stay as they are")
    assert await fits(page)


async def test_a_row_is_a_link_and_one_comes_back_to_the_list_as_it_was_filtered(
    browsers: Browsers, mews: Mews
) -> None:
    page = await browsers.signed_in(mews.address("type=virtual"))
    await page.locator("tbody td[data-label='Start date']").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Birch Ltd")
    await page.locator(".crumbs").get_by_role("link", name="Clients").click()
    await expect(page).to_have_url(re.compile("type=virtual"))
    await lists(page, "Birch Ltd")


async def test_on_a_telephone_the_first_client_is_seen_without_scrolling(browsers: Browsers, mews: Mews) -> None:
    page = await listening(await browsers.signed_in(mews.address(), width=390, height=844))
    await page.evaluate("document.querySelector('[data-part=waiting]').innerHTML = '<b class=count>128</b>'")
    place = await page.locator("tbody tr").first.bounding_box()
    assert place is not None
    assert place["y"] + place["height"] <= 844
    assert await fits(page)
