"""Claims about cancelling what is planned: previewed, confirmed with a reason, and said what becomes of the client."""

from typing import Any

import pytest

from tests.starter.console.filling_in import Read, Somebody, ann
from tests.support.service import Service, unique

__all__ = ["ann"]

IN_TIME = "2199-03-31"


async def planned(service: Service, *commands: tuple[str, dict[str, Any]], **client: Any) -> dict[str, Any]:
    """A client for which these are planned."""
    new = await service.create(unique("Planned"), **client)
    for command, body in commands:
        answer = await service.post(new["client_id"], command, **body)
        assert answer.status_code in (200, 202), answer.text
    return await service.client(new["client_id"])


def at(client: dict[str, Any], change: str) -> str:
    return f"/clients/{client['client_id']}/planned/{change}/cancel"


NEVER = {"last_day": IN_TIME}


@pytest.mark.parametrize(
    ("commands", "client", "kind", "button", "becomes"),
    [
        (
            (),
            {"start_date": "2199-01-01", "wait": 0},
            "activate",
            "Cancel activation",
            "waits until somebody activates",
        ),
        ((("decommission", NEVER),), {}, "decommission", "Cancel decommission", "stays Active: its contract and its"),
        (
            (("suspend", {}), ("decommission", NEVER)),
            {},
            "decommission",
            "Cancel decommission",
            "stays Suspended: its contract goes on, and its services stay off",
        ),
        (
            (("decommission", NEVER),),
            {"start_date": "2199-01-01", "wait": 0},
            "decommission",
            "Cancel decommission",
            "stays New: its contract goes on, and its activation is as it was",
        ),
        ((("suspend", NEVER),), {}, "suspend", "Cancel planned suspension", "nothing is switched off then"),
        (
            (("suspend", {}), ("unsuspend", NEVER)),
            {},
            "unsuspend",
            "Cancel planned unsuspension",
            "stays Suspended until somebody lifts the hold",
        ),
        ((("convert", {"to": "virtual", **NEVER}),), {}, "convert", "Cancel conversion", "of the type that it is"),
        (
            (("services", {"internet": {"down_mbps": 5, "up_mbps": 5}, **NEVER}),),
            {},
            "change_services",
            "Cancel change of services",
            "stay as they are",
        ),
    ],
)
async def test_a_cancellation_says_what_becomes_of_the_client_and_is_done_once_confirmed(
    ann: Somebody,
    service: Service,
    commands: tuple[tuple[str, dict[str, Any]], ...],
    client: dict[str, Any],
    kind: str,
    button: str,
    becomes: str,
) -> None:
    before = await planned(service, *commands, **client)
    plan = next(plan for plan in before["planned"] if plan["kind"] == kind)
    client_page = (await ann.http.get(f"/clients/{before['client_id']}")).text
    assert f'href="{at(before, plan["change_id"])}">{button}<' in client_page
    form, page = await ann.open(at(before, plan["change_id"]))
    assert becomes in page.html
    assert f">{button}</button>" in page.html
    assert (await service.client(before["client_id"]))["revision"] == before["revision"], "nothing was done yet"
    typed = form | {"reason": "as agreed"}
    for _ in range(2):  # sent twice, it is done once
        path, notice = await ann.done(at(before, plan["change_id"]), typed)
        assert (path, notice.partition(":")[0]) == (f"/clients/{before['client_id']}", "Cancelled")
    after = await service.client(before["client_id"])
    assert (after["status"], [it for it in after["planned"] if it["kind"] == kind]) == (before["status"], [])
    await service.known(before["client_id"])
    lines = [line for line in await service.history(before["client_id"]) if line["text"].startswith("Cancelled")]
    assert [(line["by"], line["reason"]) for line in lines] == [("ann", "as agreed")]


async def test_what_is_sent_without_having_been_seen_is_shown_and_not_done(ann: Somebody, service: Service) -> None:
    client = await planned(service, ("decommission", NEVER))
    page = await ann.sent(at(client, "decommission"), {"next": "/upcoming?site=x"}, 200)
    [form] = [form for action, form in page.forms.items() if action.endswith("/cancel")]
    assert form["next"] == "/upcoming?site=x"
    assert (await service.client(client["client_id"]))["planned"] != []


async def test_what_would_come_otherwise_meanwhile_is_shown_anew(ann: Somebody, service: Service) -> None:
    client = await planned(service, ("decommission", NEVER))
    path = at(client, client["planned"][0]["change_id"])
    form, _ = await ann.open(path)
    await service.post(client["client_id"], "suspend")
    page = await ann.sent(path, form | {"reason": "typed"}, 409)
    assert "has changed since this was previewed" in page.html
    assert "stays Suspended" in page.html
    assert page.forms[path]["reason"] == "typed"
    await ann.done(path, page.forms[path])
    after = await service.client(client["client_id"])
    assert (after["status"], after["planned"]) == ("suspended", [])


async def test_a_wrong_reason_is_told_and_nothing_is_cancelled(ann: Somebody, service: Service) -> None:
    client = await planned(service, ("suspend", NEVER))
    path = at(client, client["planned"][0]["change_id"])
    form, _ = await ann.open(path)
    page = await ann.sent(path, form | {"reason": "x" * 501}, 422)
    assert "too long" in page.texts["note-reason"]
    assert (await service.client(client["client_id"]))["planned"] != []


async def test_what_is_not_planned_any_more_is_said_so(ann: Somebody, service: Service) -> None:
    client, gone = await planned(service, ("suspend", NEVER)), await service.closed(name=unique("Gone"))
    path = at(client, client["planned"][0]["change_id"])
    form, _ = await ann.open(path)
    await service.api.delete(f"/clients/{client['client_id']}/planned/suspend")
    for answer in (await ann.send(path, form), await ann.http.get(path), await ann.http.get(at(client, "convert"))):
        assert answer.status_code == 404
        assert "This change is not planned any more" in answer.text
    answer = await ann.http.get(at(gone, "decommission"))
    assert answer.status_code == 409
    assert "already decommissioned" in answer.text


async def test_no_page_leads_outside_after_a_cancellation(ann: Somebody, service: Service) -> None:
    client = await planned(service, ("suspend", NEVER))
    answer = await ann.http.get(at(client, "suspend"), params={"next": "https://evil.example/"})
    assert 'href="https://evil' not in answer.text
    assert Read(answer.text).forms[at(client, client["planned"][0]["change_id"])]["next"] == "/"


@pytest.mark.parametrize("path", ["/upcoming", "/clients/{id}", "/clients/{id}/planned/activate/cancel"])
async def test_the_reason_of_an_activation_has_its_date_as_everywhere_else(
    ann: Somebody, service: Service, path: str
) -> None:
    client = await planned(service, start_date="2199-01-07", wait=0)
    page = (await ann.http.get(path.replace("{id}", client["client_id"]))).text
    assert "start date 7 Jan 2199" in page
    assert "start date 2199" not in page
