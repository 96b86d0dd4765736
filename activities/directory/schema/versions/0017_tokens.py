"""API tokens, and the sessions that were begun with one."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0017", "0016"


def upgrade() -> None:
    execute_beside(__file__)
