"""What one system should do for a client, and what it was last proven to do, by subject: a number, an account, a name.

Unknown is not off: what a system was never proven to do counts as drift.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from workflows.domain.provisioning.standing import Found, Limits, Standing, in_one_line
from workflows.domain.systems import MAIN

Setting: TypeAlias = str | int | bool | None


@dataclass(frozen=True)
class Desired:
    """Whether a subject is to be in service, and with which settings (rates, a VLAN, whatever its kind has)."""

    on: bool
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass
class Ledger:
    """One system of one client, served by an ``instance``.

    ``proven`` is what each subject was last proven to be; one that is missing is unknown. ``held`` are those that the
    client keeps also when they are off. ``standing`` says how the attempts went. ``last`` is whether those that are
    unknown now were on when they were last proven to be something, for people alone.
    """

    instance: str = MAIN
    wanted: dict[str, Desired] = field(default_factory=dict)
    proven: dict[str, Desired] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)
    held: list[str] = field(default_factory=list)
    last: dict[str, bool] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether it is not proven to do what is wanted."""
        return self.proven != self.wanted

    def known_on(self, subject: str) -> bool | None:
        """Whether it was on when it was last proven to be something; None where that is not known."""
        known = self.proven.get(subject)
        return known.on if known else self.last.get(subject)

    @property
    def in_use(self) -> bool:
        """Whether the instance has, or may have, anything of the client's."""
        return bool(self.wanted or self.proven)

    @property
    def drifts(self) -> bool:
        """Whether there is a difference that nobody has accepted."""
        return self.differs and self.standing.skipped is None

    @property
    def all_off(self) -> dict[str, Desired]:
        """Everything that was ever switched and is not forgotten, as off."""
        return {subject: replace(desired, on=False) for subject, desired in {**self.wanted, **self.proven}.items()}

    # -- wanted ---------------------------------------------------------------------------------------------------

    def want(self, wanted: dict[str, Desired], revision: int, *, again: bool = False) -> None:
        """Want this from now on; ``again``: attempt it, also when the same was wanted before."""
        if again or wanted != self.wanted:
            self.wanted = wanted
            self.standing.expect(revision)

    def reopen(self, given_up: Collection[str]) -> bool:
        """Doubt what is off and given up now, so that it is proven off once more and released. Answers if any is."""
        doubted = [subject for subject in given_up if subject in self.proven and not self.proven[subject].on]
        self.wanted |= {subject: self.proven[subject] for subject in doubted}
        self._unknown(doubted)
        return bool(doubted)

    def hold(self, held: Collection[str]) -> bool:
        """The client keeps these, also when they are off. Answers whether it gave up any that is to be off, and is not
        proven so: an attempt under way, or a skip, was for what the client kept."""
        gone = [subject for subject in self.held if subject not in held]
        self.held = sorted(held)
        return any(subject in self.wanted and self.proven.get(subject) != self.wanted[subject] for subject in gone)

    # -- reports --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """An attempt is under way: what it changes is unknown until it is proven, also if it is abandoned."""
        self.standing.retry_at = None
        self._unknown([subject for subject, known in self.proven.items() if self.wanted.get(subject) != known])

    def found(
        self,
        ordered: Mapping[str, Desired],
        found: Found,
        contracted: Collection[str],
        limits: Limits,
        chance: float,
    ) -> None:
        """The system was seen to do what was ordered, but for what is in doubt. What is off and no longer contracted
        is forgotten."""
        proven = {subject: desired for subject, desired in ordered.items() if subject not in found.doubts}
        self.proven = {s: x for s, x in proven.items() if x.on or s in contracted}
        remembered = {*contracted, *self.proven, *found.doubts}
        self.wanted = {
            subject: desired for subject, desired in self.wanted.items() if desired.on or subject in remembered
        }
        self.last = {s: on for s, on in self.last.items() if s in self.wanted and s not in self.proven}
        standing = self.standing
        standing.note_seen(list(self.proven), found.seen, list(self.wanted))
        if found.doubts:
            standing.fall_short(found, limits, chance)
        else:
            standing.succeed(found.revision, found.seen, method=found.method)

    def by_hand(self, revision: int, now: datetime, by: str, note: str, contracted: Collection[str]) -> None:
        """Somebody says that the system does what is wanted, having seen to it: what is wanted counts as proven.

        Their ``note`` is the evidence. It is not watched: it is done by hand where we cannot see.
        """
        self.standing.expect(revision)
        self.obey(contracted)
        self.standing.note_seen(self.proven, now, self.proven)
        self.standing.succeed(revision, now, method="by hand", by=by, note=note)

    def obey(self, contracted: Collection[str]) -> None:
        """Take the system to do what is wanted, as it would be proven; nothing is noted of how."""
        self.wanted = {s: desired for s, desired in self.wanted.items() if desired.on or s in contracted}
        self.proven, self.last = dict(self.wanted), {}

    def doubt(self, revision: int) -> None:
        """Somebody found the system not as it was left: what was proven of it is unknown now."""
        self._unknown([*self.proven])
        self.standing.distrust(revision)

    def _unknown(self, subjects: Collection[str]) -> None:
        """What these are is unknown from now on."""
        self.last |= {subject: self.proven[subject].on for subject in subjects if subject in self.wanted}
        self.proven = {subject: known for subject, known in self.proven.items() if subject not in subjects}

    # -- what is found alive ----------------------------------------------------------------------------------------

    def known_off(self, subject: str, seen_at: datetime | None) -> bool:
        """Whether it is to be off, and was proven so before it was seen otherwise at ``seen_at`` (None: just now)."""
        wanted, known, proof = self.wanted.get(subject), self.proven.get(subject), self.standing.proofs.get(subject)
        if wanted is None or wanted.on or known is None or known.on:
            return False
        return seen_at is None or proof is None or proof < seen_at

    def alive_again(
        self, alive: Mapping[str, str], revision: int, now: datetime, limits: Limits, chance: float
    ) -> None:
        """These were proven off and are not, with why: they are unknown now."""
        self.proven = {subject: x for subject, x in self.proven.items() if subject not in alive}
        self.last = {subject: on for subject, on in self.last.items() if subject not in alive}
        self.standing.distrust(revision)
        self.standing.revive(in_one_line(alive), now, limits, chance)
