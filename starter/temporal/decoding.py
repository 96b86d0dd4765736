"""What Temporal's UI and program ask of a codec endpoint: payloads in the clear, for people who may see them."""

from collections.abc import Sequence

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from activities.keys.client_keys import NOBODY, KeysAway
from activities.keys.codec import decrypted, is_encrypted, named_by, owner_of
from activities.keys.encryption import Encryption


async def decoded(encryption: Encryption | None, payloads: Sequence[Payload]) -> list[Payload]:
    """The payloads as they were before they were encrypted. One that cannot be read stays as it is: it is damaged, its
    client was erased, or its key is away. Keys are read anew each time."""
    keys = encryption.keys if encryption else None
    named = [named_by(payload) if is_encrypted(payload) else None for payload in payloads]
    owners = {owner for owner, workflow in filter(None, named) if owner in (owner_of(workflow), NOBODY)}
    try:
        found = await keys.fresh(owners) if keys and owners else {}
    except KeysAway:
        found = {}
    return [
        decrypted(payload, key) if names and (key := found.get(names[0])) else payload
        for payload, names in zip(payloads, named, strict=True)
    ]


def read_payloads(body: bytes) -> Sequence[Payload]:
    """The payloads of a request, in protobuf's JSON. Raises ValueError. A megabyte takes seconds."""
    try:
        return Parse(body, Payloads(), ignore_unknown_fields=True).payloads
    except (ParseError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("this is no list of payloads in protobuf's JSON") from error


def written(payloads: Sequence[Payload]) -> str:
    """The body of the answer. As slow as reading is."""
    return MessageToJson(Payloads(payloads=payloads), indent=None)
