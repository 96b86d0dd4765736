"""What every command was answered."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    execute_beside(__file__)
