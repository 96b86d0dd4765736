"""docs/asyncapi.json says what webhooks send."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import jsonschema
import pytest

from activities.directory.events import ClientEvent, EventKind
from activities.webhooks.message import body_of
from tests.architecture.asyncapi import DOCUMENT, text

KINDS = get_args(EventKind)


def test_the_document_is_that_of_the_types() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == text(), "python -m tests.architecture.asyncapi"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_sent_is_what_the_document_says(kind: EventKind) -> None:
    asyncapi: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    at = datetime(2026, 11, 1, 9, tzinfo=UTC)
    event = ClientEvent(
        seq=1, event_id="e1", kind=kind, at=at, client_id="acme", site="lon", command="suspend", command_id="c1",
        request_id="r1",
        by="olga", source="billing", revision=2, systems=["telephony"], status=None, change_id=None, planned_for=at,
        settled=True, billable_from=at, billable_until=None, history_id=3,
    )  # fmt: skip
    sent = json.loads(body_of(event, "urn:connect"))
    for name, message in asyncapi["components"]["messages"].items():
        schema = {**message["payload"], "components": asyncapi["components"], "additionalProperties": False}
        assert jsonschema.Draft202012Validator(schema).is_valid(sent) == (name == kind)
