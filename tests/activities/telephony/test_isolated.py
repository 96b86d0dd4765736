"""One line that cannot be switched does not keep the others from it."""

import asyncpg
import pytest
from temporalio.exceptions import ApplicationError

from activities.errors import SYSTEM_BUSY, SYSTEM_REJECTED
from tests.activities.fixtures import ONE, THREE, TWO, World, lines
from tests.support.orders import line_order
from workflows.domain.provisioning.standing import Proof
from workflows.ports import STALE_REVISION, Ensure

DATABASES = ("telephony",)
HASTY = {"lock_seconds": 0.5, "statement_seconds": 1.0}
PROVEN, NOT_PROVEN, FAILED = Proof.PROVEN, Proof.NOT_PROVEN, Proof.FAILED

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'line % is in a dispute', new.username; END $$"""
AT_ONCE = """
CREATE TRIGGER refuse BEFORE UPDATE ON subscriber
FOR EACH ROW WHEN (new.username = '442079460002') EXECUTE FUNCTION refuse()"""
AT_COMMIT = """
CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON subscriber DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (new.username = '442079460002') EXECUTE FUNCTION refuse()"""


def all_three(revision: int, *, on: bool) -> Ensure:
    return lines("acme", revision, one=on, two=on, three=on)


async def holding(world: World, table: str, username: str) -> asyncpg.Connection:
    """Somebody else, who has a row and does not let go of it until the test ends."""
    other = await world.admin("telephony")
    await other.execute("BEGIN")
    column = "subject" if table == "connect_fence" else "username"
    await other.execute(f"SELECT FROM {table} WHERE {column} = $1 FOR UPDATE", username)
    return other


async def in_service(world: World) -> list[int]:
    return [row[0] for row in await world.rows("telephony", "SELECT in_service FROM subscriber ORDER BY username")]


@pytest.mark.parametrize(
    ("table", "row"), [("subscriber", "442079460002"), ("connect_fence", f"line:{TWO}"), ("location", "442079460002")]
)
async def test_a_line_that_somebody_has_a_lock_on_is_not_proven_and_the_others_are_off(
    world: World, table: str, row: str
) -> None:
    await world.open(limits=HASTY)
    await world.telephony.ensure(all_three(1, on=True))
    await world.telephone(TWO)
    other = await holding(world, table, row)
    findings = (await world.telephony.ensure(all_three(2, on=False))).findings
    assert [finding.proof for finding in findings] == [PROVEN, NOT_PROVEN, PROVEN]
    assert "Somebody holds a lock" in findings[1].why
    assert await in_service(world) == [0, 1, 0]
    await other.execute("ROLLBACK")
    assert (await world.telephony.ensure(all_three(2, on=False))).complete
    assert await in_service(world) == [0, 0, 0]


@pytest.mark.parametrize("trigger", [AT_ONCE, AT_COMMIT], ids=["at once", "at commit"])
async def test_a_line_that_the_database_refuses_has_failed_and_says_why(world: World, trigger: str) -> None:
    await world.telephony.ensure(all_three(1, on=True))
    await world.execute("telephony", REFUSE)
    await world.execute("telephony", trigger)
    findings = (await world.telephony.ensure(all_three(2, on=False))).findings
    assert [finding.proof for finding in findings] == [PROVEN, FAILED, PROVEN]
    assert "refused: line 442079460002 is in a dispute" in findings[1].why
    assert await in_service(world) == [0, 1, 0]


@pytest.mark.parametrize(
    "refusal",
    [
        "ALTER TABLE subscriber ADD CHECK (username <> '442079460002' OR in_service = 1)",
        f"{REFUSE.replace('new.username', 'new')}; {AT_ONCE}",
        f"{REFUSE.replace('new.username', 'new.ha1')}; {AT_ONCE}",
    ],
    ids=["check", "trigger that tells the row", "trigger that tells a secret"],
)
async def test_no_word_of_a_refused_row_is_told(
    world: World, refusal: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.telephony.ensure(all_three(1, on=True))
    secrets = await world.rows("telephony", "SELECT ha1, ha1b FROM subscriber WHERE username = '442079460002'")
    await (await world.admin("telephony")).execute(refusal)
    findings = (await world.telephony.ensure(all_three(2, on=False))).findings
    with pytest.raises(ApplicationError) as raised:
        await world.telephony.ensure(lines("acme", 3, two=False))
    texts = [findings[1].why, *texts_of(raised.value), caplog.text, *capsys.readouterr()]
    assert findings[1].proof is FAILED
    for secret in secrets[0]:
        assert not [text for text in texts if secret in text]


def texts_of(error: BaseException | None) -> list[str]:
    """What Temporal keeps of an error: its words and those of what it came from, as its SDK follows that."""
    if error is None:
        return []
    came_from = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [str(error), *texts_of(came_from)]


async def test_a_check_is_told_by_its_name(world: World) -> None:
    await world.telephony.ensure(all_three(1, on=True))
    await world.execute("telephony", "ALTER TABLE subscriber ADD CONSTRAINT dispute CHECK (in_service = 1)")
    with pytest.raises(ApplicationError, match='violates check constraint "dispute"'):
        await world.telephony.ensure(lines("acme", 2, one=False))


async def test_a_line_that_a_check_is_against_does_not_keep_new_ones_from_being_made(world: World) -> None:
    await world.execute("telephony", "ALTER TABLE subscriber ADD CHECK (username <> '442079460002')")
    findings = (await world.telephony.ensure(all_three(1, on=True))).findings
    assert {finding.subject: (finding.proof, finding.in_service) for finding in findings} == {
        ONE: (PROVEN, True),
        TWO: (FAILED, False),
        THREE: (PROVEN, True),
    }
    assert await world.subscriber(TWO) is None


async def test_a_hundred_lines_do_not_wait_for_one_that_is_locked_a_hundred_times(world: World) -> None:
    await world.open(limits=HASTY)
    numbers = [f"+4420794610{i:02}" for i in range(100)]
    await world.telephony.ensure(line_order("acme", 1, dict.fromkeys(numbers, True)))
    await holding(world, "subscriber", numbers[50].removeprefix("+"))
    world.statements.clear()
    evidence = await world.telephony.ensure(line_order("acme", 2, dict.fromkeys(numbers, False)))
    waits = [sent for sent in world.statements if isinstance(sent.exception, asyncpg.LockNotAvailableError)]
    assert len(waits) == 2, "once for all of them together, and once for that one"
    assert [f.subject for f in evidence.findings if f.proof is not PROVEN] == [numbers[50]]


async def test_where_nothing_can_be_done_the_whole_order_fails_and_nothing_is_obeyed(world: World) -> None:
    await world.open(limits=HASTY)
    await world.telephony.ensure(lines("acme", 1, one=True, two=True))
    one = await holding(world, "subscriber", ONE.removeprefix("+"))
    await one.execute("SELECT FROM subscriber WHERE username = $1 FOR UPDATE", TWO.removeprefix("+"))
    with pytest.raises(ApplicationError) as raised:
        await world.telephony.ensure(lines("acme", 2, one=False, two=False))
    assert raised.value.type == SYSTEM_BUSY
    revisions = "SELECT revision FROM connect_fence WHERE subject = 'client:acme'"
    assert await world.rows("telephony", revisions) == [(1,)]


async def test_a_single_line_that_is_refused_fails_the_order(world: World) -> None:
    await world.execute("telephony", "ALTER TABLE subscriber ADD CHECK (username <> '442079460002')")
    with pytest.raises(ApplicationError) as raised:
        await world.telephony.ensure(lines("acme", 1, two=True))
    assert raised.value.type == SYSTEM_REJECTED


async def test_an_isolated_line_lets_no_older_revision_through(world: World) -> None:
    await world.open(limits=HASTY)
    await world.telephony.ensure(all_three(1, on=True))
    other = await holding(world, "subscriber", TWO.removeprefix("+"))
    await world.telephony.ensure(all_three(8, on=False))
    with pytest.raises(ApplicationError) as refused:
        await world.telephony.ensure(all_three(7, on=True))
    assert refused.value.type == STALE_REVISION
    await other.execute("ROLLBACK")
    assert await in_service(world) == [0, 1, 0]
    assert (await world.subscriber(THREE) or (1,))[0] == 0
