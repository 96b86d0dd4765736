"""A Nexus caller may do what its role may, as over HTTP, and leaves nothing behind by naming clients that are not."""

from contextlib import ExitStack

import pytest
from nexusrpc import HandlerError, HandlerErrorType, OperationError
from temporalio.exceptions import ApplicationError

from activities.database import open_databases
from starter.clients import ClientService
from starter.contract.callers import Role
from starter.nexus.callers import Granted, NexusCallers
from starter.nexus.contract import CancelInput, ClientInput, CommandInput
from starter.nexus.handler import AT_ONCE, ClientLifecycleHandler
from starter.web.admission import SHARES, Admission, AdmissionLimits, Place
from tests.starter.nexus.test_handler import context
from tests.support.databases import fetch
from tests.support.service import LIMITS, SITE, Service, encrypting, unique
from worker import client_service
from workflows.wire.views import ClientView

FROM_BILLING = "temporal:///namespaces/billing/workflows/invoice-7/0f/history?eventID=5"


def handler(service: Service, granted: Granted | None = None) -> ClientLifecycleHandler:
    return ClientLifecycleHandler(service.clients, NexusCallers({"billing": granted} if granted else None))


async def refusal(call: object) -> ApplicationError:
    with pytest.raises(OperationError) as raised:
        await call  # type: ignore[misc]  # an operation
    cause = raised.value.__cause__
    assert isinstance(cause, ApplicationError)
    assert cause.non_retryable
    return cause


async def test_by_default_a_namespace_places_and_lifts_its_own_holds_and_nothing_else(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "suspend", source="security")
    billing = handler(service)
    assert (await billing.suspend(context(FROM_BILLING), CommandInput(client_id=client_id))).changed
    holds = {hold["source"]: hold["by"] for hold in (await service.client(client_id))["holds"]}
    assert holds == {"security": "api", "billing": "nexus:billing/invoice-7"}
    other = CommandInput(client_id=client_id, source="security", command_id=unique("k"))
    for call in (
        billing.unsuspend(context(FROM_BILLING), other),
        billing.decommission(context(FROM_BILLING), CommandInput(client_id=client_id, command_id=unique("k"))),
    ):
        assert (await refusal(call)).type == "NotAllowed"
    lift = CommandInput(client_id=client_id, command_id=unique("k"))
    assert (await billing.unsuspend(context(FROM_BILLING), lift)).changed
    assert [hold["source"] for hold in (await service.client(client_id))["holds"]] == ["security"]
    await service.post(client_id, "decommission", wait=0, last_day="2199-01-01")
    cancel = CancelInput(client_id=client_id, change="decommission", command_id=unique("k"))
    assert (await refusal(billing.cancel(context(FROM_BILLING), cancel))).type == "NotAllowed"


async def test_a_viewer_only_views_and_only_its_sites(service: Service) -> None:
    here, elsewhere = (await service.create())["client_id"], await service.site()
    there = (await service.create(site=elsewhere))["client_id"]
    viewer = handler(service, Granted(role=Role.VIEWER, sites=[SITE]))
    assert (await viewer.view(context(FROM_BILLING), ClientInput(client_id=here))).client_id == here
    errors = []
    for client_id in (there, "x" * len(there)):
        refused = await refusal(viewer.view(context(FROM_BILLING), ClientInput(client_id=client_id)))
        errors.append((refused.type, refused.message.replace(client_id, "")))
    assert errors[0] == errors[1]
    assert errors[0][0] == "NoSuchClient"
    refused = await refusal(viewer.suspend(context(FROM_BILLING), CommandInput(client_id=here)))
    assert (refused.type, "role viewer" in refused.message) == ("NotAllowed", True)
    unnamed = await refusal(viewer.view(context(), ClientInput(client_id=here)))
    assert (unnamed.type, "CONNECT_NEXUS_CALLERS" in unnamed.message) == ("NotAllowed", True)


async def test_commands_to_clients_that_are_not_make_no_keys(service: Service) -> None:
    worker = encrypting(service.temporal, service.encryption.converter(makes=True))
    nobody, query = unique("nobody"), "SELECT client_id FROM client_keys WHERE client_id = $1"
    async with open_databases(service.settings) as databases:
        asking = ClientLifecycleHandler(client_service(worker, databases, service.settings))
        for call in (
            asking.suspend(context(FROM_BILLING), CommandInput(client_id=nobody)),
            asking.view(context(FROM_BILLING), ClientInput(client_id=nobody)),
        ):
            assert (await refusal(call)).type == "NoSuchClient"
        client_id = (await service.create())["client_id"]
        assert (await asking.suspend(context(FROM_BILLING), CommandInput(client_id=client_id))).changed
    keys = service.settings.keys_dsn.get_secret_value()
    assert [len(await fetch(keys, query, one)) for one in (nobody, client_id)] == [0, 1]


@pytest.mark.parametrize("role", Role)
async def test_of_too_many_operations_the_least_important_are_sent_back_first(service: Service, role: Role) -> None:
    given = ClientInput(client_id=(await service.create())["client_id"])
    admission = Admission(AdmissionLimits(working=AT_ONCE, per_second=0))
    asking = ClientLifecycleHandler(service.clients, NexusCallers({"billing": Granted(role=role)}), admission)
    with ExitStack() as others:
        for _ in range(round(SHARES[role] * AT_ONCE) - 1):
            others.enter_context(Place(admission, Role.ADMIN).working())
        assert (await asking.view(context(FROM_BILLING), given)).client_id == given.client_id
        with Place(admission, Role.VIEWER).working(), pytest.raises(HandlerError) as busy:
            await asking.view(context(FROM_BILLING), given)
        assert (busy.value.type, busy.value.retryable) == (HandlerErrorType.RESOURCE_EXHAUSTED, True)
        assert (await asking.view(context(FROM_BILLING), given)).client_id == given.client_id


async def test_an_operation_counts_while_it_is_worked_on_and_no_longer(service: Service) -> None:
    admission, seen = Admission(), list[int]()

    class Looking(ClientService):
        async def client(self, client_id: str) -> ClientView:
            seen.append(admission.working)
            return await super().client(client_id)

    same = service.clients
    looking = Looking(same.gateway, same.directory, same.watch, LIMITS)
    asking = ClientLifecycleHandler(looking, NexusCallers({"billing": Granted(role=Role.ADMIN)}), admission)
    client_id = (await service.create())["client_id"]
    await asking.view(context(FROM_BILLING), ClientInput(client_id=client_id))
    nobody = await refusal(asking.view(context(FROM_BILLING), ClientInput(client_id=unique("nobody"))))
    assert (nobody.type, seen, admission.working) == ("NoSuchClient", [1, 1], 0)
