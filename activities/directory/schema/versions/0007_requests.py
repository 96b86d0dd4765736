"""Commands that nobody has answered yet."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Execute the file of the same name, as it stands."""
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    adapter = op.get_bind().connection.dbapi_connection
    assert adapter is not None
    adapter.run_async(lambda connection: connection.execute(statements))
