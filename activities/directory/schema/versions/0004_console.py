"""Who is signed in to the console."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    execute_beside(__file__)
