"""What was rejected is looked at together, whoever's it is: admitted again, or with a session that lives."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.internet.sql import WATCH
from tests.activities.fixtures import World, access
from tests.activities.internet.gear import closed, reopen, session, switch
from tests.activities.internet.test_looking import ACCEPT, Group, add, join
from tests.support.orders import watched
from tests.support.router import Nas
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import INTERNET
from workflows.ports import Ensure, Life, Observed, Watched

DATABASES = ("internet",)


def lives_of(observed: Observed) -> list[tuple[Life, str]]:
    return [(it.life, it.how) for it in observed.sightings]


def lives(*names: str) -> list[tuple[Life, str]]:
    sessions = ", ".join(f"session {name} on NAS 127.0.0.2" for name in names)
    return [(Life.ALIVE, f"{sessions} {'goes' if len(names) == 1 else 'go'} on")]


async def proven_off(world: World, revision: int = 1) -> list[Watched]:
    """The account, as it is watched once its proof is recorded."""
    evidence = await world.internet.ensure(access("acme", revision, on=False))
    assert evidence.complete
    return watched("acme", ["acme"], evidence.at, **evidence.findings[0].seen)


async def send_interim(world: World, name: str, ago: timedelta = timedelta()) -> None:
    """An Interim update of a session, with that time."""
    at = datetime.now(UTC) - ago
    await world.execute("internet", "UPDATE radacct SET acctupdatetime = $2 WHERE acctuniqueid = $1", name, at)


async def test_a_session_accounted_for_after_the_proof_is_found_whatever_its_times_say(world: World, nas: Nas) -> None:
    """It was accepted before, and its NAS's clock is a year behind, or ahead."""
    for begun in ("now", "2020-01-01", "2040-01-01"):
        await world.execute("internet", "DELETE FROM radacct")
        await reopen(world, nas)
        off = await proven_off(world)
        await session(world, nas, "late", begun=begun)
        assert lives_of(await world.internet.observe(off)) == lives("late")


@pytest.mark.parametrize(
    "wrong", [timedelta(), timedelta(hours=-2), timedelta(hours=2)], ids=["right", "ahead", "behind"]
)
async def test_an_interim_shows_that_a_session_lives_whose_row_stayed_open_whatever_the_clock(
    world: World, nas: Nas, wrong: timedelta
) -> None:
    """Its NAS said that it has ended it."""
    await session(world, nas, "s1", begun="2040-01-01")
    await send_interim(world, "s1", wrong + timedelta(minutes=5))
    off = await proven_off(world)
    for _ in range(2):
        assert lives_of(await world.internet.observe(off)) == []
    await send_interim(world, "s1", wrong)
    assert lives_of(await world.internet.observe(off)) == lives("s1")
    nas.sessions["s1"] = "acme"
    off = await proven_off(world, 2)
    assert lives_of(await world.internet.observe(off)) == [], "it was ended again, and is quiet since"


async def test_a_row_that_was_closed_and_is_updated_since_shows_a_session_that_lives(world: World, nas: Nas) -> None:
    """A job that cleans up closed it. FreeRADIUS's own queries update it further."""
    await session(world, nas, "s1")
    off = await proven_off(world)
    await closed(world, "s1")
    assert lives_of(await world.internet.observe(off)) == []
    await send_interim(world, "s1")
    assert lives_of(await world.internet.observe(off)) == lives("s1")
    await world.execute("internet", "UPDATE radacct SET acctstoptime = now(), acctupdatetime = now()")
    assert lives_of(await world.internet.observe(off)) == [], "its Stop came"


async def test_a_look_at_others_forgets_nothing(world: World, nas: Nas) -> None:
    """As there are when very many are watched: then they are looked at in parts."""
    await session(world, nas, "s1", begun="2040-01-01")
    off, bolt = await proven_off(world), watched("bolt", ["bolt"], datetime.now(UTC))
    assert lives_of(await world.internet.observe(off)) == []
    assert lives_of(await world.internet.observe(bolt)) == []
    await send_interim(world, "s1", timedelta(hours=2))
    assert lives_of(await world.internet.observe(off)) == lives("s1")


async def test_the_case_of_a_name_hides_no_session(world: World, nas: Nas) -> None:
    off = await proven_off(world)
    await session(world, nas, "s1", account="ACME")
    assert lives_of(await world.internet.observe(off)) == lives("s1")


async def test_a_row_of_another_spelling_that_was_there_before_is_not_alive(world: World, nas: Nas) -> None:
    await session(world, nas, "s1", account="Acme", begun="2026-01-01")
    off = await proven_off(world)
    for _ in range(2):
        assert lives_of(await world.internet.observe(off)) == []


async def test_a_login_that_is_accepted_again_is_alive_and_another_clients_is_not_ours(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    off = await proven_off(world, 2)
    await world.execute("internet", "DELETE FROM radcheck WHERE attribute = 'Auth-Type'")
    assert lives_of(await world.internet.observe(off)) == [(Life.ALIVE, "its login is accepted")]
    await world.execute("internet", "UPDATE connect_fence SET client_id = 'bolt' WHERE subject = 'account:acme'")
    assert lives_of(await world.internet.observe(off)) == [(Life.OVER, "")]


WAYS = {
    "a group that accepts": (Group(ACCEPT), "group g, radgroupcheck row"),
    "a group that takes our rejection away": (Group([("Auth-Type", "==", "Accept")]), "group g, radgroupcheck row"),
    "a group of everybody": (Group(ACCEPT, member="DEFAULT"), "group g, radgroupcheck row"),
    "a group of another spelling": (Group(ACCEPT, member="ACME"), "group g, radgroupcheck row"),
    "a group of a realm": (Group(ACCEPT, member="acme@isp.example"), "account 'acme@isp.example' is another spelling"),
}


@pytest.mark.parametrize(("group", "how"), WAYS.values(), ids=WAYS)
async def test_who_is_let_in_by_a_group_is_alive_as_a_change_would_see_it(
    world: World, nas: Nas, group: Group, how: str
) -> None:
    await switch(world, 1, on=True)
    off = await proven_off(world, 2)
    assert lives_of(await world.internet.observe(off)) == []
    await join(world, g=group)
    ((life, how_it_shows),) = lives_of(await world.internet.observe(off))
    assert life is Life.ALIVE
    assert how in how_it_shows
    assert (await switch(world, 3, on=False)).proof is Proof.FAILED


@pytest.mark.parametrize("name", ["ACME", " acme", "acme@isp.example", "isp/acme", "isp=5Cacme"])
async def test_another_spelling_that_gets_a_login_of_its_own_is_alive(world: World, nas: Nas, name: str) -> None:
    off = await proven_off(world)
    await add(world, "radcheck", name, [("Cleartext-Password", ":=", "x")])
    ((life, _),) = lives_of(await world.internet.observe(off))
    assert life is Life.ALIVE


async def test_groups_that_let_nobody_in_and_accounts_of_other_clients_are_not_alive(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    off = await proven_off(world, 2)
    await join(world, g=Group([("Auth-Type", ":=", "Reject")]), h=Group([("Simultaneous-Use", ":=", "1")]))
    await add(world, "radcheck", "acme@isp.example", ACCEPT)
    await world.execute(
        "internet",
        """INSERT INTO connect_fence (system, subject, client_id, revision)
        VALUES ('internet', 'account:acme@isp.example', 'bolt', 1)""",
    )
    assert lives_of(await world.internet.observe(off)) == []


@pytest.mark.parametrize("name", ["acme@isp.example", "isp/acme"])
async def test_a_realm_hides_no_session(world: World, nas: Nas, name: str) -> None:
    off = await proven_off(world)
    await session(world, nas, "s1", account=name)
    assert lives_of(await world.internet.observe(off)) == lives("s1")
    await reopen(world, nas, radius_realms="elsewhere")
    assert lives_of(await world.internet.observe(off)) == []


async def test_an_account_is_watched_until_nothing_was_heard_for_an_interim_interval(world: World, nas: Nas) -> None:
    """Of settings (1,800 s and a minute), or one that its rows show to be longer."""
    off = await proven_off(world)
    assert lives_of(await world.internet.observe(ago(off, minutes=30))) == []
    assert lives_of(await world.internet.observe(ago(off, minutes=32))) == [(Life.OVER, "")]
    await session(world, nas, "s1", begun="2026-01-01")
    silent = "session s1 on NAS 127.0.0.2 went silent, without a Stop"
    look = ago(watched("acme", ["acme"], off[0].since, open_sessions="1"), minutes=33)
    assert lives_of(await world.internet.observe(look)) == [(Life.SILENT, silent)]
    await world.execute("internet", "UPDATE radacct SET acctinterval = 3600")
    assert lives_of(await world.internet.observe(look)) == []
    assert lives_of(await world.internet.observe(ago(look, minutes=30))) == [(Life.SILENT, silent)]


def ago(off: list[Watched], **times: int) -> list[Watched]:
    return [Watched(it.client_id, it.subject, it.since - timedelta(**times), it.seen) for it in off]


async def test_ten_thousand_accounts_take_one_statement_that_reads_an_index_of_what_may_live(
    world: World, nas: Nas
) -> None:
    await world.execute(
        "internet",
        """INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime,
          acctstoptime)
        SELECT 's' || n, 's' || n, 'c' || n % 10000, '127.0.0.2', now(), now(), now()
        FROM generate_series(1, 30000) n""",
    )
    await session(world, nas, "s0", account="c77")
    await world.execute("internet", "ANALYZE")
    off = [it for n in range(10_000) for it in watched(f"c{n}", [f"c{n}"], datetime.now(UTC) - timedelta(minutes=1))]
    world.took()
    observed = await world.internet.observe(off)
    assert [(it.watched.client_id, it.life) for it in observed.sightings] == [("c77", Life.ALIVE)]
    assert world.took() == 1
    names = [f"c{n}" for n in range(10_000)]
    plan = await world.rows("internet", f"EXPLAIN {WATCH}", names, "DEFAULT", names, timedelta(minutes=30))
    assert "radacct_alive_spelling" in str(plan)
    await join(world, everybody=Group(ACCEPT, member="DEFAULT"))
    world.took()
    observed = await world.internet.observe(off)
    let_in = [it for it in observed.sightings if it.how.startswith("a login is let in by Auth-Type := Accept (group e")]
    assert (len(let_in), world.took()) == (10_000, 1)


async def test_what_was_given_up_is_ended_and_keeps_its_rates(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    before = await world.rows("internet", "SELECT * FROM radreply ORDER BY 1")
    await session(world, nas, "s1", begun="2026-01-01")
    evidence = await world.internet.ensure(Ensure(INTERNET, "acme", 1, {"acme": Desired(on=False)}, revived=1))
    assert (evidence.complete, nas.sessions) == (True, {})
    assert evidence.findings[0].seen["disconnected"] == "1 not found", "that it was acknowledged is not believed"
    assert await world.rows("internet", "SELECT * FROM radreply ORDER BY 1") == before
