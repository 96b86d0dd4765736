"""A browser for the tests: installed, or the tests are skipped; the whole service for it to look at."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from temporalio.client import Client

from activities.settings import Settings
from starter.local.postgres import EmbeddedPostgres
from tests.browser.browsing import PATIENCE, BrowserMissing, Browsers, browser_file, running_browser
from tests.support.service import Service, running_service, running_temporal, settings_on

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
async def settings(postgres: EmbeddedPostgres) -> Settings:
    """Settings of a process on a migrated directory of the console's own."""
    return await settings_on(postgres, "console")


@pytest_asyncio.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """A Temporal server that knows our search attributes."""
    async with running_temporal() as temporal:
        yield temporal


@pytest_asyncio.fixture(scope="session")
async def service(temporal: Client, settings: Settings) -> AsyncIterator[Service]:
    """The whole service: the real API and console, the real directory, a real Temporal server, fake systems."""
    async with running_service(temporal, settings) as service:
        yield service


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
