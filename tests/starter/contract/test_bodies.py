"""Claims about one body, one message: what HTTP checks is what crosses the wire, and what the domain carries out."""

from dataclasses import fields
from typing import Any

import pytest
from pydantic import BaseModel

from starter.contract.bodies import (
    CommandBody,
    ConvertBody,
    EditBody,
    MarkDoneBody,
    PlannableBody,
    ServicesBody,
    SkipBody,
    message_of,
)
from workflows.domain.lifecycle import Kind
from workflows.domain.systems import TELEPHONY
from workflows.wire import messages
from workflows.wire.messages import BY_NAME, COMMANDS
from workflows.wire.update import Message

LINE = {"number": "+44 20 7946 0001", "office": "3.12"}
ACCESS = {"down_mbps": 100, "up_mbps": 20}
SYSTEM = {"system": TELEPHONY}
BODIES: list[tuple[Kind, type[BaseModel], dict[str, Any], dict[str, Any]]] = [
    (Kind.ACTIVATE, CommandBody, {"reason": "moving in"}, {}),
    (Kind.SUSPEND, PlannableBody, {"last_day": "2027-02-28", "source": " billing "}, {}),
    (Kind.UNSUSPEND, PlannableBody, {"at": "2027-03-01T09:00:00+02:00"}, {}),
    (Kind.DECOMMISSION, PlannableBody, {}, {}),
    (Kind.CANCEL_SCHEDULED_DECOMMISSION, CommandBody, {}, {}),
    (Kind.CANCEL_PLANNED, CommandBody, {}, {"change": "suspend"}),
    (Kind.CONVERT, ConvertBody, {"to": "residential", "lines": [LINE], "offices": ["1"], "internet": ACCESS}, {}),
    (Kind.CHANGE_SERVICES, ServicesBody, {"add_lines": [LINE], "remove_lines": ["+442079460002"]}, {}),
    (Kind.CHANGE_SERVICES, ServicesBody, {"internet": "none"}, {}),
    (Kind.CHANGE_SERVICES, ServicesBody, {"internet": {**ACCESS, "vlan": 110}}, {}),
    (Kind.EDIT, EditBody, {"name": "Another Ltd", "activation": "manual", "start_date": "2027-01-01"}, {}),
    (Kind.EDIT, EditBody, {"billing_ref": None, "end_date": None}, {}),
    (Kind.ROTATE_CREDENTIALS, CommandBody, {}, {}),
    (Kind.RETRY, CommandBody, {}, SYSTEM),
    (Kind.SKIP, SkipBody, {"reason": "on Monday"}, SYSTEM),
    (Kind.MARK_DONE, MarkDoneBody, {"note": "ticket 4711"}, SYSTEM),
]


@pytest.mark.parametrize(("kind", "of", "fields", "more"), BODIES, ids=[row[0] for row in BODIES])
def test_the_message_of_a_body_is_what_the_workflow_reads_of_it(
    kind: Kind, of: type[BaseModel], fields: dict[str, Any], more: dict[str, Any]
) -> None:
    message = message_of(BY_NAME[kind], of.model_validate(fields), by="ann", command_id="c1", **more)
    read = Message.model_validate_json(Message(message).model_dump_json())
    assert read.read().model_fields_set >= message.model_fields_set - {"kind"}
    assert read.command() == message.command()
    assert (message.kind, message.by, message.command_id) == (kind, "ann", "c1")


def test_what_was_checked_once_is_not_checked_again() -> None:
    body = ServicesBody.model_validate({"add_lines": [LINE], "internet": ACCESS})
    message = message_of(messages.ChangeServices, body, by="ann", command_id="c1")
    assert message.add_lines is body.add_lines
    assert message.internet is body.internet
    assert Message(message).root is message


@pytest.mark.parametrize("kind", BY_NAME)
def test_a_message_has_the_fields_of_the_domain_s_command(kind: Kind) -> None:
    command = {field.name for field in fields(COMMANDS[kind])}
    assert set(BY_NAME[kind].model_fields) == command - {"clear_end_date"}


def test_every_kind_of_command_is_a_message() -> None:
    assert set(BY_NAME) == set(COMMANDS) == set(Kind)
