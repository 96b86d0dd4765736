"""A change that a caller waits for is answered when it is proven."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.service import Service, with_limits
from tests.support.waiting import HANGING
from workflows.domain.provisioning.standing import Limits


@pytest_asyncio.fixture(scope="session")
async def prompt(service: Service) -> AsyncIterator[Service]:
    """The same service, for new clients whose changes are made at once."""
    limits = Limits(attempt=HANGING, first_pause=0.2, longest_pause=1, at_once=HANGING)
    async with with_limits(service, limits) as prompt:
        yield prompt


async def test_a_client_is_created_and_proven_before_the_caller_is_answered(prompt: Service) -> None:
    assert (await prompt.create(wait=0))["provisioning"] == "settled"


async def test_a_command_is_answered_200_without_waiting_when_it_is_done(prompt: Service) -> None:
    client_id = (await prompt.create())["client_id"]
    answer = await prompt.post(client_id, "suspend", wait=0, source="billing")
    assert (answer.status_code, answer.json()["provisioning"]) == (200, "settled")
