"""The directory: sites, clients, what they hold, what was proven, history."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0001", None


def upgrade() -> None:
    execute_beside(__file__)
