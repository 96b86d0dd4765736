"""A browser for the tests: installed, or the tests are skipped."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.browsing import PATIENCE, BrowserMissing, Browsers, browser_file, running_browser
from tests.support.service import Service

expect.set_options(timeout=PATIENCE)


def pytest_runtest_setup() -> None:
    """A browser is installed, or the tests are skipped, all in one line of the summary. With
    CONNECT_REQUIRE_SYSTEMS=1 they fail."""
    try:
        browser_file()
    except BrowserMissing as missing:
        if os.environ.get("CONNECT_REQUIRE_SYSTEMS") == "1":
            pytest.fail(str(missing))
        pytest.skip("Chromium is not installed: `.ci/run install` installs it, on Debian, as root")


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


@pytest_asyncio.fixture
async def browsers(browser: Browser, service: Service) -> AsyncIterator[Browsers]:
    """Browsers of the console. The test fails on any error in a console or a page, refusal of the content security
    policy, or request to another host that it did not say it expects."""
    browsers = Browsers(browser, service)
    yield browsers
    await browsers.close()
