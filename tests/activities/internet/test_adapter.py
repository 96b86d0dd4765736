"""Accounts are admitted with exactly their rates and VLAN, or rejected; nothing else of them is touched."""

from dataclasses import replace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.errors import SYSTEM_REJECTED
from activities.internet.order import Access
from activities.secrets import radius_password
from tests.activities.fixtures import MASTER_KEY, World, access
from tests.support.orders import access_order
from workflows.domain.provisioning.standing import Proof
from workflows.ports import STALE_REVISION

DATABASES = ("internet",)

PLAN = {
    ("Tunnel-Type:1", ":=", "VLAN"),
    ("Tunnel-Medium-Type:1", ":=", "IEEE-802"),
    ("Tunnel-Private-Group-Id:1", ":=", "110"),
    ("WISPr-Bandwidth-Max-Down", ":=", "100000000"),
    ("WISPr-Bandwidth-Max-Up", ":=", "20000000"),
    ("Mikrotik-Rate-Limit", ":=", "20M/100M"),
}

STOCK = """
DROP TABLE radcheck, radreply;
CREATE TABLE radcheck (id serial PRIMARY KEY, UserName text NOT NULL DEFAULT '', Attribute text NOT NULL DEFAULT '',
  op VARCHAR(2) NOT NULL DEFAULT '==', Value text NOT NULL DEFAULT '');
CREATE INDEX radcheck_UserName ON radcheck (UserName, Attribute);
CREATE TABLE radreply (id serial PRIMARY KEY, UserName text NOT NULL DEFAULT '', Attribute text NOT NULL DEFAULT '',
  op VARCHAR(2) NOT NULL DEFAULT '=', Value text NOT NULL DEFAULT '');
CREATE INDEX radreply_UserName ON radreply (UserName, Attribute)"""
"""The tables as FreeRADIUS 3.2 makes them (raddb/mods-config/sql/main/postgresql/schema.sql): nothing is unique."""


async def checks(world: World, account: str = "acme") -> set[tuple[Any, ...]]:
    rows = await world.rows("internet", "SELECT attribute, op, value FROM radcheck WHERE username = $1", account)
    assert len(rows) == len(set(rows))
    return set(rows)


async def replies(world: World, account: str = "acme") -> set[tuple[Any, ...]]:
    rows = await world.rows("internet", "SELECT attribute, op, value FROM radreply WHERE username = $1", account)
    assert len(rows) == len(set(rows))
    return set(rows)


def password(client_id: str, version: int = 1) -> tuple[str, str, str]:
    return "Cleartext-Password", ":=", radius_password(MASTER_KEY, client_id, client_id, version)


@pytest.fixture(params=["deployed", "stock"])
async def schema(world: World, request: pytest.FixtureRequest) -> None:
    """Once with our constraints, once as FreeRADIUS's own schema is."""
    if request.param == "stock":
        connection = await world.admin("internet")
        await connection.execute(STOCK)


@pytest.mark.usefixtures("schema")
async def test_an_unknown_account_is_created_with_its_plan_and_a_derived_secret(world: World) -> None:
    evidence = await world.internet.ensure(access("acme", 1, on=True))
    assert await checks(world) == {password("acme")}
    assert await replies(world) == PLAN
    (finding,) = evidence.findings
    assert finding.in_service
    assert finding.seen["login"] == "accepted"
    assert finding.seen["secret"] == "derived, version 1"
    assert finding.seen["Mikrotik-Rate-Limit"] == "20M/100M"


@pytest.mark.usefixtures("schema")
async def test_off_and_on_again_is_one_row_that_comes_and_goes(world: World) -> None:
    await world.internet.ensure(access("acme", 1, on=True))
    evidence = await world.internet.ensure(access("acme", 2, on=False))
    assert (evidence.findings[0].in_service, evidence.findings[0].seen["login"]) == (False, "rejected")
    assert await checks(world) == {password("acme"), ("Auth-Type", ":=", "Reject")}
    assert await replies(world) == PLAN
    await world.internet.ensure(access("acme", 3, on=True))
    assert await checks(world) == {password("acme")}


@pytest.mark.usefixtures("schema")
async def test_obeying_twice_changes_no_row(world: World) -> None:
    for revision, on in ((1, True), (2, False)):
        await world.internet.ensure(access("acme", revision, on=on))
        before = await world.rows(
            "internet", "SELECT xmin::text FROM radcheck UNION ALL SELECT xmin::text FROM radreply"
        )
        await world.internet.ensure(access("acme", revision, on=on))
        after = await world.rows(
            "internet", "SELECT xmin::text FROM radcheck UNION ALL SELECT xmin::text FROM radreply"
        )
        assert before == after


@pytest.mark.usefixtures("schema")
async def test_new_rates_replace_old_ones_and_a_vlan_no_longer_wanted_goes(world: World) -> None:
    await world.internet.ensure(access("acme", 1, on=True))
    await world.internet.ensure(access_order("acme", 2, [Access("acme", True, 500, 50)]))
    assert await replies(world) == {
        ("WISPr-Bandwidth-Max-Down", ":=", "500000000"),
        ("WISPr-Bandwidth-Max-Up", ":=", "50000000"),
        ("Mikrotik-Rate-Limit", ":=", "50M/500M"),
    }


@pytest.mark.usefixtures("schema")
async def test_an_account_from_before_connect_keeps_its_secret_and_its_other_attributes(world: World) -> None:
    await world.execute(
        "internet",
        """INSERT INTO radcheck (username, attribute, op, value)
        VALUES ('acme', 'NT-Password', ':=', 'abc'), ('acme', 'Simultaneous-Use', ':=', '1')""",
    )
    await world.execute(
        "internet",
        """INSERT INTO radreply (username, attribute, op, value)
        VALUES ('acme', 'Framed-IP-Address', '=', '10.0.0.7'), ('acme', 'Tunnel-Private-Group-Id', '=', '50')""",
    )
    evidence = await world.internet.ensure(access("acme", 1, on=True))
    assert evidence.findings[0].seen["secret"] == "its own"
    assert await checks(world) == {("NT-Password", ":=", "abc"), ("Simultaneous-Use", ":=", "1")}
    assert await replies(world) == PLAN | {("Framed-IP-Address", "=", "10.0.0.7")}


@pytest.mark.usefixtures("schema")
async def test_rotating_leaves_no_other_password(world: World) -> None:
    await world.execute(
        "internet", "INSERT INTO radcheck (username, attribute, op, value) VALUES ('acme', 'NT-Password', ':=', 'abc')"
    )
    await world.internet.ensure(access("acme", 1, on=True))
    await world.internet.ensure(access("acme", 2, on=True, version=2))
    assert await checks(world) == {password("acme", 2)}


async def test_rows_doubled_by_hand_are_made_single_on_a_schema_without_constraints(world: World) -> None:
    connection = await world.admin("internet")
    await connection.execute(STOCK)
    await world.internet.ensure(access("acme", 1, on=True))
    await connection.execute(
        "INSERT INTO radreply (username, attribute, op, value) SELECT username, attribute, op, value FROM radreply"
    )
    await world.internet.ensure(access("acme", 2, on=True))
    assert await replies(world) == PLAN


async def test_a_foreign_way_to_log_in_does_not_outlive_a_rejection(world: World) -> None:
    connection = await world.admin("internet")
    await connection.execute(STOCK)
    await world.internet.ensure(access("acme", 1, on=False))
    await world.internet.ensure(access("acme", 2, on=True))
    await connection.execute(
        """INSERT INTO radcheck (username, attribute, op, value)
        VALUES ('acme', 'Auth-Type', ':=', 'Reject'), ('acme', 'Auth-Type', ':=', 'Accept')"""
    )
    evidence = await world.internet.ensure(access("acme", 3, on=False))
    assert not evidence.findings[0].in_service
    assert await checks(world) == {password("acme"), ("Auth-Type", ":=", "Reject")}


async def test_an_account_that_is_admitted_without_a_password_is_rejected_when_it_is_off(world: World) -> None:
    await world.execute(
        "internet", "INSERT INTO radcheck (username, attribute, op, value) VALUES ('acme', 'Auth-Type', ':=', 'Accept')"
    )
    (finding,) = (await world.internet.ensure(access("acme", 1, on=False))).findings
    assert (finding.proof, finding.seen["login"]) == (Proof.PROVEN, "rejected")
    assert await checks(world) == {("Auth-Type", ":=", "Reject")}
    await world.internet.ensure(access("acme", 2, on=True))
    assert await checks(world) == {password("acme")}


async def test_an_account_without_a_password_gets_one_when_it_is_on(world: World) -> None:
    await world.execute(
        "internet", "INSERT INTO radcheck (username, attribute, op, value) VALUES ('acme', 'Max-Data', ':=', '1')"
    )
    (finding,) = (await world.internet.ensure(access("acme", 1, on=True))).findings
    assert (finding.proof, finding.seen["secret"]) == (Proof.PROVEN, "derived, version 1")
    assert await checks(world) == {password("acme"), ("Max-Data", ":=", "1")}


async def test_an_unknown_account_that_is_to_be_off_is_proven_absent(world: World) -> None:
    evidence = await world.internet.ensure(access("acme", 1, on=False))
    assert [(f.in_service, f.seen["login"]) for f in evidence.findings] == [(False, "absent")]
    assert await checks(world) == set()


async def test_open_sessions_are_counted_in_the_evidence(world: World) -> None:
    await world.execute(
        "internet",
        """INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstoptime)
        VALUES ('a', 'a', 'acme', '10.0.0.1', NULL), ('b', 'b', 'acme', '10.0.0.1', now()),
          ('c', 'c', 'bolt', '10.0.0.1', NULL)""",
    )
    evidence = await world.internet.ensure(access("acme", 1, on=True))
    assert evidence.findings[0].seen["open_sessions"] == "1"


async def test_an_older_revision_is_refused_by_the_fence(world: World) -> None:
    await world.internet.ensure(access("acme", 5, on=False))
    with pytest.raises(ApplicationError) as refused:
        await world.internet.ensure(access("acme", 4, on=True))
    assert (refused.value.type, refused.value.details) == (STALE_REVISION, ({"newest": 5},))
    assert await checks(world) == set()


async def test_an_off_order_does_not_cut_the_account_of_another_client(world: World) -> None:
    await world.internet.ensure(access("acme", 1, on=True))
    order = access_order("bolt", 1, [Access("acme", False, 1, 1)])
    evidence = await world.internet.ensure(order)
    assert [(f.in_service, f.seen) for f in evidence.findings] == [(False, {"owner": "another client"})]
    assert await checks(world) == {password("acme")}


async def test_what_reads_back_differently_is_not_proven(world: World) -> None:
    await world.execute("internet", "CREATE RULE stuck AS ON INSERT TO radreply DO INSTEAD NOTHING")
    (finding,) = (await world.internet.ensure(access("acme", 1, on=True))).findings
    assert finding.proof is Proof.NOT_PROVEN
    assert "it should be on, and reads back as login=accepted" in finding.why


TWO_ACCOUNTS = [Access("acme", False, 1, 1), Access("acme-old", False, 1, 1)]


async def test_an_account_that_is_locked_is_not_proven_and_holds_up_no_other(world: World) -> None:
    await world.open(limits={"lock_seconds": 0.2, "statement_seconds": 0.4})
    on = [replace(access, on=True) for access in TWO_ACCOUNTS]
    await world.internet.ensure(access_order("acme", 1, on))
    async with world.held("internet", "radcheck WHERE username = 'acme-old'"):
        evidence = await world.internet.ensure(access_order("acme", 2, TWO_ACCOUNTS))
    assert [(f.proof, f.in_service) for f in evidence.findings] == [(Proof.PROVEN, False), (Proof.NOT_PROVEN, True)]
    assert "Somebody holds a lock" in evidence.findings[1].why
    assert (await world.internet.ensure(access_order("acme", 2, TWO_ACCOUNTS))).complete


async def test_an_account_that_is_refused_has_failed_and_holds_up_no_other(world: World) -> None:
    on = [replace(access, on=True) for access in TWO_ACCOUNTS]
    await world.internet.ensure(access_order("acme", 1, on))
    await world.execute(
        "internet", "ALTER TABLE radcheck ADD CHECK (username <> 'acme-old' OR attribute <> 'Auth-Type') NOT VALID"
    )
    evidence = await world.internet.ensure(access_order("acme", 2, TWO_ACCOUNTS))
    assert [(f.proof, f.in_service) for f in evidence.findings] == [(Proof.PROVEN, False), (Proof.FAILED, True)]
    assert "violates check constraint" in evidence.findings[1].why


async def test_what_fails_for_every_account_is_the_systems_trouble(world: World) -> None:
    await world.execute("internet", "DROP TABLE radreply")
    with pytest.raises(ApplicationError) as raised:
        await world.internet.ensure(access_order("acme", 1, TWO_ACCOUNTS))
    assert raised.value.type == SYSTEM_REJECTED
