"""Signals as they come in: anything at all. What is not a message of ours is refused, never fatal.

A typed handler would drop a malformed payload silently, and be wedged by a missing one (TEMPORAL.md section 2).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from temporalio import workflow
from temporalio.common import RawValue

from workflows.domain.errors import Refusal
from workflows.wire.messages import BY_NAME, MOST, AnyMessage, DriftReport, Roll

SignalMessage = AnyMessage | DriftReport | Roll
TABLE: dict[str, type[SignalMessage]] = {**BY_NAME, "report_drift": DriftReport, "roll": Roll}


class Malformed(Refusal):
    """A signal that says nothing we know."""


def read(name: str, args: Sequence[RawValue]) -> SignalMessage:
    """The message a signal carries. Raises Malformed, which says what is wrong with it."""
    model = TABLE.get(name)
    if model is None:
        raise Malformed(f"There is no signal {name[:100]!r}", f"Known: {', '.join(sorted(TABLE))}")
    if len(args) > 1:
        raise Malformed(f"Signal {name} has {len(args)} arguments", "Give one JSON object, or none")
    try:
        return _decoded(args[0], model) if args else model.model_validate({})
    except ValidationError as invalid:
        raise Malformed(f"Signal {name} is not valid: {refusal_text(invalid)}") from invalid


def refusal_text(invalid: ValidationError) -> str:
    """Every error as ``field: what is wrong``, without echoing the input."""
    errors = invalid.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(str(part) for part in e['loc']) or 'it'}: {_rule(e)}" for e in errors[:5])


def _rule(error: Mapping[str, Any]) -> str:
    """The rule that a field breaks, and what to do where pydantic does not say it."""
    if error["type"] == "too_long":
        return f"more than {MOST} entries; give at most {MOST} in one change"
    return str(error["msg"])


def _decoded(value: RawValue, model: type[SignalMessage]) -> SignalMessage:
    try:
        message: object = workflow.payload_converter().from_payload(value.payload, model)
    except ValidationError:
        raise
    except (ValueError, KeyError, RuntimeError, TypeError) as unreadable:
        raise Malformed(f"The argument cannot be read: {unreadable}", "Give one JSON object") from unreadable
    if not isinstance(message, BaseModel) or not isinstance(message, model):
        raise Malformed("The argument is no JSON object", "Give one JSON object")
    return message
