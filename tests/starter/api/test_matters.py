"""Claims about open matters over HTTP and on the command line: found, assigned, snoozed, acknowledged (issue 13)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.support.service import Service, number
from tests.support.terminal import Terminal
from tests.support.waiting import HANGING, eventually

PASSED = "end_date_passed"


async def matters_listed(api: httpx2.AsyncClient, site: str, **query: Any) -> list[dict[str, Any]]:
    answer = await api.get("/matters", params={"site": site, **query})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def staying(service: Service, site: str, name: str = "Stayers Ltd") -> str:
    """A client whose end date has passed."""
    record: dict[str, Any] = {"start_date": "2026-01-01", "end_date": "2026-03-31"}
    return str((await service.create(name=name, site=site, **record))["client_id"])


async def act(service: Service, client_id: str, verb: str, matter: str = PASSED, **body: Any) -> httpx2.Response:
    return await service.post(client_id, f"matters/{matter}/{verb}", wait=0, **body)


async def test_an_end_date_that_has_passed_is_open_until_it_is_acknowledged(service: Service) -> None:
    site = await service.site(timezone="Asia/Tokyo")
    client_id = await staying(service, site)
    [matter] = await matters_listed(service.api, site)
    assert (matter["client_id"], matter["name"], matter["kind"]) == (client_id, "Stayers Ltd", PASSED)
    assert matter["since"] == "2026-04-01T00:00:00+09:00"
    assert [one["matter"] for one in (await service.client(client_id))["matters"]] == [PASSED]
    answer = await act(service, client_id, "acknowledge", reason="they stay until May", key="once")
    assert (answer.status_code, answer.json()["changed"]) == (200, True), answer.text
    assert await matters_listed(service.api, site) == []
    assert (await service.client(client_id))["matters"] == []
    again = await act(service, client_id, "acknowledge", reason="they stay until May", key="once")
    assert again.json() == answer.json(), "its first answer"
    history = await service.history(client_id)
    lines = [(line["by"], line["reason"]) for line in history if line["kind"] == "acknowledge"]
    assert lines == [("api", "they stay until May")]
    await service.api.patch(f"/clients/{client_id}", json={"end_date": "2026-04-30"}, headers={"Prefer": "wait=20"})
    [reopened] = await matters_listed(service.api, site)
    assert reopened["since"] == "2026-05-01T00:00:00+09:00"


async def test_who_has_a_matter_is_named_and_asked_for(service: Service) -> None:
    site = await service.site()
    mine, other = await staying(service, site), await staying(service, site)
    assert (await act(service, mine, "assign", assigned_to="me")).json()["assigned_to"] == "api"
    assert [one["client_id"] for one in await matters_listed(service.api, site, assigned_to="me")] == [mine]
    assert [one["client_id"] for one in await matters_listed(service.api, site, assigned_to="nobody")] == [other]
    assert (await act(service, mine, "assign", assigned_to=None)).json()["assigned_to"] is None


async def test_what_is_snoozed_is_out_of_the_way_until_its_day(service: Service) -> None:
    site = await service.site(timezone="Asia/Tokyo")
    client_id = await staying(service, site)
    day = (datetime.now(UTC) + timedelta(days=30)).date()
    answer = (await act(service, client_id, "snooze", snoozed_until=str(day))).json()
    assert answer["snoozed_until"] == f"{day}T00:00:00+09:00"
    assert await matters_listed(service.api, site) == []
    opened = await service.api.get("/clients", params={"site": site, "open": True})
    assert opened.json()["total"] == 0
    [matter] = await matters_listed(service.api, site, snoozed=True)
    assert (matter["snoozed"], matter["snoozed_until"]) == (True, answer["snoozed_until"])
    assert (await act(service, client_id, "snooze", end=True)).json()["message"] == "Snooze ended"
    assert len(await matters_listed(service.api, site)) == 1
    past = await act(service, client_id, "snooze", snoozed_until="2026-01-01")
    assert (past.status_code, past.json()["field"]) == (422, "snoozed_until")


async def test_a_new_client_waits_until_somebody_activates_it(service: Service) -> None:
    site = await service.site()
    made = await service.create(site=site, start_date="2026-01-01", activation="manual")
    [matter] = await matters_listed(service.api, site)
    assert (matter["kind"], matter["text"]) == (
        "start_reached",
        "The start date, 1 Jan 2026, has come, and the client waits for somebody to activate it.",
    )
    await service.post(made["client_id"], "activate")
    assert await matters_listed(service.api, site) == []


async def test_what_goes_by_itself_is_not_acknowledged(service: Service, slow: Service) -> None:
    site = await slow.site()
    client_id = (await slow.create(site=site))["client_id"]
    await slow.stuck(client_id, "suspend", slow.telephony)
    assert [one["matter"] for one in await matters_listed(slow.api, site)] == ["telephony"]
    answer = await act(slow, client_id, "acknowledge", matter="telephony")
    assert (answer.status_code, answer.json()["field"]) == (409, "matter"), answer.text
    assert "assign or snooze it" in answer.json()["detail"]
    assert (await slow.post(client_id, "systems/telephony/skip", reason="on Monday")).status_code == 200
    assert (await act(slow, client_id, "acknowledge", matter="telephony")).json()["changed"]
    assert await matters_listed(slow.api, site) == []


async def test_a_plan_that_was_refused_is_open_until_its_client_hears_that_somebody_knows(service: Service) -> None:
    site = await service.site()
    for seconds in (3, 30, HANGING):  # on a busy machine the plan may come first: then it is not refused
        lines = [{"number": number(), "office": "1"} for _ in range(2)]
        client_id = (await service.create(site=site, lines=lines))["client_id"]
        gone = [lines[0]["number"]]
        due = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        planned = await service.post(client_id, "services", remove_lines=gone, at=due, wait=0)
        removed = await service.post(client_id, "services", remove_lines=gone)
        if (planned.status_code < 300, removed.status_code) == (True, 200):
            break

    async def kinds() -> list[str]:
        return [one["kind"] for one in await matters_listed(service.api, site)]

    await eventually(kinds, equal=["plan_refused"])
    [matter] = (await service.client(client_id))["matters"]
    answer = await act(service, client_id, "acknowledge", matter=matter["matter"], reason="it was done before")
    assert (answer.status_code, answer.json()["changed"]) == (200, True), answer.text
    again = await act(service, client_id, "acknowledge", matter=matter["matter"], reason="it was done before")
    assert (again.status_code, again.json()) == (200, answer.json() | {"changed": False}), "at once, as of any other"
    await eventually(kinds, equal=[])
    later = await act(service, client_id, "acknowledge", matter=matter["matter"])
    assert (later.status_code, later.json()) == (200, again.json()), "also when its client has forgotten it"

    async def count_acknowledged() -> int:
        return len([line for line in await service.history(client_id) if line["kind"] == "acknowledge"])

    await eventually(count_acknowledged, equal=1)  # once its client has published it


@pytest.mark.parametrize("verb", ["acknowledge", "assign", "snooze"])
async def test_what_is_not_open_is_not_found(service: Service, verb: str) -> None:
    client_id = (await service.create())["client_id"]
    body = {"assigned_to": "me"} if verb == "assign" else {}
    for who, title in ((client_id, "No such matter"), ("nobody-at-all", "No such client")):
        answer = await act(service, who, verb, **body)
        assert (answer.status_code, answer.json()["title"]) == (404, title), answer.text


async def test_the_command_line_lists_assigns_and_snoozes(terminal: Terminal, slow: Service) -> None:
    site = await slow.site()
    client_id = await staying(slow, site)
    out = (await terminal.connect("matters", "--site", site)).out
    assert f"{client_id}  {PASSED}  end date passed" in out
    output = (await terminal.connect("client", "show", client_id)).out
    assert f"connect client acknowledge {client_id} {PASSED}" in output
    assert (await terminal.connect("client", "assign", client_id, PASSED, "Ann")).out == "Assigned to Ann\n"
    assert (await terminal.json("matters", "--site", site, "--assigned-to", "ann"))["total"] == 1
    assert (await terminal.connect("client", "snooze", client_id, PASSED)).status == 0
    assert "Nothing is open" in (await terminal.connect("matters", "--site", site)).out
    outcome = await terminal.connect("client", "acknowledge", client_id, PASSED)
    assert (outcome.status, outcome.out.startswith("Acknowledged.")) == (0, True), outcome
