"""The same bad values through HTTP, command line, console form, signal and update: one verdict, and one value."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from typer.testing import CliRunner

from activities.instances import KindSettings
from starter.cli.main import app
from starter.console.forms.action import BODIES, ActionForm
from starter.console.forms.details import changes_in, read_details
from starter.console.forms.errors import FormErrors
from starter.console.forms.form import BoundForm
from starter.console.forms.moment import LOCAL
from starter.console.rendering import Form
from starter.contract.bodies import EditBody, NoteBody, PlannableBody, message_of
from starter.contract.catalogue import ONLY_BUILT_IN, Catalogue
from tests.starter.console.filling_in import Somebody, ann, at
from tests.support.bad_values import HIDDEN, VALUES_OF
from tests.support.builders import NOW, in_directory, tenant
from tests.support.service import Service
from tests.support.terminal import Terminal
from tests.support.workflows import refusal_of
from workflows.domain.commands import AnyCommand, ChangeServices, Edit
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Kind
from workflows.domain.services import Internet
from workflows.domain.text import GRAMMAR, trimmed
from workflows.inbox import command_of, interpret
from workflows.wire.grammar import flag_of, whole_of
from workflows.wire.messages import BY_NAME, CommandMessage
from workflows.wire.update import Message
from workflows.wire.views import ClientView

__all__ = ["ann"]

SEED, VALUES = 20261128, 200
DOORS = KindSettings("doors", "Doors")
CATALOGUE = Catalogue(ONLY_BUILT_IN.kinds | {"doors": DOORS}, {**ONLY_BUILT_IN.instances, "doors": ["main"]})
OF_HTTP: dict[Kind, type[BaseModel]] = {Kind.EDIT: EditBody, Kind.NOTE: NoteBody, **BODIES}
REFUSED = "refused"
NOT_SENDABLE = "cannot be said here"
LINE, ACCESS = {"number": "+442079460199", "office": "3.12"}, {"down_mbps": 100, "up_mbps": 20}


@dataclass(frozen=True)
class Field:
    """A field of a command, and how each interface says it. ``form`` and ``words`` take the value as a text."""

    name: str
    kind: Kind
    body: Callable[[Any], dict[str, Any]]
    of: Callable[[Any], Any]
    form: Callable[[str], dict[str, str]] | None = None
    words: Callable[[str], list[str]] | None = None


def _value(command: AnyCommand, name: str) -> Any:
    return getattr(command, name)


def _rate(command: AnyCommand, name: str) -> Any:
    assert isinstance(command, ChangeServices)
    assert isinstance(command.internet, Internet)
    return getattr(command.internet, name)


def _line(command: AnyCommand, name: str) -> Any:
    assert isinstance(command, ChangeServices)
    return getattr(command.add_lines[0], name)


def _service(command: AnyCommand, name: str) -> Any:
    assert isinstance(command, ChangeServices)
    return getattr(command.add_services[0], name)


ROW = {"action": "change_services", "number-0": LINE["number"], "office-0": LINE["office"]}
RATES = {"action": "change_services", "internet": "set", "down": "100", "up": "20"}
SERVICE = {"action": "change_services", "kind-0": "doors", "service-0": "front"}
FIELDS: dict[str, list[Field]] = {
    "day": [
        Field(
            "last_day", Kind.SUSPEND, lambda v: {"last_day": v}, lambda c: _value(c, "last_day"),
            lambda t: {"action": "suspend", "when": "day", "last_day": t}, lambda t: ["suspend", "a1", "--last-day", t],
        ),
        Field(
            "start_date", Kind.EDIT, lambda v: {"start_date": v}, lambda c: _value(c, "start_date"),
            lambda t: {"start_date": t}, lambda t: ["edit", "a1", "--start-date", t],
        ),
        Field(
            "end_date", Kind.EDIT, lambda v: {"end_date": v}, lambda c: _value(c, "end_date"),
            lambda t: {"end_date": t}, lambda t: ["edit", "a1", "--end-date", t],
        ),
    ],
    "instant": [
        Field(
            "at", Kind.SUSPEND, lambda v: {"at": v}, lambda c: _value(c, "at"),
            lambda t: {"action": "suspend", "when": "at", "at": t}, lambda t: ["suspend", "a1", "--at", t],
        ),
    ],
    "text": [
        Field(
            "name", Kind.EDIT, lambda v: {"name": v}, lambda c: _value(c, "name"),
            lambda t: {"name": t}, lambda t: ["edit", "a1", "--name", t],
        ),
        Field(
            "billing_ref", Kind.EDIT, lambda v: {"billing_ref": v}, lambda c: _value(c, "billing_ref"),
            lambda t: {"billing_ref": t}, lambda t: ["edit", "a1", "--billing-ref", t],
        ),
        Field(
            "source", Kind.SUSPEND, lambda v: {"source": v}, lambda c: _value(c, "source"),
            lambda t: {"action": "suspend", "source": t}, lambda t: ["suspend", "a1", "--source", t],
        ),
        Field(
            "office", Kind.CHANGE_SERVICES, lambda v: {"add_lines": [LINE | {"office": v}]},
            lambda c: _line(c, "office"), lambda t: ROW | {"office-0": t},
            lambda t: ["services", "a1", "--add-line", f"{LINE['number']}@{t}"],
        ),
    ],
    "prose": [
        Field(
            "reason", Kind.SUSPEND, lambda v: {"reason": v}, lambda c: _value(c, "reason"),
            lambda t: {"action": "suspend", "reason": t}, lambda t: ["suspend", "a1", "--reason", t],
        ),
    ],
    "note": [
        Field("text", Kind.NOTE, lambda v: {"text": v}, lambda c: _value(c, "text"), None, lambda t: ["note", "a1", t]),
    ],
    "whole": [
        Field(
            "down_mbps", Kind.CHANGE_SERVICES, lambda v: {"internet": ACCESS | {"down_mbps": v}},
            lambda c: _rate(c, "down_mbps"), lambda t: RATES | {"down": t},
            lambda t: ["services", "a1", "--internet", f"{t}/20"],
        ),
        Field(
            "vlan", Kind.CHANGE_SERVICES, lambda v: {"internet": ACCESS | {"vlan": v}},
            lambda c: _rate(c, "vlan"), lambda t: RATES | {"vlan": t},
            lambda t: ["services", "a1", "--internet", f"100/20:{t}"],
        ),
    ],
    "flag": [
        Field(
            "protected", Kind.CHANGE_SERVICES, lambda v: {"add_lines": [LINE | {"protected": v}]},
            lambda c: _line(c, "protected"),
        ),
    ],
    "id": [
        Field(
            "kind", Kind.CHANGE_SERVICES, lambda v: {"add_services": [{"kind": v, "name": "front"}]},
            lambda c: _service(c, "kind"), lambda t: SERVICE | {"kind-0": t},
            lambda t: ["services", "a1", "--add-service", f"{t}:front"],
        ),
        Field("to", Kind.CONVERT, lambda v: {"to": v}, lambda c: _value(c, "to")),
        Field(
            "activation", Kind.EDIT, lambda v: {"activation": v}, lambda c: _value(c, "activation"),
            lambda t: {"activation": t},
        ),
    ],
}  # fmt: skip


def cases() -> list[tuple[Field, Any]]:
    """Pairs of a field and a value for it: every value of the table once, then others made of them, by chance."""
    chance = random.Random(SEED)  # the same ones every time
    pairs = [(chance.choice(FIELDS[kind]), value) for kind, values in VALUES_OF.items() for value in values]
    while len(pairs) < VALUES + 50:
        kind = chance.choice(["day", "instant", "text", "whole", "id"])
        texts = [value for value in VALUES_OF[kind] if isinstance(value, str) and value]
        text = chance.choice(texts)
        place = chance.randrange(len(text))
        insert = chance.choice(["", "0", " ", "-", *HIDDEN])
        pairs.append((chance.choice(FIELDS[kind]), text[:place] + insert + text[place + 1 :]))
    return pairs


# -- the five ---------------------------------------------------------------------------------------------------------


def by_http(field: Field, value: Any) -> Any:
    try:
        body = OF_HTTP.get(field.kind, PlannableBody).model_validate(field.body(value))
    except ValidationError:
        return REFUSED
    return verdict(field, message_of(BY_NAME[field.kind], body, by="ann", command_id="c1"))


def by_signal(field: Field, value: Any) -> Any:
    try:
        message = interpret(field.kind, field.body(value), GRAMMAR)
    except Refusal:
        return REFUSED
    assert isinstance(message, CommandMessage)
    return verdict(field, message)


def by_update(field: Field, value: Any) -> Any:
    message = Message.model_validate({"kind": field.kind.value, **field.body(value)})
    try:
        return field.of(command_of(message, GRAMMAR))
    except Refusal:
        return REFUSED


def verdict(field: Field, message: CommandMessage) -> Any:
    try:
        return field.of(CATALOGUE.complete(message).command())  # type: ignore[arg-type]  # every command is a message
    except Refusal:
        return REFUSED


def written(field: Field, value: Any) -> str | None:
    """The value as a text, where all that one can say is a text; None where it would be another value."""
    if isinstance(value, list | dict | bool) or (isinstance(value, str) and trimmed(value) == ""):
        return None
    number = field in FIELDS["whole"] or field in FIELDS["day"] or field in FIELDS["instant"]
    if not isinstance(value, str):
        return str(value) if number and value != 20.0 else None
    if field in FIELDS["whole"] and isinstance(whole_of(trimmed(value)), int):
        return None
    return None if field in FIELDS["flag"] and flag_of(value) is not value else value


def by_form(field: Field, value: Any) -> Any:
    text = written(field, value)
    local = field.name == "at" and text is not None and LOCAL.fullmatch(trimmed(text))  # a form's own way to say it
    around = field in FIELDS["id"] and text is not None and text != trimmed(text)  # no field keeps blanks around it
    if field.form is None or text is None or local or around:
        return NOT_SENDABLE
    client = ClientView.of(in_directory(tenant()), NOW)
    form, errors = Form([(name, trimmed(value)) for name, value in field.form(text).items()]), FormErrors()
    message: CommandMessage | None
    if field.kind is Kind.EDIT:
        body = read_details(client, form, changes_in(form), errors)
        message = message_of(BY_NAME[Kind.EDIT], body, by="ann", command_id="c1") if body else None
    else:
        action = ActionForm.of(client, BoundForm(form, errors), CATALOGUE)
        assert action
        message = action.message("ann", "c1", errors)
    assert (message is None) == errors.stopped
    return verdict(field, message) if message else REFUSED


class RecordingApi(BaseHTTPRequestHandler):
    """An API that takes down what it is sent, and refuses it."""

    bodies: list[dict[str, Any]] = []  # noqa: RUF012  # of the one server of this module

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        RecordingApi.bodies.append(json.loads(text))
        answer = json.dumps({"status": 409, "detail": "taken down"}).encode()
        self.send_response(409)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PATCH = do_POST  # noqa: N815  # its name there

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  # its name there


@pytest.fixture(scope="module")
def listening() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), RecordingApi)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def by_command_line(field: Field, value: Any, url: str) -> Any:
    text = written(field, value)
    apart = field.name == "kind" and text is not None and set(text) & {":", "="}
    if field.words is None or text is None or apart or "\ud800" in text:
        return NOT_SENDABLE
    RecordingApi.bodies.clear()
    environment = {"CONNECT_URL": url, "CONNECT_TOKEN": "t"}
    result = CliRunner().invoke(app, ["client", *field.words(text)], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), (field, value, result)
    if not RecordingApi.bodies:
        assert result.exit_code == 2, result.output  # wrong usage
        return REFUSED
    try:
        body = OF_HTTP.get(field.kind, PlannableBody).model_validate(RecordingApi.bodies[0])
    except ValidationError:
        return REFUSED
    return verdict(field, message_of(BY_NAME[field.kind], body, by="ann", command_id="c1"))


# -- the claims -------------------------------------------------------------------------------------------------------


def test_two_hundred_bad_values_meet_one_verdict_on_every_channel(listening: str) -> None:
    pairs, refused = cases(), 0
    sendable = {"form": 0, "command line": 0}
    for field, value in pairs:
        expected = by_http(field, value)
        verdicts = {
            "signal": by_signal(field, value),
            "update": by_update(field, value),
            "form": by_form(field, value),
            "command line": by_command_line(field, value, listening),
        }
        for name in sendable:
            sendable[name] += verdicts[name] != NOT_SENDABLE
        differing = {name: got for name, got in verdicts.items() if got not in (expected, NOT_SENDABLE)}
        assert not differing, f"{field.name} {value!r}: {expected!r} by HTTP, {differing}"
        refused += expected == REFUSED
    assert refused >= VALUES
    assert min(sendable.values()) >= VALUES // 2


def test_what_is_taken_is_composed_and_trimmed_on_every_channel(listening: str) -> None:
    name = next(field for field in FIELDS["text"] if field.name == "name")
    for value, reached in ((" Cafe\u0301\n", "Café"), ("\u3000Acme\xa0", "Acme"), ("\u212bkesson", "Åkesson")):
        got = [by(name, value) for by in (by_http, by_signal, by_update, by_form)]
        assert [*got, by_command_line(name, value, listening)] == [reached] * 5


def test_an_update_is_still_read_as_before_for_a_client_from_before() -> None:
    message = Message.model_validate({"kind": "edit", "end_date": "2027-02-28T00:00:00Z", "name": " Acme "})
    command = command_of(message, 1)
    assert isinstance(command, Edit)
    assert (str(command.end_date), command.name) == ("2027-02-28", " Acme ")
    with pytest.raises(Refusal):
        command_of(message, GRAMMAR)


async def test_the_running_service_gives_that_verdict_and_nothing_changes(
    service: Service, terminal: Terminal, ann: Somebody
) -> None:
    client_id = (await service.create(activation="manual", start_date="2100-01-01"))["client_id"]
    client = await service.client(client_id)
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    day, name = "2127-02-28T00:00:00Z", "Ac\u200bme"
    for kind, method, path, body, words in (
        (Kind.SUSPEND, "POST", "/suspend", {"last_day": day}, ["suspend", client_id, "--last-day", day]),
        (Kind.EDIT, "PATCH", "", {"name": name}, ["edit", client_id, "--name", name]),
    ):
        (field,) = body
        answer = await service.api.request(method, f"/clients/{client_id}{path}", json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
        result = await terminal.connect("client", *words)
        assert (result.status, result.out, result.err) == (1, "", f"{answer.json()['detail'].rstrip('.')}.\n")
        refused = await refusal_of(handle.execute_update("command", {"kind": kind.value, **body}))
        assert (refused.type, refused.details[0]["field"]) == ("InvalidField", field)
        await handle.signal(kind.value, body)
    fields, _ = await ann.open(at(client))
    assert "cannot be seen" in (await ann.sent(at(client), fields | {"name": name}, 422)).html
    status = f"/clients/{client_id}/status"
    form = {"action": "suspend", "when": "day", "last_day": day, "source": "operator"}
    assert "The last day cannot be" in (await ann.sent(status, form, 422)).html
    await service.known(client_id)
    after = await service.client(client_id)
    assert {**after, "warnings": client["warnings"]} == client  # others of the tests may come to the same office
    events = [line["event"] for line in await service.history(client_id)]
    assert events == ["refused", "refused", "decided"]
