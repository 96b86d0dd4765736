"""Signals as they come in: anything at all. What is not a message of ours is refused, never fatal.

A typed handler would drop a malformed payload silently, and be wedged by a missing one (TEMPORAL.md section 2).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue

from workflows.domain.commands import AnyCommand
from workflows.domain.errors import InvalidField, Refusal
from workflows.domain.text import OF_0_1
from workflows.wire.grammar import AS_IN_0_1, sentence
from workflows.wire.messages import BY_NAME, AnyMessage, DriftReport, Edit, Roll
from workflows.wire.update import Message

SignalMessage = AnyMessage | DriftReport | Roll
TABLE: dict[str, type[SignalMessage]] = {**BY_NAME, "report_drift": DriftReport, "roll": Roll}


ADDED = frozenset({"acknowledge", "note"})
"""Signals that 0.1.0 did not know. A run that got one then has recorded a refusal, and refuses it again in a replay."""

LABELS = {"external_ids", "tags", "add_tags", "remove_tags"}
"""Fields of an edit that 0.1.0 did not know: the same of them."""


class Malformed(Refusal):
    """A signal that says nothing we know."""


def read(name: str, args: Sequence[RawValue], grammar: int) -> SignalMessage:
    """The message a signal carries, by this grammar. Raises Malformed, which says what is wrong with it."""
    if name not in TABLE or (name in ADDED and not workflow.patched(name)):
        raise Malformed(f"There is no signal {name[:100]!r}", f"Known: {', '.join(sorted(TABLE))}")
    if len(args) > 1:
        raise Malformed(f"Signal {name} has {len(args)} arguments", "Give one JSON object, or none")
    message = interpret(name, _decode(args[0]) if args else {}, grammar)
    if isinstance(message, Edit) and LABELS & message.model_fields_set and not workflow.patched("labels"):
        raise Malformed("An edit has no such field in this run of the workflow", "Renew it, with roll, and ask again")
    return message


def interpret(name: str, argument: object, grammar: int) -> SignalMessage:
    """What the argument of this signal says, by this grammar. Raises Malformed."""
    try:
        message = TABLE[name].model_validate(argument, context=AS_IN_0_1 if grammar == OF_0_1 else None)
    except ValidationError as invalid:
        raise Malformed(f"Signal {name} is not valid: {refusal_text(invalid)}") from invalid
    if "expected_revision" in message.model_fields_set:  # which 0.1.0 did not know: refused ever since
        raise Malformed("A signal has no expected_revision", "Send the update: it hears whether the client had it")
    if "request_id" in message.model_fields_set:  # which no request of HTTP brings
        raise Malformed("A signal has no request_id", "Leave it out")
    if "own_sources" in message.model_fields_set:  # which the API says of its caller
        raise Malformed("A signal has no own_sources", "Leave it out")
    return message


def command_of(message: Message, grammar: int) -> AnyCommand:
    """The command of an update, by this grammar. Raises InvalidField, which says what is wrong with it."""
    try:
        return message.command() if grammar == OF_0_1 else message.read().command()
    except ValidationError as invalid:
        error = {**(first := _errors(invalid)[0]), "loc": first["loc"][1:]}  # without the kind
        why, _, remedy = _sentence(error).partition(". ")
        raise InvalidField(why, remedy, field=_field(error) or None) from invalid


def refusal_text(invalid: ValidationError) -> str:
    """What is wrong with each field, without echoing the input."""
    return ". ".join(map(_sentence, _errors(invalid)[:5]))


def _errors(invalid: ValidationError) -> Sequence[Mapping[str, Any]]:
    return invalid.errors(include_url=False, include_input=False)


def _sentence(error: Mapping[str, Any]) -> str:
    return sentence(_field(error) or "The message", error)


def _field(error: Mapping[str, Any]) -> str:
    return ".".join(map(str, error["loc"]))


def _decode(value: RawValue) -> object:
    try:
        argument: object = workflow.payload_converter().from_payload(value.payload)
    except (ValueError, KeyError, RuntimeError, TypeError) as unreadable:
        raise Malformed("The argument cannot be read", "Give one JSON object") from unreadable
    if not isinstance(argument, dict):
        raise Malformed("The argument is no JSON object", "Give one JSON object")
    return argument
