"""An event as a webhook sends it: a CloudEvent 1.0 in JSON, signed as Standard Webhooks says."""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks import Webhook

from activities.directory.events import ClientEvent

TYPE = "connect.client."
"""How the types of the events begin; the kind follows."""

MEDIA_TYPE = "application/cloudevents+json"


def secret(master_key: bytes, webhook_id: str, version: int) -> str:
    """What a webhook's receiver verifies with. Derived, as other secrets are; rotating raises the version."""
    about = "\0".join(("connect", "webhook", webhook_id, str(version)))
    return f"whsec_{base64.b64encode(hmac.digest(master_key, about.encode(), 'sha256')).decode()}"


def body_of(event: ClientEvent, source: str) -> bytes:
    """The CloudEvent. ``source`` says which Connect it comes from."""
    attributes = {
        "id": event.event_id,
        "source": source,
        "type": TYPE + event.kind,
        "subject": event.client_id,
        "time": event.at,
        "datacontenttype": "application/json",
    }
    return JSONFormat().write(CloudEvent(attributes, event.model_dump(mode="json")))


def headers_of(event_id: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers of one attempt, with a signature by each of these secrets."""
    signatures = [Webhook(it).sign(event_id, now, body.decode()) for it in secrets]
    return {
        "Content-Type": MEDIA_TYPE,
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
