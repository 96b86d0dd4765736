"""Webhooks: turns, clients that are given up, and events that were forgotten before a webhook was told of them."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0027", "0026"


def upgrade() -> None:
    execute_beside(__file__)
