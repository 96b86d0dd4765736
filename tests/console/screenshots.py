"""``make screenshots``: the console's pages with the demonstration's clients, as the README shows them.

A service of its own is started for it and ended; the pictures are written to docs/screenshots/.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.async_api import Browser, Page

from tests.console.browsing import NARROW, running_browser
from tests.waiting import eventually, free_port

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
CONNECT = Path(sys.executable).with_name("connect")
LINK = re.compile(r"http://\S+/sign-in\?key=\S+")
THERE = "The demonstration is there"
PATIENCE = 180  # seconds for the service and its demonstration
SHOTS = {
    "clients": "/clients",
    "client": "/clients/{client}",
    "status": "/clients/{client}/status",
    "history": "/clients/{client}/history",
    "edit": "/clients/{client}/edit",
    "new": "/clients/new",
    "upcoming": "/upcoming",
    "attention": "/attention",
}
CLIENT = "Fable Audio"  # it is to leave: there is something to be seen


@contextmanager
def demonstration() -> Iterator[Path]:
    """`connect up --demo` in a folder of its own; the file that it writes to."""
    with tempfile.TemporaryDirectory(prefix="connect-screenshots-") as folder:
        said = Path(folder) / "said"
        ports = [str(free_port()) for _ in range(3)]
        command = [str(CONNECT), "up", "--demo", "--data", f"{folder}/data", "--port", ports[0]]
        command += ["--temporal-port", ports[1], "--ui-port", ports[2]]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("CONNECT_", "TEMPORAL_"))
        }
        with said.open("w") as output:
            up = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            yield said
        finally:
            up.terminate()
            up.wait(60)


async def tab(browser: Browser, home: str, theme: str, width: int) -> Page:
    context = await browser.new_context(
        base_url=home,
        viewport={"width": width, "height": 860},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
    )
    return await context.new_page()


async def shoot(said: Path) -> None:
    def ready() -> re.Match[str] | None:
        text = said.read_text()
        return LINK.search(text) if THERE in text else None

    found = await eventually(ready, within=PATIENCE, every=0.2, why="the demonstration is not there")
    assert found
    link, home = found[0], found[0].partition("/sign-in")[0]
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with running_browser() as browser:
        stranger = await tab(browser, home, "light", 1360)
        await stranger.goto("/sign-in")
        await stranger.screenshot(path=FOLDER / "sign-in.png")
        signed_in = await tab(browser, home, "light", 1360)
        await signed_in.goto(link)
        cookies = await signed_in.context.cookies()
        client = await signed_in.locator("tr", has_text=CLIENT).get_attribute("data-key")
        for theme, width, suffix in (("light", 1360, ""), ("dark", 1360, "-dark"), ("light", NARROW, "-narrow")):
            page = await tab(browser, home, theme, width)
            await page.context.add_cookies(cookies)  # type: ignore[arg-type]  # set as read
            for name, path in SHOTS.items():
                await page.goto(path.format(client=client))
                await page.screenshot(path=FOLDER / f"{name}{suffix}.png", full_page=width != NARROW)


def main() -> None:
    with demonstration() as said:
        asyncio.run(shoot(said))


if __name__ == "__main__":
    main()
