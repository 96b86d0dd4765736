"""What was proven off and is watched, and the rounds of the watch."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0011", "0010"


def upgrade() -> None:
    execute_beside(__file__)
