"""Claims about dry runs over HTTP: what a command would do is told, and nothing is done."""

from typing import Any

import httpx2
import pytest

from tests.support.service import Service, number, unique
from tests.support.terminal import Terminal

ACCESS = {"down_mbps": 100, "up_mbps": 20, "vlan": 110}
DRY = {"dry_run": "true"}
COMMANDS: list[tuple[str, str, dict[str, Any]]] = [
    ("PATCH", "", {"name": "Another name"}),
    ("POST", "/activate", {}),
    ("POST", "/suspend", {"source": "billing", "reason": "unpaid"}),
    ("POST", "/unsuspend", {"source": "all"}),
    ("POST", "/decommission", {"last_day": "2199-06-30"}),
    ("POST", "/cancel-scheduled-decommission", {}),
    ("POST", "/convert", {"to": "virtual"}),
    ("POST", "/services", {"internet": "none"}),
    ("POST", "/rotate-credentials", {}),
    ("DELETE", "/planned/decommission", {}),
    ("POST", "/systems/telephony/retry", {}),
    ("POST", "/systems/internet/skip", {"reason": "later"}),
    ("POST", "/systems/internet/mark-done", {"note": "by hand"}),
]


async def everything(service: Service, client_id: str) -> tuple[Any, Any]:
    """What is known of a client, and all that was ever said of it."""
    await service.known(client_id)
    return await service.client(client_id), await service.history(client_id)


async def dry(
    service: Service, client_id: str, command: str, method: str = "POST", **body: Any
) -> tuple[int, dict[str, Any]]:
    answer = await service.api.request(method, f"/clients/{client_id}{command}", params=DRY, json=body)
    preview: dict[str, Any] = answer.json()
    return answer.status_code, preview


async def test_no_dry_run_does_anything(service: Service) -> None:
    client_id = (await service.create(internet=ACCESS))["client_id"]
    before = await everything(service, client_id)
    for method, command, body in COMMANDS:
        status, preview = await dry(service, client_id, command, method, **body)
        assert status == 200, (command, preview)
        assert {"changed", "effects", "goes", "comes"} <= preview.keys(), command
    assert await everything(service, client_id) == before


async def test_a_dry_run_names_every_line_and_account_before_and_after(service: Service) -> None:
    client = await service.create(internet=ACCESS)
    _, preview = await dry(service, client["client_id"], "/suspend", source="billing", reason="unpaid")
    assert (preview["status_before"], preview["status_after"], preview["at"]) == ("active", "suspended", None)
    assert preview["effects"] == [
        {
            "kind": "line",
            "subject": client["lines"][0]["number"],
            "before": "in service, office 3.12",
            "after": "ceased, office 3.12",
        },
        {
            "kind": "account",
            "subject": client["client_id"],
            "before": "on, 100/20 Mbit/s, VLAN 110",
            "after": "off",
        },
        {"kind": "hold", "subject": "billing", "before": "none", "after": "unpaid"},
    ]


async def test_a_dry_run_of_a_plan_tells_its_moment_and_what_it_replaces(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    assert (await service.post(client_id, "decommission", last_day="2199-03-30")).status_code == 200
    _, preview = await dry(service, client_id, "/decommission", last_day="2199-06-30")
    assert (preview["at"], preview["local_time"]) == ("2199-07-01T00:00:00+01:00", "2199-07-01 00:00 Europe/London")
    assert [plan["local_time"] for plan in preview["goes"]] == ["2199-03-31 00:00 Europe/London"]
    assert [plan["local_time"] for plan in preview["comes"]] == ["2199-07-01 00:00 Europe/London"]


@pytest.mark.parametrize(
    ("command", "body", "status"),
    [
        ("/decommission", {"last_day": "2001-01-01"}, 422),
        ("/convert", {"to": "virtual", "offices": ["3.12"]}, 422),
        ("/suspend", {"last_day": "not a day"}, 422),
        ("/services", {"remove_lines": ["+442079460999"]}, 422),
    ],
)
async def test_a_dry_run_is_refused_as_its_command_would_be(
    service: Service, command: str, body: dict[str, Any], status: int
) -> None:
    client_id = (await service.create())["client_id"]
    before = await service.history(client_id)
    answered, preview = await dry(service, client_id, command, **body)
    assert answered == status, preview
    assert await service.history(client_id) == before
    real = await service.api.post(f"/clients/{client_id}{command}", json=body)
    assert (real.status_code, real.json()) == (answered, preview)


async def test_a_refusal_in_a_dry_run_is_not_history(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    assert (await service.post(client_id, "suspend")).status_code == 200
    before = await service.history(client_id)
    status, preview = await dry(service, client_id, "/activate")
    assert (status, preview["client_status"], preview["title"]) == (409, "suspended", "Illegal transition")
    assert await service.history(client_id) == before


async def test_what_another_client_holds_is_refused_in_a_dry_run_too(service: Service) -> None:
    theirs = await service.create(billing_ref=unique("REF"))
    client_id = (await service.create())["client_id"]
    line = {"number": theirs["lines"][0]["number"], "office": "3.12"}
    for method, command, body in (
        ("POST", "/services", {"add_lines": [line]}),
        ("PATCH", "", {"billing_ref": theirs["billing_ref"]}),
    ):
        status, preview = await dry(service, client_id, command, method, **body)
        real = await service.api.request(method, f"/clients/{client_id}{command}", json=body)
        assert (status, real.status_code) == (409, 409)
        assert (preview["type"], preview["field"]) == (real.json()["type"], real.json()["field"])
        assert "to another client" in preview["detail"]


async def test_one_s_own_number_is_not_another_s(service: Service) -> None:
    client = await service.create()
    line = {"number": client["lines"][0]["number"], "office": "4.01"}
    status, preview = await dry(
        service, client["client_id"], "/services", add_lines=[line, {**line, "number": number()}]
    )
    assert status == 200, preview


async def test_a_dry_run_of_an_inactive_client_says_that_it_is_over(service: Service) -> None:
    client_id = (await service.closed())["client_id"]
    status, preview = await dry(service, client_id, "/suspend")
    assert (status, preview["client_status"]) == (409, "decommissioned")
    status, preview = await dry(service, client_id, "/decommission")
    assert (status, preview["changed"]) == (200, False)


async def test_nobody_gets_a_new_client_for_a_dry_run(service: Service, api: httpx2.AsyncClient) -> None:
    body = {"client_id": unique("dry"), "name": "Dry", "type": "virtual", "site": "thames"}
    answer = await api.post("/clients", params=DRY, json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "dry_run")
    assert (await api.get(f"/clients/{body['client_id']}")).status_code == 404


async def test_a_dry_run_that_is_neither_true_nor_false_is_refused(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    answer = await service.api.post(f"/clients/{client_id}/suspend", params={"dry_run": "perhaps"})
    assert (answer.status_code, answer.json()["field"]) == (422, "dry_run")


# -- on the command line ----------------------------------------------------------------------------------------------


async def test_the_command_line_shows_before_and_after(service: Service, terminal: Terminal) -> None:
    client = await service.create(internet=ACCESS)
    before = await service.history(client["client_id"])
    result = await terminal.connect(
        *("client", "suspend", client["client_id"], "--source", "billing", "--reason", "unpaid"),
        *("--last-day", "2199-06-30", "--dry-run"),
    )
    assert result.status == 0, result
    cells = [line.split("  ") for line in result.out.splitlines()]
    lines = [" | ".join(part.strip() for part in row if part) for row in cells]
    assert lines[0] == "On 2199-07-01 00:00 Europe/London the status changes: active → suspended"
    assert f"line | {client['lines'][0]['number']} | in service, office 3.12 | ceased, office 3.12" in lines
    assert f"internet | {client['client_id']} | on, 100/20 Mbit/s, VLAN 110 | off" in lines
    assert "comes | suspend | 2199-07-01 00:00 Europe/London | unpaid" in lines
    assert lines[-1] == "A dry run: nothing was done."
    assert await service.history(client["client_id"]) == before


async def test_a_planned_decommission_tells_which_plans_go_then(service: Service, terminal: Terminal) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "suspend", last_day="2199-06-30", reason="out of season")
    preview = {"last_day": "2199-03-31"}
    answer = await service.api.post(f"/clients/{client_id}/decommission", params={"dry_run": True}, json=preview)
    preview = answer.json()
    assert [plan["kind"] for plan in preview["comes"]] == ["decommission"]
    assert [(plan["kind"], plan["reason"]) for plan in preview["goes_then"]] == [("suspend", "out of season")]
    assert preview["goes"] == []
    result = await terminal.connect("client", "decommission", client_id, "--last-day", "2199-03-31", "--dry-run")
    assert "goes then suspend 2199-07-01 00:00 Europe/London out of season" in " ".join(result.out.split())


async def test_the_command_line_says_what_would_change_nothing_and_what_would_be_refused(
    service: Service, terminal: Terminal
) -> None:
    client_id = (await service.create())["client_id"]
    preview = await terminal.connect("client", "activate", client_id, "--dry-run")
    assert (preview.status, preview.out) == (0, "Nothing would change: Already active.\n")
    preview = await terminal.connect("client", "decommission", client_id, "--last-day", "2001-01-01", "--dry-run")
    assert preview.status == 1
    assert "is past" in preview.err
    preview = await terminal.connect("client", "cancel-planned", client_id, "services", "--dry-run", "--json")
    assert (preview.status, preview.json["changed"]) == (0, False)
