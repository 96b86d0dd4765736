"""New client, Edit client and New site, as an operator fills them in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from starter.telephones import phone_word
from tests.browser.browsing import NARROW, Browsers, fits
from tests.support.service import SITE, Service, number, unique
from tests.support.waiting import eventually

DAY = (datetime.now(UTC).date() + timedelta(60)).isoformat()


async def checked(page: Page) -> None:
    """Return when what was typed has been looked at."""
    await expect(page.locator("form[data-checked]").first).to_be_visible()


async def clients_named(service: Service, name: str) -> list[dict[str, Any]]:
    answer = await service.api.get("/clients", params={"q": name, "inactive": "true"})
    return [client for client in answer.json()["items"] if client["name"] == name]


async def focused(page: Page, field: str) -> None:
    """The cursor is in a field of the page, whichever of the browser's tabs is in front."""
    await page.wait_for_function("field => document.activeElement?.id === field", arg=field)


async def client_of(service: Service, client_id: str) -> dict[str, Any]:
    client: dict[str, Any] = await service.client(client_id)
    return client


async def test_a_client_is_created_as_one_types(browsers: Browsers, service: Service) -> None:
    page, name, line = await browsers.signed_in(f"/clients/new?site={SITE}"), unique("Typed"), number()
    await page.get_by_label("Name").fill(name)
    await page.locator("#number-0").fill(f"+44 20 {line[5:9]} {line[9:]}")
    await expect(page.locator("#note-number-0")).to_have_text(f"{phone_word(line)} is free.")
    await page.locator("#office-0").fill("3.12")
    await page.get_by_label("Start date", exact=True).fill("2199-07-01")
    await expect(page.locator("#note-start_date")).to_have_text("Activates on 1 Jul 2199, 00:00 Europe/London.")
    await page.get_by_role("button", name="Create client").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await expect(page.locator(".notice")).to_contain_text(f"Created {name}.")
    [client] = await clients_named(service, name)
    assert client["lines"] == [{"number": line, "office": "3.12", "protected": False}]


async def test_what_is_taken_or_wrong_is_told_as_one_types_and_the_first_is_focused(
    browsers: Browsers, service: Service
) -> None:
    browsers.expects("status of 422")
    theirs = await service.create(unique("Theirs"), billing_ref=unique("R"))
    page = await browsers.signed_in("/clients/new")
    await page.locator("#number-1").fill(theirs["lines"][0]["number"])
    await expect(page.locator("#note-number-1")).to_contain_text(f"taken by client {theirs['client_id']}")
    await expect(page.locator("#number-1")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Billing ref").fill(theirs["billing_ref"])
    await expect(page.locator("#note-billing_ref")).to_contain_text("is taken")
    await page.locator("#number-0").press_sequentially("+4420", delay=1)
    await expect(page.locator("#number-0")).to_have_value("+4420")
    await expect(page.locator("#note-number-0")).to_have_text("")
    await page.locator("#office-0").focus()
    await expect(page.locator("#note-number-0")).to_contain_text("can exist")
    await page.get_by_role("button", name="Create client").click()
    await expect(page.get_by_role("alert").filter(has_text="Nothing was created")).to_be_visible()
    await focused(page, "name")
    await expect(page.locator("#number-0")).to_have_value("+4420")
    await page.get_by_role("link", name="The name is missing").click()
    await focused(page, "name")


async def test_the_zone_and_the_type_change_what_the_form_asks(browsers: Browsers, service: Service) -> None:
    site = await service.site(timezone="Pacific/Auckland")
    page = await browsers.signed_in(f"/clients/new?site={SITE}")
    await expect(page.locator(".zone")).to_have_text("Europe/London")
    await page.get_by_label("Site", exact=True).select_option(site)
    await expect(page.locator(".zone")).to_have_text("Pacific/Auckland")
    await page.get_by_label("Virtual").check()
    await expect(page.locator("#office-0")).to_be_hidden()
    await expect(page.get_by_role("heading", name="In the building")).to_be_hidden()
    await page.get_by_label("Residential").check()
    await expect(page.locator("#office-0")).to_be_visible()


async def test_more_lines_come_without_losing_what_was_typed(browsers: Browsers) -> None:
    page = await browsers.signed_in("/clients/new")
    await page.get_by_label("Name").fill("Kept")
    await page.get_by_role("button", name="More lines").click()
    await expect(page.locator("#number-3")).to_be_focused()
    await expect(page.locator("#number-5")).to_be_visible()
    await expect(page.get_by_label("Name")).to_have_value("Kept")


async def test_enter_sends_the_form_and_a_double_click_creates_one(browsers: Browsers, service: Service) -> None:
    page, name = await browsers.signed_in("/clients/new"), unique("Double")
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("button", name="Create client").dblclick()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await page.reload()
    assert len(await clients_named(service, name)) == 1
    await page.goto("/clients/new")
    other = unique("Entered")
    await page.get_by_label("Name").fill(other)
    await page.get_by_label("Name").press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(other)


async def test_going_back_and_sending_the_form_again_creates_nothing_twice(
    browsers: Browsers, service: Service
) -> None:
    browsers.expects("status of 4")
    page, name = await browsers.signed_in("/clients/new"), unique("Back")
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("button", name="Create client").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await page.go_back()
    await page.get_by_role("button", name="Create client").click()
    await page.wait_for_load_state()
    assert len(await clients_named(service, name)) == 1


async def test_it_works_without_scripts(browsers: Browsers, service: Service) -> None:
    browsers.expects("status of 422")
    page, name = await browsers.signed_in("/clients/new", scripts=False), unique("Plain")
    await page.get_by_role("button", name="More lines").click()
    await page.locator("#number-5").fill("+4420")
    await page.get_by_role("button", name="Create client").click()
    await expect(page.locator("#note-number-5")).to_contain_text("can exist")
    await page.locator("#number-5").fill("")
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("button", name="Create client").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)


async def test_a_session_that_ends_while_one_types_loses_nothing(browsers: Browsers, service: Service) -> None:
    browsers.expects("status of 401", "status of 403")
    page = await browsers.signed_in("/clients/new", name=unique("long"))
    who, name = await page.locator(".account summary").inner_text(), unique("Patient")
    await page.get_by_label("Name").fill(name)
    await checked(page)
    await service.clients.directory.database.write(
        "UPDATE console_sessions SET expires_at = now() WHERE caller = $1", who
    )
    await page.locator("#rooms").fill("7.01")
    await expect(page.locator("#session-ended")).to_be_visible()
    other = await browsers.signed_in("/clients")
    await page.context.add_cookies(await other.context.cookies())  # type: ignore[arg-type]  # set as read
    await page.locator("#rooms").fill("7.02")
    await expect(page.locator("#session-ended")).to_be_hidden()
    await page.get_by_role("button", name="Create client").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)


async def test_details_are_edited_and_the_way_to_a_decommission_follows_the_date(
    browsers: Browsers, service: Service
) -> None:
    client = await service.create(unique("Old name"))
    page = await browsers.signed_in(f"/clients/{client['client_id']}/edit")
    plan = page.get_by_role("link", name="Plan decommission")
    await page.get_by_label("End date").fill(DAY)
    await expect(plan).to_have_attribute(
        "href", f"/clients/{client['client_id']}/status?action=decommission&when=day&last_day={DAY}"
    )
    name = unique("New name")
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("button", name="Save details").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await expect(page.locator(".notice")).to_have_text("Edited: name, end date.")
    assert (await client_of(service, client["client_id"]))["end_date"] == DAY


async def test_services_say_what_will_happen_and_are_changed(browsers: Browsers, service: Service) -> None:
    client, line = await service.create(), number()
    page = await browsers.signed_in(f"/clients/{client['client_id']}/edit")
    await expect(page.get_by_role("button", name="Change services now")).to_have_count(0)
    await page.locator("#number-1").fill(line)
    await page.locator("#office-1").fill("5.01")
    await page.get_by_label("Download").fill("100")
    await page.get_by_label("Upload").fill("50")
    happens = page.locator(".happens").last
    await expect(happens).to_contain_text(phone_word(line))
    await expect(happens).to_contain_text("100/50 Mbit/s")
    await page.get_by_role("button", name="Change services now").click()
    await expect(page.locator(".notice")).to_contain_text(f"added {phone_word(line)}")

    async def switched() -> bool:
        after = await client_of(service, client["client_id"])
        return after["provisioning"] == "settled" and after["internet"] is not None

    await eventually(switched)


async def test_a_site_is_added_and_its_zone_stands_beside_the_dates(browsers: Browsers) -> None:
    page = await browsers.signed_in("/sites/new")
    await page.get_by_label("Name").fill(unique("Plaza"))
    await page.get_by_label("Time zone").fill("America/New_York")
    await page.get_by_role("button", name="Add site").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("New client")
    await expect(page.locator(".zone")).to_have_text("America/New_York")


async def test_the_forms_are_accessible_in_both_themes_and_on_a_narrow_screen(
    browsers: Browsers, service: Service
) -> None:
    browsers.expects("status of 422")
    client = await service.create(internet={"down_mbps": 10, "up_mbps": 10})
    gone = await service.create(unique("Gone"))
    await service.post(gone["client_id"], "decommission")
    paths = ["/clients/new", "/sites/new", *(f"/clients/{c['client_id']}/edit" for c in (client, gone))]
    page = await browsers.signed_in()
    narrow = await browsers.signed_in(width=NARROW, theme="dark")
    for tab in (page, narrow):
        for path in paths:
            await tab.goto(path)
            found = await Axe().run(tab)
            assert found.violations_count == 0, f"{path}: {found.generate_report()}"
            assert await fits(tab), path
    await page.emulate_media(color_scheme="dark")
    for tab in (page, narrow):
        await tab.goto("/clients/new")
        await tab.locator("#number-0").fill("+4420")
        await tab.get_by_role("button", name="Create client").click()
        await focused(tab, "name")
        found = await Axe().run(tab)
        assert found.violations_count == 0, found.generate_report()


async def test_two_tabs_that_edit_the_same_field_hear_of_each_other(browsers: Browsers, service: Service) -> None:
    browsers.expects("status of 409")
    client = await service.create(unique("Shared"))
    address = f"/clients/{client['client_id']}/edit"
    one, two = await browsers.signed_in(address), await browsers.signed_in(address, name="bob")
    await one.get_by_label("Name").fill("By Ann")
    await one.get_by_role("button", name="Save details").click()
    await expect(one.get_by_role("heading", level=1)).to_have_text("By Ann")
    await two.get_by_label("Name").fill("By Bob")
    await two.get_by_role("button", name="Save details").click()
    await expect(two.locator("#note-name")).to_contain_text("changed to “By Ann” meanwhile")
    await focused(two, "name")
    await two.get_by_role("button", name="Save details").click()
    await expect(two.get_by_role("heading", level=1)).to_have_text("By Bob")


async def test_markup_stays_text_while_one_types(browsers: Browsers, service: Service) -> None:
    name = f"<img src=x onerror=alert(1)> {unique('M')}"
    client = await service.create(name)
    page = await browsers.signed_in(f"/clients/{client['client_id']}/edit")
    await expect(page.get_by_label("Name")).to_have_value(name)
    await page.locator("#number-1").fill("<b>1</b>")
    await page.locator("#office-1").fill("<i>2</i>")
    await expect(page.locator("#note-number-1")).to_contain_text("<b>1</b>")
    assert await page.locator("main img, main i").count() == 0


async def test_very_many_lines_are_gone_through_by_keyboard_and_nothing_typed_is_lost(
    browsers: Browsers, service: Service
) -> None:
    lines = [{"number": number(), "office": "1"} for _ in range(52)]
    client = await service.create(unique("Many"), lines=lines)
    page = await browsers.signed_in(f"/clients/{client['client_id']}/edit")
    position = page.locator(".finder [role=status]")
    await expect(position).to_contain_text("Lines 1 to 50 of 52")
    await page.get_by_label(f"Office of line {lines[0]['number']}").fill("R1")
    await expect(page.locator(".happens").last).to_contain_text("R1")
    await page.get_by_role("button", name="Next lines").focus()
    await page.keyboard.press("Enter")
    await expect(position).to_contain_text("Lines 51 to 52 of 52")
    await expect(page.get_by_role("button", name="Next lines")).to_be_focused()
    await page.get_by_label(f"Remove line {lines[51]['number']}").check()
    await page.get_by_label("Find lines").fill(lines[0]["number"][1:])
    await expect(position).to_contain_text("Line 1 of 1")
    await expect(page.get_by_label("Find lines")).to_be_focused()
    await expect(page.get_by_label(f"Office of line {lines[0]['number']}")).to_have_value("R1")
    await page.get_by_label("Find lines").fill("nobody")
    await expect(position).to_contain_text("In none of 52 lines")
    await expect(page.locator(".happens").last).to_contain_text("R1")
    await page.get_by_label("Find lines").press("Enter")
    await page.get_by_label("Find lines").fill("")
    await expect(position).to_contain_text("Lines 1 to 50 of 52")
    new = page.get_by_label("Number of row").last
    await new.press_sequentially(number(), delay=0)
    await expect(new).to_be_focused()
    await new.fill("")
    await expect(page.locator(".happens").last).to_contain_text("R1")
    await page.get_by_role("button", name="Change services now").click()
    await expect(page.locator("p.notice")).to_contain_text("Services: ")
    after = {line["number"]: line["office"] for line in (await service.client(client["client_id"]))["lines"]}
    assert len(after) == 51
    assert after.pop(lines[0]["number"]) == "R1"
    assert {*after.values()} == {"1"}


async def test_the_menu_takes_one_line_on_a_telephone(browsers: Browsers, service: Service) -> None:
    page = await browsers.signed_in("/clients", width=NARROW)
    for counted in ("9", "99", "1000+"):
        tops = await page.evaluate(
            """counted => { const waiting = document.querySelector(".bar nav [data-part=waiting]");
            waiting.innerHTML = `<b class="count">${counted}</b>`;
            return [...document.querySelectorAll(".bar nav a")].map(it => it.offsetTop) }""",
            counted,
        )
        assert len({*tops}) == 1, counted


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_enter_where_lines_are_found_does_nothing_else(
    browsers: Browsers, service: Service, scripts: bool
) -> None:
    lines = [{"number": number(), "office": "1"} for _ in range(52)]
    client = await service.create(unique("Many"), lines=lines)
    page = await browsers.signed_in(f"/clients/{client['client_id']}/edit", scripts=scripts)
    await page.get_by_label("Office of line").first.fill("R1")
    for _ in range(2):
        await page.get_by_label("Find lines").fill("R1")
        await page.get_by_label("Find lines").press("Enter")
        await expect(page.locator(".finder [role=status]").first).to_contain_text("Line 1 of 1")
        await expect(page.locator(".happens").last).to_contain_text("R1")
    assert {line["office"] for line in (await service.client(client["client_id"]))["lines"]} == {"1"}
