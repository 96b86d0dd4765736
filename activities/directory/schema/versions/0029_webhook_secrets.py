"""Webhooks: when each secret of the last day was replaced."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0029", "0028"


def upgrade() -> None:
    execute_beside(__file__)
