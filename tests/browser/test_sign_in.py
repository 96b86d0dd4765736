"""The way in and out, as a browser goes it."""

from datetime import UTC, datetime

from playwright.async_api import Page, expect

from starter.console.auth.sessions import COOKIE, link_key
from tests.browser.browsing import Browsers, titled
from tests.support.service import TOKEN, Service, unique


def link(path: str = "") -> str:
    """What `connect up` prints."""
    return f"/sign-in?key={link_key(TOKEN, datetime.now(UTC))}{path and f'&next={path}'}"


async def paste(page: Page, token: str, name: str = "") -> None:
    await page.get_by_label("Token").fill(token)
    await page.get_by_label("Your name").fill(name)
    await page.get_by_role("button", name="Sign in").click()


async def test_the_link_signs_in_once(browsers: Browsers) -> None:
    browsers.expects("status of 403")
    address = link()
    first = await browsers.open()
    await first.goto(address)
    await expect(first.get_by_role("heading", name="Clients", exact=True)).to_be_visible()
    assert "key=" not in first.url
    second = await browsers.open()
    answer = await second.goto(address)
    assert answer is not None
    assert answer.status == 403
    await expect(second.get_by_role("alert")).to_contain_text("used already")
    await expect(second.get_by_label("Token")).to_be_focused()


async def test_the_link_opened_again_where_one_is_signed_in_does_no_harm(browsers: Browsers) -> None:
    page, address = await browsers.open(), link()
    await page.goto(address)
    await page.goto(address)
    await expect(page.get_by_role("heading", name="Clients", exact=True)).to_be_visible()


async def test_the_token_signs_in_and_leads_to_where_one_was_going(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Reached"))
    page = await browsers.open()
    await page.goto(f"/clients/{client['client_id']}?a=1&b=2")
    await expect(page).to_have_title(titled("Sign in"))
    name = "Béa O'Hara"
    await paste(page, f" {TOKEN}\n", name)
    await expect(page.get_by_role("heading", level=1)).to_have_text(client["name"])
    assert page.url.endswith("?a=1&b=2")
    await expect(page.locator(".account summary")).to_have_text(name)


async def test_a_wrong_token_is_told_and_the_name_is_kept(browsers: Browsers) -> None:
    browsers.expects("status of 403")
    page = await browsers.open()
    await page.goto("/sign-in?next=/upcoming")
    await paste(page, "not-the-token", "Cyd")
    await expect(page.get_by_role("alert")).to_contain_text("not the token")
    await expect(page.get_by_label("Your name")).to_have_value("Cyd")
    await expect(page.get_by_label("Token")).to_have_value("")
    assert await page.locator("input[name=next]").input_value() == "/upcoming"


async def test_signing_out_ends_the_session_in_every_tab_and_for_a_kept_cookie(browsers: Browsers) -> None:
    page = await browsers.signed_in("/clients")
    cookies = await page.context.cookies()
    other = await page.context.new_page()
    await other.goto("/clients")
    await page.locator(".account summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_title(titled("Sign in"))
    assert COOKIE not in {cookie["name"] for cookie in await page.context.cookies()}
    await other.reload()
    await expect(other).to_have_title(titled("Sign in"))
    await page.context.add_cookies([cookie for cookie in cookies if cookie["name"] == COOKIE])  # type: ignore[misc]  # set as read
    await page.goto("/clients")
    await expect(page).to_have_title(titled("Sign in"))
    await page.go_back()
    await expect(page).to_have_title(titled("Sign in"))


async def test_an_expired_session_leads_to_the_door_and_back_to_where_one_was(
    browsers: Browsers, service: Service
) -> None:
    page = await browsers.signed_in("/clients?sort=-name&inactive=true", name=unique("late"))
    database = service.clients.directory.database
    name = await page.locator(".account summary").inner_text()
    await database.write("UPDATE console_sessions SET expires_at = now() WHERE caller = $1", name)
    await page.reload()
    await expect(page).to_have_title(titled("Sign in"))
    await paste(page, TOKEN)
    await expect(page.get_by_role("heading", name="Clients", exact=True)).to_be_visible()
    assert page.url.endswith("/clients?sort=-name&inactive=true")


async def test_a_session_that_expires_while_one_types_leads_to_the_door(browsers: Browsers, service: Service) -> None:
    browsers.expects("status of 401")  # of the live page, if it asks first
    page = await browsers.signed_in("/clients", name=unique("typing"))
    name = await page.locator(".account summary").inner_text()
    await service.clients.directory.database.write(
        "UPDATE console_sessions SET expires_at = now() WHERE caller = $1", name
    )
    await page.get_by_label("Search").fill("acme")
    await expect(page).to_have_title(titled("Sign in"))


async def test_the_theme_is_remembered(browsers: Browsers) -> None:
    page = await browsers.signed_in("/clients?inactive=true")
    await page.locator(".account summary").click()
    await page.get_by_role("button", name="Dark").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.url.endswith("/clients?inactive=true")
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark == "rgb(15, 20, 27)"
    await page.goto("/clients")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
