"""The shapes of HTTP answers (PRODUCT.md section 7.2), beside those of the wire (workflows/wire/views.py)."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field

from workflows.domain.systems import MAIN
from workflows.wire.fields import KindName
from workflows.wire.matters import MatterView, RemedyView
from workflows.wire.messages import Model
from workflows.wire.views import ClientView, SkippedView

Item = TypeVar("Item")


class Page(Model, Generic[Item]):
    """Part of a list. ``next`` is the cursor of the next page, null on the last; ``total`` counts the whole list."""

    items: list[Item]
    next: str | None
    total: int


class Site(Model):
    """A building, with the time zone of everything in it.

    ``country`` (ISO 3166) is that of numbers which people type without a plus. A site that is ``retired`` takes no new
    client. ``systems`` names the instance of each kind's system that serves it; main where none is named.
    """

    site_id: str
    name: str
    timezone: str
    country: str | None = None
    retired: bool = False
    systems: dict[KindName, KindName]
    created_at: datetime


class SitePage(Page[Site]): ...


class SiteChange(Model):
    """What was changed of a site, when and by whom."""

    at: datetime
    by: str
    text: str


class SiteHistory(Page[SiteChange]): ...


class ClientNote(Model):
    """What somebody had to say about a client."""

    note_id: int
    at: datetime
    by: str
    text: str


class NotePage(Page[ClientNote]): ...


class ClientPage(Page[ClientView]): ...


class HistoryEntry(Model):
    """One line of a client's history: what was asked, refused, decided, attempted or proven."""

    history_id: int
    event: str
    at: datetime
    kind: str
    text: str
    by: str
    source: str
    reason: str
    command_id: str
    revision: int
    facts: dict[str, Any]


class HistoryPage(Page[HistoryEntry]): ...


class Attention(Model):
    """A client for which a system is not as decided, as it was last published, or whose workflow cannot run.

    ``state``: attention: a person is needed; not_proven: changed, but what is true could not be seen yet; skipped: a
    person accepts it; cannot_run: nothing is decided or attempted, and ``remedies`` are what to do. ``since`` is when
    that began. ``attempts`` and ``next_attempt_at`` are those of then. ``site`` is empty where the directory does not
    know the client. ``title`` is what the settings call what the system switches.
    """

    client_id: str
    name: str
    site: str
    system: KindName
    title: str = ""
    instance: KindName = MAIN
    state: Literal["attention", "not_proven", "skipped", "cannot_run"]
    since: datetime
    attempts: int
    last_error: str
    next_attempt_at: datetime | None
    skipped: SkippedView | None
    remedies: list[RemedyView] = Field(default_factory=list)


class AttentionPage(Page[Attention]): ...


class Matter(MatterView):
    """An open matter in the list of all. ``name`` and ``site`` are empty where the directory does not know the
    client, ``client_id`` too where it is a matter of a system's instance."""

    client_id: str
    name: str
    site: str


class MatterAnswer(Matter):
    """A matter after somebody did something about it, and whether that changed anything."""

    changed: bool
    message: str


class MatterPage(Page[Matter]):
    """A page of open matters. ``kinds``: how many of each kind the filter matches, but for its own kind."""

    kinds: dict[str, int]


class SystemState(Model):
    """How the workers find a system, and how many clients wait for one instance of it.

    ``state``: the worst that any worker reports; unknown: none has reported for a minute. ``since`` is when that
    began. ``clients_changing`` are those that wait for it without needing a person. ``watch_error`` is why nobody can
    see whether what was switched off stays off; empty while it is watched. ``attempts_find`` is what the attempts of
    the clients in attention find: all_fail: none at this system has succeeded since the first of them needed a
    person; some_fail: those of others have. ``attempts_error`` is the newest error of these.
    ``title`` is what the settings call what it switches.
    """

    system: KindName
    title: str = ""
    instance: KindName = MAIN
    state: Literal["working", "failing", "recovering", "unknown"]
    since: datetime | None
    last_error: str
    last_failure_at: datetime | None
    last_success_at: datetime | None
    workers: int = Field(description="How many have reported within the last minute")
    clients_in_attention: int
    oldest_attention_at: datetime | None
    clients_changing: int
    watch_error: str = ""
    attempts_find: Literal["", "some_fail", "all_fail"] = ""
    attempts_error: str = ""


class CanaryState(Model):
    """How the canary of a site is: a client of Connect's own that is suspended and restored again and again.

    ``state``: green: its last round was as it should be; red: ``stage`` fails, ``text`` says how, and ``system`` and
    ``instance`` which one; unknown: no round has ended yet. ``since`` is when that began. ``seconds``: from a decision
    to its proof, in its last green round. ``failed_at`` and ``failed_stage`` are of the last round that was red.
    """

    site: str
    client_id: str
    state: Literal["green", "red", "unknown"]
    stage: Literal["", "api", "worker", "temporal", "directory", "system", "network", "settings"]
    system: str
    instance: str
    text: str
    since: datetime
    last_round_at: datetime | None
    seconds: float | None
    rounds: int
    failures: int
    failed_at: datetime | None
    failed_stage: str


class SystemPage(Page[SystemState]):
    """Every instance of a system, and every canary."""

    canaries: list[CanaryState] = Field(default_factory=list)


class SipCredentials(Model):
    """What a telephone registers with. The password is null for a line that keeps a secret from before Connect: nobody
    knows it here. A line that is there under several names has an item for each; ``username`` has a domain where that
    is not the usual one."""

    number: str
    username: str
    password: str | None


class RadiusCredentials(Model):
    """What a router logs in with. The password is null for an account that keeps a secret from before Connect."""

    username: str
    password: str | None


class Servers(Model):
    """The servers for telephones and routers, from this process's settings; null: it has none."""

    sip: str | None = Field(description="host:port", examples=["127.0.0.1:5060"])
    sip_domain: str
    radius: str | None = Field(description="host:port", examples=["127.0.0.1:1812"])


class Credentials(Model):
    """What the telephones and the router of a client are configured with."""

    sip: list[SipCredentials]
    radius: RadiusCredentials | None
    servers: Servers


class ErasedClient(Model):
    """A client that was erased: of whom only ids, times and proofs are left."""

    client_id: str
    erased_at: datetime


class Readiness(Model):
    """Whether this process can work."""

    ready: bool


class Problem(Model):
    """RFC 9457, with what is known of the way out."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    errors: list[dict[str, str]] | None = Field(None, description="The first 20 wrong fields, when several are")
    client_status: str | None = None
    planned: list[str] | None = None
    allowed: list[str] | None = None
    client_id: str | None = None
    command_id: str | None = None
