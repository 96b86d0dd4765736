"""Billing references are unique by a folded key; search and sorting fold case and accents, also of rows there are."""

import asyncpg
import structlog
from alembic import op

from activities.directory.folding import fold_references, refold
from activities.directory.migrations import execute_beside, on_connection

revision, down_revision = "0014", "0013"

log = structlog.get_logger(__name__)


def upgrade() -> None:
    execute_beside(__file__)
    on_connection(_fold)
    op.execute("ALTER TABLE billing_refs ALTER key SET NOT NULL, ADD UNIQUE (key)")


async def _fold(connection: asyncpg.Connection) -> None:
    await refold(connection)
    for reference in await fold_references(connection):
        log.warning("billing_ref_differs_in_case_alone", reference=reference)
