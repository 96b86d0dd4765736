"""Keys of requests are kept as digests."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0028", "0027"


def upgrade() -> None:
    execute_beside(__file__)
