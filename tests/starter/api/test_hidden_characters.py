"""Text that people type: a character that nobody would see is refused, with its name, wherever it is typed."""

from typing import Any

import httpx2
import pytest

from tests.starter.console.filling_in import Somebody, ann, at
from tests.support.service import SITE, Service, unique
from tests.support.terminal import Terminal

__all__ = ["ann"]
HIDDEN = {
    "\0": "U+0000, NUL",
    "\x1b": "U+001B, escape",
    "\x85": "U+0085, a control character",
    "\u202e": "U+202E, right-to-left override",
    "\u2066": "U+2066, left-to-right isolate",
    "\u200b": "U+200B, zero width space",
    "\u200d": "U+200D, zero width joiner",
    "\ufeff": "U+FEFF, zero width no-break space",
    "\u3164": "U+3164, hangul filler",
    "\U000e0041": "U+E0041, tag latin capital letter a",
}
VISIBLE = [
    "Žižkov Büro 3",
    "مشاوران حقوقی\u200cها",  # noqa: RUF001  # as it is written
    "ශ්\u200dරී ලංකා",
    "株式会社 北青山",
    "Rescue 👩\u200d🚒 ❤️\u200d🔥",
    "O\u2019Brien & Søn \u2013 №1",
]
NEW = {"name": "Acme", "type": "residential", "site": SITE, "lines": [], "offices": ["1"]}


@pytest.fixture
async def victim(service: Service) -> dict[str, Any]:
    made = await service.create(activation="manual", start_date="2100-01-01")
    return await service.client(made["client_id"])


@pytest.mark.parametrize("char", HIDDEN, ids=ascii)
async def test_a_name_with_a_character_that_cannot_be_seen_is_refused(api: httpx2.AsyncClient, char: str) -> None:
    client_id = unique("hidden")
    answer = await api.post("/clients", json=NEW | {"client_id": client_id, "name": f"Ac{char}me"})
    assert (answer.status_code, answer.json()["field"]) == (422, "name")
    assert answer.json()["detail"].endswith(f"cannot be seen: {HIDDEN[char]}. Leave it out.")
    assert (await api.get(f"/clients/{client_id}")).status_code == 404


OVERRIDE, ZERO = "\u202e", "\u200b"
BIDI = f"a{OVERRIDE}b"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "", {"name": BIDI}, "name"),
        ("PATCH", "", {"name": "two\nlines"}, "name"),
        ("PATCH", "", {"billing_ref": BIDI}, "billing_ref"),
        ("POST", "/suspend", {"source": BIDI}, "source"),
        ("POST", "/suspend", {"reason": BIDI}, "reason"),
        ("POST", "/suspend", {"source": BIDI, "at": "2100-02-01T00:00:00Z"}, "source"),
        ("POST", "/services", {"add_lines": [{"number": "+442083100001", "office": BIDI}]}, "add_lines.0.office"),
        ("POST", "/convert", {"to": "residential", "offices": ["1", BIDI]}, "offices.1"),
        ("POST", "/systems/telephony/skip", {"reason": BIDI}, "reason"),
        ("POST", "/systems/telephony/mark-done", {"note": BIDI}, "note"),
    ],
)
async def test_every_text_of_a_command_is_held_to_it(
    api: httpx2.AsyncClient, victim: dict[str, Any], method: str, path: str, body: dict[str, Any], field: str
) -> None:
    where = f"/clients/{victim['client_id']}"
    answer = await api.request(method, f"{where}{path}", json=body)
    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.text
    assert "Leave it out" in answer.json()["detail"]
    assert (await api.get(where)).json() == victim


async def test_a_site_is_held_to_it(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/sites", json={"site_id": unique("s"), "name": BIDI, "timezone": "Europe/London"})
    assert (answer.status_code, answer.json()["field"]) == (422, "name")


@pytest.mark.parametrize("name", VISIBLE)
async def test_names_of_every_script_are_kept_as_they_were_typed(service: Service, name: str) -> None:
    client = await service.create(name=name, activation="manual", start_date="2100-01-01")
    assert client["name"] == name


async def test_a_reason_may_have_several_lines(service: Service, victim: dict[str, Any]) -> None:
    answer = await service.post(victim["client_id"], "suspend", reason="first\n\tsecond")
    assert answer.status_code == 200
    assert answer.json()["holds"][0]["reason"] == "first\n\tsecond"


async def test_the_command_line_says_it(terminal: Terminal, victim: dict[str, Any]) -> None:
    result = await terminal.connect("client", "edit", victim["client_id"], "--name", BIDI)
    assert (result.status, result.out) == (1, "")
    assert result.err == f"name contains a character that cannot be seen: {HIDDEN[OVERRIDE]}. Leave it out.\n"


async def test_the_console_says_it_beside_the_field(ann: Somebody, service: Service) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client))
    page = await ann.sent(at(client), form | {"name": BIDI, "reason": "\u200bx"}, 422)
    sentence = f"contains a character that cannot be seen: {HIDDEN[OVERRIDE]}. Leave it out."
    assert f"The name {sentence}" in page.html
    assert f"The reason contains a character that cannot be seen: {HIDDEN[ZERO]}. Leave it out." in page.html
    skip = f"/clients/{client['client_id']}/systems/telephony/skip"
    fields, _ = await ann.open(at(client))
    page = await ann.sent(skip, {"csrf": fields.get("csrf", ""), "reason": BIDI}, 422)
    assert f"The reason {sentence}" in page.html


@pytest.mark.parametrize(
    ("signal", "fields", "field"),
    [
        ("edit", {"name": BIDI}, "name"),
        ("suspend", {"source": BIDI}, "source"),
        ("suspend", {"reason": "a\u200bb"}, "reason"),
        ("suspend", {"by": "a\x07b"}, "by"),
        ("change_services", {"add_lines": [{"number": "+442083100002", "office": BIDI}]}, "add_lines.0.office"),
    ],
)
async def test_a_signal_with_one_is_a_recorded_refusal_in_which_it_can_be_seen(
    service: Service, victim: dict[str, Any], signal: str, fields: dict[str, Any], field: str
) -> None:
    handle = service.temporal.get_workflow_handle(f"client-{victim['client_id']}")
    await handle.signal(signal, fields)
    await service.known(victim["client_id"])
    (refused,) = [line for line in await service.history(victim["client_id"]) if line["event"] == "refused"]
    assert f"{field} contains a character that cannot be seen: U+" in refused["text"]
    view = await service.client(victim["client_id"])
    assert (view["name"], view["holds"], view["lines"]) == (victim["name"], [], victim["lines"])


async def test_what_a_monitor_reports_is_kept_with_a_mark_for_what_cannot_be_seen(
    service: Service, victim: dict[str, Any]
) -> None:
    handle = service.temporal.get_workflow_handle(f"client-{victim['client_id']}")
    await handle.signal("report_drift", {"system": "telephony", "reason": "down\x1b[2J\u202e"})
    await service.known(victim["client_id"])
    texts = [line["text"] for line in await service.history(victim["client_id"])]
    assert "Drift of telephone lines reported: down\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}" in texts
