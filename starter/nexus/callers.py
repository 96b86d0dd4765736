"""What workflows of which namespaces may do by Nexus: a setting gives each namespace a role."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, TypeAdapter, ValidationError

from activities.settings import Settings
from starter.contract.bodies import Key
from starter.contract.callers import Caller, Role
from starter.contract.tokens import TokenGiven
from starter.errors import NotAllowed
from workflows.domain.errors import Refusal
from workflows.domain.holds import EVERY_SOURCE
from workflows.domain.text import folded
from workflows.wire.fields import Word
from workflows.wire.messages import Strict

ANY_NAMESPACE = "*"
EXAMPLE = '{"billing": {"role": "service", "sources": ["billing"]}, "*": {"role": "viewer"}}'


class Granted(Strict):
    """What a namespace may do, in the words of API tokens."""

    role: Role
    sites: list[Key] | None = Field(None, min_length=1)
    sources: list[Word] = Field(default_factory=list)


_GRANTS = TypeAdapter(dict[str, Granted])


class NexusCallers:
    """Finds out what a namespace may do. Without a setting each is a service, whose own source is its name."""

    def __init__(self, grants: Mapping[str, Granted] | None = None) -> None:
        self._grants = {ANY_NAMESPACE: Granted(role=Role.SERVICE)} if grants is None else dict(grants)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As CONNECT_NEXUS_CALLERS says. Raises ValueError, which says what is wrong and shows how it is written."""
        if not settings.nexus_callers.strip():
            return cls()
        try:
            grants = _GRANTS.validate_json(settings.nexus_callers)
            for granted in grants.values():
                TokenGiven(name="namespace", **granted.model_dump())  # what goes together is said there
        except (ValidationError, Refusal) as wrong:
            why = wrong.errors()[0]["msg"] if isinstance(wrong, ValidationError) else str(wrong)
            raise ValueError(f"CONNECT_NEXUS_CALLERS is wrong: {why.rstrip('.')}. Write it as {EXAMPLE}") from None
        return cls(grants)

    def caller(self, namespace: str, name: str) -> Caller:
        """The caller of a namespace, under the ``name`` that it has here. Raises NotAllowed for one that may do
        nothing."""
        granted = self._grants.get(namespace) or self._grants.get(ANY_NAMESPACE)
        if granted is None:
            raise NotAllowed(
                f"Nothing was done: no workflow of the namespace {namespace or '(unknown)'} may command clients. Name "
                "it in CONNECT_NEXUS_CALLERS of the workers."
            )
        own = name if folded(namespace) in ("", EVERY_SOURCE) else namespace
        sources = (granted.sources or [own]) if granted.role is Role.SERVICE else []
        sites = None if granted.sites is None else tuple(granted.sites)
        return Caller(name, granted.role, sites, tuple(sources))
