"""Why a command was refused. Every refusal leaves the client exactly as it was.

Refusal                     what was asked cannot be done; carries the facts, ``str()`` makes the sentence
├── IllegalTransition       not in this status (PRODUCT.md section 3)
├── ManagementClient        the operator's own client is never suspended or decommissioned
├── NothingPlanned          the named planned change does not exist
├── PlanOfAnother           the planned change is not its caller's to cancel or replace
├── NoSuchMatter            no open matter has this name
├── CommandIdReused         one command_id, two different commands
├── ChangedMeanwhile        the client has another revision than the command expects
├── Taken                   another client has it
│   ├── BillingRefTaken
│   ├── NumberTaken
│   ├── ExternalIdTaken
│   └── ClientIdTaken
├── StillServedElsewhere    what ended is not proven off on the instance that served it
└── InvalidField            one field breaks one rule
    ├── MomentInThePast
    ├── BeforeStart
    ├── TwoMoments
    ├── OfficeNotAllowed
    ├── OfficeMissing
    ├── InternetNotAllowed
    ├── UnknownLine
    ├── UnknownService
    ├── ServiceNotAllowed
    └── NumberNotValid
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from typing import Any, Self


@dataclass(frozen=True)
class Situation:
    """The facts a refusal carries so that the caller knows the way out.

    ``planned`` lists planned changes as sentences; ``allowed`` the command kinds possible now.
    """

    status: str = ""
    planned: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


@dataclass(eq=False)
class Refusal(Exception):
    """What was asked cannot be done; nothing has changed."""

    why: str
    remedy: str = ""
    field: str | None = None
    situation: Situation = attribute(default_factory=Situation)

    def __str__(self) -> str:
        sentences = [self.why.rstrip(".")]
        if self.situation.status:
            sentences.append(f"The client is {self.situation.status}")
        if self.situation.planned:
            sentences.append(f"Planned: {'; '.join(self.situation.planned)}")
        if self.remedy:
            sentences.append(self.remedy.rstrip("."))
        if self.situation.status:
            sentences.append(f"Allowed now: {', '.join(self.situation.allowed) or 'nothing'}")
        return ". ".join(sentences) + "."

    @property
    def brief(self) -> str:
        """Why, and what to do: without what the client's state was."""
        return " ".join(f"{sentence.rstrip('.')}." for sentence in (self.why, self.remedy) if sentence)

    def within(self, situation: Situation) -> Self:
        """The same refusal, told with what the client's state was."""
        return replace(self, situation=situation)

    @property
    def typed_facts(self) -> dict[str, object]:
        """The facts, and which refusal it is: what ``refusal_of`` makes the refusal from again."""
        return {**self.facts, "type": type(self).__name__}

    @property
    def facts(self) -> dict[str, object]:
        """What crosses the wire beside the sentence: plain values only."""
        return {
            "field": self.field,
            "why": self.why,
            "remedy": self.remedy,
            "client_status": self.situation.status or None,
            "planned": list(self.situation.planned),
            "allowed": list(self.situation.allowed),
        }


class IllegalTransition(Refusal):
    """The command does not go with the client's status."""


class ManagementClient(Refusal):
    """The operator's own client of a site can be neither suspended nor decommissioned."""


class NothingPlanned(Refusal):
    """No planned change has this id or kind."""


class PlanOfAnother(Refusal):
    """The planned change is none of the sources' whose plans alone the caller cancels and replaces."""


class NoSuchMatter(Refusal):
    """The client keeps no open matter of this name."""


class CommandIdReused(Refusal):
    """This command_id was used before, for a different command."""


class ChangedMeanwhile(Refusal):
    """The client has another revision than the one that this command was made for."""


class TooManyWaiting(Refusal):
    """The directory has not decided on earlier commands, and no more are kept for it."""


class Taken(Refusal):
    """Another client has what was asked for."""


class BillingRefTaken(Taken):
    """Billing references are unique in the operator, decommissioned clients included."""


class NumberTaken(Taken):
    """Numbers are unique among living clients."""


class ExternalIdTaken(Taken):
    """What a system calls a client is unique, decommissioned clients included."""


class ClientIdTaken(Taken):
    """A client id is never used twice."""


class StillServedElsewhere(Refusal):
    """What the client had of this kind is not proven off yet, on another instance than the one that serves its site."""


class InvalidField(Refusal):
    """One field breaks one rule."""


class MomentInThePast(InvalidField):
    """A planned change lies in the future; "now" is its own choice, never a date (PRODUCT.md section 4)."""


class BeforeStart(InvalidField):
    """A client cannot be decommissioned before it starts."""


class TwoMoments(InvalidField):
    """Either the last day of service or an instant, not both."""


class OfficeNotAllowed(InvalidField):
    """A virtual client has no office."""


class OfficeMissing(InvalidField):
    """Every line of a residential client is in an office."""


class InternetNotAllowed(InvalidField):
    """In-building internet is for residential clients."""


class UnknownLine(InvalidField):
    """The client has no such line."""


class UnknownService(InvalidField):
    """The client has no such service."""


class ServiceNotAllowed(InvalidField):
    """Services in the building are for residential clients."""


class NumberNotValid(InvalidField):
    """Not a telephone number that can exist (E.164)."""


def refusal_of(kind: str, facts: Mapping[str, Any]) -> Refusal:
    """The refusal of that kind, with its facts. One that this code does not know is a plain Refusal."""
    situation = Situation(facts["client_status"] or "", tuple(facts["planned"]), tuple(facts["allowed"]))
    return REFUSALS.get(kind, Refusal)(facts["why"], facts["remedy"], facts["field"], situation)


def _kinds(kind: type[Refusal]) -> dict[str, type[Refusal]]:
    return {kind.__name__: kind} | {k: v for below in kind.__subclasses__() for k, v in _kinds(below).items()}


REFUSALS = _kinds(Refusal)
"""Every kind of refusal that a command can meet, by its name."""
