"""ETag, If-Match and If-None-Match (RFC 9110 sections 8.8.3 and 13.1) of what is said about a client.

A tag begins with the client's revision, which every decision raises: ``"7"`` in the answer to a command. That of the
client itself, ``"7-5f0c2f5e91ab"``, also has a digest, because what is proven changes without a decision. If-Match
compares the revision alone.
"""

import hashlib
import re
from collections.abc import Sequence

from workflows.domain.errors import InvalidField
from workflows.wire.views import ClientView

NEVER = 0
"""A revision that no client has."""

_OURS = re.compile(r'"([0-9]{1,15})(?:-[0-9a-f]{12})?"')
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def tag_of_revision(view: ClientView) -> str:
    """What the answer to a command has, so that the next one can name it in If-Match."""
    return f'"{view.revision}"'


def tag_of(view: ClientView) -> str:
    """The strong tag of a client: another one whenever anything that is shown of it is otherwise."""
    digest = hashlib.blake2b(view.model_dump_json().encode(), digest_size=6).hexdigest()
    return f'"{view.revision}-{digest}"'


def expected_revision(if_match: Sequence[str]) -> int | None:
    """The revision that a client must have, by the headers of that name; None: any. Raises InvalidField for what is no
    list of tags, and for one of several revisions: a command is for one.

    A weak tag, and one that we never gave out, is that of no client (RFC 9110 section 13.1.1).
    """
    listed = ", ".join(if_match).strip()
    if not if_match or listed == "*":
        return None
    only_tags = all(it.strip() in ("", "\0") for it in _TAG.sub("\0", listed).split(","))  # some may be empty
    tags = [_OURS.fullmatch(tag[0]) for tag in _TAG.finditer(listed)] if only_tags else []
    revisions = {int(ours[1]) for ours in tags if ours} or {NEVER}
    if tags and len(revisions) == 1:
        return revisions.pop()
    why = "If-Match names several revisions" if tags else "If-Match is not an entity tag"
    raise InvalidField(why, 'Give the ETag of an answer about the client, with its quotes, as "7"', field="If-Match")


def is_known(tag: str, if_none_match: Sequence[str]) -> bool:
    """Whether the caller has what this tag stands for: If-None-Match lists it, or any (weak comparison)."""
    listed = ", ".join(if_none_match).strip()
    return listed == "*" or tag in _TAG.findall(listed)
