"""Claims about Edit status: what it asks a client's workflow, and what it says of its fields."""

from typing import Any

import pytest
from temporalio.client import Client, Interceptor, OutboundInterceptor, QueryWorkflowInput

from starter.app import create_app
from starter.clients import ClientService
from starter.temporal.gateway import Gateway
from tests.starter.console.filling_in import Read, Somebody, ann
from tests.starter.console.test_kept import visiting
from tests.support.service import LIMITS, TOKEN, Service, serving

__all__ = ["ann"]


class Queries(Interceptor):
    """The queries that a Temporal client was used for, by name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002  # the SDK's name
        return _Counted(next, self.names)


class _Counted(OutboundInterceptor):
    def __init__(self, below: OutboundInterceptor, names: list[str]) -> None:
        super().__init__(below)
        self._names = names

    async def query_workflow(self, input: QueryWorkflowInput) -> Any:  # noqa: A002  # the SDK's name
        self._names.append(input.query)
        return await super().query_workflow(input)


@pytest.mark.parametrize(
    ("query", "queries"),
    [
        ({}, ["client"]),
        ({"action": "suspend", "when": "day"}, ["client"]),
        ({"action": "suspend", "reason": "unpaid"}, ["client", "preview"]),
        ({"action": "convert", "when": "day", "last_day": "2199-03-31"}, ["client", "preview"]),
        ({"action": "activate"}, ["client", "preview"]),
    ],
    ids=["nothing is chosen", "the day is not given yet", "a command", "a plan", "a command that changes nothing"],
)
async def test_a_render_asks_for_the_client_and_for_one_preview_of_what_is_chosen(
    service: Service, temporal: Client, query: dict[str, str], queries: list[str]
) -> None:
    client_id = (await service.create())["client_id"]
    counted = Queries()
    client = Client(
        temporal.service_client,
        namespace=temporal.namespace,
        data_converter=temporal.data_converter,
        interceptors=[counted],
    )
    clients = ClientService(Gateway(client), service.clients.directory, service.clients.watch, LIMITS)
    async with serving(create_app(clients, TOKEN)) as url, visiting(service, url) as browser:
        page = await browser.get(f"/clients/{client_id}/status", params=query)
    assert page.status_code == 200, page.text
    assert counted.names == queries


async def test_edit_status_names_each_wrong_field_and_its_rule(ann: Somebody, service: Service) -> None:
    client = await service.create()
    path = f"/clients/{client['client_id']}/status"
    typed = {
        "action": "change_services",
        "internet": "set",
        "down": "fast",
        "up": "20",
        "number-0": "12",
        "office-0": "1",
    }
    page = Read((await ann.http.get(path, params=typed)).text)
    assert "The download rate cannot be “fast”. Give whole Mbit/s" in page.said["note-down"]
    assert "can exist" in page.said["note-number-0"]
    assert "autofocus" not in page.tags["number-0"], "nothing was sent yet"
    page = await ann.sent(path, typed, 422)
    assert "autofocus" in page.tags["number-0"]
    assert page.tags["down"]["aria-invalid"] == "true"
    assert (await service.client(client["client_id"]))["revision"] == client["revision"]
