"""One client's page and its history."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.browsing import NARROW, WIDE, Browsers, titled
from tests.support.service import Service, number, unique, with_limits
from tests.support.waiting import HANGING
from workflows.domain.provisioning.standing import Limits


@pytest_asyncio.fixture(scope="module")
async def held(service: Service) -> str:
    """A client that was suspended, asked for what it cannot do, and is to leave."""
    line = {"number": number(), "office": "2.07"}
    client = await service.create("Held & Sons", lines=[line], internet={"down_mbps": 100, "up_mbps": 20, "vlan": 42})
    client_id: str = client["client_id"]
    assert (await service.post(client_id, "suspend", source="billing", reason="invoice 1042 unpaid")).status_code == 200
    assert (await service.post(client_id, "activate", reason="please")).status_code == 409
    assert (await service.post(client_id, "decommission", last_day="2199-03-31")).status_code == 200
    await service.known(client_id)
    return client_id


async def test_the_three_axes_are_kept_apart(browsers: Browsers, held: str) -> None:
    page = await browsers.signed_in(f"/clients/{held}")
    await expect(page.locator(".axes dt")).to_have_text(["Status", "Provisioning", "Planned"])
    status, provisioning, planned = (page.locator(".axes dd").nth(n) for n in range(3))
    await expect(status.locator(".badge")).to_have_text("Suspended")
    await expect(status).to_contain_text("held by billing")
    await expect(provisioning.locator(".badge")).to_have_text("Settled")
    await expect(planned).to_contain_text("Decommission, last day 31 Mar 2199")


async def test_each_line_and_account_shows_what_was_seen_and_when(
    browsers: Browsers, service: Service, held: str
) -> None:
    client = await service.client(held)
    page = await browsers.signed_in(f"/clients/{held}")
    for subject in (client["lines"][0]["number"], client["internet"]["account"]):
        row = page.locator(f'.evidence tr[data-key="{subject}"]')
        await expect(row.locator(".badge")).to_have_text("Proven")
        await expect(row.locator("time")).to_be_visible()
        await expect(row.locator(".seen")).to_contain_text("row off")
        await expect(row.locator(".now")).to_contain_text("Off, seen ")
        await expect(row.locator(".seen b").first).to_be_hidden()
        await row.get_by_text("Evidence").click()
        await expect(row.locator(".seen b").first).to_be_visible()
    holds = page.locator("section", has=page.get_by_role("heading", name="Holds"))
    await expect(holds).to_contain_text("billing: invoice 1042 unpaid")


async def test_the_timeline_is_drawn_and_told_in_words(browsers: Browsers, held: str) -> None:
    page = await browsers.signed_in(f"/clients/{held}")
    drawing = page.locator(".timeline .life")
    await expect(drawing).to_have_role("img")
    text = await drawing.locator("> .unseen").inner_html()
    for words in ("Active from", "Suspended from", "as planned", "Decommission planned for 1 Apr 2199, 00:00"):
        assert words in text, text
    await expect(drawing.locator(".mark.decommission")).to_have_text("Decommission")


async def test_no_label_of_the_timeline_is_cut_off(browsers: Browsers, service: Service, held: str) -> None:
    fresh = await service.create(unique("Fresh"), start_date="2199-01-01", wait=0)
    plain = await service.create(unique("Plain"))
    for client_id in (held, fresh["client_id"], plain["client_id"]):
        page = await browsers.signed_in(f"/clients/{client_id}")
        outside = await page.locator(".timeline .life").evaluate(
            """life => { const box = life.getBoundingClientRect();
            return [...life.querySelectorAll(".mark, .band, .day span")].filter(text => {
            const own = text.getBoundingClientRect();
            return own.left < box.left || own.right > box.right || own.top < box.top - 1 || own.bottom > box.bottom + 1
              || text.scrollWidth > text.clientWidth && text.clientWidth;
            }).map(text => text.textContent) }"""
        )
        assert outside == []


@pytest.mark.parametrize("width", [WIDE, NARROW])
async def test_no_labels_of_the_timeline_touch_and_all_can_be_read(
    browsers: Browsers, service: Service, width: int
) -> None:
    crowded = (await service.create(unique("Crowded"), start_date="2019-05-01", end_date="2020-01-31"))["client_id"]
    soon = datetime.now(UTC) + timedelta(days=3)
    for command, at in (("suspend", soon), ("unsuspend", soon), ("decommission", soon.replace(year=2199))):
        answer = await service.post(crowded, command, at=at.isoformat())
        assert answer.status_code == 200, answer.text
    page = await browsers.signed_in(f"/clients/{crowded}", width=width)
    drawing = page.locator(".timeline .life")
    await drawing.scroll_into_view_if_needed()
    await expect(drawing.locator(".today .day")).to_be_in_viewport()
    touching, smallest = await drawing.evaluate(
        """life => { const texts = [...life.querySelectorAll(".mark, .band.begins, .day span")];
        const boxes = texts.map(it => it.getBoundingClientRect());
        const over = (a, b) => a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
        const touching = boxes.flatMap((one, n) => boxes.slice(n + 1).flatMap((other, m) =>
          over(one, other) ? [`${texts[n].textContent} / ${texts[n + 1 + m].textContent}`] : []));
        return [touching, Math.min(...texts.map(it => parseFloat(getComputedStyle(it).fontSize)))] }"""
    )
    assert touching == []
    assert smallest >= 12


async def test_a_plan_that_will_not_come_is_drawn_so(browsers: Browsers, service: Service) -> None:
    client_id = (await service.create(unique("Void")))["client_id"]
    await service.post(client_id, "suspend", last_day="2199-06-30")
    await service.post(client_id, "decommission", last_day="2199-03-31")
    page = await browsers.signed_in(f"/clients/{client_id}")
    await expect(page.locator(".timeline .mark.suspend.void")).to_have_text("Suspend")
    await expect(page.locator(".timeline .band.ahead.suspended")).to_have_count(0)


async def test_what_was_last_proven_stays_in_view_beside_what_is_wanted_and_a_note_is_evidence(
    browsers: Browsers, service: Service
) -> None:
    async with with_limits(service, Limits(attempt=HANGING, first_pause=3600, longest_pause=3600)) as patient:
        client = await patient.create(unique("Refused"))
        client_id, line = client["client_id"], client["lines"][0]["number"]
        await patient.stuck(client_id, "suspend", patient.telephony)
        page = await browsers.signed_in(f"/clients/{client_id}")
        row = page.locator(f'.evidence tr[data-key="{line}"]')
        await expect(row.locator(".now")).to_contain_text(re.compile("^On, seen "))
        await expect(row.locator(".now")).to_contain_text("rings and can call")
        await expect(row.locator("td").nth(1)).to_have_text("to be off")
        await expect(row.locator(".badge")).to_have_text("Attention")
        await expect(page.locator(".axes .badge").nth(1)).to_have_text("Attention")
        await patient.post(client_id, "systems/telephony/mark-done", note="pulled the plug, ticket 4711")
        await page.reload()
        await expect(row.locator(".seen")).to_contain_text("note pulled the plug, ticket 4711")
        await expect(row.locator("time")).to_be_visible()
        await expect(page.get_by_text("How it was seen: by hand, by api.")).to_be_visible()


async def test_the_history_has_refusals_and_can_be_narrowed_to_them(browsers: Browsers, held: str) -> None:
    page = await browsers.signed_in(f"/clients/{held}")
    await page.get_by_role("link", name="All").filter(has_text="lines").click()
    await expect(page).to_have_title(titled("History of Held & Sons"))
    for event in ("asked", "refused", "decided", "proven"):
        await expect(page.locator(f"tbody tr.{event}").first).to_be_visible()
    await page.get_by_label("Show").select_option("refused")
    await expect(page.locator("tbody tr:not(.refused)")).to_have_count(0)
    await expect(page.locator("tbody tr.refused")).to_contain_text("please")
    await page.get_by_label("Show").select_option("attempted")
    await expect(page.get_by_text("Nothing of this kind.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Show")).to_have_value("attempted")


async def test_a_long_history_comes_page_by_page(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Long"))
    await service.clients.directory.database.write(
        "INSERT INTO history (client_id, event, at, kind, text, by) SELECT $1, 'attempted', now() - n * interval "
        "'1 hour', 'suspend', 'Tried ' || n, 'provisioning' FROM generate_series(1, 150) AS n",
        client["client_id"],
    )
    page = await browsers.signed_in(f"/clients/{client['client_id']}/history?event=attempted")
    await expect(page.locator("tbody tr")).to_have_count(100)
    await page.get_by_role("link", name="Older").click()
    await expect(page.locator("tbody tr")).to_have_count(50)
    await expect(page.locator("tbody tr").last).to_contain_text("Tried 150")
    await page.get_by_role("link", name="Newest").click()
    await expect(page.locator("tbody tr").first).to_contain_text("Tried 1")


async def test_a_client_nobody_knows_is_a_page_with_a_way_out(browsers: Browsers) -> None:
    browsers.expects("status of 404")
    page = await browsers.signed_in("/clients/nobody-at-all")
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such client")
    await page.get_by_role("link", name="Back to clients").click()
    await expect(page).to_have_title(titled("Clients"))


async def test_a_decommissioned_client_still_has_its_page(browsers: Browsers, service: Service) -> None:
    gone = await service.closed(name=unique("Gone"))
    page = await browsers.signed_in(f"/clients/{gone['client_id']}")
    await expect(page.locator(".axes .badge").first).to_have_text("Inactive")
    await expect(page.locator(".evidence .badge").first).to_have_text("Proven")


async def test_a_change_appears_while_one_looks(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Watched"))
    page = await browsers.signed_in(f"/clients/{client['client_id']}")
    await page.wait_for_selector("body[data-listening]")
    assert (await service.post(client["client_id"], "suspend", reason="seen at once")).status_code == 200
    await expect(page.locator("[data-part=latest]")).to_contain_text("seen at once")
