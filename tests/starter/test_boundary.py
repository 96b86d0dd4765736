"""Claims about the parts that need no service: words, numbers, refusals across the wire."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import ResourceExhaustedCause as Exhausted
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from starter.clients import check_id
from starter.contract.ids import client_id_for
from starter.contract.numbers import read_number
from starter.errors import Malfunction, StarterError, TemporalAway, TemporalBusy, TemporalRefused
from starter.temporal.gateway import is_recorded, refusal_from, temporal_errors
from starter.web.preferences import LONGEST_WAIT, preferences, seconds_of
from starter.web.problems import CODES, code_of, kinds, response_to
from workflows.client_lifecycle import as_failure
from workflows.domain.errors import (
    REFUSALS,
    BillingRefTaken,
    InvalidField,
    NumberNotValid,
    Refusal,
    Situation,
    Taken,
)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=10", 10),
        ("respond-async, wait=10", 10),
        ('Wait = "7"', 7),
        ("wait=999999999", LONGEST_WAIT),
        ("wait=-1", 0),
        ("wait=soon", 0),
        ("await=10", 0),
        ("wait=1.5", 1),
    ],
)
def test_a_preference_that_is_not_understood_is_ignored(header: str | None, seconds: int) -> None:
    assert seconds_of(preferences([] if header is None else [header])) == seconds


@pytest.mark.parametrize("written", ["+44 20 7946 0001", "+44 (0)20 7946-0001", " +44.20.7946.0001 ", "+442079460001"])
def test_a_number_is_read_as_people_write_it(written: str) -> None:
    assert read_number(written) == "+442079460001"


@given(key=some.text(max_size=200))
def test_every_key_gives_an_id_that_a_client_can_have_and_that_can_be_read_out(key: str) -> None:
    client_id = client_id_for(key)
    check_id(client_id)
    assert client_id == client_id_for(key)
    assert re.fullmatch(r"[2-9bcdfghjkmnp-tv-xz]{5}-[2-9bcdfghjkmnp-tv-xz]{5}", client_id)


@pytest.mark.parametrize("kind", REFUSALS.values())
def test_a_refusal_crosses_the_wire_whole(kind: type[Refusal]) -> None:
    refusal = kind("why", "remedy", "field", Situation("active", ("planned",), ("suspend",)))
    translated = refusal_from(as_failure(refusal))
    assert isinstance(translated, kind)
    assert (str(translated), translated.facts) == (str(refusal), refusal.facts)


def test_what_is_no_refusal_is_a_malfunction() -> None:
    for failure in (
        None,
        ValueError("x"),
        ApplicationError("x", type="InternalError"),
        ApplicationError("x", type="Taken"),
    ):
        assert isinstance(refusal_from(failure), Malfunction)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (RPCStatusCode.INVALID_ARGUMENT, TemporalRefused),
        (RPCStatusCode.RESOURCE_EXHAUSTED, TemporalRefused),
        (RPCStatusCode.UNAVAILABLE, TemporalAway),
    ],
)
async def test_what_temporal_answered_is_said(status: RPCStatusCode, error: type[StarterError]) -> None:
    with pytest.raises(error, match=f"{status.name.lower()}: what it said") as translated:
        async with temporal_errors(1):
            raise RPCError("what it said", status, b"")
    assert ("cannot be reached" in str(translated.value)) == (error is TemporalAway)


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        (Exhausted.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW, TemporalBusy),
        (Exhausted.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT, TemporalBusy),
        (Exhausted.RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED, TemporalBusy),
        (Exhausted.RESOURCE_EXHAUSTED_CAUSE_PERSISTENCE_STORAGE_LIMIT, TemporalRefused),
    ],
)
async def test_who_meets_a_busy_temporal_is_told_to_repeat(
    cause: Exhausted.ValueType, error: type[StarterError]
) -> None:
    status = GrpcStatus(code=8, message="busy")
    status.details.add().Pack(ResourceExhaustedFailure(cause=cause))
    with pytest.raises(error) as translated:
        async with temporal_errors(1):
            raise RPCError("busy", RPCStatusCode.RESOURCE_EXHAUSTED, status.SerializeToString())
    assert type(translated.value) is error
    answer = response_to(translated.value)
    assert (answer.status_code, "Retry-After" in answer.headers) == (
        (503, True) if error is TemporalBusy else (500, False)
    )


def test_a_refusal_that_does_not_say_that_it_is_recorded_is_not() -> None:
    """So did workflows of before."""
    refusal = InvalidField("why")
    for facts, recorded in (({**refusal.facts, "recorded": True}, True), (refusal.facts, False)):
        cause = ApplicationError("why", facts, type="InvalidField")
        translated = refusal_from(cause)
        translated.__cause__ = WorkflowUpdateFailedError(cause)
        assert isinstance(translated, InvalidField)
        assert is_recorded(translated) == recorded
    assert not is_recorded(refusal)


def test_every_error_has_its_code() -> None:
    for kind in (*REFUSALS.values(), *_below(StarterError)):
        assert code_of(kind) in {401, 403, 404, 409, 410, 412, 422, 500, 503}, kind
    assert (code_of(BillingRefTaken), code_of(Taken), code_of(NumberNotValid), code_of(InvalidField)) == (
        409,
        409,
        422,
        422,
    )
    assert {CODES[kind] for kind in CODES} <= {found["status"] for found in kinds()}


def _below(kind: type[Exception]) -> list[type[Exception]]:
    return [found for below in kind.__subclasses__() for found in (below, *_below(below))]
