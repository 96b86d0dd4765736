"""How many lines one change may have: the same answer wherever it is asked, and never "Connect made a mistake"."""

import logging
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from pydantic import BaseModel

import activities.internet.nas
import activities.json_http.adapter
import starter.app
import starter.local.doors
import workflows.wire.views
from activities.settings import Settings
from starter.contract.bodies import ClientGiven
from tests.starter.console.filling_in import Somebody, ann, at
from tests.support.service import SITE, Service, unique
from tests.support.terminal import Terminal
from workflows.domain.services import MOST_LINES
from workflows.wire.fields import MOST
from workflows.wire.messages import Model
from workflows.wire.update import Message

__all__ = ["ann"]
LATER = {"at": "2100-01-01T00:00:00Z"}
REMEDY = f"Give at most {MOST} in one change"


def numbers(how_many: int, first: int = 0) -> list[str]:
    """Numbers that can exist, of nobody else's tests."""
    return [f"+4420831{first + n:05}" for n in range(how_many)]


def lines(how_many: int, first: int = 0, **more: str) -> list[dict[str, str]]:
    return [{"number": number, **more} for number in numbers(how_many, first)]


@pytest.fixture
async def victim(service: Service) -> dict[str, Any]:
    made = await service.create(type="virtual", activation="manual", start_date="2100-01-01")
    return await service.client(made["client_id"])


TOO_MANY: dict[str, tuple[str, dict[str, Any], str]] = {
    "lines to add": ("services", {"add_lines": lines(MOST + 1)}, "add_lines"),
    "a thousand lines to add": ("services", {"add_lines": lines(1000)}, "add_lines"),
    "two thousand lines to add": ("services", {"add_lines": lines(2000)}, "add_lines"),
    "lines to remove": ("services", {"remove_lines": numbers(MOST + 1)}, "remove_lines"),
    "planned lines": ("services", {"add_lines": lines(MOST + 1), **LATER}, "add_lines"),
    "lines to place": ("convert", {"to": "residential", "lines": lines(MOST + 1, office="1")}, "lines"),
    "planned lines to place": ("convert", {"to": "residential", "lines": lines(700, office="1"), **LATER}, "lines"),
    "offices": ("convert", {"to": "residential", "offices": [str(n) for n in range(MOST + 1)]}, "offices"),
}


@pytest.mark.parametrize("what", TOO_MANY)
@pytest.mark.parametrize("dry_run", [False, True], ids=["done", "dry run"])
async def test_more_than_five_hundred_in_one_change_are_refused_with_field_rule_and_remedy(
    api: httpx2.AsyncClient, victim: dict[str, Any], what: str, dry_run: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    command, body, field = TOO_MANY[what]
    path = f"/clients/{victim['client_id']}"
    answer = await api.post(f"{path}/{command}", json=body, params={"dry_run": str(dry_run).lower()})
    problem = answer.json()
    assert (answer.status_code, problem["field"]) == (422, field), problem
    assert problem["detail"] == f"{field} has more than {MOST} entries. {REMEDY}."
    assert (await api.get(path)).json() == victim
    assert "+4420831" not in caplog.text + answer.text


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("lines", {"type": "virtual", "lines": lines(MOST + 1)}),
        ("offices", {"type": "residential", "offices": [str(n) for n in range(MOST + 1)]}),
    ],
)
async def test_a_client_is_not_created_with_more(api: httpx2.AsyncClient, field: str, body: dict[str, Any]) -> None:
    client_id = unique("many")
    answer = await api.post("/clients", json={"client_id": client_id, "name": "Many", "site": SITE, **body})
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert REMEDY in answer.json()["detail"]
    assert (await api.get(f"/clients/{client_id}")).status_code == 404


async def test_five_hundred_at_a_time_go_up_to_the_most_of_a_client(service: Service) -> None:
    client = await service.create(type="virtual", lines=lines(MOST, first=10_000))
    path = client["client_id"]
    more = await service.post(path, "services", add_lines=lines(MOST, first=20_000))
    assert (more.status_code, len(more.json()["lines"])) == (200, MOST_LINES)
    over = await service.post(path, "services", add_lines=lines(1, first=30_000))
    assert (over.status_code, over.json()["field"]) == (422, "add_lines")
    assert f"Give at most {MOST_LINES}" in over.json()["detail"]
    swapped = await service.post(
        path, "services", add_lines=lines(MOST, first=30_000), remove_lines=numbers(MOST, first=20_000)
    )
    assert (swapped.status_code, len(swapped.json()["lines"])) == (200, MOST_LINES)
    assert (await service.post(path, "decommission")).status_code == 200


async def test_the_command_line_says_it_and_is_refused(terminal: Terminal, victim: dict[str, Any]) -> None:
    words = [word for number in numbers(MOST + 1) for word in ("--add-line", number)]
    result = await terminal.connect("client", "services", victim["client_id"], *words)
    assert (result.status, result.out) == (1, "")
    assert result.err == f"add_lines has more than {MOST} entries. {REMEDY}.\n"


async def test_the_console_says_it_and_keeps_what_was_typed(ann: Somebody, service: Service) -> None:
    client = await service.create(type="virtual")
    form, _ = await ann.open(at(client), at(client, "/services"))
    typed = form | {f"number-{n}": number for n, number in enumerate(numbers(MOST + 1), start=1)}
    page = await ann.sent(at(client, "/services"), typed, 422)
    assert f"There are more than {MOST} lines. {REMEDY}." in page.html
    sent_again = dict(parse_qsl(page.forms[at(client, "/services")]["packed"]))
    assert sent_again[f"number-{MOST + 1}"] == numbers(MOST + 1)[-1]

    record, _ = await ann.open("/clients/new")
    crowd = {f"number-{n}": number for n, number in enumerate(numbers(MOST + 1))}
    page = await ann.sent("/clients/new", record | {"name": unique("Many"), "type": "virtual", **crowd}, 422)
    assert f"There are more than {MOST} lines. {REMEDY}." in page.html

    status = f"/clients/{client['client_id']}/status"
    answer = await ann.http.get(status, params={"action": "change_services", **crowd})
    assert answer.status_code < 500
    assert f"There are more than {MOST} lines. {REMEDY}." in answer.text


async def test_a_signal_with_more_is_a_recorded_refusal(service: Service, victim: dict[str, Any]) -> None:
    handle = service.temporal.get_workflow_handle(f"client-{victim['client_id']}")
    await handle.signal("change_services", {"add_lines": lines(MOST + 1)})
    await service.known(victim["client_id"])
    (refused,) = [line for line in await service.history(victim["client_id"]) if line["event"] == "refused"]
    assert f"add_lines has more than {MOST} entries. {REMEDY}" in refused["text"]
    assert (await service.client(victim["client_id"]))["lines"] == victim["lines"]


def _kinds(of: type[BaseModel]) -> set[type[BaseModel]]:
    return {of, *(below for kind in of.__subclasses__() for below in _kinds(kind))}


def test_no_error_of_a_model_of_ours_quotes_a_value() -> None:
    loaded = (
        starter.app,
        starter.local.doors,
        activities.json_http.adapter,
        activities.internet.nas,
        workflows.wire.views,
    )  # with all there are
    assert len({module.__name__ for module in loaded}) == len(loaded)
    packages = ("workflows", "activities", "starter")
    ours = {
        kind for kind in _kinds(BaseModel) if kind.__module__.split(".")[0] in packages and "[" not in kind.__name__
    }
    assert {Model, Message, ClientGiven, Settings} < ours
    assert [kind.__name__ for kind in ours if not kind.model_config.get("hide_input_in_errors")] == []
