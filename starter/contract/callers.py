"""Who calls, and what each role may do. One table says it; docs/api.md shows it, and tests hold every route against it.

A caller may be limited to sites: it then sees no client, site or system beyond them (starter/directory/scope.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from workflows.domain.lifecycle import Kind
from workflows.domain.text import folded


class Role(StrEnum):
    """What a caller is there for."""

    VIEWER = "viewer"
    SERVICE = "service"
    OPERATOR = "operator"
    ADMIN = "admin"


class Permission(StrEnum):
    """What can be done, as a sentence says it: ``admin may …``."""

    READ = "read clients, sites, systems, open matters, plans and history"
    SESSION = "end the session, and choose how pages look"
    HOLD = "suspend and unsuspend clients, and cancel what is planned of it"
    COMMAND = "create and edit clients, send every other command, write notes, and act on their open matters"
    EDIT_SITE = "edit a site"
    ADD_SITE = "add a site"
    INSTANCE_MATTERS = "act on open matters of systems"
    CREDENTIALS = "read the credentials of telephones and routers"
    WEBHOOKS = "add, change, list and remove webhooks"
    TOKENS = "create, list and revoke API tokens"
    ERASE = "erase former clients for good"
    DECODE = "read in the clear what Temporal keeps of clients"


_ALL, _OPERATORS, _ADMIN = frozenset(Role), frozenset({Role.OPERATOR, Role.ADMIN}), frozenset({Role.ADMIN})

GRANTED: Mapping[Permission, frozenset[Role]] = {
    Permission.READ: _ALL,
    Permission.SESSION: _ALL,
    Permission.HOLD: _OPERATORS | {Role.SERVICE},
    Permission.COMMAND: _OPERATORS,
    Permission.EDIT_SITE: _OPERATORS,
    Permission.ADD_SITE: _OPERATORS,
    Permission.INSTANCE_MATTERS: _OPERATORS,
    Permission.CREDENTIALS: _ADMIN,
    Permission.WEBHOOKS: _ADMIN,
    Permission.TOKENS: _ADMIN,
    Permission.ERASE: _ADMIN,
    Permission.DECODE: _ADMIN,
}
"""Which roles may do what. A service does to holds and plans only what its own sources placed or planned."""

OF_ALL_SITES = frozenset(
    {
        Permission.ADD_SITE,
        Permission.INSTANCE_MATTERS,
        Permission.WEBHOOKS,
        Permission.TOKENS,
        Permission.ERASE,
        Permission.DECODE,
    }
)
"""What concerns more than the sites of a caller that is limited to some: it may not."""

RESERVED_PREFIXES = ("oidc:", "nexus:")
"""How names begin that others vouch for, an OpenID provider or Temporal: no token and no session of ours has such a
one, so that nobody is taken for somebody else in the history, or for the owner of a key."""

OF_KINDS: Mapping[Kind, Permission] = dict.fromkeys(Kind, Permission.COMMAND) | dict.fromkeys(
    (Kind.SUSPEND, Kind.UNSUSPEND, Kind.CANCEL_PLANNED), Permission.HOLD
)
"""What each command to a client takes."""


@dataclass(frozen=True)
class Caller:
    """Who sent a request, by token or by a session of the console. ``name`` stands in the history.

    ``sites``: the only ones whose clients it sees; None: all. ``sources``: whose holds a service places and lifts.
    ``token_id`` is that of its API token; empty for the admin token of the settings. ``openid``: an OpenID provider
    says who it is, for as long as that counts: nothing that lasts longer may be made of it.
    """

    name: str
    role: Role = Role.ADMIN
    sites: tuple[str, ...] | None = None
    sources: tuple[str, ...] = ()
    token_id: str = ""
    openid: bool = False

    @property
    def sees_all(self) -> bool:
        return self.sites is None

    def may(self, permission: Permission) -> bool:
        """Whether it may do this at all; a service, to what is its own."""
        return self.role in GRANTED[permission] and (self.sees_all or permission not in OF_ALL_SITES)

    def owns(self, source: str) -> bool:
        """Whether a hold or a plan of this source is its own to place, lift or cancel."""
        return self.role is not Role.SERVICE or folded(source) in {folded(own) for own in self.sources}


def is_anothers(name: str) -> bool:
    """Whether a name reads as one that others vouch for."""
    return folded(name).startswith(RESERVED_PREFIXES)


def roles_of(permission: Permission) -> str:
    """The roles that may do something, as a sentence names them: ``operator or admin``."""
    names = [role.value for role in Role if role in GRANTED[permission]]
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
