"""Adds webhooks and rotates their secrets, for the API and the console: both answer with a secret, once."""

import hashlib

from starter.contract.webhooks import WebhookGiven, WebhookSecret
from starter.credentials import Keyring
from starter.directory.webhooks import Versioned, Webhooks


async def add_webhook(
    webhooks: Webhooks, keyring: Keyring, command_id: str, new: WebhookGiven, by: str
) -> WebhookSecret:
    """The new webhook; under the same ``command_id`` again, the same one. Raises NoMasterKey, EventsForgotten,
    InvalidField."""
    named = hashlib.sha256(f"{by} {command_id}".encode()).hexdigest()
    webhook_id = f"wh-{named[:16]}"
    keyring.webhook_secret(webhook_id, 1)  # without a master key, nothing is added
    return _with_secret(keyring, await webhooks.add(webhook_id, new, by))


async def rotate_secret(
    webhooks: Webhooks, keyring: Keyring, webhook_id: str, version: int | None = None
) -> WebhookSecret:
    """The webhook with another secret, if the one that it has is of this version: by the same request again it has no
    third. Raises NoMasterKey, NoSuchWebhook."""
    keyring.webhook_secret(webhook_id, 1)  # without a master key, nothing is rotated
    return _with_secret(keyring, await webhooks.rotate(webhook_id, version))


def _with_secret(keyring: Keyring, webhook: Versioned) -> WebhookSecret:
    secret = keyring.webhook_secret(webhook.view.webhook_id, webhook.version)
    return WebhookSecret(**webhook.view.model_dump(), secret=secret)
