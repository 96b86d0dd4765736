"""Open matters in somebody's hands, and what of a client's own row is one."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0015", "0014"


def upgrade() -> None:
    execute_beside(__file__)
