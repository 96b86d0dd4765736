"""The connection to Temporal, as every Temporal tool is configured: environment, or a profile in ``temporal.toml``."""

import asyncio
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
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from workflows.visibility import KEYS
from workflows.wire.start import TASK_QUEUE

log = structlog.get_logger(__name__)

PAUSE = 2.0  # seconds until Temporal is asked again
NOT_OURS_TO_ADD = {RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED}


TLS = (
    "See to TEMPORAL_TLS_SERVER_CA_CERT_PATH, TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH, or the "
    "profile: which authority signed the certificate of the server, for which name, and which one signs those that it "
    "takes (docs/operating.md, TLS)"
)


class SearchAttributesMissing(Exception):
    """Temporal does not have the search attributes, and does not let us add them."""


async def connect(converter: DataConverter = pydantic_data_converter, *, lazy: bool = True) -> Client:
    """A client that connects when first used, so that a process can start while Temporal is away. For a worker, one
    that is connected now.

    ``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, ``TEMPORAL_TLS_…`` and ``TEMPORAL_PROFILE`` set
    the address; ``converter`` reads and writes payloads. Nothing is compressed on the way to a Temporal on this
    machine, where there is no way to be shortened.
    Raises ``RuntimeError`` while it cannot connect, ``RPCError`` when a connection breaks, and ``ValueError`` for a
    file that the configuration names and that cannot be read.
    """
    config = _configuration()
    if on_loopback(config["target_host"]):
        config["grpc_compression"] = GrpcCompression.NONE
    return await Client.connect(**config, data_converter=converter, lazy=lazy)


def connection_remedy(error: Exception) -> str:
    """What to do where Temporal cannot be reached by TLS; empty without TLS. What the driver says of it is in the
    error."""
    return TLS if isinstance(error, RuntimeError | RPCError) and _configuration().get("tls") else ""


def _configuration() -> dict[str, Any]:
    try:
        config: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
    except OSError as missing:
        raise ValueError(f"A file that TEMPORAL_TLS_… or the profile names cannot be read: {missing}") from missing
    config.setdefault("target_host", "127.0.0.1:7233")
    return config


def on_loopback(address: str) -> bool:
    """Whether ``host:port`` is this machine."""
    host = urlsplit(f"//{address}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def introduce(client: Client) -> None:
    """Add our search attributes to Temporal as soon as it answers."""
    while True:
        try:
            await ensure_search_attributes(client)
        except SearchAttributesMissing as missing:
            log.warning("search_attributes_not_checked", remedy=str(missing))
        except (RuntimeError, RPCError) as error:
            known = {"remedy": text} if (text := connection_remedy(error)) else {}
            log.info("temporal_not_there_yet", error=str(error).partition(": tonic")[0], **known)
            await asyncio.sleep(PAUSE)
            continue
        return


async def ensure_search_attributes(client: Client, keys: Iterable[SearchAttributeKey[Any]] = KEYS) -> None:
    """Add the search attributes of clients to the namespace.

    Raises SearchAttributesMissing, with what to do, when the server does not let us read or add them (Temporal Cloud)
    or has one with another type; RuntimeError or RPCError when Temporal is away.
    """
    types = _types(keys)
    try:
        known = await _known_attributes(client)
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
    if mistyped := [name for name, kind in types.items() if name in known and known[name] != kind]:
        raise SearchAttributesMissing(f"Search attributes have another type than ours: {', '.join(mistyped)}")


async def missing_search_attributes(client: Client) -> list[str]:
    """The commands that add what the namespace lacks of our search attributes.

    Where the server does not let us look (Temporal Cloud), none. Raises RPCError when Temporal is away.
    """
    try:
        known = await _known_attributes(client)
    except RPCError as error:
        if error.status not in NOT_OURS_TO_ADD:
            raise
        return []
    add = f"temporal operator search-attribute create --namespace {client.namespace}"
    return [f"{add} --name {name} --type {_word(kind)}" for name, kind in _types(KEYS).items() if name not in known]


async def _known_attributes(client: Client) -> Mapping[str, IndexedValueType.ValueType]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    return (await client.operator_service.list_search_attributes(request)).custom_attributes


def _types(keys: Iterable[SearchAttributeKey[Any]]) -> dict[str, IndexedValueType.ValueType]:
    return {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in keys}


async def why_no_worker(host: str) -> str:
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
