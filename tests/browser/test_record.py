"""Sites, labels, notes, many lines at once and a client like another, as an operator meets them."""

from playwright.async_api import expect

from starter.telephones import phone_word
from tests.browser.browsing import NARROW, Browsers, fits
from tests.support.service import Service, number, unique


async def test_a_tenant_that_returns_is_made_from_what_it_had_with_many_lines_at_once(
    browsers: Browsers, service: Service
) -> None:
    site, name = await service.site(unique("Returns"), country="GB"), unique("Returned")
    one, two, three, lift = (number() for _ in range(4))
    old = await service.closed(site=site, name=name, lines=[{"number": lift, "office": "lift"}], tags=["vip"])
    page = await browsers.signed_in(f"/clients/{old['client_id']}")
    await page.get_by_role("link", name="New client from this one").first.click()
    await expect(page.get_by_label("Name", exact=True)).to_have_value(name)
    await expect(page.locator("#note-name")).to_have_text("")
    await page.get_by_text("Many lines at once").click()
    national = f"0{one[3:5]} {one[5:9]} {one[9:]}"
    await page.locator("#pasted").fill(f"{national}-{two[-4:]}\t3.12\n{three}\t3.13")
    note = f"3 lines, from {phone_word(one)} to {phone_word(three)}."
    await expect(page.locator("#note-pasted")).to_have_text(note)
    await page.get_by_role("button", name="Add as lines").click()
    await expect(page.locator("#pasted")).to_have_value("")
    await expect(page.locator(f'.line:has(input[value="{two}"]) input[value="3.12"]')).to_have_count(1)
    await expect(page.locator(f'.line:has(input[value="{three}"]) input[value="3.13"]')).to_have_count(1)
    await page.get_by_role("button", name="Create client").last.click()
    await expect(page.locator(".notice")).to_contain_text("A former client of the site has this name")
    made = await service.client(page.url.rpartition("/")[2])
    assert [(line["number"], line["office"]) for line in made["lines"]] == [
        *((lift, "lift"), (one, "3.12"), (two, "3.12"), (three, "3.13"))
    ]
    assert made["tags"] == ["vip"]


async def test_notes_and_tags_are_a_click_away_also_on_a_telephone(browsers: Browsers, service: Service) -> None:
    client_id = (await service.create(tags=["late"]))["client_id"]
    page = await browsers.signed_in(f"/clients/{client_id}", width=NARROW)
    await page.get_by_label("New note").fill("rang <b>twice</b>")
    await page.get_by_role("button", name="Add note").click()
    await expect(page.locator(".note-text")).to_contain_text("rang <b>twice</b>")
    await expect(page.locator(".note-text")).to_contain_text("by ann")
    await page.get_by_label("New tag").fill("garden")
    await page.get_by_role("button", name="Add tag").click()
    await page.get_by_role("button", name="Remove tag late").click()
    await expect(page.locator(".tags li")).to_have_count(1)
    assert await fits(page)
    await page.get_by_role("link", name="garden").click()
    await expect(page.locator(f'tr[data-key="{client_id}"]')).to_contain_text("garden")
    await page.get_by_role("link", name="Without garden").click()
    await expect(page.locator(".tags")).to_have_count(0)


async def test_a_site_is_renamed_and_retired_on_its_page(browsers: Browsers, service: Service) -> None:
    site, name = await service.site(unique("Site")), unique("Renamed")
    page = await browsers.signed_in("/sites")
    await page.locator(f'tr[data-key="{site}"]').get_by_role("link").first.click()
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Country").select_option("GB")
    await page.get_by_label("Retired").check()
    await page.get_by_role("button", name="Save site").click()
    await expect(page.locator(".notice")).to_have_text(f"Saved {name}.")
    await expect(page.get_by_text("Retired: it takes no new client")).to_be_visible()
    await page.goto("/clients/new")
    await expect(page.locator(f'#site option[value="{site}"]')).to_have_count(0)
