"""Claims about Upcoming and Attention over plain HTTP: what they show, and what asking many clients at once does."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from starter.console.auth.sessions import COOKIE, Sessions
from starter.console.calendar_feed import calendar_key
from starter.web.names import Names
from tests.support.service import HOME, TOKEN, Service
from tests.support.waiting import eventually, http_client

ACCESS = {"down_mbps": 100, "up_mbps": 20}
MARKUP = "<b>Markup</b> & Sons"


@pytest_asyncio.fixture(loop_scope="session")
async def browser(slow: Service) -> AsyncIterator[httpx2.AsyncClient]:
    async with signed_in(slow) as client:
        yield client


@asynccontextmanager
async def signed_in(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who is signed in, in a browser without scripts."""
    cookie = await Sessions(service.clients.directory.database, TOKEN).begin("ann", HOME)
    assert cookie is not None
    async with http_client(base_url=service.url, cookies={COOKIE: cookie}, headers={"Accept": "text/html"}) as client:
        yield client


async def page_at(browser: httpx2.AsyncClient, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def hidden(page: str, name: str, after: str = "") -> str:
    """What the first field of that name says that comes after some words."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page[page.index(after) :])
    assert found, page
    return found[1]


# -- upcoming ---------------------------------------------------------------------------------------------------------


async def test_a_site_without_plans_says_so(slow: Service, browser: httpx2.AsyncClient) -> None:
    site = await slow.site()
    page = await page_at(browser, f"/upcoming?site={site}")
    assert f"Nothing is planned at {site}." in page
    assert "Back to clients" in page


async def test_what_is_planned_is_listed_in_the_time_of_its_site(slow: Service, browser: httpx2.AsyncClient) -> None:
    site = await slow.site(timezone="Asia/Tokyo")
    client_id = (await slow.create(MARKUP, site=site))["client_id"]
    await slow.post(client_id, "suspend", last_day="2199-03-31", reason="<i>unpaid</i>", source="billing")
    await slow.post(client_id, "decommission", at="2199-04-30T17:30:00+00:00")
    page = await page_at(browser, f"/upcoming?site={site}&month=2199-04")
    assert "1 Apr 2199, 00:00" in page
    assert "last day 31 Mar 2199" in page
    assert "1 May 2199, 02:30" in page
    assert "&lt;b&gt;Markup&lt;/b&gt; &amp; Sons" in page
    assert "<b>Markup" not in page
    assert "<i>unpaid" not in page
    assert f"/clients/{client_id}/status?action=suspend&amp;plan=" in page
    assert "reason=" not in page, "no address carries a reason"
    assert f"/clients/{client_id}/status?action=decommission&amp;plan=" in page
    squares = re.findall(r'<time datetime="(2199-0\d-\d\d)">(?:(?!</td>).)*?/clients/', page, re.DOTALL)
    assert squares == ["2199-04-01", "2199-05-01"], "both days are squares of the weeks of April there"


async def test_a_planned_start_moves_with_the_start_date(slow: Service, browser: httpx2.AsyncClient) -> None:
    site = await slow.site()
    client_id = (await slow.create(site=site, start_date="2199-01-01", wait=0))["client_id"]
    page = await page_at(browser, f"/upcoming?site={site}")
    assert f'href="/clients/{client_id}/edit"' in page
    assert "action=activate" not in page
    assert f"/clients/{client_id}/planned/" in page


async def test_a_crowded_day_names_a_few_and_leads_to_all(slow: Service, browser: httpx2.AsyncClient) -> None:
    site = await slow.site()
    for n in range(7):
        await slow.create(f"Guest {n}", site=site, start_date="2199-07-10", wait=0)
    page = await page_at(browser, f"/upcoming?site={site}&month=2199-07")
    assert ">3 more<" in page
    day = re.search(r'href="([^"]*day=2199-07-10)#ahead"', page)
    assert day, page
    of_the_day = await page_at(browser, day[1].replace("&amp;", "&"))
    assert "On 10 Jul 2199" in of_the_day
    assert of_the_day.count("Edit start date") == 7
    other = await page_at(browser, f"/upcoming?site={site}&day=2199-07-11")
    assert "Nothing is planned for 11 Jul 2199." in other


@pytest.mark.parametrize(
    "query", ["month=2027-13", "month=soon", "month=0001-01", "day=2027-02-30", "skip=-1", "site=nowhere", "day=1"]
)
async def test_an_address_that_makes_no_sense_shows_this_month(browser: httpx2.AsyncClient, query: str) -> None:
    page = await page_at(browser, f"/upcoming?{query}")
    assert 'aria-current="date"' in page


async def test_a_site_that_was_chosen_is_remembered_on_every_list(slow: Service, browser: httpx2.AsyncClient) -> None:
    site = await slow.site()
    await page_at(browser, f"/upcoming?site={site}")
    for path in ("/upcoming", "/attention", "/clients"):
        there = (await browser.get(path)).headers["location"]
        assert there == f"{path}?site={site}", "its address says what it shows"
        assert f'value="{site}" selected' in await page_at(browser, there), path
    await page_at(browser, "/attention?site=")
    for path in ("/upcoming", "/attention", "/clients"):
        assert f'value="{site}" selected' not in await page_at(browser, path), path


async def test_a_site_that_is_chosen_in_another_tab_does_not_reach_a_page_that_is_open(
    slow: Service, browser: httpx2.AsyncClient
) -> None:
    site = await slow.site()
    page = await page_at(browser, "/clients?site=")
    assert 'href="/clients?site=&amp;sort=-name"' in page, "every address of the page says the site"
    await page_at(browser, f"/clients?site={site}")
    for path in ("/clients", "/upcoming", "/attention"):
        news = await browser.get(path, headers={"Connect-Refresh": "1"})
        assert news.status_code == 200, path
        assert f'value="{site}" selected' not in news.text, path


async def test_the_page_tells_the_address_of_the_calendar(slow: Service, browser: httpx2.AsyncClient) -> None:
    site = await slow.site()
    page = await page_at(browser, f"/upcoming?site={site}")
    assert f"{Names().public_url}/upcoming.ics?site={site}&amp;key={calendar_key(TOKEN, site)}" in page
    assert "webcal://" in page


# -- attention --------------------------------------------------------------------------------------------------------


class Ward:
    """A site with clients whose telephones do not do as decided."""

    def __init__(self, service: Service, site: str, ids: list[str]) -> None:
        self.service, self.site, self.ids = service, site, ids

    async def waiting(self) -> list[str]:
        answer = await self.service.api.get("/attention", params={"site": self.site, "system": "telephony"})
        return [item["client_id"] for item in answer.json()["items"]]


async def ward_of(service: Service, *names: str, **record: Any) -> Ward:
    site = await service.site()
    ids = [(await service.create(name, site=site, **record))["client_id"] for name in names]
    ward = Ward(service, site, ids)
    async with service.without(service.telephony, service.internet):
        for client_id in ids:
            await service.post(client_id, "suspend", wait=0)
            await service.tried(client_id)
        await eventually(ward.waiting, equal=ids)
    return ward


async def retry_all(browser: httpx2.AsyncClient, page: str, **fields: Any) -> httpx2.Response:
    form = {"command_id": hidden(page, "command_id", "data-select"), "about": "telephony"}
    return await browser.post("/attention/retry", data={**form, **fields})


async def test_a_site_in_order_says_that_nothing_is_needed(slow: Service, browser: httpx2.AsyncClient) -> None:
    site = await slow.site()
    page = await page_at(browser, f"/attention?site={site}")
    assert "Nothing needs you." in page
    assert "Telephone lines" in page
    assert "Internet access" in page


async def test_those_who_wait_are_grouped_by_system_with_what_is_wrong(
    slow: Service, browser: httpx2.AsyncClient
) -> None:
    ward = await ward_of(slow, MARKUP, "Second", internet=ACCESS)
    page = await page_at(browser, f"/attention?site={ward.site}")
    assert page.count('name="client"') == 4
    assert "telephony does not answer" in page
    assert "&lt;b&gt;Markup&lt;/b&gt;" in page
    assert "<b>Markup" not in page
    internet = await page_at(browser, f"/attention?site={ward.site}&system=internet")
    assert internet.count('name="client"') == 2
    assert f'href="/clients/{ward.ids[0]}#system-internet"' in internet


async def test_those_that_were_chosen_try_again_and_the_others_wait(slow: Service, browser: httpx2.AsyncClient) -> None:
    ward = await ward_of(slow, "First", "Second", "Third")
    page = await page_at(browser, f"/attention?site={ward.site}")
    answer = await retry_all(browser, page, client=ward.ids[:2], site=ward.site)
    assert answer.status_code == 303, answer.text
    assert "2 clients asked to try telephone lines again." in await page_at(browser, answer.headers["location"])
    assert "2 clients asked" not in await page_at(browser, answer.headers["location"]), "it is said once"
    await eventually(ward.waiting, equal=[ward.ids[2]])
    assert "ann" in {line["by"] for line in await slow.history(ward.ids[0]) if line["kind"] == "retry"}


async def test_all_that_were_shown_try_again(slow: Service, browser: httpx2.AsyncClient) -> None:
    ward = await ward_of(slow, "First", "Second")
    page = await page_at(browser, f"/attention?site={ward.site}")
    everybody = re.findall(r'name="shown" value="([^"]*)"', page)
    assert sorted(everybody) == sorted(ward.ids)
    answer = await retry_all(browser, page, shown=everybody, all="yes")
    assert answer.status_code == 303, answer.text
    await eventually(ward.waiting, equal=[])


async def test_a_form_that_is_sent_twice_asks_once(slow: Service, browser: httpx2.AsyncClient) -> None:
    ward = await ward_of(slow, "First")
    page = await page_at(browser, f"/attention?site={ward.site}")
    for _ in range(2):
        answer = await retry_all(browser, page, client=ward.ids)
        assert answer.status_code == 303, answer.text
    await slow.known(ward.ids[0])

    async def texts() -> list[str]:
        return [line["event"] for line in await slow.history(ward.ids[0]) if line["kind"] == "retry"]

    events = await eventually(texts)
    assert len(events) == len(set(events)), events


async def test_who_could_not_be_asked_is_named_with_the_reason(slow: Service, browser: httpx2.AsyncClient) -> None:
    ward = await ward_of(slow, "First")
    page = await page_at(browser, f"/attention?site={ward.site}")
    answer = await retry_all(browser, page, client=[*ward.ids, "nobody-here", "<b>"], site=ward.site)
    assert answer.status_code == 409
    assert "1 client asked to try telephone lines again. 2 clients could not be asked." in answer.text
    assert "There is no such client." in answer.text
    assert "<b>:" not in answer.text


async def test_who_has_no_need_to_is_counted_apart(slow: Service, browser: httpx2.AsyncClient) -> None:
    ward = await ward_of(slow, "First")
    page = await page_at(browser, f"/attention?site={ward.site}")
    well = (await slow.create("Well", site=ward.site))["client_id"]
    await slow.known(well)
    answer = await retry_all(browser, page, client=[well])
    assert answer.status_code == 303, answer.text
    assert "1 client had no need to" in await page_at(browser, answer.headers["location"])


async def test_a_form_that_makes_no_sense_does_nothing(slow: Service, browser: httpx2.AsyncClient) -> None:
    ward = await ward_of(slow, "First")
    page = await page_at(browser, f"/attention?site={ward.site}")
    for fields, words in (
        ({"site": ward.site}, "No client was chosen."),
        ({"client": ward.ids, "about": "directory"}, "There is no such system."),
        ({"client": [f"c-{n}" for n in range(501)]}, "501 clients are too many at once. Choose at most 500."),
    ):
        answer = await retry_all(browser, page, **fields)
        assert (answer.status_code, words in answer.text) == (422, True), answer.text
    assert await ward.waiting() == ward.ids


async def test_what_was_skipped_is_shown_on_request(slow: Service, browser: httpx2.AsyncClient) -> None:
    ward = await ward_of(slow, "First")
    answer = await slow.post(ward.ids[0], "systems/telephony/skip", reason="replaced on <i>Monday</i>")
    assert answer.json()["changed"], answer.text

    async def gone() -> bool:
        return "Nothing needs you." in await page_at(browser, f"/attention?site={ward.site}")

    await eventually(gone)
    page = await page_at(browser, f"/attention?site={ward.site}&skipped=true")
    assert "replaced on &lt;i&gt;Monday&lt;/i&gt;" in page
    assert 'name="shown"' not in page, "all that are shown are those that nobody has accepted"


async def test_the_number_that_waits_stands_beside_the_page_everywhere(
    slow: Service, browser: httpx2.AsyncClient
) -> None:
    await ward_of(slow, "First")
    for path in ("/clients", "/upcoming", "/attention"):
        found = re.search(r'<b class="count">(\d+)', await page_at(browser, path))
        assert found, path
        assert int(found[1]) >= 1


async def test_the_calendar_of_the_past_is_empty_and_the_day_is_marked(browser: httpx2.AsyncClient) -> None:
    now = datetime.now(UTC)
    page = await page_at(browser, f"/upcoming?site=&month={now - timedelta(days=62):%Y-%m}")
    assert 'class="inside gone"' in page
    assert "From today" in page
