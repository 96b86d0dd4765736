"""What is true of clients from outside, beside what Connect says of them at that moment.

From outside there are the sessions that access gear holds, logins, telephones that register or dial, and calls. A
client is looked at between two answers of the API: what both say, and what they say it of since when, is held against
what was seen in between.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import httpx2

from starter.errors import NotRunning, TemporalAway, WorkflowStuck
from starter.temporal.gateway import Gateway
from tests.support.router import INTERIM, START, STOP, Login, Nas
from tests.support.waiting import eventually
from tests.systems.phone import Call, Phone

PATIENCE = 1.0  # seconds that a telephone or router waits
PAUSE = 0.05  # seconds between two looks at a client
ACCOUNTS_EVERY = 0.4  # seconds between two Interim-Updates
ROUNDS = 3  # of the watch, after which it has found what it was told of, and told the client's workflow
NO_CALL = 481
MOST_SESSIONS, HANGS_UP = 2, 0.1  # of a router; chance that it ends one in a look
RATES = "Mikrotik-Rate-Limit"
DIALS = 0.15  # chance that a telephone dials in a look


class Heard(NamedTuple):
    """Accounting was told of a session: when that was sent, and acknowledged."""

    sent: float
    at: float


@dataclass(eq=False)
class Life:
    """A session as its gear knows it. Times are Unix times: when its login was sent, and accepted, when it ended.
    ``heard``: when accounting was told of it. ``lied``: when its gear acknowledged its end, and
    let it live. ``rates``: what it began with, and was given, each since when."""

    account: str
    session: str
    gear: str
    asked: float
    began: float
    rates: list[tuple[float, str]]
    ended: float = math.inf
    heard: list[Heard] = field(default_factory=list)
    lied: list[float] = field(default_factory=list)

    def at(self, moment: float) -> bool:
        return self.began <= moment < self.ended

    def rates_at(self, moment: float) -> str:
        return [rates for since, rates in self.rates if since <= moment or since == self.began][-1]

    @property
    def lasted(self) -> tuple[str, float, float]:
        """Its id, how long ago it began, and how long it lasted."""
        return self.session, round(time.time() - self.began, 1), round(self.ended - self.began, 1)

    def __str__(self) -> str:
        return f"session {self.session} of {self.account}"


@dataclass
class Gear(Nas):
    """Access gear that writes down the truth about its sessions, and accounts for them until the server has it.
    ``used``: ids that the next sessions of an account have again. ``behind``: it is behind with its accounting, and
    tells only of what ended."""

    behind: bool = False
    lives: list[Life] = field(default_factory=list)
    living: dict[str, Life] = field(default_factory=dict)
    used: dict[str, list[str]] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)

    async def __aexit__(self, *exc: object) -> None:
        """Whatever the server has not heard of by now, it need not."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().__aexit__(*exc)

    async def log_in(self, username: str, password: str, session: str = "", **more: Any) -> Login:
        """A login; its session has an id that the account had here before, if there is one in ``used``."""
        self._asked[username] = time.time()
        session = session or (self.used.get(username) or [""]).pop()
        return await super().log_in(username, password, session, **more)

    def begin(self, session: str, username: str, answer: Login) -> None:
        super().begin(session, username, answer)
        asked, began = self._asked[username], time.time()
        life = Life(username, session, self.address, asked, began, [(began, answer.told[RATES])])
        self.lives.append(life)
        self.living[session] = life

    def end(self, session: str) -> None:
        self.living.pop(session).ended = time.time()
        super().end(session)

    def changed(self, session: str, change: dict[str, Any]) -> None:
        super().changed(session, change)
        self.living[session].rates.append((time.time(), change[RATES]))

    def acknowledged(self, session: str) -> None:
        super().acknowledged(session)
        if session in self.living:
            self.living[session].lied.append(time.time())

    async def account(self, session: str, username: str, status: int, **more: Any) -> None:
        life, more = self.living.get(session), {"Event_Timestamp": int(time.time())} | more
        if status == INTERIM and self.behind:
            return
        if status == INTERIM:
            with suppress(TimeoutError):
                sent = time.time()
                await asyncio.wait_for(super().account(session, username, status, **more), PATIENCE)
                _note_heard(life, sent)
            return
        if status == START:
            await eventually(lambda: not self.behind, math.inf)
        sent = time.time()
        while True:
            with suppress(TimeoutError):
                await super().account(session, username, status, **more)
                break
        if status != STOP:
            _note_heard(life, sent)

    async def keep_accounting(self) -> None:
        """Tell of every session again and again, until cancelled."""
        while True:
            sessions = [*self.sessions.items()]
            await asyncio.gather(*(self.account(session, account, INTERIM) for session, account in sessions))
            await asyncio.sleep(ACCOUNTS_EVERY)


def _note_heard(life: Life | None, sent: float) -> None:
    if life is not None:
        life.heard.append(Heard(sent, time.time()))


@dataclass(frozen=True)
class Said:
    """What Connect says of a client. ``off``: since when each line or account, by its system and name, is proven off;
    ``rates``: those that its account is proven on with, and since when, empty if it is not. ``sent`` and ``answered``:
    Unix times of the question."""

    sent: float
    answered: float
    revision: int
    settled: bool
    status: str
    off: Mapping[tuple[str, str], float]
    rates: tuple[str, float]
    secret_version: int


@dataclass
class Findings:
    """What came of all looks. ``false``: each time something was said to be proven off and was on, or was said to be
    proven on and had other rates, of gear that changes what lives. ``excused``: what nobody could know then, by why.
    ``rounds``: when the watch of accounts began each round that is over, and in which it could see. ``known``: since
    when a client is seen to believe a proof that a session contradicts."""

    interim: float
    false: list[str] = field(default_factory=list)
    excused: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    held: int = 0
    plans: int = 0
    rounds: list[float] = field(default_factory=list)
    known: dict[tuple[Life, float], float] = field(default_factory=dict)
    _excused: set[tuple[Life, float]] = field(default_factory=set)

    def session(self, life: Life, since: float, now: float) -> str:
        """A session lives ``now``, of an account that is said to be proven off ``since``. Returns what is wrong if the
        client does not know that by now."""
        return self._judge(life, since, now, "")

    def plan(self, life: Life, rates: str, since: float, now: float) -> str:
        """A session of gear that changes what lives has other rates ``now`` than are said to be proven ``since``.
        Returns as ``session``."""
        return self._judge(life, since, now, f"has {life.rates_at(now)}, {rates} is proven, ")

    def unknown(self, life: Life, since: float, now: float, what: str) -> None:
        """The client believes ``now`` what is wrong. It may have heard of its proof only now, after all signals: then
        the watch has to tell it once more."""
        if (life, since) in self.known:
            self.false.append(what)
        self.known.setdefault((life, since), now)

    def _judge(self, life: Life, since: float, now: float, plan: str) -> str:
        lied = "".join(f"acknowledged its end {at - since:+.3f} s, " for at in life.lied)
        what = f"{life} on {life.gear}, {plan}asked {life.asked - since:+.3f} s, began {life.began - since:+.3f} s, "
        what += f"heard {_last(life, since)}, {lied}"
        if life.asked > since:
            self.false.append(f"{what}was let in after the proof")
            return ""
        if (why := self._excuse(life, since)) is None:
            self.false.append(f"{what}was known to live at the proof")
            return ""
        if (life, since) not in self._excused:
            self._excused.add((life, since))
            self.excused[why] += 1
        told = min((it.at for it in life.heard if it.sent > since), default=math.inf)
        known = max(told, self.known.get((life, since), told))
        missed = sum(told < begun < known for begun in self.rounds)
        rounds = sum(known < begun < now for begun in self.rounds)
        late = rounds > missed + ROUNDS  # a client is told again after 2, 4, 8 … rounds
        return f"{what}{why}, and is not found in {missed + rounds} rounds" if late else ""

    def _excuse(self, life: Life, since: float) -> str | None:
        """Why nobody could know at the proof that it lives; None: it could be known."""
        before = [it.at for it in life.heard if it.at <= since]
        lies = [at for at in life.lied if at <= since]
        if not before:
            return "not yet accounted for"
        if lies and not any(lies[-1] < at for at in before):
            return "its end was acknowledged"
        return "accounting stopped" if since - before[-1] > self.interim else None


def _last(life: Life, since: float) -> str:
    times = [it.at for it in life.heard if it.at <= since]
    return f"{times[-1] - since:+.3f} s" if times else "never"


@dataclass
class Tenant:
    """A client's telephones and router, which go on doing what such things do, and what is said of it meanwhile.
    ``address`` is that of its telephones, where it alone guesses passwords."""

    api: httpx2.AsyncClient
    gateway: Gateway
    client_id: str
    address: str
    gear: Sequence[Gear]
    findings: Findings
    chance: random.Random
    phones: dict[str, Phone] = field(default_factory=dict)
    calls: list[tuple[Phone, Call]] = field(default_factory=list)
    looks: int = 0
    said: Said | None = None
    neighbours: Sequence["Tenant"] = field(default=(), repr=False)
    _radius: tuple[str, str] = ("", "")
    _version: int = 0
    _numbers: frozenset[str] = frozenset()
    _has_internet: bool = False
    last_login: str = "none"
    _login: "asyncio.Task[Any] | None" = None

    async def live(self) -> None:
        """Look again and again, until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(PAUSE)
        finally:
            if self._login:
                self._login.cancel()
            phones, self.phones, self.calls, self._version = self.phones, {}, [], 0
            for phone in phones.values():
                await phone.__aexit__()

    async def look(self) -> None:
        """See what is true, between two answers of what is said, and hold the one against the other."""
        before = await self._ask()
        await self._configure(before)
        on = await self._from_outside(before)
        after = await self._ask()
        if before.revision == after.revision:
            for key in before.off.keys() & after.off.keys():
                self.findings.held += 1
                await self._hold(key, before, after, on)
            if before.rates == after.rates:
                await self._hold_rates(before, after)
        self.said, self.looks, self.findings.looks = after, self.looks + 1, self.findings.looks + 1

    async def _hold(self, key: tuple[str, str], before: Said, after: Said, on: Mapping[str, str]) -> None:
        (system, subject), since = key, after.off[key]
        if system == "telephony" and subject in on:
            self.findings.false.append(f"{self.client_id}, line {subject}, proven off: {on[subject]}")
        if system == "internet" and before.off[key] == since:
            for life in self._alive(before, after):
                if wrong := self.findings.session(life, since, after.sent):
                    await self._doubt(life, since, wrong, key)

    async def _hold_rates(self, before: Said, after: Said) -> None:
        rates, since = after.rates
        changes = {nas.address for nas in self.gear if nas.changes}
        for life in (life for life in self._alive(before, after) if rates and life.gear in changes):
            self.findings.plans += 1
            right = rates in (life.rates_at(before.answered), life.rates_at(after.sent))
            if not right and (wrong := self.findings.plan(life, rates, since, after.sent)):
                await self._doubt(life, since, wrong, None)

    def _alive(self, before: Said, after: Said) -> list[Life]:
        """The sessions that lived from the one answer to the other question."""
        return [life for life in self.lives if life.at(before.answered) and life.at(after.sent)]

    async def _doubt(self, life: Life, since: float, wrong: str, key: tuple[str, str] | None) -> None:
        """Ask the workflow itself, which has had every signal by then: the API adds newer proofs of the directory."""
        sent = time.time()
        try:
            said = self._said(sent, (await self.gateway.client(self.client_id)).model_dump(mode="json"))
        except NotRunning:  # the watch ends itself what it finds
            found = await self.api.get(f"/clients/{self.client_id}/history")
            believed = not any("Internet access found alive" in line["text"] for line in found.json()["items"])
        except (TemporalAway, WorkflowStuck):
            return
        else:
            believed = since == (said.off.get(key) if key else said.rates[1])
        if believed and life.at(time.time()):
            self.findings.unknown(life, since, time.time(), wrong)

    @property
    def lives(self) -> Iterator[Life]:
        return (life for nas in self.gear for life in nas.lives if life.account == self.client_id)

    async def _ask(self) -> Said:
        sent, view = await eventually(self._answered)
        self._numbers, self._has_internet = frozenset(line["number"] for line in view["lines"]), bool(view["internet"])
        return self._said(sent, view)

    async def _answered(self) -> tuple[float, dict[str, Any]]:
        """An answer of the API, and when it was asked. A service that is too busy is asked again."""
        sent = time.time()
        answer = await self.api.get(f"/clients/{self.client_id}")
        assert answer.status_code == 200, answer.text
        return sent, answer.json()

    def _said(self, sent: float, view: Mapping[str, Any]) -> Said:
        off = {
            (system["system"], it["subject"]): datetime.fromisoformat(it["proven_at"]).timestamp()
            for system in view["systems"]
            if system["state"] == "settled"
            for it in system["subjects"]
            if (it["desired"], it["state"]) == ("off", "proven")
        }
        rates = [
            (f"{view['internet']['up_mbps']}M/{view['internet']['down_mbps']}M", it["proven_at"])
            for system in view["systems"]
            if (system["system"], system["state"]) == ("internet", "settled") and view["internet"]
            for it in system["subjects"]
            if (it["desired"], it["state"]) == ("on", "proven")
        ]
        proven = next(((rate, datetime.fromisoformat(at).timestamp()) for rate, at in rates), ("", 0.0))
        settled = view["provisioning"] == "settled"
        if settled:  # what it has no more is off as well
            shown = {(system["system"], it["subject"]) for system in view["systems"] for it in system["subjects"]}
            since = {system["system"]: system["proven_at"] for system in view["systems"]}
            gone = {("telephony", number) for number in self.phones} - shown
            gone |= {("internet", self.client_id)} - shown
            off |= {key: datetime.fromisoformat(at).timestamp() for key in gone if (at := since.get(key[0]))}
        said = sent, time.time(), view["revision"], settled, view["status"], off, proven, view["secret_version"]
        return Said(*said)

    async def _configure(self, said: Said) -> None:
        """Telephones and the router get the client's credentials, once these are proven to be others, or more."""
        known = said.secret_version == self._version and self._numbers <= self.phones.keys()
        known = known and (bool(self._radius[0]) or not self._has_internet)
        if known or not said.settled:
            return
        answer = await self.api.get(f"/clients/{self.client_id}/credentials")
        if answer.status_code != 200:
            return
        credentials = answer.json()
        host, _, port = credentials["servers"]["sip"].partition(":")
        for login in credentials["sip"]:
            if phone := self.phones.get(login["number"]):
                phone.password = login["password"]
                continue
            domain = credentials["servers"]["sip_domain"]
            phone = Phone(login["username"], login["password"], domain, (host, int(port)), address=self.address)
            self.phones[login["number"]] = await phone.__aenter__()
        if credentials["radius"]:
            self._radius = credentials["radius"]["username"], credentials["radius"]["password"]
        self._version = said.secret_version

    async def _from_outside(self, said: Said) -> dict[str, str]:
        """The lines that were on, by number, and how that was seen. The router logs in when it has too few sessions,
        and ends one now and then."""
        on = dict[str, str]()
        living = [(nas, life) for nas in self.gear for life in nas.living.values() if life.account == self.client_id]
        if self._radius[0] and len(living) < MOST_SESSIONS:
            if self._login is None or self._login.done():
                nas = self.chance.choice(self.gear)
                self._login = asyncio.create_task(self._log_in(nas))
            await asyncio.wait([self._login], timeout=0.2)
        elif living and self.chance.random() < HANGS_UP:
            nas, life = self.chance.choice(living)
            nas.end(life.session)
        await asyncio.gather(*(self._telephone(number, phone, on) for number, phone in self.phones.items()))
        for phone, call in [*self.calls]:
            code = NO_CALL if call.key in phone.ended else await _within(phone.hold(call))
            if code not in (200, None):
                self.calls.remove((phone, call))
            if code == 200:
                on.setdefault(f"+{phone.username}", "its call goes on")
        return on

    async def _log_in(self, nas: Gear) -> None:
        began = time.monotonic()
        self.last_login = f"at {nas.address}, not answered yet"
        try:
            answer = await nas.log_in(*self._radius)
            self.last_login = f"at {nas.address}, {'accepted' if answer.accepted else 'rejected'}"
        except TimeoutError:
            self.last_login = f"at {nas.address}, not answered in {time.monotonic() - began:.1f} s"

    async def _telephone(self, number: str, phone: Phone, on: dict[str, str]) -> None:
        if await _within(phone.register()) == 200:
            on[number] = "it registers"
        if self.chance.random() < DIALS:
            whom = self.chance.choice(self.neighbours)
            numbers = [it for it in whom.phones if it != number]
            call = await _within(phone.dial(self.chance.choice(numbers))) if numbers else None
            if isinstance(call, Call) and call.code == 200:
                on[number] = "it dials"
                self.calls.append((phone, call))
                if len(self.calls) > 2:
                    await _within(phone.hang_up(self.calls.pop(0)[1]))


async def _within(doing: Any) -> Any:
    """What comes of it; None when nothing does in time."""
    try:
        return await asyncio.wait_for(doing, PATIENCE)
    except TimeoutError:
        return None
