"""All that could let an account in, and all that could be alive of it: not our own rows alone."""

from dataclasses import dataclass, field

import pytest

from activities.internet.order import Access
from activities.internet.sessions import local, spells
from activities.internet.sql import FOLD
from tests.activities.fixtures import World, access
from tests.activities.internet.gear import closed, session, silent, switch
from tests.support.router import Nas
from workflows.domain.provisioning.standing import Proof
from workflows.ports import Finding

DATABASES = ("internet",)

Rows = list[tuple[str, str, str]]
ACCEPT: Rows = [("Auth-Type", ":=", "Accept")]
FALLS: Rows = [("Fall-Through", "=", "Yes")]


@dataclass(frozen=True)
class Group:
    """A group of an account: what it checks, and what it tells."""

    checks: Rows = field(default_factory=list)
    replies: Rows = field(default_factory=list)
    priority: int = 1
    member: str = "acme"


async def add(world: World, table: str, name: str, rows: Rows) -> None:
    column = "groupname" if "group" in table else "username"
    connection = await world.admin("internet")
    await connection.executemany(
        f"INSERT INTO {table} ({column}, attribute, op, value) VALUES ($1, $2, $3, $4)",  # noqa: S608  # the test's
        [(name, *row) for row in rows],
    )


async def join(world: World, **groups: Group) -> None:
    """Make these groups, with their members."""
    for name, group in groups.items():
        await world.execute(
            "internet",
            "INSERT INTO radusergroup (username, groupname, priority) VALUES ($1, $2, $3)",
            *(group.member, name, group.priority),
        )
        await add(world, "radgroupcheck", name, group.checks)
        await add(world, "radgroupreply", name, group.replies)


async def off(world: World) -> Finding:
    """It was on, and is switched off."""
    await switch(world, 1, on=True)
    return await switch(world, 2, on=False)


LET_IN: dict[str, dict[str, Group]] = {
    "a group that accepts": {"vip": Group(ACCEPT)},
    "with a number for a name": {"vip": Group([("Auth-Type", ":=", "254")])},
    "in small letters": {"vip": Group([("auth-type", ":=", "accept")])},
    "as some compare it, which removes our row": {"vip": Group([("Auth-Type", "==", "Accept")])},
    "with no operator, which is the same": {"vip": Group([("Auth-Type", "", "Accept")])},
    "that takes our row away": {"vip": Group([("Auth-Type", "-=", "Reject")])},
    "that checks the password itself": {"vip": Group([("Auth-Type", ":=", "PAP")])},
    "for some routers only": {"vip": Group([("NAS-IP-Address", "==", "10.0.0.1"), *ACCEPT])},
    "after one that falls through": {"a": Group(replies=FALLS), "vip": Group(ACCEPT, priority=2)},
    "after one whose conditions may not hold": {"a": Group([("NAS-Port", "==", "1")]), "vip": Group(ACCEPT)},
    "of the same priority, in whatever order": {"a": Group(), "vip": Group(ACCEPT)},
    "of everybody": {"vip": Group(ACCEPT, member="DEFAULT")},
    "of another spelling": {"vip": Group(ACCEPT, member="ACME")},
}


@pytest.mark.parametrize("groups", LET_IN.values(), ids=LET_IN)
async def test_an_account_that_its_groups_let_in_is_not_off_and_the_row_is_named(
    world: World, groups: dict[str, Group]
) -> None:
    await join(world, **groups)
    finding = await off(world)
    assert (finding.proof, finding.in_service) == (Proof.FAILED, True)
    assert "vip" in finding.why or "'ACME'" in finding.why
    assert "emove" in finding.why
    await world.execute("internet", "DELETE FROM radgroupcheck")
    finding = await switch(world, 2, on=False)
    assert (finding.proof, finding.in_service, finding.seen["login"]) == (Proof.PROVEN, False, "rejected")


HARMLESS: dict[str, dict[str, Group]] = {
    "a group with a plan": {"gold": Group(replies=[("Session-Timeout", ":=", "60")])},
    "one that rejects": {"blocked": Group([("Auth-Type", ":=", "Reject")])},
    "one that adds a way beside our row": {"odd": Group([("Auth-Type", "+=", "Accept")])},
    "one that sets a way only where there is none": {"odd": Group([("Auth-Type", "=", "Accept")])},
    "one that is never reached": {"a": Group(), "vip": Group(ACCEPT, priority=2)},
    "one that asks for what no login has": {"odd": Group([("Cleartext-Password", "==", "x"), *ACCEPT])},
    "one with another password": {"shared": Group([("Cleartext-Password", ":=", "x")])},
    "one of somebody else": {"vip": Group(ACCEPT, member="acme-2")},
}


@pytest.mark.parametrize("groups", HARMLESS.values(), ids=HARMLESS)
async def test_an_account_whose_groups_let_nobody_in_is_off(world: World, groups: dict[str, Group]) -> None:
    await join(world, **groups)
    finding = await off(world)
    assert (finding.proof, finding.in_service, finding.why) == (Proof.PROVEN, False, "")


async def test_an_account_that_only_a_group_knows_is_not_absent(world: World) -> None:
    await join(world, shared=Group([("Cleartext-Password", ":=", "x")]))
    finding = await switch(world, 1, on=False)
    assert (finding.proof, finding.in_service, finding.seen["login"]) == (Proof.FAILED, True, "accepted")
    assert "Cleartext-Password := … (group shared, radgroupcheck row 1)" in finding.why


async def test_a_condition_of_its_own_takes_our_rejection_away_from_whom_it_does_not_fit(world: World) -> None:
    await join(world, shared=Group([("Cleartext-Password", ":=", "x")]))
    assert (await off(world)).proof is Proof.PROVEN
    await add(world, "radcheck", "acme", [("Calling-Station-Id", "==", "02-00-00-00-00-01")])
    finding = await switch(world, 3, on=False)
    assert (finding.proof, finding.in_service) == (Proof.FAILED, True)
    assert "group shared" in finding.why


async def test_its_own_reply_that_ends_the_search_keeps_a_group_out(world: World) -> None:
    await join(world, vip=Group(ACCEPT))
    await add(world, "radreply", "acme", [("Fall-Through", "=", "No")])
    assert (await off(world)).proof is Proof.PROVEN


async def test_a_profile_that_a_row_names_counts_like_a_group(world: World) -> None:
    await join(world, vip=Group(ACCEPT, member="premium"))
    await add(world, "radcheck", "acme", [("User-Profile", ":=", "premium")])
    assert (await off(world)).proof is Proof.FAILED


async def test_a_server_without_a_profile_for_everybody_can_be_said(world: World) -> None:
    await world.open(limits={"radius_default_profile": ""})
    await join(world, vip=Group(ACCEPT, member="DEFAULT"))
    assert (await off(world)).proof is Proof.PROVEN


# -- other spellings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ACME", "Acme ", "acme@isp.example", "ISP\\acme", "isp/acme", "acme%isp"])
async def test_another_spelling_that_is_let_in_is_named_until_it_is_rejected(world: World, name: str) -> None:
    await add(world, "radcheck", name, [("Cleartext-Password", ":=", "of old")])
    finding = await off(world)
    assert (finding.proof, finding.in_service) == (Proof.FAILED, True)
    assert f"account {name!r} is another spelling of it, and is let in" in finding.why
    await add(world, "radcheck", name, [("Auth-Type", ":=", "Reject")])
    assert (await switch(world, 2, on=False)).proof is Proof.PROVEN


async def test_the_account_of_another_client_or_of_a_realm_that_is_not_ours_is_no_spelling(world: World) -> None:
    await world.internet.ensure(access("acme-2", 1, on=True))
    await world.execute("internet", "UPDATE radcheck SET username = 'ACME' WHERE username = 'acme-2'")
    await world.execute(
        "internet", "UPDATE connect_fence SET subject = 'account:ACME' WHERE subject = 'account:acme-2'"
    )
    await add(world, "radcheck", "acme@elsewhere.example", [("Cleartext-Password", ":=", "theirs")])
    await world.open(limits={"radius_realms": "ours.example"})
    assert (await off(world)).proof is Proof.PROVEN


@pytest.mark.parametrize(
    ("account", "username", "same"),
    [
        ("acme", "ACME ", True),
        ("acme", "acme@ours", True),
        ("acme", "acme@OURS", True),
        ("acme", "acme@theirs", False),
        ("acme", "ours=5CAcme", True),
        ("acme", "acme-2", False),
        ("acme@ours", "acme", True),
        ("acme@ours", "acme@theirs", False),
    ],
)
def test_two_names_mean_one_account_whatever_their_case_but_not_with_two_realms(
    account: str, username: str, same: bool
) -> None:
    assert spells(account, username, ["ours"]) is same


async def test_the_database_and_we_see_the_same_in_a_name(world: World) -> None:
    names = ["Acme ", "acme@a@b", "a/b\\acme@c", "x=5Cacme=25y", "@acme", "acme%", "ACME", " a c ", "/", ""]
    rows = await world.rows("internet", f"SELECT n, {FOLD.format('n')} FROM unnest($1::text[]) AS w(n)", names)  # noqa: S608  # ours
    assert {name: local(name) for name in names} == dict(rows)


# -- what keeps out ---------------------------------------------------------------------------------------------------

KEEP_OUT: dict[str, tuple[Rows, dict[str, Group], str]] = {
    "a group that rejects": ([], {"bad": Group([("Auth-Type", ":=", "Reject")])}, "Auth-Type := Reject (group bad"),
    "a group with another password": ([], {"g": Group([("Cleartext-Password", ":=", "x")])}, "not the one that counts"),
    "an operator of old": ([("NT-Password", "==", "x")], {}, "Its operator must be :="),
    "an operator that nobody knows": ([("Called-Station-Id", "!*", "x")], {}, "FreeRADIUS cannot read"),
    "a day that has passed": ([("Expiration", ":=", "1 Jan 2020")], {}, "Expiration := 1 Jan 2020 (radcheck row"),
    "with its time": ([("Expiration", ":=", "Jan 01 2020 12:00:00")], {}, "keeps everybody out"),
    "no time of the week": ([("Login-Time", ":=", "Never")], {}, "Login-Time := Never"),
    "no session at all": ([("Simultaneous-Use", ":=", "0")], {}, "Simultaneous-Use := 0"),
    "a group with other rates": (
        [],
        {"slow": Group(replies=[("Mikrotik-Rate-Limit", ":=", "1M/1M")])},
        "Mikrotik-Rate-Limit := 1M/1M (group slow",
    ),
}


@pytest.mark.parametrize(("own", "groups", "why"), KEEP_OUT.values(), ids=KEEP_OUT)
async def test_an_account_that_somebody_keeps_out_is_not_on_and_the_row_is_named(
    world: World, own: Rows, groups: dict[str, Group], why: str
) -> None:
    await add(world, "radcheck", "acme", own)
    await join(world, **groups)
    finding = await switch(world, 1, on=True)
    assert finding.proof is Proof.FAILED
    assert why in finding.why


@pytest.mark.parametrize(
    "own",
    [
        [("Calling-Station-Id", "==", "02-00-00-00-00-01")],
        [("Expiration", ":=", "1 Jan 2199")],
        [("Login-Time", ":=", "Wk0800-1800")],
        [("Simultaneous-Use", ":=", "1"), ("NAS-IP-Address", "==", "10.0.0.1")],
        [("Huntgroup-Name", "==", "fibre")],
    ],
)
async def test_conditions_of_its_own_do_not_call_an_account_off(world: World, own: Rows) -> None:
    await add(world, "radcheck", "acme", own)
    finding = await switch(world, 1, on=True)
    assert (finding.proof, finding.in_service) == (Proof.PROVEN, True)


# -- what could be alive ----------------------------------------------------------------------------------------------

ALIVE: dict[str, str] = {
    "an open row": "SELECT",
    "in capitals": "UPDATE radacct SET username = 'ACME'",
    "with a realm": "UPDATE radacct SET username = 'acme@isp.example'",
    "an id used again, as FreeRADIUS itself leaves it": "UPDATE radacct SET acctstoptime = now() - interval '1 hour'",
    "closed by a clean-up job": "UPDATE radacct SET acctstoptime = now() + interval '1 minute'",
    "closed by a job that says so": """UPDATE radacct SET acctstoptime = now() + interval '1 minute',
        acctterminatecause = 'Stale-Session'""",
}


@pytest.mark.parametrize("change", ALIVE.values(), ids=ALIVE)
async def test_whatever_could_be_alive_is_ended(world: World, nas: Nas, change: str) -> None:
    await session(world, nas, "s1")
    await world.execute("internet", change)
    (row,) = await world.rows("internet", "SELECT username FROM radacct")
    nas.sessions["s1"] = row[0]
    finding = await switch(world, 1, on=False)
    assert (finding.proof, finding.seen["disconnected"]) == (Proof.PROVEN, "1 by ACK")
    assert nas.sessions == {}


@pytest.mark.parametrize("change", ALIVE.values(), ids=ALIVE)
async def test_whatever_could_be_alive_and_is_not_answered_for_is_not_proven(
    world: World, nas: Nas, change: str
) -> None:
    await session(world, nas, "s1")
    await world.execute("internet", change)
    with silent(world, nas):
        assert (await switch(world, 1, on=False)).proof is Proof.NOT_PROVEN


async def test_what_its_nas_has_closed_or_what_is_long_over_is_not_asked_about(world: World, nas: Nas) -> None:
    for name in ("stopped", "old"):
        await session(world, nas, name)
    await closed(world, "stopped")
    await world.execute(
        "internet",
        """UPDATE radacct SET acctstarttime = now() - interval '3 days', acctupdatetime = now() - interval '3 days',
        acctstoptime = now() - interval '2 days' WHERE acctuniqueid = 'old'""",
    )
    assert (await switch(world, 1, on=False)).proof is Proof.PROVEN
    assert nas.disconnects == []


async def test_the_sessions_of_many_accounts_are_read_in_one_statement(world: World, nas: Nas) -> None:
    for name, account in (("s1", "acme"), ("s2", "BOLT"), ("s3", "acme@isp"), ("s4", "nobody")):
        await session(world, nas, name, account)
    await add(world, "radreply", "bolt", [("Acct-Interim-Interval", ":=", "300")])
    await join(world, all=Group(replies=[("Acct-Interim-Interval", ":=", "900")], member="DEFAULT"))
    world.statements.clear()
    _, sessions = await world.internet.reader.sessions(["acme", "bolt", "idle"])
    assert len(world.statements) == 1
    assert {name: [(s.key, s.interim) for s in found] for name, found in sessions.items()} == {
        "acme": [("s1", 900), ("s3", 900)],
        "bolt": [("s2", 900)],
    }


async def test_accounts_of_many_clients_are_looked_at_in_one_statement(world: World, nas: Nas) -> None:
    await session(world, nas, account="bolt")
    await switch(world, 1, on=False)
    await world.internet.ensure(access("bolt", 1, on=True))
    accesses = [(name, Access(name, False, 1, 1)) for name in ("acme", "bolt")]
    world.statements.clear()
    reading = await world.internet.reader.accounts(accesses)
    assert len(world.statements) == 1
    found = [(a.client_id, a.denied, len(a.sessions)) for a in reading.accounts]
    assert found == [("acme", True, 0), ("bolt", False, 1)]
