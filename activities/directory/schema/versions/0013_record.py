"""What other systems call a client, its tags and its notes; what a site is by, and what was changed of it."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0013", "0012"


def upgrade() -> None:
    execute_beside(__file__)
