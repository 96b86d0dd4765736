"""What requests were answered that are no command to a client."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0021", "0017"


def upgrade() -> None:
    execute_beside(__file__)
