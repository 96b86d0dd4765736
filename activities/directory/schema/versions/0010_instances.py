"""The condition of each instance of a system."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0010", "0009"


def upgrade() -> None:
    execute_beside(__file__)
