"""What a task takes a person: clicks, and keys beside what is typed into a field."""

from playwright.async_api import Page

_COUNT = """
const add = () => { sessionStorage.actions = Number(sessionStorage.actions ?? 0) + 1; };
addEventListener("click", (event) => { if (event.isTrusted && event.detail) add(); }, true);
addEventListener("keydown", (event) => {
  const typed = event.target.matches?.("textarea, input:not([type=checkbox], [type=radio])") && event.key !== "Enter";
  if (event.isTrusted && !typed) add();
}, true);"""


async def count_actions(page: Page) -> Page:
    """The tab, in which each click and key counts from the next page on."""
    await page.context.add_init_script(_COUNT)
    return page


async def actions(page: Page) -> int:
    """How many there were."""
    return int(await page.evaluate("Number(sessionStorage.actions ?? 0)"))
