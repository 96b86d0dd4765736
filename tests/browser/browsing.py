"""Browsers for the tests: real ones, which nothing that goes wrong in a page escapes."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

from starter.console.auth.sessions import COOKIE, Sessions
from tests.support.service import HOME, TOKEN, Service
from tests.support.waiting import HANGING

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the first has no window
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
PATIENCE = 1000 * HANGING  # milliseconds that a page may take: the machine may have much else to do
WIDE, NARROW = 1360, 360
Theme = Literal["light", "dark"]


class BrowserMissing(RuntimeError):
    """There is no Chromium on the PATH."""


def browser_file() -> Path:
    """Where the browser lies. Raises BrowserMissing."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise BrowserMissing(f"No browser is installed: none of {', '.join(NAMES)} is on the PATH")


@asynccontextmanager
async def running_browser(*arguments: str) -> AsyncIterator[Browser]:
    """One browser; its contexts are as good as browsers of their own. ``arguments`` are Chromium's, besides ours."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_file(), args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            await browser.close()


async def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """A context whose pages may take as long as a busy machine needs."""
    context = await browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    return context


async def fits(page: Page) -> bool:
    """Whether nobody has to scroll sideways, when the page has its styles."""
    await page.wait_for_load_state()
    root = "document.documentElement"
    return bool(await page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"))


@dataclass
class Browsers:
    """Opens browsers of the console, and takes down what they complain of.

    A test that means to meet an error says so beforehand: ``browsers.expects("status of 403")``.
    """

    browser: Browser
    service: Service
    complaints: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)
    _expected: list[str] = field(default_factory=list)

    async def open(
        self, *, theme: Theme = "light", width: int = WIDE, height: int = 900, scripts: bool = True, url: str = ""
    ) -> Page:
        """An empty tab of a new browser, where nobody is signed in. Addresses are the service's, or begin with /."""
        home = url or self.service.url
        context = await new_context(
            self.browser,
            base_url=home,
            color_scheme=theme,
            viewport={"width": width, "height": height},
            java_script_enabled=scripts,
            locale="en-GB",
            reduced_motion="reduce",
        )
        context.on("console", self._on_console_message)
        context.on("weberror", lambda error: self.complaints.append(f"error in the page: {error.error}"))
        context.on("request", lambda request: self._look(request, home))
        self._contexts.append(context)
        page = await context.new_page()
        await (await context.new_cdp_session(page)).send("Emulation.setFocusEmulationEnabled", {"enabled": True})
        return page

    async def signed_in(
        self,
        path: str = "",
        *,
        name: str = "ann",
        theme: Theme = "light",
        width: int = WIDE,
        height: int = 900,
        scripts: bool = True,
        url: str = "",
    ) -> Page:
        """A tab of a new browser in which ``name`` is signed in, at ``path``; empty without one."""
        page = await self.open(theme=theme, width=width, height=height, scripts=scripts, url=url)
        cookie = await Sessions(self.service.clients.directory.database, TOKEN).begin(name, HOME)
        assert cookie is not None
        home = url or self.service.url
        await page.context.add_cookies(
            [{"name": COOKIE, "value": cookie, "url": home, "httpOnly": True, "sameSite": "Lax"}]
        )
        if path:
            await page.goto(path)
        return page

    def expects(self, *texts: str) -> None:
        """Complaints with one of these texts are meant in this test."""
        self._expected += texts

    async def close(self) -> None:
        """Close all of them. AssertionError with what they complained of."""
        for context in self._contexts:
            await context.close()
        unexpected = [it for it in self.complaints if not any(text in it for text in self._expected)]
        assert not unexpected, unexpected

    def _on_console_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _look(self, request: Request, home: str) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob", "about") and f"{address.scheme}://{address.netloc}" != home:
            self.complaints.append(f"request to another host: {request.url}")


async def listening(page: Page) -> Page:
    """The page, when it hears of what changes elsewhere."""
    await page.wait_for_selector("body[data-listening]")
    return page


def titled(name: str) -> re.Pattern[str]:
    """The title of a page of this name."""
    return re.compile(f"^{re.escape(name)} \\S Connect$")
