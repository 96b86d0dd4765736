"""A plan that cannot happen, on every surface that a person or a program looks at."""

from datetime import UTC, datetime, timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any

from starter.console.rendering import templates
from starter.contract.answers import HistoryEntry
from starter.telephones import phones_in
from tests.starter.console.filling_in import Somebody, ann
from tests.support.service import Service, number, waiting

__all__ = ["ann"]
LATER = datetime.now(UTC) + timedelta(days=20)


def test_a_late_line_of_the_history_says_for_when_it_was_planned() -> None:
    due = datetime(2026, 3, 12, 10, tzinfo=UTC)
    facts = {"planned": "true", "planned_for": due.isoformat()}
    line = {
        "history_id": 1,
        "event": "decided",
        "kind": "suspend",
        "text": "Suspended",
        "by": "olga",
        "source": "",
        "reason": "",
    }
    lines = [
        HistoryEntry.model_validate(line | {"at": due + late, "command_id": "", "revision": 3, "facts": facts})
        for late in (timedelta(hours=3), timedelta(seconds=59))
    ]
    rows = templates.get_template("history_rows.html").render(lines=lines, client=SimpleNamespace(timezone="UTC"))
    assert rows.count("Planned for") == 1
    assert "12 Mar 2026, 10:00</time>, done 3 h late" in rows


async def text_of(ann: Somebody, path: str) -> str:
    answer = await ann.http.get(path)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


async def test_whoever_looks_is_told_which_plan_breaks_and_why(service: Service, ann: Somebody) -> None:
    site = await service.site()
    first, second, third = (number() for _ in range(3))
    virtual: dict[str, Any] = {"type": "virtual", "site": site, "lines": [{"number": first}, {"number": second}]}
    client_id = (await service.create("Moving In", **virtual))["client_id"]
    offices = [{"number": first, "office": "3.12"}, {"number": second, "office": "3.2"}]
    planned = await service.post(client_id, "convert", to="residential", lines=offices, at=LATER.isoformat())
    assert (planned.status_code, planned.json()["warnings"]) == (200, [])

    tried = await service.post(client_id, "services?dry_run=true", add_lines=[{"number": third}])
    done = await service.post(client_id, "services", add_lines=[{"number": third}], key="third-line")
    assert (tried.status_code, done.status_code, done.json()["changed"]) == (200, 200, True), "a warning is no refusal"
    (warning,) = done.json()["warnings"]
    assert tried.json()["warnings"] == [warning]
    assert warning["code"] == "plan_blocked"
    again = await service.post(client_id, "services", add_lines=[{"number": third}], key="third-line")
    assert again.json()["warnings"] == [warning], "the same command again is answered the same"

    client = await service.client(client_id)
    (plan,) = client["planned"]
    assert plan["status_after"] is None
    assert "office" in plan["blocked_by"]
    assert client["warnings"] == [warning]
    listed = (await service.api.get("/clients", params={"site": site})).json()["items"][0]
    assert listed["planned"][0]["blocked_by"] == plan["blocked_by"]

    sentence = f"Cannot happen. {phones_in(plan['blocked_by'])}"
    assert sentence in await text_of(ann, f"/clients/{client_id}")
    assert sentence in await text_of(ann, f"/upcoming?site={site}")
    assert "Cannot happen" in await text_of(ann, f"/clients?site={site}")

    address = f"/clients/{client_id}/planned/{plan['change_id']}"
    mended = await service.api.delete(address, headers=waiting(20))
    assert (mended.status_code, mended.json()["warnings"]) == (200, [])
    assert "Cannot happen" not in await text_of(ann, f"/clients?site={site}")
