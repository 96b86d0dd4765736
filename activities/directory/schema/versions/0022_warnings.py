"""Answers keep their warnings, and a matter that was acknowledged is known after its client has forgotten it."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0022", "0021"


def upgrade() -> None:
    execute_beside(__file__)
