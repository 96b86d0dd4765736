"""Open matters: what a person should see to."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    execute_beside(__file__)
