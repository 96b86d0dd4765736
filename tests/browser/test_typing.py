"""Claims about forms that are looked at as one types: the server is asked once a pause, not once a letter."""

from urllib.parse import parse_qs

import pytest
from playwright.async_api import Request

from tests.browser.browsing import Browsers
from tests.support.service import SITE, Service
from tests.support.waiting import eventually

LETTER, PAUSE = 100, 1000  # milliseconds of the page's own clock: between two letters, and after a word
WORDS = ("103", "7", "25")


@pytest.mark.parametrize(
    ("path", "check", "field"),
    [
        ("/clients/{}/status?action=suspend", "/clients/{}/status/check", "reason"),
        ("/clients/{}/edit", "/clients/{}/edit/check", "billing_ref"),
        ("/clients/{}/edit", "/clients/{}/edit/services/check", "up"),
        (f"/clients/new?site={SITE}", "/clients/new/check", "name"),
    ],
    ids=["Edit status", "Edit: details", "Edit: services", "New client"],
)
async def test_what_is_typed_fast_is_asked_about_once_a_pause(
    browsers: Browsers, service: Service, path: str, check: str, field: str
) -> None:
    client_id = (await service.create())["client_id"]
    await service.known(client_id)
    page, asked = await browsers.signed_in(), list[str]()

    def on_request(request: Request) -> None:
        news = "connect-refresh" in request.headers  # what others changed: nobody typed
        if request.url.endswith(check.format(client_id)) and not news:
            asked.extend(parse_qs(request.post_data or "").get(field, [""]))

    page.on("request", on_request)
    await page.clock.install(time=0)
    await page.goto(path.format(client_id))
    await page.clock.pause_at(3_600_000)  # from now on it goes on only where this test says so
    values = []
    for word in WORDS:
        await page.locator(f"#{field}").press("End")
        for letter in word:
            await page.keyboard.press(letter)
            await page.clock.run_for(LETTER)
        values.append(await page.locator(f"#{field}").input_value())
        await page.clock.run_for(PAUSE)
        await eventually(lambda: len(asked) >= len(values))
    assert asked == values
