"""How each worker finds the systems that it switches."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    execute_beside(__file__)
