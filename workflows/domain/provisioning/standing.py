"""How the attempts on one system went, and how long to be patient (PRODUCT.md section 5).

Unknown is neither off nor on: what could not be proven is a state of its own.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

MOST_TOLD = 3
FLAPPING = 2  # times in a row that something off is found alive: somebody, or something, switches it on again


class Proof(StrEnum):
    """What was found of one line or account after a change.

    ``not proven``: it could not be seen, or is not so yet; silence is neither success nor failure. ``failed``: the
    system refused, or was seen to do something else.
    """

    PROVEN = "proven"
    NOT_PROVEN = "not_proven"
    FAILED = "failed"


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds. Given at the start of a workflow: replay must see what the first run saw.

    ``attempt`` bounds one attempt on one system, short retries included; so long may a change stay unproven before it
    needs a person. Pauses between attempts start at ``first_pause``, double, and never exceed ``longest_pause``.
    ``recent`` command ids are remembered, for deduplication. After ``renew_after`` events of history a run is renewed;
    0: when the server suggests it. ``at_once`` bounds the first attempt of a decision that a person waits for; 0: every
    attempt goes through the queue.
    """

    attempt: float = 120.0
    first_pause: float = 15.0
    longest_pause: float = 3600.0
    recent: int = 500
    renew_after: int = 0
    at_once: float = 0.0

    def pause(self, failures: int, chance: float) -> timedelta:
        """After so many failures in a row: growing, and jittered by ``chance`` (0 to 1)."""
        seconds = min(self.first_pause * 2 ** min(failures, 30), self.longest_pause)
        return timedelta(seconds=seconds * (0.75 + 0.25 * chance))


@dataclass(frozen=True)
class Doubt:
    """Why a line or account is not proven to be as it should."""

    proof: Proof
    why: str


def mark_of(trouble: str) -> str:
    """A short digest of a failure, as it was recorded."""
    return hashlib.sha256(trouble.encode("utf-8", "replace")).hexdigest()[:16]


def in_one_line(whys: Mapping[str, str]) -> str:
    """What is so of the first few subjects, and how many more there are."""
    parts = [f"{name}: {why}" for name, why in sorted(whys.items())]
    more = f"; and {len(parts) - MOST_TOLD} more" if len(parts) > MOST_TOLD else ""
    return "; ".join(parts[:MOST_TOLD]) + more


@dataclass(frozen=True)
class Found:
    """What an attempt found on a system: ``doubts`` of lines or accounts; the rest is proven.

    ``at`` is when we heard of it, ``seen_at`` when it was seen, by the clock of the system. ``facts`` say on or off of
    each, for the history, unless it is ``recorded`` there already.
    """

    revision: int
    at: datetime
    method: str = ""
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    recorded: bool = True
    seen_at: datetime | None = None

    @property
    def seen(self) -> datetime:
        """When it was seen; where that is not said, when we heard of it."""
        return self.seen_at or self.at

    @property
    def failed(self) -> bool:
        return any(doubt.proof is Proof.FAILED for doubt in self.doubts.values())

    @property
    def summary(self) -> str:
        """The doubts in one line."""
        return in_one_line({name: doubt.why for name, doubt in self.doubts.items()})

    @property
    def trouble(self) -> str:
        """The mark of what the summary tells."""
        first = sorted((name, doubt.why) for name, doubt in self.doubts.items())[:MOST_TOLD]
        return mark_of(json.dumps([self.failed, len(self.doubts), first]))


@dataclass(frozen=True)
class Skipped:
    """Who accepts that a system is not as decided, until the next decision that concerns it, and why."""

    reason: str
    by: str
    at: datetime


@dataclass
class Standing:
    """How one system's attempts went. ``wanted_since`` is the revision at which what is wanted last changed.

    ``proofs`` say when each line or account was last seen to be as wanted, ``doubts`` why others are not proven.
    ``by`` is who marked the last proof done by hand, ``note`` how they say it was done, ``method`` how the proof came
    about. ``revived`` times in a row something that was proven off was found alive again; ``outrun`` times in a row
    the system said that it has obeyed a later revision. ``asked``: a person has asked for the next attempt, and is told
    what came of it. ``trouble`` is a mark of the last failure: what is compared
    with the next is what was recorded of it, never ``last_error``, whose words are ours and may change.
    """

    wanted_since: int = 0
    proven_revision: int = 0
    proven_at: datetime | None = None
    attempts: int = 0
    last_error: str = ""
    retry_at: datetime | None = None
    attention: bool = False
    attention_since: datetime | None = None
    short_since: datetime | None = None
    method: str = ""
    by: str = ""
    proofs: dict[str, datetime] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    skipped: Skipped | None = None
    revived: int = 0
    outrun: int = 0
    note: str = ""
    trouble: str = ""
    asked: bool = False

    def expect(self, revision: int) -> None:
        """Something else is wanted: what failed or was accepted before counts no more; the next attempt is due."""
        self.wanted_since, self.attempts, self.retry_at = revision, 0, None
        self.doubts, self.short_since, self.skipped, self.revived, self.asked = {}, None, None, 0, False

    def overtake(self, revision: int, why: str, now: datetime, limits: Limits) -> None:
        """Decide anew above what the system has obeyed. A person must see a system that says so again and again."""
        self.outrun += 1
        self.expect(revision)
        if self.outrun > FLAPPING:
            self.retry_at, self.last_error = now + limits.pause(self.outrun - FLAPPING, 1), why
            self.trouble = ""
            self._alarm(now)

    def distrust(self, revision: int) -> None:
        """The same is wanted, and is not so any more. What a person has accepted stays accepted."""
        self.wanted_since = revision
        if self.skipped is None:
            self.attempts, self.retry_at, self.doubts, self.short_since = 0, None, {}, None

    def succeed(self, revision: int, now: datetime, *, method: str = "", by: str = "", note: str = "") -> None:
        """What was wanted at that revision is proven. After flapping, only quiet ends a person's attention."""
        self.proven_revision, self.proven_at = max(revision, self.proven_revision), now
        self.method, self.by, self.note = method, by, note
        self.attempts, self.retry_at, self.doubts, self.skipped, self.outrun = 0, None, {}, None, 0
        self.trouble, self.asked = "", False
        if self.revived < FLAPPING:
            self.last_error = ""
            self._calm()

    def note_seen(self, subjects: Iterable[str], now: datetime, kept: Collection[str]) -> None:
        """These lines or accounts were seen to be as wanted; of those not kept nothing need be known any more."""
        self.proofs = {**{name: at for name, at in self.proofs.items() if name in kept}, **dict.fromkeys(subjects, now)}

    def fail(self, error: str, now: datetime, limits: Limits, chance: float, trouble: str = "") -> None:
        """An attempt failed: a person is told, and the next attempt comes after a pause."""
        self._put_off(error, now, limits, chance)
        self.trouble = mark_of(trouble or error)
        self._alarm(now)

    def fall_short(self, found: Found, limits: Limits, chance: float) -> None:
        """An attempt ended without proof of everything. A person is told at once of what was refused, and of what
        stays unknown for longer than an attempt may take."""
        self._put_off(f"{'not done' if found.failed else 'not proven'}: {found.summary}", found.at, limits, chance)
        self.doubts, self.trouble = dict(found.doubts), found.trouble
        self.short_since = self.short_since or found.at
        if found.failed or found.at - self.short_since >= timedelta(seconds=limits.attempt):
            self._alarm(found.at)

    def accept(self, skipped: Skipped | None) -> None:
        """Let the system be as it is, until something else is wanted of it. None: it is as wanted, and nothing more."""
        self.skipped, self.retry_at = skipped, None
        self._calm()

    def revive(self, why: str, now: datetime, limits: Limits, chance: float) -> None:
        """Something that was proven off was found alive. Once is drift; again and again, a person must see why."""
        quiet_at = self._quiet_at(limits)
        self.revived = self.revived + 1 if quiet_at and now < quiet_at else 1
        if self.revived >= FLAPPING and self.skipped is None:
            self.retry_at = now + limits.pause(self.revived - FLAPPING, chance)
            self.last_error, self.trouble = f"alive again, {self.revived} times in a row: {why}", ""
            self._alarm(now)

    def calm_at(self, limits: Limits) -> datetime | None:
        """When a person's attention to what was found alive again and again ends, if it is not found so until then."""
        return self._quiet_at(limits) if self.attention and self.revived >= FLAPPING else None

    def calm(self) -> None:
        """What was found alive again and again has been quiet since it was last proven off."""
        self.revived, self.last_error = 0, ""
        self._calm()

    def _quiet_at(self, limits: Limits) -> datetime | None:
        return self.proven_at and self.proven_at + timedelta(seconds=limits.longest_pause)

    def _put_off(self, error: str, now: datetime, limits: Limits, chance: float) -> None:
        self.retry_at = now + limits.pause(self.attempts, chance)
        self.attempts, self.last_error = self.attempts + 1, error

    def _alarm(self, now: datetime) -> None:
        self.attention, self.attention_since = True, self.attention_since or now

    def _calm(self) -> None:
        self.attention, self.attention_since, self.short_since = False, None, None
