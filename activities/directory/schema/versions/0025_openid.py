"""Sessions of people who sign in at an OpenID provider."""

from activities.directory.migrations import execute_beside

revision, down_revision = "0025", "0024"


def upgrade() -> None:
    execute_beside(__file__)
