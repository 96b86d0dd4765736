"""The canaries, one per site, and how their last rounds went."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0012", "0011"


def upgrade() -> None:
    execute_beside(__file__)
