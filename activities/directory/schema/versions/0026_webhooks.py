"""Webhooks: who is told of events, what each is still to be told, and how each attempt went."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0026", "0025"


def upgrade() -> None:
    execute_beside(__file__)
