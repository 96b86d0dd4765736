"""Which stage fails, by what a canary's round has found: facts in, one verdict out. Nothing is asked here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from activities.outside import ProbeResult

NO_WORKER = "no answer in time"
"""What the API says of Temporal when Temporal is there, and nobody takes its tasks (starter/temporal/gateway.py)."""

BUSY = 429
"""The status of who is turned away because of others."""


class Stage(StrEnum):
    """Where the way from a decision to its proof breaks."""

    API = "api"
    WORKER = "worker"
    TEMPORAL = "temporal"
    DIRECTORY = "directory"
    SYSTEM = "system"
    NETWORK = "network"
    SETTINGS = "settings"
    """Not a part of Connect: what the setting names does not exist, or is another's."""


OF_PROBLEMS = {
    "Temporal away": Stage.TEMPORAL,
    "Temporal refused": Stage.TEMPORAL,
    "Search attribute missing": Stage.TEMPORAL,
    "Workflow stuck": Stage.TEMPORAL,
    "Workflow missing": Stage.TEMPORAL,
    "Directory away": Stage.DIRECTORY,
    "Directory not writable": Stage.DIRECTORY,
    "Not decided": Stage.DIRECTORY,
}
"""By the titles of the API's problem documents. What else the API refuses is the setting's fault, or its own."""


@dataclass(frozen=True)
class Refusal:
    """The API's answer that is none: a problem document. ``status`` 0: nobody answered, and ``detail`` says how."""

    status: int
    title: str
    detail: str


@dataclass(frozen=True)
class Look:
    """One system of the canary after a command: what is wanted of it, whether that is proven, and how it looks from
    outside. ``workers``: how many report of it, where that was asked."""

    system: str
    instance: str
    should_be_on: bool
    settled: bool
    result: ProbeResult
    words: str = ""
    error: str = ""
    workers: int | None = None

    @property
    def name(self) -> str:
        return self.system if self.instance == "main" else f"{self.system} {self.instance}"

    @property
    def right(self) -> bool:
        return self.result in (
            ProbeResult.NOT_ASKED,
            ProbeResult.LET_IN if self.should_be_on else ProbeResult.TURNED_AWAY,
        )


@dataclass(frozen=True)
class Facts:
    """What a round has found so far.

    ``temporal``: why Temporal did not answer the worker. ``published``: whether the directory shows what was decided.
    """

    temporal: str = ""
    refusal: Refusal | None = None
    looks: tuple[Look, ...] = ()
    published: bool = True


@dataclass(frozen=True)
class Verdict:
    """The stage that fails, and why; ``system`` and ``instance`` where it is one of them."""

    stage: Stage
    text: str
    system: str = ""
    instance: str = ""


def judge(facts: Facts) -> Verdict | None:
    """The first stage, on the way from the caller to the network, that explains what was found; None: all is right."""
    if facts.refusal and not facts.refusal.status:
        return Verdict(Stage.API, f"The API does not answer: {facts.refusal.detail}")
    if facts.temporal:
        return Verdict(Stage.TEMPORAL, f"Temporal does not answer the workers: {facts.temporal}")
    if facts.refusal:
        return Verdict(_stage_of(facts.refusal), facts.refusal.detail)
    return next(_wrong(facts.looks), None) or (
        None
        if facts.published
        else Verdict(Stage.DIRECTORY, "Both systems are proven, and the directory does not show it")
    )


def _stage_of(refusal: Refusal) -> Stage:
    stage = OF_PROBLEMS.get(refusal.title)
    if stage is Stage.TEMPORAL and NO_WORKER in refusal.detail:  # for it did answer us
        return Stage.WORKER
    return stage or (Stage.SETTINGS if 400 <= refusal.status < 500 and refusal.status != BUSY else Stage.API)


def _wrong(looks: Iterable[Look]) -> Iterator[Verdict]:
    """What is wrong with the systems: first what nobody serves, then what cannot be seen, then what is not so."""
    rules = (
        (Stage.WORKER, lambda look: not look.settled and look.workers == 0, "No worker reports of {name}"),
        (Stage.NETWORK, lambda look: look.result is ProbeResult.SILENT, "{name} does not answer: {words}"),
        (Stage.SYSTEM, lambda look: not look.right, "The canary is {word}, and {name} says otherwise: {words}"),
        (Stage.SYSTEM, lambda look: not look.settled, "{name} is not proven to be {word}: {error}"),
    )
    for stage, holds, text in rules:
        for look in filter(holds, looks):
            word, error = "on" if look.should_be_on else "off", look.error or "no word of it in time"
            sentence = text.format(name=look.name, words=look.words or look.result, word=word, error=error)
            yield Verdict(stage, sentence, look.system, look.instance)
