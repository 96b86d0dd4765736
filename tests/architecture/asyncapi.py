"""Writes docs/asyncapi.json: what webhooks send. ``python -m tests.architecture.asyncapi``."""

import json
from pathlib import Path
from typing import Any, get_args

from activities.directory.events import ClientEvent, EventKind
from activities.webhooks.message import MEDIA_TYPE, TYPE

DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.json"


def document() -> dict[str, Any]:
    """The AsyncAPI 3.0 document, made of the types that webhooks send."""
    kinds = get_args(EventKind)
    event = ClientEvent.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    schemas = {**event.pop("$defs", {}), "ClientEvent": event}
    messages = {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Connect webhooks",
            "version": "1",
            "description": "What is sent to a webhook, by POST, signed as Standard Webhooks says.",
        },
        "defaultContentType": MEDIA_TYPE,
        "channels": {"webhook": {"address": "{url}", "parameters": {"url": {}}, "messages": messages}},
        "operations": {"tell": {"action": "send", "channel": {"$ref": "#/channels/webhook"}}},
        "components": {"messages": {kind: _message(kind) for kind in kinds}, "schemas": schemas},
    }


def _message(kind: str) -> dict[str, Any]:
    headers = ("webhook-id", "webhook-timestamp", "webhook-signature")
    texts = {name: {"type": "string"} for name in ("id", "source", "subject")}
    cloud_event = {
        "specversion": {"const": "1.0"},
        **texts,
        "type": {"const": TYPE + kind},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "data": {"$ref": "#/components/schemas/ClientEvent"},
    }
    return {
        "name": TYPE + kind,
        "contentType": MEDIA_TYPE,
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in headers},
            "required": list(headers),
        },
        "payload": {"type": "object", "properties": cloud_event, "required": list(cloud_event)},
    }


def text() -> str:
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
