"""What somebody typed before the page's scripts listened, on a slow connection, counts as what is typed later does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Page, expect

from starter.telephones import phone_word
from tests.browser.browsing import Browsers
from tests.support.service import SITE, Service, number, unique


@asynccontextmanager
async def without_its_scripts_yet(page: Page, path: str, script: str) -> AsyncIterator[None]:
    """The page is there and can be typed into; its script comes when the block has ended."""
    come = asyncio.Event()

    async def hold(route: Any) -> None:
        await come.wait()
        await route.continue_()

    await page.route(f"**/static/{script}", hold)
    async with page.expect_request(f"**/static/{script}"):
        await page.goto(path, wait_until="commit")
    yield
    come.set()
    await page.wait_for_load_state()
    await page.unroute(f"**/static/{script}")


async def test_a_form_is_checked_and_whoever_leaves_is_asked(browsers: Browsers, service: Service) -> None:
    page, line = await browsers.signed_in(), number()
    async with without_its_scripts_yet(page, f"/clients/new?site={SITE}", "check.js"):
        await page.get_by_text("Many lines at once").click()
        await page.locator("#pasted").fill(f"{line}\t3.12")
    await expect(page.locator("#note-pasted")).to_have_text(f"One line: {phone_word(line)}.")
    questions: list[str] = []

    async def stay(dialog: Any) -> None:
        questions.append(dialog.type)
        await dialog.dismiss()

    page.on("dialog", stay)
    await page.get_by_role("link", name="Upcoming").click()
    await expect(page.locator("#pasted")).to_have_value(f"{line}\t3.12")
    assert questions == ["beforeunload"]


async def test_a_form_in_which_nothing_was_typed_lets_everybody_go(browsers: Browsers) -> None:
    page = await browsers.signed_in()
    async with without_its_scripts_yet(page, f"/clients/new?site={SITE}", "check.js"):
        await page.get_by_text("Many lines at once").click()
    await page.goto("/clients")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Clients")


async def test_a_preview_is_made_and_nothing_else_can_be_confirmed(browsers: Browsers, service: Service) -> None:
    client = await service.create(unique("Early"))
    page, previewed = await browsers.signed_in(), asyncio.Event()

    async def late(route: Any) -> None:
        await previewed.wait()
        await route.continue_()

    async with without_its_scripts_yet(page, f"/clients/{client['client_id']}/status?action=suspend", "filter.js"):
        await page.route("**/status/check", late)
        await page.get_by_label("Reason").fill("typed early")
    button = page.get_by_role("button", name="Suspend now")
    await expect(button).to_be_disabled()
    previewed.set()
    await expect(page.locator("table.effects")).to_contain_text("typed early")
    await expect(button).to_be_enabled()


async def test_a_list_is_filtered(browsers: Browsers, service: Service) -> None:
    name, page = unique("Sought"), await browsers.signed_in()
    await service.create(name)
    async with without_its_scripts_yet(page, "/clients", "filter.js"):
        await page.get_by_label("Search").fill(name)
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody tr")).to_contain_text(name)
