"""Encrypts what Temporal keeps of a client: AES-256-GCM, with the client's own key.

A payload says in the open which key opens it (``encryption-key-id``) and whose it is (``encryption-context``, the id
of a workflow). Both are bound to what is encrypted: in another client's workflow it cannot be read. What is plain is
read as it is: signals of the ``temporal`` program, and histories from before.
"""

import secrets
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from activities.keys.client_keys import NOBODY, ClientKeys
from activities.keys.operator_keys import NONCE
from workflows.wire.start import ID_PREFIX, client_id_of

ENCRYPTED, CIPHER = b"binary/encrypted", b"AES-256-GCM"
ENCODING, KEY_ID, CONTEXT = "encoding", "encryption-key-id", "encryption-context"


class ClientCodec(PayloadCodec, WithSerializationContext):
    """Encrypts and reads the payloads of one workflow, or of whichever they name.

    ``makes``: a client from before has a key made for it. That is for workers, which meet only clients that there are;
    elsewhere nobody has keys made by asking.
    """

    def __init__(self, keys: ClientKeys, *, makes: bool = False) -> None:
        self.keys, self._makes = keys, makes
        self._workflow: str | None = None

    def with_context(self, context: SerializationContext) -> Self:
        """The codec of the workflow in this context."""
        if not isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return self
        of_one = copy(self)
        of_one._workflow = context.workflow_id or ""
        return of_one

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises KeysAway, KeyDestroyed."""
        if not payloads:
            return []
        workflow = self._workflow or ""
        owner, key = await self._own_key(owner_of(workflow))
        return [encrypted(payload, key, owner, workflow) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """What cannot be read, because it was damaged or is of another workflow, stays as it is. Raises KeysAway, and
        KeyDestroyed for an erased client."""
        return [await self._decoded(payload) for payload in payloads]

    async def _own_key(self, owner: str) -> tuple[str, AESGCM]:
        if self._makes or owner == NOBODY:
            return owner, await self.keys.make(owner)
        if key := await self.keys.find(owner):
            return owner, key
        return NOBODY, await self.keys.make(NOBODY)

    async def _decoded(self, payload: Payload) -> Payload:
        if not is_encrypted(payload):
            return payload
        owner, workflow = named_by(payload)
        if self._workflow is not None and workflow != self._workflow:
            return payload
        if owner not in (owner_of(workflow), NOBODY):
            return payload
        key = await (self.keys.make(owner) if self._makes else self.keys.find(owner))
        return decrypted(payload, key) if key else payload


def converter(keys: ClientKeys, *, makes: bool = False) -> DataConverter:
    """What a client of Temporal encrypts with: payloads, and the messages and traces of failures, too."""
    return DataConverter(
        payload_converter_class=pydantic_data_converter.payload_converter_class,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
        payload_codec=ClientCodec(keys, makes=makes),
    )


def making_no_keys(converter: DataConverter) -> DataConverter:
    """What reads and writes as this converter, but has no keys made: for what others ask about, whoever they name."""
    codec = converter.payload_codec
    return replace(converter, payload_codec=ClientCodec(codec.keys)) if isinstance(codec, ClientCodec) else converter


def owner_of(workflow: str) -> str:
    """Whose key a workflow's payloads are encrypted with."""
    return client_id_of(workflow) if workflow.startswith(ID_PREFIX) else NOBODY


def is_encrypted(payload: Payload) -> bool:
    return payload.metadata.get(ENCODING) == ENCRYPTED


def named_by(payload: Payload) -> tuple[str, str]:
    """The owner of the key that an encrypted payload names, and its workflow."""
    names = (payload.metadata.get(name, b"").decode(errors="replace") for name in (KEY_ID, CONTEXT))
    return next(names), next(names)


def encrypted(payload: Payload, key: AESGCM, owner: str, workflow: str) -> Payload:
    """The payload, readable with this key alone."""
    nonce = secrets.token_bytes(NONCE)
    data = nonce + key.encrypt(nonce, payload.SerializeToString(), _about(owner, workflow))
    metadata = {ENCODING: ENCRYPTED, "encryption-cipher": CIPHER, KEY_ID: owner.encode(), CONTEXT: workflow.encode()}
    return Payload(metadata=metadata, data=data)


def decrypted(payload: Payload, key: AESGCM) -> Payload:
    """The payload as it was before; itself when this key does not open it."""
    try:
        return Payload.FromString(key.decrypt(payload.data[:NONCE], payload.data[NONCE:], _about(*named_by(payload))))
    except (InvalidTag, DecodeError, ValueError):
        return payload


def _about(owner: str, workflow: str) -> bytes:
    return f"connect payload\0{owner}\0{workflow}".encode()
