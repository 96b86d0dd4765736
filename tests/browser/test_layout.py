"""Claims about the looks: everything is within reach and legible, on wide screens and narrow ones."""

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import FloatRect, Locator, expect

from starter.console.rendering import templates
from tests.browser.browsing import NARROW, WIDE, Browsers, fits
from tests.browser.test_clients import copies
from tests.support.service import Service, number, unique
from tests.support.waiting import eventually

NARROWEST = 320  # WCAG 2.2, 1.4.10: 1280 pixels at four times the size
WIDTHS = (WIDE, 1024, 768, NARROW)
LONGEST_REF = "VERYLONGBILLINGREFERENCE-2026-" + "0" * 22
OFFICE = "Reception,-ground-floor-beside-the-lifts"


@pytest_asyncio.fixture(scope="module")
async def row(service: Service) -> str:
    """A site with many clients, the first of which has the longest of everything."""
    site = await service.site()
    lines = [{"number": number(), "office": OFFICE, "protected": True}, {"number": number(), "office": "2.07"}]
    record: dict[str, Any] = {"billing_ref": f"{LONGEST_REF}{unique('')}"[-52:], "end_date": "2199-12-31"}
    await service.create("Alpha" + "gesellschaft" * 6, site=site, lines=lines, client_id=unique("alpha"), **record)
    await copies(service, site, 30)
    return site


@pytest_asyncio.fixture(scope="module")
async def tenant(service: Service, row: str) -> dict[str, Any]:
    """The client with the longest of everything."""
    found = await service.api.get("/clients", params={"site": row, "q": "alpha"})
    client: dict[str, Any] = found.json()["items"][0]
    return client


async def box(element: Locator) -> FloatRect:
    found = await element.bounding_box()
    assert found is not None
    return found


# -- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
async def test_the_menu_of_every_row_is_in_reach_and_widens_nothing(browsers: Browsers, row: str, width: int) -> None:
    page = await browsers.signed_in(f"/clients?site={row}", width=width, height=480)
    table, before = page.locator(".table"), await page.evaluate("document.querySelector('.table').scrollWidth")
    for place in (0, 30):
        more = page.locator("tbody summary").nth(place)
        await more.evaluate("more => more.scrollIntoView({ block: 'end' })")
        await expect(more).to_be_in_viewport(ratio=1)
        await more.click()
        for name in ("Edit client", "Open in Temporal"):
            link = page.locator("tbody .menu[open]").get_by_role("link", name=name)
            await expect(link).to_be_in_viewport(ratio=1)
            await link.click(trial=True)
        assert await table.evaluate("table => table.scrollWidth") == before
        await page.keyboard.press("Escape")


async def test_what_the_table_leaves_out_stands_under_the_name(
    browsers: Browsers, row: str, tenant: dict[str, Any]
) -> None:
    page = await browsers.signed_in(f"/clients?site={row}&q=alpha", width=1024)
    await expect(page.get_by_role("columnheader", name="Billing ref")).to_be_hidden()
    await expect(page.locator("tbody th .folded")).to_have_text(f"Residential, {tenant['billing_ref']}")
    assert await page.locator(".table").evaluate("table => table.scrollWidth <= table.clientWidth")
    await page.set_viewport_size({"width": WIDE, "height": 900})
    await expect(page.get_by_role("columnheader", name="Billing ref")).to_be_visible()
    await expect(page.locator("tbody th .folded")).to_be_hidden()


@pytest.mark.parametrize("width", [WIDE, 1290])
async def test_no_name_ref_or_office_is_long_enough_to_widen_the_page(
    browsers: Browsers, row: str, tenant: dict[str, Any], width: int
) -> None:
    page = await browsers.signed_in(f"/clients?site={row}", width=width)
    await expect(page.get_by_text(tenant["billing_ref"], exact=True)).to_be_visible()
    assert await fits(page)


async def test_the_heads_of_the_list_stay_in_sight_below_the_header(browsers: Browsers, row: str) -> None:
    page = await browsers.signed_in(f"/clients?site={row}")
    await page.locator("tbody tr").nth(25).scroll_into_view_if_needed()
    await expect(page.get_by_role("columnheader", name="Name")).to_be_in_viewport()
    head, bar = await box(page.get_by_role("columnheader", name="Name")), await box(page.locator(".bar"))
    assert abs(head["y"] - bar["height"]) <= 1


async def test_the_fields_of_a_filter_stand_in_one_line(browsers: Browsers, row: str) -> None:
    page = await browsers.signed_in(f"/clients?site={row}")
    await page.get_by_text("Filters").click()
    for line in (("site", "q"), ("type", "provisioning")):
        fields = [await box(page.locator(f"#{name}")) for name in line]
        assert len({(field["y"], field["height"]) for field in fields}) == 1
    await page.goto(f"/upcoming?site={row}")
    fields = [await box(page.locator(f"#{name}")) for name in ("site", "month")]
    assert len({(field["y"], field["height"]) for field in fields}) == 1


# -- the keyboard, and what is read aloud -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/clients?site={row}", "/clients/new"])
async def test_what_has_the_focus_never_lies_under_the_header(browsers: Browsers, row: str, path: str) -> None:
    page = await browsers.signed_in(path.format(row=row), height=420)
    await page.locator("main a").last.focus()
    hidden = []
    for _ in range(25):
        await page.keyboard.press("Shift+Tab")
        hidden += await page.evaluate(
            """() => { const e = document.activeElement, own = e.getBoundingClientRect();
            const at = document.elementFromPoint(own.x + own.width / 2, own.y + Math.min(own.height / 2, 8));
            const seen = own.bottom > 0 && (e === at || e.contains(at) || at?.contains(e));
            return seen ? [] : [e.outerHTML.slice(0, 99)] }"""
        )
    assert hidden == []


async def test_what_does_not_scroll_is_no_stop_of_the_keyboard(browsers: Browsers, row: str) -> None:
    page = await browsers.signed_in(f"/clients?site={row}")
    region = page.get_by_role("region", name="Clients, scrollable")
    await expect(region).not_to_have_attribute("tabindex", "0")

    async def stops_when_it_scrolls() -> bool:
        """The list may be brought up to date meanwhile, and has its own width again then."""
        await region.evaluate("table => { table.style.overflow = 'auto'; table.style.width = '30rem' }")
        return await region.get_attribute("tabindex") == "0"

    await eventually(stops_when_it_scrolls)
    plain = await browsers.signed_in(f"/clients?site={row}", scripts=False)
    await expect(plain.get_by_role("region", name="Clients, scrollable")).to_have_attribute("tabindex", "0")


async def test_an_action_that_is_chosen_shows_its_form(browsers: Browsers, tenant: dict[str, Any]) -> None:
    page = await browsers.signed_in(f"/clients/{tenant['client_id']}/status", width=NARROW, height=640)
    await page.get_by_role("link", name="Suspend Cease").click()
    heading = page.get_by_role("heading", name="Suspend", exact=True)
    await expect(heading).to_be_focused()
    await expect(heading).to_be_in_viewport()
    await expect(page.get_by_role("radio", name="Now")).to_be_in_viewport()
    await page.set_viewport_size({"width": WIDE, "height": 900})
    await page.goto(f"/clients/{tenant['client_id']}/status")
    await page.get_by_role("link", name="Suspend Cease").click()
    await expect(heading).to_be_focused()
    await expect(page.get_by_role("heading", level=1)).to_be_in_viewport()


async def test_rows_of_fields_are_told_apart_by_their_names(browsers: Browsers, tenant: dict[str, Any]) -> None:
    page = await browsers.signed_in(f"/clients/{tenant['client_id']}/status?action=change_services")
    for name in ("Number of row 2", "Office of row 2", "Protected, row 2"):
        await expect(page.get_by_label(name)).to_have_count(1)


async def test_what_is_selected_is_seen_in_colours_of_the_readers_own(
    browsers: Browsers, row: str, tenant: dict[str, Any]
) -> None:
    page = await browsers.signed_in(f"/clients?site={row}")
    await page.emulate_media(forced_colors="active")
    outline = "element => getComputedStyle(element).outlineStyle"
    for chosen in (page.locator(".bar nav [aria-current]"), page.locator(".counts [aria-current]")):
        assert await chosen.evaluate(outline) == "solid"
    badge = page.locator("tbody .badge.settled").first
    assert await badge.evaluate("badge => getComputedStyle(badge).borderTopStyle") == "solid"
    await page.goto(f"/clients/{tenant['client_id']}/status?action=suspend")
    for chosen in (page.locator(".tabs [aria-current]"), page.locator(".doings [aria-current]")):
        assert await chosen.evaluate(outline) == "solid"


# -- narrow screens ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [NARROW, NARROWEST])
async def test_nobody_scrolls_sideways(browsers: Browsers, row: str, tenant: dict[str, Any], width: int) -> None:
    page = await browsers.signed_in(width=width)
    client = f"/clients/{tenant['client_id']}"
    wide = []
    for path in (client, f"{client}/edit", f"{client}/history", f"{client}/status?action=decommission",
                 f"{client}/status?action=change_services", f"/clients?site={row}", f"/upcoming?site={row}",
                 "/attention", "/clients/new", "/docs"):  # fmt: skip
        await page.goto(path)
        if not await fits(page):
            wide.append(path)
    assert wide == []


async def test_a_long_error_stays_inside_the_page(browsers: Browsers, slow: Service) -> None:
    client = await slow.create(unique("Failing"))
    address = f"/clients/{client['client_id']}"
    async with slow.without(slow.telephony):
        await slow.post(client["client_id"], "suspend", wait=0)
        await slow.tried(client["client_id"])
        page = await browsers.signed_in(address, width=NARROW, url=slow.url)
        await expect(page.locator(".axes")).to_contain_text("Telephone lines: attention")
        await expect(page.locator("[data-part=services] .problem")).to_contain_text("1 attempt,")
        body = (await (await page.request.get(address)).text()).replace("does not answer", "CONNECT_" * 20)
        await page.route(f"**{address}", lambda route: route.fulfill(body=body, content_type="text/html"))
        await page.reload()
        await expect(page.locator("[data-part=services] .problem")).to_contain_text("CONNECT_CONNECT")
        assert await fits(page)
        await page.unroute_all()


@pytest.mark.parametrize("width", [NARROW, NARROWEST])
async def test_the_way_to_every_page_is_in_sight(browsers: Browsers, row: str, width: int) -> None:
    page = await browsers.signed_in(f"/clients?site={row}", width=width)
    nav = page.get_by_role("navigation", name="Main")
    for link in await nav.get_by_role("link").all():
        await expect(link).to_be_in_viewport(ratio=1)
    assert await nav.evaluate("nav => getComputedStyle(nav).overflowX") == "visible"  # nothing cuts the focus off


async def test_a_preview_shows_before_and_after_below_each_other(browsers: Browsers, tenant: dict[str, Any]) -> None:
    page = await browsers.signed_in(f"/clients/{tenant['client_id']}/status?action=decommission", width=NARROW)
    line = page.locator("table.effects tbody tr").first
    for cell in await line.locator("td").all():
        own = await box(cell)
        assert own["x"] >= 0
        assert own["x"] + own["width"] <= NARROW
    before, after = [await box(line.locator(f'td[data-label="{label}"]')) for label in ("Before", "After")]
    assert after["y"] >= before["y"] + before["height"]


async def test_history_and_evidence_are_read_without_scrolling_sideways(
    browsers: Browsers, tenant: dict[str, Any]
) -> None:
    page = await browsers.signed_in(f"/clients/{tenant['client_id']}", width=NARROW)
    for region in ("Evidence of telephone lines, scrollable", "Latest history, scrollable"):
        table = page.get_by_role("region", name=region)
        assert await table.evaluate("shown => shown.scrollWidth <= shown.clientWidth"), region
    await page.goto(f"/clients/{tenant['client_id']}/history")
    assert await page.locator(".table").evaluate("table => table.scrollWidth <= table.clientWidth")
    await expect(page.locator("tbody td.text").first).to_be_in_viewport()


async def test_one_box_that_ticks_all_says_so_on_a_narrow_screen(browsers: Browsers, service: Service) -> None:
    site = await service.site()
    client = await service.create(unique("Ticked"), site=site)
    async with service.without(service.telephony):
        await service.post(client["client_id"], "suspend", wait=0)
        await service.tried(client["client_id"])
        page = await browsers.signed_in(f"/attention?site={site}", width=NARROW)
        await expect(page.get_by_label(f"Choose {client['name']}")).to_be_visible()
        label = page.locator("thead").get_by_text("Choose all shown")
        assert (await box(label))["width"] > 60
        await label.click()
        await expect(page.get_by_label(f"Choose {client['name']}")).to_be_checked()


# -- what is said, and where ------------------------------------------------------------------------------------------


async def test_one_knows_where_one_is_among_the_pages_of_a_client(browsers: Browsers, tenant: dict[str, Any]) -> None:
    page = await browsers.signed_in()
    tabs = page.get_by_role("navigation", name="Client")
    for under, name in (
        ("", "Overview"),
        ("/status", "Edit status"),
        ("/edit", "Edit client"),
        ("/history", "History"),
    ):
        await page.goto(f"/clients/{tenant['client_id']}{under}")
        await expect(tabs.get_by_role("link")).to_have_text(["Overview", "Edit status", "Edit client", "History"])
        await expect(tabs.locator("[aria-current=page]")).to_have_text([name])
        await expect(page.locator(".axes dt")).to_have_text(["Status", "Provisioning", "Planned"])


async def test_a_moment_is_told_beside_the_choice_that_it_belongs_to(
    browsers: Browsers, tenant: dict[str, Any]
) -> None:
    page = await browsers.signed_in(f"/clients/{tenant['client_id']}/status?action=suspend&last_day=2199-03-31")
    await expect(page.locator(".day .moment")).to_contain_text("That is 1 Apr 2199, 00:00")
    await page.get_by_label("At an exact moment").check()
    await page.get_by_label("Day and time in").fill("2199-07-01T09:30")
    await expect(page.locator(".at .moment")).to_contain_text("That is 1 Jul 2199, 09:30")
    await expect(page.locator(".moment")).to_have_count(1)


async def test_no_decommission_is_offered_for_a_day_that_is_past(
    browsers: Browsers, service: Service, tenant: dict[str, Any]
) -> None:
    late = await service.create(unique("Late"), start_date="2025-01-01", end_date="2026-01-31")
    page = await browsers.signed_in(f"/clients/{late['client_id']}/edit")
    offer = page.get_by_role("link", name="Plan decommission")
    await expect(offer).to_have_text("Plan decommission…")
    assert "last_day" not in str(await offer.get_attribute("href"))
    await page.goto(f"/clients/{tenant['client_id']}/edit")
    await expect(offer).to_have_text("Plan decommission for 31 Dec 2199…")


async def test_the_latest_history_has_heads_like_all_of_it(browsers: Browsers, tenant: dict[str, Any]) -> None:
    page = await browsers.signed_in(f"/clients/{tenant['client_id']}")
    heads = page.locator("[data-part=latest]").get_by_role("columnheader")
    await expect(heads).to_have_text(["When", "What", "By", "Details"])


async def test_the_record_stands_beside_the_services_where_there_is_room(
    browsers: Browsers, tenant: dict[str, Any]
) -> None:
    page = await browsers.signed_in(f"/clients/{tenant['client_id']}")
    services, record = page.locator("[data-part=services]"), page.locator("[data-part=record]")
    assert (await box(record))["x"] >= (await box(services))["x"] + (await box(services))["width"]
    await page.set_viewport_size({"width": 1024, "height": 900})
    assert (await box(record))["y"] >= (await box(services))["y"] + (await box(services))["height"]


async def test_an_empty_page_says_so_in_its_middle(browsers: Browsers, service: Service) -> None:
    site = await service.site()
    page = await browsers.signed_in(f"/attention?site={site}")
    heading = page.get_by_role("heading", name="Nothing needs you.")
    assert await heading.evaluate("h => [getComputedStyle(h).display, getComputedStyle(h).textAlign]") == [
        "block",
        "center",
    ]


async def test_what_is_wrong_with_a_system_is_said_once(browsers: Browsers, service: Service) -> None:
    site = await service.site()
    client = await service.create(unique("Once"), site=site)
    async with service.without(service.telephony):
        await service.post(client["client_id"], "suspend", wait=0)
        await service.tried(client["client_id"])
        page = await browsers.signed_in(f"/attention?site={site}")
        wrong = page.locator(".waiting-for td.text")
        await expect(wrong).not_to_be_empty()
        error = (await service.api.get("/attention", params={"site": site})).json()["items"][0]["last_error"]
        database = service.clients.directory.database
        await database.write(
            "INSERT INTO system_states (system, worker, state, since, last_error, last_failure_at) "
            "VALUES ('telephony', 'w', 'failing', now(), $1, now())",
            error,
        )
        await page.reload()
        await expect(page.locator(".systems .problem")).to_contain_text(error)
        await expect(wrong).to_have_text("The same as above.")
        await database.write("DELETE FROM system_states WHERE worker = 'w'")


def test_a_long_text_of_another_system_is_cut_short_until_it_is_asked_for() -> None:
    clamped = templates.get_template("clamped.html").module.clamped  # type: ignore[attr-defined]  # a macro
    assert "<details" not in clamped("short <b>")
    assert "short &lt;b&gt;" in clamped("short <b>")
    assert clamped("long " * 60).count("<summary") == 1


async def test_the_sign_in_page_says_whose_door_it_is(browsers: Browsers) -> None:
    page = await browsers.open()
    await page.goto("/sign-in")
    brand, card = await box(page.locator(".brand")), await box(page.locator(".card"))
    await expect(page.locator(".brand svg")).to_be_visible()
    assert brand["y"] + brand["height"] <= card["y"]


async def test_the_reference_shows_code_as_code(browsers: Browsers) -> None:
    page = await browsers.signed_in("/docs")
    assert "`" not in await page.locator("body").inner_text()
    await expect(page.locator("p code").first).to_be_visible()
