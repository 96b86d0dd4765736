"""What clients can contract, and which instances of its system serve each kind: what the API needs of the settings."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from activities.instances import TITLES, Instances, KindSettings
from starter.contract.answers import Attention, HistoryPage, SystemState
from starter.wording import subject_state, system_state, within
from workflows.domain.commands import Contracting
from workflows.domain.errors import InvalidField
from workflows.domain.lifecycle import Status
from workflows.domain.systems import BUILT_IN, MAIN, System, heading, spoken
from workflows.wire.messages import AnyMessage, ChangeServices, ServiceGiven, ServiceOfKind
from workflows.wire.previews import WarningView
from workflows.wire.views import ClientView, CommandAnswer, SystemView

KIND_NOT_NAMED = "kind_not_named"
IN_THE_SETTINGS = "or name it in CONNECT_SYSTEMS_FILE, for the API and the workers"

T = TypeVar("T")
M = TypeVar("M", Attention, SystemState, SystemView)


@dataclass(frozen=True)
class Catalogue:
    """Every kind of service there is, and the names of the instances of each, the main one first."""

    kinds: dict[System, KindSettings]
    instances: dict[System, list[str]]

    @classmethod
    def of(cls, instances: Instances) -> "Catalogue":
        return cls(dict(instances.kinds), {system: instances.names_of(system) for system in instances.kinds})

    @property
    def further(self) -> list[KindSettings]:
        """The kinds that the settings add to telephone lines and internet access."""
        return [kind for system, kind in self.kinds.items() if system not in BUILT_IN]

    def title(self, system: System) -> str:
        """A kind as people read it. One that the settings no longer name may still be a client's."""
        return self.kinds[system].title if system in self.kinds else heading(system)

    def phrase(self, system: System) -> str:
        """The title of a kind as it stands within a sentence (``starter.wording.within``)."""
        return within(self.title(system))

    def with_titles(self, items: Iterable[M]) -> list[M]:
        """Copies of the items, each with the title of what its system switches."""
        return [item.model_copy(update={"title": self.title(item.system)}) for item in items]

    def present(self, systems: Iterable[SystemView]) -> list[SystemView]:
        """The systems of a client as people are shown them: with their titles, and what was done by hand by that
        word."""
        return [_by_hand(system) for system in self.with_titles(systems)]

    def warnings(self, view: ClientView) -> list[WarningView]:
        """Those of a client, and of each kind that it has and that the settings name no more; of an answer, its own."""
        more = () if isinstance(view, CommandAnswer) else self._unnamed(view)
        return [*view.warnings, *(warning for warning in more if warning not in view.warnings)]

    def _unnamed(self, view: ClientView) -> Iterator[WarningView]:
        contracted_kinds = {} if view.status is Status.DECOMMISSIONED else {service.kind for service in view.services}
        unsettled = {system.system for system in view.systems if system.state != "settled"}
        for kind in sorted({*contracted_kinds, *unsettled} - self.kinds.keys()):
            text = (
                f"{self.title(kind)}: the settings name no such kind any more, and workers without it switch nothing of"
                " it. Name it in CONNECT_SYSTEMS_FILE again, for API and workers, or remove what the client has of it"
            )
            yield WarningView(code=KIND_NOT_NAMED, text=text)

    def history_with_titles(self, page: HistoryPage) -> HistoryPage:
        """A page of a client's history, in which what is about a system has the title that the settings give it."""
        items = [
            line.model_copy(update={"text": self.sentence(line.text, line.facts.get("system", line.kind))})
            for line in page.items
        ]
        return page.model_copy(update={"items": items})

    def sentence(self, text: str, system: System) -> str:
        """A sentence that a client's workflow made about this system, with the title that the settings give it."""
        if system not in self.kinds or self.title(system) == heading(system):
            return text
        at_first, within_it = rf"^{re.escape(heading(system))}\b", rf"\b{re.escape(spoken(system))}\b"
        with_title, times = re.subn(at_first, lambda _: self.title(system), text, count=1)
        return with_title if times else re.sub(within_it, lambda _: self.phrase(system), text, count=1)

    def services(self, given: Iterable[ServiceGiven], field: str) -> list[ServiceOfKind]:
        """The services, with what is known of their kinds. Raises InvalidField for a kind that there is not."""
        known = {kind.system: kind for kind in self.further}
        return [
            ServiceOfKind(
                **service.model_dump(), in_building=_find(known, service.kind, "kind of service", field).in_building
            )
            for service in given
        ]

    def complete(self, message: AnyMessage) -> AnyMessage:
        """The command, with what the settings say of the kinds that it adds. Of a kind that several instances serve,
        the directory says which one serves the client's site, when the client's workflow needs to know.

        Raises InvalidField for a kind that the settings do not name.
        """
        if isinstance(message, ChangeServices):
            message = message.model_copy(update={"add_services": self.services(message.add_services, "add_services")})
        command = message.command()
        if not isinstance(command, Contracting):
            return message
        alone = {system: MAIN for system in command.systems if self.instances.get(system, [MAIN]) == [MAIN]}
        return message.model_copy(update={"instances": alone})

    def check_kind(self, system: System | None) -> None:
        """Raises InvalidField for a system of which there is no kind; None is any."""
        if system is not None:
            _find(self.kinds, system, "system", "system")

    def check(self, systems: Mapping[System, str]) -> None:
        """Raises InvalidField for a kind, or an instance of one, that the settings do not name."""
        for system, name in systems.items():
            named = _find(self.instances, system, "kind of service", "systems")
            _find({known: known for known in named}, name, f"instance of {system}", "systems")

    def unknown(self, systems: Mapping[System, str]) -> list[tuple[System, str]]:
        """The kinds and instances that a site names and the settings do not."""
        return [(system, name) for system, name in systems.items() if name not in self.instances.get(system, ())]


def _by_hand(system: SystemView) -> SystemView:
    """What is as decided because a person says so, and nobody has seen it, is called that."""
    subjects = [it.model_copy(update={"state": subject_state(it)}) for it in system.subjects]
    return system.model_copy(update={"subjects": subjects, "state": system_state(system)})


def _find(known: Mapping[str, T], name: str, what: str, field: str) -> T:
    if name in known:
        return known[name]
    there = f"Give one of {', '.join(known)}, {IN_THE_SETTINGS}" if known else f"Leave it out, {IN_THE_SETTINGS}"
    raise InvalidField(f"There is no {what} {name!r}", there, field=field)


ONLY_BUILT_IN = Catalogue(
    {system: KindSettings(system, title) for system, title in TITLES.items()}, {system: [MAIN] for system in BUILT_IN}
)
"""Telephone lines and internet access, each with one system: what there is without a file."""
