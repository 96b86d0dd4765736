"""``make screenshots``: the console's pages with the demonstration's clients, as docs/console.md shows them.

A service of its own is started for it and ended; the pictures are written to docs/screenshots/. For the last of them
its telephone system is taken away: there is then something that needs a person.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from playwright.async_api import Browser, Page

from tests.browser.browsing import NARROW, WIDE, Theme, running_browser
from tests.support.databases import connected
from tests.support.waiting import eventually, free_port, http_client

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
CONNECT = Path(sys.executable).with_name("connect")
LINK = re.compile(r"http://\S+/sign-in\?key=\S+")
THERE = "The demonstration is there"
PATIENCE = 180  # seconds for the service and its demonstration
WAITING = ("harbour-legal", "kestrel-translations", "northlight-studio")  # clients that are left without telephones
Act = Callable[[Page], Awaitable[None]]


@dataclass(frozen=True)
class Shot:
    """A page, what is done on it first, and how it is looked at besides light and wide."""

    name: str
    path: str
    act: Act | None = None
    dark: bool = False
    narrow: bool = False


async def _open_menu(page: Page) -> None:
    await page.locator("tbody summary").nth(3).click()


async def _fill_in(page: Page) -> None:
    await page.get_by_label("Name", exact=True).fill("Juniper Analytics")
    await page.get_by_label("Billing ref (optional)").fill("C000002")
    await page.locator("#start_date").fill(str(_day(12)))
    for row, (number, office) in enumerate((("+442079460345", "3.12"), ("+442079460310", "3.12"))):
        await page.locator(f"#number-{row}").fill(number)
        await page.locator(f"#office-{row}").fill(office)
    await page.locator("#note-billing_ref").get_by_text("taken").wait_for()
    await page.locator("#note-number-0").get_by_text("free").wait_for()
    await page.locator("#note-number-1").get_by_text("taken").wait_for()


async def _choose_all(page: Page) -> None:
    await page.locator("[data-all]").first.check()


def _day(days: int) -> object:
    return (datetime.now(UTC) + timedelta(days)).date()


def shots() -> list[Shot]:
    """All pictures of the service as it works."""
    suspension = urlencode({"action": "suspend", "source": "billing", "reason": "invoice 1042 unpaid"})
    return [
        Shot("clients", "/clients", _open_menu, dark=True, narrow=True),
        Shot("client", "/clients/oakwell-interiors", dark=True, narrow=True),
        Shot("status", f"/clients/harbour-legal/status?{suspension}", dark=True, narrow=True),
        Shot("history", "/clients/saffron-travel/history"),
        Shot("edit", "/clients/fable-audio/edit", narrow=True),
        Shot("new", "/clients/new?site=riverside", _fill_in),
        Shot("upcoming", f"/upcoming?site=riverside&month={_day(20):%Y-%m}", dark=True, narrow=True),
    ]


@contextmanager
def demonstration() -> Iterator[Path]:
    """`connect up --demo` in a folder of its own, while it runs. What it says stands in the file `said`."""
    with tempfile.TemporaryDirectory(prefix="connect-screenshots-") as folder:
        ports = [str(free_port()) for _ in range(3)]
        command = [str(CONNECT), "up", "--demo", "--data", f"{folder}/data", "--port", ports[0]]
        command += ["--temporal-port", ports[1], "--ui-port", ports[2]]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("CONNECT_", "TEMPORAL_"))
        }
        with (Path(folder) / "said").open("w", encoding="utf-8") as output:
            up = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            yield Path(folder)
        finally:
            up.terminate()
            up.wait(60)


@asynccontextmanager
async def tab(browser: Browser, home: str, cookies: list[object], theme: Theme, width: int) -> AsyncIterator[Page]:
    """A tab, signed in by cookies."""
    context = await browser.new_context(
        base_url=home,
        viewport={"width": width, "height": 860},
        device_scale_factor=1,
        color_scheme=theme,
        reduced_motion="reduce",
        locale="en-GB",
    )
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # set as read
    yield await context.new_page()
    await context.close()


async def take(browser: Browser, home: str, cookies: list[object], shot: Shot) -> None:
    """The picture, and the same in the dark or on a narrow screen where that is wanted."""
    looks: list[tuple[str, Theme, int]] = [("", "light", WIDE)]
    looks += [("-dark", "dark", WIDE)] if shot.dark else []
    looks += [("-narrow", "light", NARROW)] if shot.narrow else []
    for suffix, theme, width in looks:
        async with tab(browser, home, cookies, theme, width) as page:
            await page.goto(shot.path)
            await page.evaluate("document.documentElement.style.scrollbarGutter = 'auto'")  # no bar is drawn here
            if shot.act is not None and width != NARROW:
                await shot.act(page)
                await page.evaluate("scrollTo(0, 0)")
            await page.screenshot(path=FOLDER / f"{shot.name}{suffix}.png", full_page=width != NARROW)


async def shoot(folder: Path) -> None:
    """All pictures."""

    def ready() -> re.Match[str] | None:
        text = (folder / "said").read_text(encoding="utf-8")
        return LINK.search(text) if THERE in text else None

    found = await eventually(ready, within=PATIENCE, every=0.2, why="the demonstration is not there")
    assert found
    link, home = found[0], found[0].partition("/sign-in")[0]
    token = (folder / "data" / "token").read_text(encoding="utf-8").strip()
    headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=20"}
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    async with running_browser() as browser, http_client(headers=headers) as caller:
        client = f"{home}/api/v1/clients"
        for command, body in (
            ("unsuspend", {"source": "billing", "last_day": str(_day(20)), "reason": "paid by then"}),
            ("decommission", {"last_day": str(_day(150)), "reason": "contract ends"}),
        ):
            (await caller.post(f"{client}/oakwell-interiors/{command}", json=body)).raise_for_status()
        await take(browser, home, [], Shot("sign-in", "/sign-in"))
        async with tab(browser, home, [], "light", WIDE) as page:
            await page.goto(link)
            cookies: list[object] = [*await page.context.cookies()]
        for shot in shots():
            await take(browser, home, cookies, shot)
        await _take_telephones_away(folder / "data")
        for client_id in WAITING:
            body = {"source": "billing", "reason": "invoice 1042 unpaid"}
            await caller.post(f"{client}/{client_id}/suspend", json=body, headers={"Prefer": "wait=0"})

        async def all_wait() -> bool:
            return int((await caller.get(f"{home}/api/v1/attention")).json()["total"]) >= len(WAITING)

        await eventually(all_wait, within=PATIENCE, every=0.5, why="nobody needs a person")
        await take(browser, home, cookies, Shot("attention", "/attention", _choose_all, dark=True, narrow=True))
        await take(browser, home, cookies, Shot("trouble", f"/clients/{WAITING[0]}"))


async def _take_telephones_away(data: Path) -> None:
    """Have the worker find no table of Kamailio's: a role may say itself where it looks for them."""
    port = (data / "postgres" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[3]
    async with connected(
        f"postgresql://sip_prov@127.0.0.1:{port}/kamailio", passfile=data / "passwords" / "sip_prov"
    ) as connection:
        await connection.execute("ALTER ROLE sip_prov SET search_path TO nowhere")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = user AND pid <> pg_backend_pid()"
        )


def main() -> None:
    with demonstration() as folder:
        asyncio.run(shoot(folder))


if __name__ == "__main__":
    main()
