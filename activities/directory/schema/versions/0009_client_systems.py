"""A row for each client and system."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    execute_beside(__file__)
