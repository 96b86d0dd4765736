"""How news comes into a page, beside a person who is doing something there."""

import asyncio
import random
from typing import Any

import pytest
from playwright.async_api import Page, expect

from starter.console.auth.sessions import COOKIE, Sessions
from starter.telephones import phone_word
from tests.browser.browsing import Browsers, listening
from tests.support.service import HOME, TOKEN, Service, number, unique
from tests.support.waiting import unless_it_hangs

MORPHED = """async ([before, after]) => {
  const { morph } = await import("/static/morph.js");
  const list = document.createElement("ul");
  list.innerHTML = before;
  document.body.append(list);
  const coming = document.createElement("ul");
  coming.innerHTML = after;
  const focused = list.querySelector("[data-focus] button");
  focused?.focus();
  morph(list, coming);
  const same = list.innerHTML === after, stayed = focused ? document.activeElement === focused : null;
  list.remove();
  return [same, stayed];
}"""


def rows(keys: list[str], focus: str = "") -> str:
    """A list as a page has it: a space between its rows, and a button in each."""
    marked = ' data-focus=""'
    return " ".join(f'<li data-key="{key}"{marked if key == focus else ""}><button>{key}</button></li>' for key in keys)


async def late(page: Page, pattern: str, arrived: asyncio.Event) -> None:
    """Hold back what the server answers to these requests."""

    async def hold(route: Any) -> None:
        answer = await route.fetch()
        async with unless_it_hangs():
            await arrived.wait()
        await route.fulfill(response=answer)

    await page.route(pattern, hold)


async def test_any_list_becomes_any_other_and_the_focus_stays_in_its_row(browsers: Browsers) -> None:
    page = await browsers.signed_in("/clients")
    chance = random.Random(7)
    for _ in range(150):
        before = chance.sample("abcdefghij", chance.randint(0, 10))
        after = chance.sample("abcdefghij", chance.randint(0, 10))
        focus = chance.choice(before) if before else ""
        stays = focus in after
        same, stayed = await page.evaluate(MORPHED, [rows(before, focus), rows(after, focus if stays else "")])
        assert same, (before, after)
        assert stayed is (stays if focus else None), (before, after, focus)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<li data-key="a">1</li>', '<li data-key="a">1</li><li data-key="a">2</li><li data-key="a">3</li>'),
        ('<li data-key="a">1</li><li data-key="a">2</li>', '<li data-key="a">2</li>'),
        ("<p>1</p>text", "text<p>1</p><b>2</b>"),
        ('<select><option value="1">1</option></select>', '<select><option value="2">2</option></select>'),
        ('<input type="hidden" name="seen" value="1">', '<input type="hidden" name="seen" value="2">'),
    ],
)
async def test_whatever_comes_is_what_then_stands_there(browsers: Browsers, before: str, after: str) -> None:
    page = await browsers.signed_in("/clients")
    assert (await page.evaluate(MORPHED, [before, after]))[0]


async def test_a_late_answer_never_overwrites_what_was_asked_for_meanwhile(
    browsers: Browsers, service: Service
) -> None:
    name = unique("Late")
    await service.create(name)
    page = await listening(await browsers.signed_in("/clients?site=thames"))
    arrived = asyncio.Event()
    await late(page, "**/clients?site=thames", arrived)
    async with page.expect_request("**/clients?site=thames"):
        await service.create(unique("Elsewhere"))
    await page.get_by_label("Search").fill(name)
    await expect(page.locator("tbody tr")).to_have_count(1)
    async with page.expect_response("**/clients?site=thames"):
        arrived.set()
    await page.evaluate("new Promise(requestAnimationFrame)")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.unroute_all(behavior="ignoreErrors")


async def test_news_does_not_let_one_confirm_what_is_being_previewed_anew(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Slow"))
    at = f"/clients/{client['client_id']}/status?action=suspend"
    page = await listening(await browsers.signed_in(at))
    arrived = asyncio.Event()
    await late(page, "**/status/check", arrived)
    async with page.expect_request("**/status/check"):
        await page.get_by_label("Reason").fill("late")
    button = page.get_by_role("button", name="Suspend now")
    await expect(button).to_be_disabled()
    await service.post(client["client_id"], "suspend", source="billing")
    other = await browsers.signed_in(at)
    await expect(other.locator("[data-part=head]")).to_contain_text("Suspended")
    await expect(button).to_be_disabled()
    arrived.set()
    await expect(button).to_be_enabled()
    await expect(page.locator("[data-part=head]")).to_contain_text("Suspended")
    await page.unroute_all(behavior="ignoreErrors")


async def test_what_is_ticked_stays_with_its_line_when_another_one_goes(browsers: Browsers, service: Service) -> None:
    lines = [{"number": number(), "office": "1"} for _ in range(3)]
    first, second, _ = sorted(line["number"] for line in lines)
    client_id = (await service.create(unique("Ticked"), lines=lines))["client_id"]
    page = await listening(await browsers.signed_in(f"/clients/{client_id}/status?action=change_services"))
    await page.get_by_label(phone_word(second)).check()
    await expect(page.locator("[data-confirm]")).to_be_visible()
    await service.post(client_id, "services", remove_lines=[first])
    await expect(page.locator(f'label[data-key="{first}"]')).to_have_count(0)
    await expect(page.get_by_label(phone_word(second))).to_be_checked()
    await page.get_by_label("Reason").fill("no more needed")
    await expect(page.locator('[data-confirm] input[name="remove"]')).to_have_value(second)
    await expect(page.locator('[data-confirm] input[name="remove"]')).to_have_count(1)


async def test_a_tab_that_nobody_sees_leaves_its_connection_to_others(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Hidden"))
    page = await listening(await browsers.signed_in(f"/clients/{client['client_id']}"))
    turn = """hidden => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await page.evaluate(turn, True)
    await expect(page.locator("body[data-listening]")).to_have_count(0)
    await service.post(client["client_id"], "suspend")
    await expect(page.locator("[data-part=head] .badge").first).to_have_text("Active")
    await page.evaluate(turn, False)
    await listening(page)
    await expect(page.locator("[data-part=head] .badge").first).to_have_text("Suspended")


async def test_who_is_signed_out_hears_so_and_goes_on_after_signing_in(browsers: Browsers, service: Service) -> None:
    browsers.expects("status of 401")
    client = await service.create(unique("Out"))
    who = unique("gone")
    page = await listening(await browsers.signed_in(f"/clients/{client['client_id']}", name=who))
    database = service.clients.directory.database
    await database.write("UPDATE console_sessions SET expires_at = now() WHERE caller = $1", who)
    await service.post(client["client_id"], "suspend")
    await expect(page.locator("#session-ended")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_have_text(client["name"])
    cookie = await Sessions(database, TOKEN).begin(who, HOME)
    await page.context.add_cookies([{"name": COOKIE, "value": cookie or "", "url": service.url}])
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.locator("#session-ended")).to_be_hidden()
    await expect(page.locator("[data-part=head] .badge").first).to_have_text("Suspended")
    await service.post(client["client_id"], "suspend", last_day="2199-01-31", source="billing")
    await page.get_by_role("link", name="Cancel planned suspension").click()
    await page.get_by_role("button", name="Cancel planned suspension").click()
    await expect(page.locator("p.notice")).to_contain_text("Cancelled: suspend")


async def test_asking_without_a_connection_keeps_the_page_and_goes_on_with_it(
    browsers: Browsers, service: Service
) -> None:
    browsers.expects("ERR_INTERNET_DISCONNECTED")
    name = unique("Offline")
    await service.create(name)
    page = await listening(await browsers.signed_in("/clients"))
    await page.context.set_offline(True)
    await page.get_by_label("Search").fill(name)
    await expect(page.get_by_text("Connection lost.")).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.get_by_text("Connection lost.")).to_be_hidden()
    await expect(page.get_by_label("Search")).to_have_value(name)


async def test_what_takes_a_while_is_seen_to_be_on_its_way(browsers: Browsers, service: Service) -> None:
    page = await browsers.signed_in("/clients?site=thames")
    arrived = asyncio.Event()
    await late(page, "**/clients?*q=slow*", arrived)
    await page.get_by_label("Search").fill("slow")
    await expect(page.locator("main[aria-busy=true]")).to_be_visible()
    arrived.set()
    await expect(page.locator("main[aria-busy]")).to_have_count(0)
    await page.unroute_all(behavior="ignoreErrors")


async def test_the_number_that_a_search_finds_is_told_to_whom_does_not_see_it(
    browsers: Browsers, service: Service
) -> None:
    name = unique("Told")
    await service.create(name)
    page = await browsers.signed_in("/clients")
    await page.get_by_label("Search").fill(name)
    await expect(page.locator("#announcement")).to_have_text("1 of 1 client")
    await page.get_by_label("Search").fill(f"{name} no more")
    await expect(page.locator("#announcement")).to_have_text("No client matches.")


async def test_choosing_a_theme_loses_nothing_that_was_typed(browsers: Browsers) -> None:
    page = await browsers.signed_in("/clients/new")
    await page.get_by_label("Name", exact=True).fill("Half typed")
    await page.locator(".account summary").click()
    await page.get_by_role("button", name="Dark").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Half typed")
    await expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


async def test_who_leaves_with_something_typed_is_asked_first(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Leaving"))
    page = await browsers.signed_in(f"/clients/{client['client_id']}/edit")
    questions: list[str] = []

    async def stay(dialog: Any) -> None:
        questions.append(dialog.type)
        await dialog.dismiss()

    page.on("dialog", stay)
    await page.get_by_label("Name", exact=True).fill("Not saved yet")
    await page.get_by_role("link", name="Overview").click()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Not saved yet")
    assert questions == ["beforeunload"]
    await page.get_by_role("button", name="Save details").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Not saved yet")
    assert questions == ["beforeunload"], "what is being saved is not asked about"


async def test_saving_one_of_two_forms_keeps_what_is_typed_in_the_other_and_asks_nothing(
    browsers: Browsers, service: Service
) -> None:
    client = await service.create(unique("Both"))
    page = await browsers.signed_in(f"/clients/{client['client_id']}/edit")
    await page.locator("#office-0").fill("9.99")
    name = unique("Renamed")
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_role("button", name="Save details").click()
    await expect(page.locator(".notice")).to_have_text("Edited: name. The services below are not changed yet.")
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await expect(page.locator("#office-0")).to_have_value("9.99")
    await page.locator("#office-0").fill("9.98")
    change = page.get_by_role("button", name="Change services now")
    await expect(change).to_be_visible()  # once what it does was seen
    await page.get_by_label("End date").fill("2199-01-31")
    await change.click()
    await expect(page.locator(".notice")).to_contain_text("The details below are not saved yet.")
    await expect(page.get_by_label("End date")).to_have_value("2199-01-31")
    await page.get_by_role("button", name="Save details").click()
    await expect(page.locator(".notice")).to_have_text("Edited: end date.")
    after = await service.client(client["client_id"])
    assert (after["lines"][0]["office"], after["end_date"]) == ("9.98", "2199-01-31")
