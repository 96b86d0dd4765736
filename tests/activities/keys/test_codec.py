"""What Temporal keeps of a client can be read with the client's key alone, and nothing that comes in can break it."""

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext
from temporalio.exceptions import ApplicationError

from activities.keys.client_keys import NOBODY, KeyDestroyed, KeysAway
from activities.keys.codec import ClientCodec, converter
from tests.activities.keys.conftest import Store

SECRET = "Zebra & Sons owe invoice 1042"
PLAIN = pydantic_data_converter.payload_converter.to_payload({"reason": SECRET})


def of_workflow(workflow: str) -> WorkflowSerializationContext:
    return WorkflowSerializationContext(namespace="default", workflow_id=workflow)


def of_activity(workflow: str) -> ActivitySerializationContext:
    return ActivitySerializationContext(
        namespace="default",
        activity_id="r1",
        activity_type="ensure",
        activity_task_queue="provisioning",
        workflow_id=workflow,
        workflow_type="ClientLifecycle",
        is_local=True,
    )


async def test_a_payload_is_readable_with_its_clients_key_alone(store: Store) -> None:
    worker, api = ClientCodec(store.keys(), makes=True), ClientCodec(store.keys())
    acme = worker.with_context(of_workflow("client-acme"))
    [encrypted] = await acme.encode([PLAIN])
    assert b"Zebra" not in encrypted.SerializeToString()
    assert dict(encrypted.metadata) == {
        "encoding": b"binary/encrypted",
        "encryption-cipher": b"AES-256-GCM",
        "encryption-key-id": b"acme",
        "encryption-context": b"client-acme",
    }
    for reader in (acme, api.with_context(of_activity("client-acme")), api):
        assert await reader.decode([encrypted]) == [PLAIN]
    other = worker.with_context(of_workflow("client-other"))
    assert await other.decode([encrypted]) == [encrypted]
    encrypted.metadata["encryption-context"] = b"client-other"
    assert await other.decode([encrypted]) == [encrypted]
    encrypted.metadata["encryption-key-id"] = b"other"
    assert await other.decode([encrypted]) == [encrypted]


async def test_the_same_twice_is_not_seen_to_be_the_same(store: Store) -> None:
    codec = ClientCodec(store.keys(), makes=True).with_context(of_workflow("client-acme"))
    once, twice = await codec.encode([PLAIN, PLAIN])
    assert once.data != twice.data


async def test_what_is_plain_is_read_as_it_is(store: Store) -> None:
    codec = ClientCodec(store.keys()).with_context(of_workflow("client-acme"))
    assert await codec.decode([PLAIN]) == [PLAIN]
    assert await store.rows() == {}


def encrypted(owner: bytes, data: bytes) -> Payload:
    names = {"encoding": b"binary/encrypted", "encryption-key-id": owner, "encryption-context": b"client-acme"}
    return Payload(metadata=names, data=data)


GARBAGE = [
    Payload(metadata={"encoding": b"binary/encrypted"}),
    *(
        encrypted(owner, data)
        for owner in (b"acme", b"*", b"other", b"a" * 9999, b"a\0b", b"\xff\xfe")
        for data in (b"", b"x" * 11, b"x" * 12, b"x" * 200)
    ),
]


@pytest.mark.parametrize("makes", [True, False])
async def test_what_cannot_be_read_stays_as_it_came(store: Store, makes: bool) -> None:
    """Raising would fail the client's workflow task again and again."""
    codec = ClientCodec(store.keys(), makes=makes)
    assert await codec.with_context(of_workflow("client-acme")).decode(GARBAGE) == GARBAGE
    assert await codec.decode(GARBAGE) == GARBAGE
    assert {*(await store.rows())} <= {"acme", NOBODY}


async def test_asking_for_clients_that_there_are_not_makes_no_keys(store: Store) -> None:
    api, worker = ClientCodec(store.keys()), ClientCodec(store.keys(), makes=True)
    sent = await api.with_context(of_workflow("client-nobody")).encode([PLAIN])
    assert {*(await store.rows())} == {NOBODY}
    assert await worker.with_context(of_workflow("client-nobody")).decode(sent) == [PLAIN]
    assert await worker.with_context(of_workflow("client-other")).decode(sent) == sent


async def test_a_client_from_before_gets_its_key_when_a_worker_first_writes(store: Store) -> None:
    await ClientCodec(store.keys(), makes=True).with_context(of_workflow("client-acme")).encode([PLAIN])
    [sent] = await ClientCodec(store.keys()).with_context(of_workflow("client-acme")).encode([PLAIN])
    assert sent.metadata["encryption-key-id"] == b"acme"


async def test_other_workflows_have_a_key_that_is_nobodys(store: Store) -> None:
    codec = ClientCodec(store.keys()).with_context(of_workflow("webhooks-1"))
    [encrypted] = await codec.encode([PLAIN])
    assert b"Zebra" not in encrypted.data
    assert (encrypted.metadata["encryption-key-id"], await codec.decode([encrypted])) == (b"*", [PLAIN])


async def test_an_erased_client_can_be_neither_read_nor_written(store: Store) -> None:
    keys = store.keys()
    codec = ClientCodec(keys, makes=True).with_context(of_workflow("client-acme"))
    encrypted = await codec.encode([PLAIN])
    await keys.destroy(["acme"])
    with pytest.raises(KeyDestroyed):
        await codec.decode(encrypted)
    with pytest.raises(KeyDestroyed):
        await codec.encode([PLAIN])


async def test_without_the_keys_database_only_keys_in_memory_work(store: Store) -> None:
    codec = ClientCodec(store.keys(), makes=True)
    acme = codec.with_context(of_workflow("client-acme"))
    encrypted = await acme.encode([PLAIN])
    store.databases[0].away = True
    assert await acme.decode(encrypted) == [PLAIN]
    with pytest.raises(KeysAway):
        await codec.with_context(of_workflow("client-other")).encode([PLAIN])


async def test_failures_are_encrypted_with_their_words_and_traces(store: Store) -> None:
    of_acme = converter(store.keys(), makes=True).with_context(of_workflow("client-acme"))
    try:
        raise ApplicationError(SECRET, {"reason": SECRET}, type="InvalidField") from ValueError(SECRET)
    except ApplicationError as error:
        encrypted = Failure()
        await of_acme.encode_failure(error, encrypted)
    assert b"Zebra" not in encrypted.SerializeToString()
    assert encrypted.application_failure_info.type == "InvalidField"
    read = await of_acme.decode_failure(encrypted)
    assert isinstance(read, ApplicationError)
    assert (read.message, read.details, str(read.__cause__)) == (SECRET, ({"reason": SECRET},), f"ValueError: {SECRET}")
