"""An index for the end dates that Upcoming shows."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0016", "0015"


def upgrade() -> None:
    execute_beside(__file__)
