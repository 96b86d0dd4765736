"""The keys of clients, and those that were erased."""

from activities.directory.migrations import KEYS, execute_beside, on_connection

revision, down_revision = "0024", "0023"


def upgrade() -> None:
    on_connection(lambda connection: connection.execute(KEYS.read_text(encoding="utf-8")))
    execute_beside(__file__)
