"""Events: lines of the history, numbered without gaps in the order in which they were committed."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0023", "0022"


def upgrade() -> None:
    execute_beside(__file__)
