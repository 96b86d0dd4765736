"""A service touches no plan of others, also where one came in after all that the API looks at before it sends."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from starter.contract.callers import Caller, Role
from starter.errors import NotAllowed
from starter.permitted import CallerService
from starter.temporal.gateway import Gateway
from tests.support.service import Service, unique
from tests.support.waiting import HANGING
from workflows.domain.errors import NothingPlanned
from workflows.wire.messages import AnyMessage, CancelPlanned, Suspend, Unsuspend
from workflows.wire.views import CommandAnswer

BILLING = Caller("billing", Role.SERVICE, sources=("billing", "dunning"))
FIRST, SECOND, THIRD = (datetime(2199, month, 1, tzinfo=UTC) for month in (1, 2, 3))


class Overtaken(Gateway):
    """Another command comes to the client just before the one that is sent, and after all that was looked at for it."""

    def __init__(self, service: Service, other: AnyMessage) -> None:
        super().__init__(service.temporal, patience=HANGING, timeout=HANGING, encryption=service.encryption)
        self._other: AnyMessage | None = other

    async def command(self, client_id: str, message: AnyMessage) -> CommandAnswer:
        other, self._other = self._other, None
        if other:
            await super().command(client_id, other)
        return await super().command(client_id, message)


def caller(service: Service, overtaken_by: AnyMessage | None = None, who: Caller = BILLING) -> CallerService:
    clients = copy.copy(service.clients)
    if overtaken_by:
        clients.gateway = Overtaken(service, overtaken_by)
    return CallerService(clients, who)


def key() -> dict[str, str]:
    return {"command_id": unique("key"), "by": "billing"}


async def plans(service: Service, client_id: str) -> list[tuple[str, dict[str, Any]]]:
    planned = (await service.clients.client(client_id)).planned
    return [(plan.kind.value, plan.details) for plan in planned]


@pytest.mark.parametrize("kind", [Suspend, Unsuspend])
@pytest.mark.parametrize("replacing", [False, True], ids=["cancelled", "replaced"])
async def test_an_operators_plan_that_comes_in_between_is_neither_cancelled_nor_replaced(
    service: Service, kind: type[Suspend] | type[Unsuspend], replacing: bool
) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "suspend", source="billing")
    own = kind(at=FIRST, **key())
    await caller(service).command(client_id, own)
    name = own.kind.value
    assert await plans(service, client_id) == [(name, {"source": "billing"})]
    operators = kind(at=SECOND, command_id=unique("op"))
    message = kind(at=THIRD, **key()) if replacing else CancelPlanned(change=name, **key())
    with pytest.raises(NotAllowed, match=r"What is planned.*takes the role operator or admin"):
        await caller(service, operators).command(client_id, message)
    assert await plans(service, client_id) == [(name, {"source": "operator"})]


async def test_its_own_plan_is_not_found_by_its_id_once_an_operators_stands_in_its_place(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    own = await caller(service).command(client_id, Suspend(at=FIRST, **key()))
    cancel = CancelPlanned(change=own.planned[0].change_id, **key())
    with pytest.raises(NothingPlanned):
        await caller(service, Suspend(at=SECOND, command_id=unique("op"))).command(client_id, cancel)
    assert await plans(service, client_id) == [("suspend", {"source": "operator"})]


async def test_of_two_services_neither_replaces_the_others_plan_that_came_first(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    others = Suspend(at=FIRST, source="security", command_id=unique("other"), own_sources=["security"])
    with pytest.raises(NotAllowed):
        await caller(service, others).command(client_id, Suspend(at=SECOND, **key()))
    assert await plans(service, client_id) == [("suspend", {"source": "security"})]


async def test_what_was_done_is_answered_again_under_its_key_and_touches_no_plan_that_came_since(
    service: Service,
) -> None:
    client_id = (await service.create())["client_id"]
    billing = caller(service)
    await billing.command(client_id, Suspend(at=FIRST, source="dunning", **key()))
    cancel = CancelPlanned(change="suspend", **key())
    first = await billing.command(client_id, cancel)
    await service.clients.command(client_id, Suspend(at=SECOND, command_id=unique("op")))
    other_sources = caller(service, who=Caller("billing", Role.SERVICE, sources=("billing", "other")))
    for again in (billing, other_sources):
        answer = await again.command(client_id, cancel)
        assert (answer.changed, answer.message) == (first.changed, first.message) == (True, first.message)
    assert await plans(service, client_id) == [("suspend", {"source": "operator"})]


async def test_what_was_refused_is_in_the_history_and_refused_again_under_its_key(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    operators = Suspend(at=FIRST, command_id=unique("op"))
    cancel, refusals = CancelPlanned(change="suspend", **key()), []
    for billing in (caller(service, operators), caller(service)):
        with pytest.raises(NotAllowed) as refused:
            await billing.command(client_id, cancel)
        refusals.append(str(refused.value))
        await service.clients.command(client_id, CancelPlanned(change="suspend", command_id=unique("op")))
    assert refusals[0] == refusals[1]
    lines = [line for line in await service.history(client_id) if line["command_id"] == cancel.command_id]
    assert [(line["event"], line["by"]) for line in lines] == [("refused", "billing")]


async def test_a_preview_says_of_a_plan_of_others_what_the_command_would_be_told(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    await service.clients.command(client_id, Suspend(at=FIRST, command_id=unique("op")))
    for message in (CancelPlanned(change="suspend"), Suspend(at=SECOND)):
        with pytest.raises(NotAllowed, match="What is planned"):
            await caller(service).preview(client_id, message)
        with pytest.raises(NotAllowed, match="What is planned"):
            await caller(service).command(client_id, message.model_copy(update=key()), fresh=True)
