"""The connection to Temporal, as every Temporal tool is configured: environment, or a profile in ``temporal.toml``."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import structlog
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from workflows.visibility import KEYS
from workflows.wire.start import TASK_QUEUE

log = structlog.get_logger(__name__)

NOT_OURS_TO_ADD = {RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED}


class SearchAttributesMissing(Exception):
    """Temporal does not have the search attributes, and does not let us add them."""


async def connect(*, lazy: bool = True) -> Client:
    """A client that connects when first used, so that a process can start while Temporal is away. For a worker, one
    that is connected now.

    ``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, ``TEMPORAL_TLS_…`` and ``TEMPORAL_PROFILE`` set
    the address. Nothing is compressed on the way to a Temporal on this machine, where there is no way to be shortened.
    Raises ``RuntimeError`` while it cannot connect, and ``RPCError`` when a connection breaks.
    """
    config: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
    config.setdefault("target_host", "127.0.0.1:7233")
    if on_loopback(config["target_host"]):
        config["grpc_compression"] = GrpcCompression.NONE
    return await Client.connect(**config, data_converter=pydantic_data_converter, lazy=lazy)


def on_loopback(address: str) -> bool:
    """Whether ``host:port`` is this machine."""
    host = urlsplit(f"//{address}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def ensure_search_attributes(client: Client, keys: Iterable[SearchAttributeKey[Any]] = KEYS) -> None:
    """Add the search attributes of clients to the namespace.

    Raises SearchAttributesMissing, with what to do, when the server does not let us read or add them (Temporal Cloud)
    or has one with another type; RuntimeError or RPCError when Temporal is away.
    """
    types = _types(keys)
    try:
        known = await _known(client)
        missing = {name: kind for name, kind in types.items() if name not in known}
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
            log.info("search_attributes_added", names=sorted(missing))
    except RPCError as error:
        if error.status not in NOT_OURS_TO_ADD:
            raise
        needed = ", ".join(f"{name} ({_word(kind)})" for name, kind in types.items())
        raise SearchAttributesMissing(
            f"This Temporal does not let us manage search attributes. Have its administrator add them to namespace "
            f"{client.namespace}: {needed}"
        ) from error
    if others := [name for name, kind in types.items() if name in known and known[name] != kind]:
        raise SearchAttributesMissing(f"Search attributes have another type than ours: {', '.join(others)}")


async def missing_search_attributes(client: Client) -> list[str]:
    """The commands that add what the namespace lacks of our search attributes.

    Where the server does not let us look (Temporal Cloud), none. Raises RPCError when Temporal is away.
    """
    try:
        known = await _known(client)
    except RPCError as error:
        if error.status not in NOT_OURS_TO_ADD:
            raise
        return []
    add = f"temporal operator search-attribute create --namespace {client.namespace}"
    return [f"{add} --name {name} --type {_word(kind)}" for name, kind in _types(KEYS).items() if name not in known]


async def _known(client: Client) -> Mapping[str, IndexedValueType.ValueType]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    return (await client.operator_service.list_search_attributes(request)).custom_attributes


def _types(keys: Iterable[SearchAttributeKey[Any]]) -> dict[str, IndexedValueType.ValueType]:
    return {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in keys}


async def why_not_heard_of(host: str) -> str:
    """Why Temporal knows of no worker on this machine within the last minutes; empty when it knows one.

    A worker's identity is process@host.
    """
    try:
        client = await connect(lazy=False)
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=TASK_QUEUE),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )
    except (RuntimeError, RPCError) as error:
        return f"Temporal cannot be asked: {error}"
    if any(poller.identity.endswith(f"@{host}") for poller in answer.pollers):
        return ""
    return f"Temporal has not heard of a worker on {host}. See the worker's log"


def _word(kind: IndexedValueType.ValueType) -> str:
    return IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").capitalize()
