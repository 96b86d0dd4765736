"""Claims about the Edit status page: what it would do is shown, then done once, then watched."""

import asyncio
import re
from typing import Any

import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from starter.telephones import phone_word
from tests.browser.browsing import NARROW, Browsers, fits, listening
from tests.support.service import Service, number
from tests.support.waiting import eventually, http_client

ACCESS = {"down_mbps": 100, "up_mbps": 20, "vlan": 110}


@pytest_asyncio.fixture
async def acme(service: Service) -> dict[str, Any]:
    """An active client with two lines and internet access."""
    lines = [{"number": number(), "office": "3.12"}, {"number": number(), "office": "3.14"}]
    client = await service.create(lines=lines, internet=ACCESS)
    await service.known(client["client_id"])
    return client


def address(client: dict[str, Any], query: str = "") -> str:
    return f"/clients/{client['client_id']}/status{query}"


async def status_of(service: Service, client: dict[str, Any]) -> str:
    answer = await service.api.get(f"/clients/{client['client_id']}")
    return str(answer.json()["status"])


async def effects(page: Page) -> list[list[str]]:
    """The rows of the preview: what, before, after."""
    rows = await page.locator("table.effects tbody tr").all()
    return [
        [re.sub(r"\s+", " ", await cell.inner_text()) for cell in await row.locator("th, td").all()] for row in rows
    ]


async def test_what_is_not_allowed_is_shown_disabled_with_its_reason(browsers: Browsers, acme: dict[str, Any]) -> None:
    page = await browsers.signed_in(address(acme))
    for name, why in (
        ("Activate", "Already active."),
        ("Unsuspend", "Nothing keeps this client suspended."),
        ("Cancel scheduled decommission", "No decommission is planned."),
    ):
        choice = page.get_by_role("link", name=name)
        await expect(choice).to_be_disabled()
        await expect(choice).to_contain_text(why)
    for name in ("Suspend Cease", "Decommission Close", "Convert to virtual", "Change services", "Rotate credentials"):
        await expect(page.get_by_role("link", name=name)).to_be_enabled()


async def test_the_management_client_is_refused_in_words(browsers: Browsers, service: Service) -> None:
    ours = await service.create(name="Thames House", management=True)
    page = await browsers.signed_in(address(ours))
    choice = page.get_by_role("link", name="Decommission The")
    await expect(choice).to_be_disabled()
    await expect(choice).to_contain_text("The management client of a site cannot be asked to decommission.")


async def test_a_suspension_is_previewed_as_one_types_and_done_once(
    browsers: Browsers, service: Service, acme: dict[str, Any]
) -> None:
    page = await browsers.signed_in(address(acme))
    await page.get_by_role("link", name="Suspend Cease").click()
    await page.get_by_label("Source").fill("billing")
    await page.get_by_label("Reason").fill("unpaid <b>42</b>")
    await expect(page.locator("table.effects")).to_contain_text("unpaid <b>42</b>")
    first, second = (phone_word(line["number"]) for line in acme["lines"])
    assert await effects(page) == [
        [f"Line {phone_word(first)}", "in service, office 3.12", "ceased, office 3.12"],
        [f"Line {phone_word(second)}", "in service, office 3.14", "ceased, office 3.14"],
        [f"Internet {acme['client_id']}", "on, 100/20 Mbit/s, VLAN 110", "off"],
        ["Hold billing", "none", "unpaid <b>42</b>"],
    ]
    assert await status_of(service, acme) == "active"
    await page.get_by_role("button", name="Suspend now").dblclick()
    await expect(page.locator("p.notice")).to_have_text("Suspended by billing.")
    await expect(page.locator("[data-part=services] .evidence .badge")).to_have_text(["Proven"] * 3)
    await expect(page.locator("[data-part=services] .evidence td:nth-child(3)")).to_have_text(["Off"] * 3)
    await service.known(acme["client_id"])
    history = await service.history(acme["client_id"])
    assert [(line["by"], line["reason"]) for line in history if line["kind"] == "suspend"] == [
        ("ann", "unpaid <b>42</b>")
    ]


async def test_what_is_confirmed_is_what_was_previewed_last(
    browsers: Browsers, service: Service, acme: dict[str, Any]
) -> None:
    page = await browsers.signed_in(address(acme, "?action=suspend"))
    for source in ("billing", "security"):
        await page.get_by_label("Source").fill(source)
        await expect(page.locator("table.effects")).to_contain_text(source)
    await page.get_by_role("button", name="Suspend now").click()
    await expect(page.locator("p.notice")).to_have_text("Suspended by security.")


async def test_nothing_can_be_confirmed_while_its_preview_is_on_its_way(
    browsers: Browsers, acme: dict[str, Any]
) -> None:
    page = await browsers.signed_in(address(acme, "?action=suspend"))
    arrived = asyncio.Event()

    async def late(route: Any) -> None:
        await arrived.wait()
        await route.continue_()

    await page.route("**/status/check", late)
    await page.get_by_label("Reason").fill("late")
    await expect(page.get_by_role("button", name="Suspend now")).to_be_disabled()
    arrived.set()
    await expect(page.locator("table.effects")).to_contain_text("late")
    await expect(page.get_by_role("button", name="Suspend now")).to_be_enabled()
    await page.unroute_all()


async def test_a_last_day_shows_the_exact_instant_and_its_zone_as_one_types(
    browsers: Browsers, service: Service, acme: dict[str, Any]
) -> None:
    page = await browsers.signed_in(address(acme, "?action=decommission"))
    await page.get_by_label("After a last day of service").check()
    await expect(page.locator("[data-part=preview]")).to_contain_text("Give the last day of service, inclusive.")
    await page.get_by_label("Last day, inclusive").fill("2199-03-31")
    moment = page.locator("p.moment")
    await expect(moment).to_contain_text("1 Apr 2199, 00:00 Europe/London (UTC+01:00)")
    await page.get_by_label("Type the client").fill(acme["name"])
    await page.get_by_role("button", name="Plan decommission for 1 Apr 2199, 00:00 Europe/London").click()
    await expect(page.locator("p.notice")).to_contain_text("Planned: decommission at 1 Apr 2199, 00:00")
    await expect(page.locator(".plans")).to_contain_text("Decommission on 1 Apr 2199, 00:00 Europe/London")


async def test_an_exact_moment_is_that_of_the_site(browsers: Browsers, service: Service, acme: dict[str, Any]) -> None:
    page = await browsers.signed_in(address(acme, "?action=suspend&at=2199-07-01T09:30"))
    await expect(page.get_by_label("Day and time in Europe/London")).to_have_value("2199-07-01T09:30")
    await page.get_by_role("button", name="Plan suspension for 1 Jul 2199, 09:30 Europe/London").click()
    await expect(page.locator("p.notice")).to_be_visible()
    client = await service.client(acme["client_id"])
    assert [plan["at"] for plan in client["planned"]] == ["2199-07-01T09:30:00+01:00"]


async def test_a_planned_decommission_shows_which_plans_go_then(
    browsers: Browsers, service: Service, acme: dict[str, Any]
) -> None:
    await service.post(acme["client_id"], "suspend", last_day="2199-08-31", reason="out of season")
    page = await browsers.signed_in(address(acme, "?action=decommission&last_day=2199-06-30"))
    await expect(page.locator(".comes")).to_contain_text("Decommission on 1 Jul 2199")
    await expect(page.locator(".goes")).to_contain_text("Suspend on 1 Sep 2199, 00:00 Europe/London")
    await expect(page.locator(".goes .badge")).to_have_text("Removed then")


async def test_a_plan_is_rescheduled_and_then_cancelled(
    browsers: Browsers, service: Service, acme: dict[str, Any]
) -> None:
    await service.post(acme["client_id"], "decommission", last_day="2199-03-30", reason="moving out")
    page = await browsers.signed_in(address(acme, "?action=decommission&last_day=2199-06-30"))
    await expect(page.get_by_label("After a last day of service")).to_be_checked()
    await expect(page.locator(".goes")).to_contain_text("Decommission on 31 Mar 2199, 00:00 Europe/London")
    await expect(page.locator(".comes")).to_contain_text("Decommission on 1 Jul 2199, 00:00 Europe/London")
    await page.get_by_label("Type the client").fill(acme["name"])
    await page.get_by_role("button", name="Plan decommission").click()
    await expect(page.locator(".plans li")).to_have_count(1)
    await page.get_by_role("link", name="Cancel decommission").click()
    await expect(page.locator("main")).to_contain_text("The client stays Active: its contract and its services go on")
    await page.get_by_label("Reason").fill("renewed after all")
    await page.get_by_role("button", name="Cancel decommission").click()
    await expect(page.locator("p.notice")).to_have_text("Cancelled: decommission at 1 Jul 2199, 00:00 Europe/London.")
    await expect(page.locator(".plans li")).to_have_count(0)


async def test_a_decommission_asks_for_the_exact_name(
    browsers: Browsers, service: Service, acme: dict[str, Any]
) -> None:
    browsers.expects("status of 422")
    page = await browsers.signed_in(address(acme, "?action=decommission"))
    await page.get_by_label("Reason").fill("moved")
    await page.get_by_label("Type the client").fill("acme ltd")
    await page.get_by_role("button", name="Decommission now").click()
    await expect(page.get_by_role("alert")).to_contain_text("That is not the client's name.")
    await expect(page.get_by_label("Type the client")).to_have_value("acme ltd")
    await expect(page.get_by_label("Reason")).to_have_value("moved")
    assert await status_of(service, acme) == "active"
    await page.get_by_label("Type the client").fill(acme["name"])
    await page.get_by_role("button", name="Decommission now").click()
    await expect(page.locator("[data-part=head] .badge").first).to_have_text("Inactive")


async def test_holds_are_lifted_one_or_all(browsers: Browsers, service: Service, acme: dict[str, Any]) -> None:
    for source in ("billing", "security"):
        await service.post(acme["client_id"], "suspend", source=source, reason=f"{source} says so")
    page = await browsers.signed_in(address(acme, "?action=unsuspend"))
    assert await page.locator("#source option").all_inner_texts() == [
        "Choose…",
        "billing: billing says so",
        "security: security says so",
        "All holds",
    ]
    await expect(page.locator("[data-part=preview]")).to_contain_text("Choose whose hold is lifted.")
    await page.get_by_label("Whose hold is lifted").select_option("billing")
    await expect(page.locator(".outcome")).to_contain_text("stays")
    await page.get_by_label("Whose hold is lifted").select_option("all")
    await expect(page.locator(".outcome")).to_contain_text("Active")
    await page.get_by_role("button", name="Unsuspend now").click()
    await expect(page.locator("[data-part=head] .badge").first).to_have_text("Active")


async def test_a_virtual_client_becomes_residential_with_an_office_per_line(
    browsers: Browsers, service: Service
) -> None:
    client = await service.create(type="virtual")
    page = await browsers.signed_in(address(client, "?action=convert"))
    await expect(page.locator("[data-part=preview]")).to_contain_text("Give each line its office.")
    await page.get_by_label(phone_word(client["lines"][0]["number"])).fill("4.01")
    await page.get_by_label("Download, Mbit/s").fill("fast")
    await expect(page.locator("#note-down")).to_contain_text("The download rate cannot be “fast”. Give whole Mbit/s")
    await page.get_by_label("Download, Mbit/s").fill("100")
    await page.get_by_label("Upload, Mbit/s").fill("20")
    await expect(page.locator("table.effects")).to_contain_text("on, 100/20 Mbit/s")
    await page.get_by_role("button", name="Convert to residential now").click()
    await expect(page.locator("[data-part=record]")).to_contain_text("100/20 Mbit/s")
    await expect(page.locator("[data-part=services]")).to_contain_text("office 4.01")


async def test_a_number_of_another_client_is_refused_before_anything_is_done(
    browsers: Browsers, service: Service, acme: dict[str, Any]
) -> None:
    theirs = (await service.create())["lines"][0]["number"]
    page = await browsers.signed_in(address(acme, "?action=change_services"))
    await page.get_by_label("Number").first.fill(theirs)
    await page.get_by_label("Office").first.fill("3.12")
    taken = f"{phone_word(theirs)} belongs to another client"
    await expect(page.locator("[data-part=preview] .problem")).to_contain_text(taken)
    await expect(page.locator("[data-confirm]")).to_have_count(0)


async def test_what_was_decided_meanwhile_is_refused_with_all_that_was_typed(
    browsers: Browsers, service: Service, acme: dict[str, Any]
) -> None:
    browsers.expects("status of 409")
    page = await browsers.signed_in(address(acme, "?action=suspend"), scripts=False)
    await page.get_by_label("Reason").fill("typed")
    await page.get_by_role("button", name="Preview").click()
    await service.post(acme["client_id"], "decommission")
    await page.get_by_role("button", name="Suspend now").click()
    await expect(page.get_by_role("alert")).to_contain_text("already decommissioned")
    await expect(page.get_by_label("Reason")).to_have_value("typed")


async def test_the_preview_follows_what_others_do(browsers: Browsers, service: Service, acme: dict[str, Any]) -> None:
    page = await listening(await browsers.signed_in(address(acme, "?action=suspend&source=billing")))
    await page.get_by_label("Reason").focus()
    await service.post(acme["client_id"], "services", internet="none")
    await expect(page.locator("table.effects")).not_to_contain_text("Mbit/s")
    await expect(page.get_by_label("Reason")).to_be_focused()


async def test_it_works_without_scripts(browsers: Browsers, service: Service, acme: dict[str, Any]) -> None:
    page = await browsers.signed_in(address(acme, "?action=suspend"), scripts=False)
    await page.get_by_label("After a last day of service").check()
    await page.get_by_label("Last day, inclusive").fill("2199-03-31")
    await page.get_by_role("button", name="Preview").click()
    await page.get_by_role("button", name="Plan suspension for 1 Apr 2199, 00:00 Europe/London").click()
    await expect(page.locator("p.notice")).to_contain_text("Planned: suspend")


async def test_a_system_in_attention_is_retried_skipped_and_marked_done(browsers: Browsers, service: Service) -> None:
    client = await service.create()
    async with service.without(service.telephony):
        await service.post(client["client_id"], "suspend", wait=0)

        async def provisioning() -> Any:
            return (await service.client(client["client_id"]))["provisioning"]

        await eventually(provisioning, equal="attention")
        page = await listening(await browsers.signed_in(f"/clients/{client['client_id']}"))
        await page.get_by_role("button", name="Retry now").click()
        await expect(page.locator("p.notice")).to_be_visible()
        await page.locator("summary", has_text="Skip…").click()
        await page.get_by_label("Reason for skipping").fill("line card <i>")
        await page.get_by_role("button", name="Skip", exact=True).click()
        await expect(page.locator("[data-part=services]")).to_contain_text("line card <i>")
        await page.locator("summary", has_text="Mark done…").click()
        await page.get_by_label("What was done by hand").fill("at the exchange")
        await page.get_by_role("button", name="Mark done", exact=True).click()
        await expect(page.locator("[data-part=services]")).to_contain_text("by ann")


async def test_a_way_out_without_its_reason_is_asked_for_it_again(service: Service) -> None:
    client = await service.create()
    async with http_client(base_url=service.url) as browser:
        await browser.post("/sign-in", data={"token": "a-token-for-the-tests", "name": "ann"})
        answer = await browser.post(
            f"/clients/{client['client_id']}/systems/telephony/skip", data={"reason": "x" * 501}
        )
    assert answer.status_code == 422
    assert "x" * 501 in answer.text
    assert "Give 1 to 500 characters" in answer.text


async def test_a_plan_that_is_gone_is_not_cancelled_twice(
    browsers: Browsers, service: Service, acme: dict[str, Any]
) -> None:
    browsers.expects("status of 404")
    await service.post(acme["client_id"], "suspend", last_day="2199-03-30")
    page = await browsers.signed_in(f"/clients/{acme['client_id']}", scripts=False)
    plan = (await service.client(acme["client_id"]))["planned"][0]["change_id"]
    await service.api.delete(f"/clients/{acme['client_id']}/planned/{plan}")
    await page.get_by_role("link", name="Cancel planned suspension").click()
    await expect(page.get_by_role("alert")).to_contain_text("This change is not planned any more")


async def test_nothing_keeps_anybody_from_using_it(browsers: Browsers, acme: dict[str, Any]) -> None:
    for theme, width in (("light", 1360), ("dark", NARROW)):
        page = await browsers.signed_in(theme=theme, width=width)  # type: ignore[arg-type]  # one of the two
        for queries in ("", "?action=decommission&when=day", "?action=decommission&last_day=2199-03-31",
                      "?action=change_services&number-0=12", "?action=activate"):  # fmt: skip
            await page.goto(address(acme, queries))
            found = (await Axe().run(page)).response["violations"]
            assert not found, (theme, queries, [(wrong["id"], wrong["nodes"][0]["html"]) for wrong in found])
            assert await fits(page), queries
