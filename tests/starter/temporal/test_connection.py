"""Claims about the connection to Temporal."""

import socket
from typing import Any

import pytest
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    AddSearchAttributesResponse,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from activities.settings import Settings
from starter.temporal.connection import SearchAttributesMissing, connect, ensure_search_attributes, why_no_worker
from tests.support.service import Service
from tests.support.terminal import Terminal
from tests.support.waiting import free_port
from workflows.visibility import KEYS


async def test_search_attributes_are_added_once(temporal: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    key = SearchAttributeKey.for_keyword("StarterTest")
    added = list[list[str]]()
    add = temporal.operator_service.add_search_attributes

    async def counted(request: AddSearchAttributesRequest, **named: Any) -> AddSearchAttributesResponse:
        added.append(list(request.search_attributes))
        return await add(request, **named)

    monkeypatch.setattr(temporal.operator_service, "add_search_attributes", counted)
    for _ in range(2):
        await ensure_search_attributes(temporal, [*KEYS, key])
    assert added == [["StarterTest"]]
    listed = await temporal.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=temporal.namespace)
    )
    assert {"StarterTest", *(key.name for key in KEYS)} <= set(listed.custom_attributes)


async def test_a_search_attribute_of_another_type_is_said(temporal: Client) -> None:
    with pytest.raises(SearchAttributesMissing, match="another type than ours: ClientStatus"):
        await ensure_search_attributes(temporal, [SearchAttributeKey.for_bool("ClientStatus")])


async def test_the_environment_says_where_and_temporal_may_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "elsewhere")
    client = await connect()
    assert client.namespace == "elsewhere"
    with pytest.raises(RuntimeError, match="Failed client connect"):
        await ensure_search_attributes(client)


async def test_a_worker_is_well_when_temporal_has_heard_of_it(
    service: Service, terminal: Terminal, settings: Settings
) -> None:
    """As docker-compose.yml asks, without another program than ours."""
    for database in ("DIRECTORY", "TELEPHONY", "INTERNET"):
        terminal.environment[f"CONNECT_{database}_DSN"] = settings.directory_dsn.get_secret_value()
    terminal.environment["CONNECT_MASTER_KEY"] = "k" * 32
    terminal.environment["TEMPORAL_ADDRESS"] = service.temporal.service_client.config.target_host
    result = await terminal.connect("worker", "--check")
    assert (result.status, result.out) == (0, "")
    assert all("which no setting names" in line for line in result.err.splitlines()), "sites of other tests"
    terminal.environment["TEMPORAL_NAMESPACE"] = "elsewhere"
    result = await terminal.connect("worker", "--check")
    assert (result.status, result.out) == (1, "")
    assert "Temporal cannot be asked" in result.err
    terminal.environment["CONNECT_DIRECTORY_DSN"] += "?default_transaction_read_only=on"
    result = await terminal.connect("worker", "--check")
    assert (result.status, result.out) == (1, "")
    assert "or have CONNECT_DIRECTORY_DSN name the primary" in result.err


async def test_a_worker_on_another_machine_is_not_this_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", service.temporal.service_client.config.target_host)
    assert await why_no_worker(socket.gethostname()) == ""
    assert "has not heard of a worker on nowhere" in await why_no_worker("nowhere")


async def test_where_we_may_not_manage_attributes_the_message_says_which_are_needed(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forbidden(*_: object, **__: object) -> None:
        raise RPCError("not for you", RPCStatusCode.PERMISSION_DENIED, b"")

    monkeypatch.setattr(temporal.operator_service, "list_search_attributes", forbidden)
    with pytest.raises(SearchAttributesMissing, match=r"ClientNextChangeAt \(Datetime\)"):
        await ensure_search_attributes(temporal)


@pytest.mark.parametrize(
    ("address", "compression"),
    [
        ("127.0.0.1:7233", GrpcCompression.NONE),
        ("[::1]:7233", GrpcCompression.NONE),
        ("localhost:7233", GrpcCompression.NONE),
        ("temporal:7233", GrpcCompression.GZIP),
        ("10.0.0.7:7233", GrpcCompression.GZIP),
    ],
)
async def test_nothing_is_compressed_on_the_way_to_this_machine(
    monkeypatch: pytest.MonkeyPatch, address: str, compression: GrpcCompression
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    assert (await connect()).service_client.config.grpc_compression is compression
