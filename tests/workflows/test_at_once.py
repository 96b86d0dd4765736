"""What a person waits for is done and proven within the workflow task that took the command."""

from tests.support.workflows import Service
from workflows.domain.provisioning.standing import Limits

PROMPT = Limits(attempt=8, first_pause=1, longest_pause=60, at_once=2)


async def test_a_recorded_command_is_done_and_proven_when_it_is_answered(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    before = len(await service.events(handle))
    answer = await service.command(handle, "suspend", recorded=True)
    assert answer.provisioning == "settled"
    events = (await service.events(handle))[before:]
    assert len(events) <= 10, events
    assert "ACTIVITY_TASK_SCHEDULED" not in events
    assert not any(service.telephony.lines.values())
