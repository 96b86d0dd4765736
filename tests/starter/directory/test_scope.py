"""Claims about what callers of some sites see of the directory: every table is limited, and no read goes round that."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from activities.settings import Settings
from starter.directory.scope import NOT_READ, SHADOWS, scoped
from tests.support.databases import connected

UNLIMITED = {"starter/directory/console.py": 1}
"""Where a read looks beyond the caller's sites, and how often: whether a client id is taken anywhere."""


@pytest_asyncio.fixture(scope="module")
async def connection(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    async with connected(settings.directory_dsn.get_secret_value()) as connection:
        yield connection


async def test_every_table_is_limited_to_sites_or_read_for_nobody(connection: asyncpg.Connection) -> None:
    """A new table fails here: give it a row in SHADOWS, or say in NOT_READ that no caller's read names it."""
    tables = {
        row["name"]
        for row in await connection.fetch("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
    }
    assert {*SHADOWS} | NOT_READ >= tables
    assert not {*SHADOWS} & NOT_READ


@pytest.mark.parametrize("table", SHADOWS)
async def test_a_limited_table_has_the_columns_of_the_whole_one(connection: asyncpg.Connection, table: str) -> None:
    whole = await connection.prepare(f"SELECT * FROM {table}")  # noqa: S608  # a name of ours
    query, _ = scoped(f"SELECT * FROM {table}", [], ["york"])  # noqa: S608  # see above
    limited = await connection.prepare(query)
    columns = {attribute.name: attribute.type.name for attribute in whole.get_attributes()}
    assert {attribute.name: attribute.type.name for attribute in limited.get_attributes()} == columns


def test_a_query_is_run_as_it_stands_behind_the_tables_that_it_names() -> None:
    query, values = scoped("SELECT name FROM clients WHERE client_id = $1", ["acme"], ("york",))
    assert query.endswith(" SELECT name FROM clients WHERE client_id = $1")
    assert query.startswith("WITH clients AS NOT MATERIALIZED (")
    assert "$2::text[]" in query
    assert values == ["acme", ["york"]]
    assert scoped("SELECT 1", [], ("york",)) == ("SELECT 1", [])
    query, _ = scoped("\n WITH some AS (SELECT 1) SELECT FROM history, some", [], ("york",))
    assert query.endswith("), some AS (SELECT 1) SELECT FROM history, some")
    assert query.index("clients AS") < query.index("history AS"), "what is a client's is found by its client"


def test_no_read_goes_round_it() -> None:
    """Below ``DirectoryDatabase`` nothing reads, and only what is listed looks further than its caller may."""
    found = {}
    for path in sorted(Path("starter").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name != "paging.py":
            assert not re.search(r"\b_database\._database\b", text), path
            assert "RECURSIVE" not in text, path
        if path.parts[1] in ("api", "console") and path.name not in ("rendering.py",):
            assert not re.search(r"app\.state\.(clients|reads)\b", text), f"{path}: take Clients, or reads_of"
        if looks := text.count("within(None)"):
            found[path.as_posix()] = looks
    assert found == UNLIMITED
