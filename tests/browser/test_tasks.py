"""An operator's tasks, counted in clicks and keys: what is typed beside them is not counted."""

from playwright.async_api import expect

from tests.browser.browsing import NARROW, Browsers
from tests.browser.counting import actions, count_actions
from tests.support.service import Service, unique


async def test_a_decommission_is_planned_in_six_clicks(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Leaving"))
    page = await count_actions(await browsers.signed_in())
    await page.goto(f"/clients?q={client['name']}")
    await page.get_by_role("link", name=client["name"]).click()
    await page.get_by_role("link", name="Decommission", exact=True).click()
    await page.get_by_label("After a last day of service").check()
    await page.get_by_label("Last day, inclusive").fill("2199-03-31")
    confirm = page.get_by_role("button", name="Plan decommission for 1 Apr 2199")
    await expect(confirm).to_be_visible()
    await page.get_by_label("Type the client").fill(client["name"])
    await confirm.click()
    await expect(page.locator("p.notice")).to_contain_text("Planned: decommission")
    assert await actions(page) <= 6


async def test_what_a_line_really_does_is_seen_in_two_clicks(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Really"))
    await service.post(client["client_id"], "suspend")
    page = await count_actions(await browsers.signed_in())
    await page.goto(f"/clients?q={client['name']}")
    await page.get_by_role("link", name=client["name"]).click()
    row = page.locator(f'.evidence tr[data-key="{client["lines"][0]["number"]}"]')
    await expect(row.locator(".now")).to_contain_text("does not ring, cannot call")
    await expect(row.locator(".now")).to_be_in_viewport()
    await row.get_by_text("Evidence").click()
    await expect(row.locator(".seen details > *").last).to_be_visible()
    assert await actions(page) <= 2


async def test_a_slash_leads_to_the_search_unless_somebody_types(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Slashed"))
    page = await browsers.signed_in(f"/clients/{client['client_id']}/edit")
    await page.get_by_label("Reason").first.press("/")
    await expect(page.get_by_label("Reason").first).to_have_value("/")
    await page.get_by_label("Reason").first.fill("")
    await page.goto(f"/clients/{client['client_id']}")
    await page.keyboard.press("/")
    await expect(page.locator("#q")).to_be_focused()
    await page.locator("#q").fill("typed")
    await page.get_by_role("heading", level=1).click()
    await page.keyboard.press("/")
    await expect(page.locator("#q")).to_be_focused()
    await expect(page.locator("#q")).to_have_value("typed")


async def test_the_slash_can_be_switched_off_and_stays_off(browsers: Browsers, service: Service) -> None:
    page = await browsers.signed_in("/upcoming")
    await page.locator(".account summary").click()
    await page.get_by_label("/ finds clients").uncheck()
    await page.goto("/upcoming")
    await page.keyboard.press("/")
    await page.locator(".account summary").click()
    box = page.get_by_label("/ finds clients")
    await expect(box).not_to_be_checked()
    await expect(page).to_have_url(f"{service.url}/upcoming")
    await box.check()
    await page.get_by_role("heading", level=1).click()
    await page.keyboard.press("/")
    await expect(page.locator("#q")).to_be_focused()


async def test_nothing_is_boxed_where_a_choice_leads(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Boxed"))
    page = await browsers.signed_in(f"/clients/{client['client_id']}/status")
    await page.get_by_role("link", name="Suspend Cease").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#doing")).to_be_focused()
    for path, heading in (("", "#doing"), ("/upcoming#ahead", "#ahead")):
        if path:
            await page.goto(path)
            await page.locator(heading).focus()
        assert await page.locator(heading).evaluate("it => getComputedStyle(it).outlineStyle") == "none", heading


async def test_on_a_telephone_the_timeline_cuts_no_label(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Upright"), start_date="2019-05-01", end_date="2020-01-31")
    for command, day in (("suspend", "2199-03-31"), ("decommission", "2199-08-31")):
        await service.post(client["client_id"], command, last_day=day)
    page = await browsers.signed_in(f"/clients/{client['client_id']}", width=NARROW)
    cut = await page.locator(".timeline").evaluate(
        """region => { const box = region.getBoundingClientRect();
        return [...region.querySelectorAll(".mark, .band.begins, .day span")].filter(it => {
          const own = it.getBoundingClientRect();
          const cut = it.clientWidth && it.scrollWidth > it.clientWidth + 1;
          return own.left < box.left || own.right > box.right + 1 || cut;
        }).map(it => it.textContent).concat(region.scrollWidth > region.clientWidth ? ["scrolls"] : []) }"""
    )
    assert cut == []


async def test_credentials_are_copied_by_a_button(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Copied"))
    page = await browsers.signed_in(f"/clients/{client['client_id']}")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=service.url)
    await page.get_by_role("button", name="Show credentials").click()
    password = await page.locator("#password-1").inner_text()
    await page.get_by_role("button", name="Copy the password of").click()
    await expect(page.get_by_role("button", name="Copied the password of")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == password
