"""Lists over very many clients."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    execute_beside(__file__)
