"""Keys of requests are kept as digests."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0027", "0026"


def upgrade() -> None:
    execute_beside(__file__)
