"""The plain JSON HTTP protocol of a system that has an API instead of a database.

Every request has ``Authorization: Bearer …`` (CONNECT_JSON_TELEPHONY_TOKEN_FILE, CONNECT_JSON_INTERNET_TOKEN_FILE, or
the ``token_file`` of an instance in CONNECT_SYSTEMS_FILE).

**A change** states all that is wanted of one client; twice is once.

    PUT {url}/clients/{client_id}/lines
        {"revision": 7, "secret_version": 1, "lines": {"+442079460001": {"in_service": true, "protected": false}},
         "secrets": {}}
    PUT {url}/clients/{client_id}/accounts
        {"revision": 7, "secret_version": 1, "secrets": {},
         "accounts": {"acme": {"in_service": true, "down_mbps": 100, "up_mbps": 20, "vlan": 110}}}
    PUT {url}/clients/{client_id}/services          (every further kind: Wi-Fi users, doors, mailboxes)
        {"revision": 7, "secret_version": 1, "secrets": {},
         "services": {"main-entrance": {"in_service": true, "settings": {"hours": "24/7"}}}}

    200 {"refused": {"+442079460001": "why, for an operator"}, "needs_secret": ["+442079460001"]}
    409 {"newest": 8}     a later revision of this client was obeyed; this one changed nothing

Off means denied *and* ended: registrations, calls and sessions go. What is wanted off and is unknown, or belongs to
another client, is left alone; what is wanted on belongs to this client from then on. What is wanted on and has no
secret of this client and version yet is named in ``needs_secret`` and stays as it is: the same PUT comes again with
``"secrets": {"+442079460001": {"username": "442079460001", "password": "…"}}``. So secrets travel only to be set. One
that the system had before Connect may keep its own until the version rises. What a client has given up comes without
rates or settings, as off: it keeps those that it has.

**Proof** is read back in a request of its own, with up to 50 names. What an answer does not mention is not proven.

    GET {url}/lines?name=%2B442079460001&name=…
    GET {url}/accounts?name=acme
    GET {url}/services?client_id=acme&name=main-entrance      (two clients may each have a service of the same name)

    200 {"items": [{"name": "+442079460001", "in_service": true, "client_id": "acme", "alive": 1, "secret_version": 1},
                   {"name": "acme", "in_service": true, "client_id": "acme", "alive": 1, "secret_version": 1,
                    "down_mbps": 100, "up_mbps": 20, "vlan": 110},
                   {"name": "main-entrance", "in_service": true, "client_id": "acme", "alive": 0,
                    "settings": {"hours": "24/7"}},
                   {"name": "+442079460002", "known": false}]}

``alive`` counts registrations and calls, or open sessions; null: the system cannot say, which is not a proof of off.
``secret_version`` is null for a secret from before Connect, and where there is none. ``settings`` are proven when each
that was ordered reads back the same; further ones are the system's own. Members that are not named here are ignored.

**Trouble**: 401, 403 and other 4xx mean that a person must look (SystemRejected); 429 is SystemBusy; 5xx, silence and
answers that are not this protocol are SystemUnavailable, and are tried again. A ``why`` in the body of an error is
shown to operators, like each ``why`` in ``refused``: none may contain a secret, and 300 characters of it are kept. An
answer has at most 1 MiB, is not packed (Content-Encoding), and is no redirect.
"""

from typing import Annotated

from pydantic import Field

from workflows.wire.messages import Model

MOST_NAMES = 50  # in one GET: far below what servers take as an address
LONGEST_WHY = 300
LARGEST_ANSWER = 1024 * 1024  # bytes: a refusal, with a reason, of every line that a client can have
PLAN = ("down_mbps", "up_mbps", "vlan")

Count = Annotated[int, Field(ge=0, lt=2**53)]  # what every JSON library and every database can hold


class Accepted(Model):
    """The answer to a change."""

    refused: dict[str, str] = Field(default_factory=dict)
    needs_secret: list[str] = Field(default_factory=list)


class Newer(Model):
    """The answer to a change that came too late."""

    newest: Count


class Item(Model):
    """One line, account or service, as the system says that it is."""

    name: str
    known: bool = True
    in_service: bool = False
    client_id: str | None = None
    alive: Count | None = None
    secret_version: Count | None = None
    down_mbps: Count | None = None
    up_mbps: Count | None = None
    vlan: Count | None = None
    settings: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


class Items(Model):
    """The answer to a look."""

    items: list[Item]
