"""Proofs of changes, of parts of them, and of second looks; the priority of what waits for a system."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    execute_beside(__file__)
