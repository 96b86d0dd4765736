"""What a system says is cut and cleaned: neither a history nor an answer grows with it, and the client goes on."""

from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.bounds import ALL_TEXTS, LONGEST_ERROR, SHORTEST, Bounds, bounded
from tests.faults.conftest import RealService
from tests.faults.test_systems_away import in_attention, wait_settled_off
from tests.support.fakes import FakeSystem
from tests.support.workflows import Handle, Service
from workflows.domain.provisioning.standing import Limits, Proof
from workflows.domain.systems import TELEPHONY
from workflows.domain.text import LONGEST_FOREIGN, hidden_in
from workflows.guard import Guard
from workflows.ports import Ensure, Evidence, Finding

HOSTILE = "\x1b[2J\x01\u202egnp.exe\u200b "
RAISE = r"""
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION '%', repeat(E'\x1b[2J\x01\u202egnp.exe\u200b ', 5 * 1024 * 1024 / 20); END $$;
CREATE TRIGGER shout BEFORE UPDATE ON subscriber FOR EACH ROW EXECUTE FUNCTION shout()"""
SMALL = 100_000  # bytes: some attempts and their answers, each a few kilobytes


async def history_bytes(handle: Handle) -> tuple[int, int]:
    """Bytes of the client's history, and of its largest event."""
    events = [event async for event in handle.fetch_history_events()]
    return sum(event.ByteSize() for event in events), max(event.ByteSize() for event in events)


async def test_a_trigger_that_raises_five_megabytes_is_told_in_five_hundred_characters(
    real_service: RealService,
) -> None:
    handle, client_id, numbers = await real_service.start_real()
    async with real_service.databases.of(TELEPHONY).transaction() as connection:
        await connection.execute(RAISE)
    await real_service.command(handle, "suspend", source="billing")
    view = await in_attention(real_service, handle)
    error = view.systems[0].last_error
    assert "The telephony database" in error
    assert "gnp.exe" in error
    assert len(error) <= LONGEST_FOREIGN
    assert hidden_in(error) is None
    assert not await real_service.internet_on(client_id), "the other system was switched"
    await real_service.until(handle, lambda view: view.systems[0].attempts >= 3)
    whole, largest = await history_bytes(handle)
    assert whole < SMALL
    assert largest < SMALL / 4
    async with real_service.databases.of(TELEPHONY).transaction() as connection:
        await connection.execute("DROP TRIGGER shout ON subscriber")
    await wait_settled_off(real_service, handle, client_id, numbers)


class Shouting(FakeSystem):
    """An adapter of an operator's own, that passes on whatever its system says."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[Exception | Evidence] = []

    async def ensure(self, order: Ensure) -> Evidence:
        match self.words.pop() if self.words else None:
            case Exception() as error:
                raise error
            case Evidence() as evidence:
                return evidence
        return await super().ensure(order)


async def test_no_adapter_can_fill_a_history(faulty_temporal: WorkflowEnvironment) -> None:
    """Not with its errors, nor with a hundred thousand findings: the last gate is around every activity."""
    service, telephony = Service(faulty_temporal), Shouting()
    service.telephony = telephony
    async with service.worker(interceptors=[Guard(), Bounds()]):
        handle = await service.start(limits=Limits(attempt=30, first_pause=0.3, longest_pause=0.6))
        number = (await service.view(handle)).lines[0].number
        shout = HOSTILE * 400_000
        caused, handled = ValueError("short"), ValueError("short, too")
        caused.__cause__ = handled.__context__ = ValueError(shout)
        crowd = [Finding(f"+1555{n:07}", True, {"a": shout[:50]}, Proof.FAILED, "why") for n in range(100_000)]
        crowd.append(Finding(number, True, dict.fromkeys(map(str, range(10_000)), shout), Proof.FAILED, shout))
        view = await service.view(handle)
        telephony.words = [
            Evidence("telephony", view.revision + 1, view.created_at, shout, crowd),
            ApplicationError(shout, type="SystemBusy", next_retry_delay=None),
            caused,
            handled,
            RuntimeError(shout),
        ]
        await service.command(handle, "suspend", source="billing")
        await service.settled(handle)
        assert not telephony.words
        assert telephony.lines[number] is False
        whole, largest = await history_bytes(handle)
        assert whole < SMALL
        assert largest < SMALL / 4
        await handle.terminate("the test is over")


def test_of_many_lines_less_is_told_of_each() -> None:
    findings = [Finding(f"+4420{n:08}", True, {"a": "x" * 9000}, Proof.FAILED, "y" * 9000) for n in range(2000)]
    evidence = bounded(Evidence("telephony", 1, None, "", findings))  # type: ignore[arg-type]  # neither is looked at
    assert len(evidence.findings) == 2000
    assert sum(len(f.why) + sum(map(len, f.seen.values())) for f in evidence.findings) <= 2 * 2000 * SHORTEST
    assert bounded(evidence) == evidence, "once is enough"
    assert LONGEST_ERROR >= LONGEST_FOREIGN
    assert ALL_TEXTS // 1000 > SHORTEST, "of a client's thousand lines each still says something"
