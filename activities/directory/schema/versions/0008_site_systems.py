"""Which instance of each system serves a site."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    execute_beside(__file__)
