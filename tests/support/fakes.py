"""The systems, in memory: they implement the ports, keep a fence as the real ones do, and fail on command."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from workflows.domain.client.labels import keys_of
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import TELEPHONY, System
from workflows.domain.text import folded
from workflows.ports import (
    STALE_REVISION,
    Claim,
    Directory,
    Ensure,
    Evidence,
    Finding,
    Life,
    LostClaim,
    Observed,
    Publish,
    Published,
    ServiceSystem,
    Sighting,
    Watched,
)


@dataclass
class Faults:
    """What a fake system suffers from. ``hold`` keeps attempts from ending until it is set."""

    down: bool = False
    retryable: bool = False
    hold: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def suffer(self, name: str) -> None:
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.down:
            raise ApplicationError(
                f"{name} does not answer",
                type="SystemUnavailable",
                non_retryable=not self.retryable,
                category=ApplicationErrorCategory.BENIGN,
            )


@dataclass
class Fence:
    """The newest revision obeyed, per client."""

    newest: dict[str, int] = field(default_factory=dict)

    def pass_through(self, client_id: str, revision: int) -> None:
        newest = self.newest.get(client_id, 0)
        if revision < newest:
            raise ApplicationError(
                f"revision {revision} is older than {newest}",
                {"newest": newest},
                type=STALE_REVISION,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,
            )
        self.newest[client_id] = revision


class FakeSystem(ServiceSystem):
    """A system in memory, the telephone system unless said otherwise. ``doubts`` are what it does not do, and why;
    ``over`` need not be watched any more, with what is missing of its end."""

    def __init__(self, system: System = TELEPHONY) -> None:
        self.system = system
        self.subjects: dict[str, Desired] = {}
        self.orders: list[Ensure] = []
        self.looks: list[list[Watched]] = []
        self.doubts: dict[str, tuple[Proof, str]] = {}
        self.over: dict[str, str] = {}
        self.faults, self.fence = Faults(), Fence()

    @property
    def lines(self) -> dict[str, bool]:
        """Each subject, on or off."""
        return {subject: desired.on for subject, desired in self.subjects.items()}

    async def ensure(self, order: Ensure) -> Evidence:
        await self.faults.suffer(self.system)
        self.fence.pass_through(order.client_id, order.revision)
        self.orders.append(order)
        self.subjects |= {name: desired for name, desired in order.subjects.items() if name not in self.doubts}
        findings = [self._finding(name, self.doubts.get(name, ())) for name in order.subjects]
        return Evidence(self.system, order.revision, datetime.now(UTC), "memory", findings)

    async def observe(self, watched: Sequence[Watched]) -> Observed:
        await self.faults.suffer(self.system)
        self.looks.append(list(watched))
        alive = [Sighting(it, Life.ALIVE, "in service again") for it in watched if self.lines.get(it.subject)]
        over = [it for it in watched if it.subject in self.over]
        return Observed(
            [
                *alive,
                *(
                    Sighting(it, Life.SILENT if self.over[it.subject] else Life.OVER, self.over[it.subject])
                    for it in over
                ),
            ]
        )

    def _finding(self, name: str, doubt: tuple[Proof, str] | tuple[()]) -> Finding:
        return Finding(name, self.lines.get(name, False), {}, *doubt)


class FakeDirectory(Directory):
    """A read model in memory, with the same rules of uniqueness."""

    def __init__(self) -> None:
        self.published: dict[str, Publish] = {}
        self.orders: list[Publish] = []
        self.billing_refs: dict[str, str] = {}
        self.numbers: dict[str, str] = {}
        self.external_ids: dict[str, str] = {}
        self.history: dict[tuple[str, int], str] = {}
        self.instances: dict[System, str] = {}  # of every site
        self.faults, self.fence = Faults(), Fence()

    @activity.defn(name="publish")
    async def publish(self, order: Publish) -> Published:
        await self.faults.suffer("directory")
        self.fence.pass_through(order.client_id, order.revision)
        self.orders.append(order)
        granted, lost = self._decide(order.client_id, order.claim) if order.claim else (None, None)
        last = order.first_entry + len(order.entries) - 1
        if not (order.register and lost):
            named = order.view.model_copy(update={"billing_ref": granted})
            self.published[order.client_id] = replace(order, view=named) if order.register and granted else order
            claimed = order.claim if order.claim and not lost else Claim()
            self._hold(order.client_id, {*order.numbers, *claimed.numbers})
            names = [*keys_of(order.view.external_ids), *map(folded, claimed.external_ids)]
            foreign = {name: owner for name, owner in self.external_ids.items() if owner != order.client_id}
            self.external_ids = foreign | dict.fromkeys(names, order.client_id)
            for number, entry in enumerate(order.entries, order.first_entry):
                self.history[order.client_id, number] = f"{entry.event}: {entry.text}"
        return Published(order.revision, last, granted, lost, dict(self.instances) if order.claim else {})

    def word(self, client_id: str, proven: dict[System, int]) -> str:
        """Where the directory says that provisioning stands, given the newest revisions the systems have recorded."""
        order = self.published[client_id]
        if order.view.provisioning == "attention":
            return "attention"
        done = [max(order.proven.get(s, 0), proven.get(s, 0)) >= since for s, since in order.wanted.items()]
        return "settled" if all(done) else "changing"

    def texts_of(self, client_id: str) -> list[str]:
        """The history of a client, oldest first."""
        return [text for (owner, _), text in sorted(self.history.items()) if owner == client_id]

    def _decide(self, client_id: str, claim: Claim) -> tuple[str | None, LostClaim | None]:
        for number in claim.numbers:
            if self.numbers.get(number, client_id) != client_id:
                return None, LostClaim("NumberTaken", "lines", f"{number} is in use", "Choose another")
        for name in claim.external_ids:
            if self.external_ids.get(folded(name), client_id) != client_id:
                return None, LostClaim("ExternalIdTaken", "external_ids", f"{name} is in use", "Choose another")
        if claim.billing_ref is None:
            return None, None
        mine = next((ref for ref, owner in self.billing_refs.items() if owner == client_id), None)
        ref = claim.billing_ref or mine or f"C{len(self.billing_refs) + 1:06}"
        if self.billing_refs.get(ref, client_id) != client_id:
            return None, LostClaim("BillingRefTaken", "billing_ref", f"{ref} is taken", "Choose another")
        self.billing_refs[ref] = client_id
        return ref, None

    def _hold(self, client_id: str, numbers: set[str]) -> None:
        foreign = {number: owner for number, owner in self.numbers.items() if owner != client_id}
        self.numbers = foreign | dict.fromkeys(numbers, client_id)
