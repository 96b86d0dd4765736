"""What is true of clients from outside, beside what Connect says of them at that moment.

From outside there are the sessions that access gear holds, logins, telephones that register or dial, and calls. A
client is looked at between two answers of the API: what both say, and what they say it of since when, is held against
what was seen in between.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2

from starter.errors import NotRunning, TemporalAway, WorkflowStuck
from starter.temporal.gateway import Gateway
from tests.support.waiting import eventually
from tests.systems.findings import Findings
from tests.systems.gear import Gear, Life
from tests.systems.phone import Call, Phone

PATIENCE = 1.0  # seconds that a telephone waits
PAUSE = 0.05  # seconds between two looks at a client
NO_CALL = 481
MOST_SESSIONS, HANGS_UP = 2, 0.1  # of a router; chance that it ends one in a look
DIALS = 0.15  # chance that a telephone dials in a look


@dataclass(frozen=True)
class Report:
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
    report: Report | None = None
    neighbours: Sequence["Tenant"] = field(default=(), repr=False)
    _radius: tuple[str, str] = ("", "")
    _versions: dict[str, int] = field(default_factory=dict)  # of the credentials, by number, and of the account by ""
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
            phones, self.phones, self.calls, self._versions = self.phones, {}, [], {}
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
        self.report, self.looks, self.findings.looks = after, self.looks + 1, self.findings.looks + 1

    async def _hold(self, key: tuple[str, str], before: Report, after: Report, on: Mapping[str, str]) -> None:
        (system, subject), since = key, after.off[key]
        if system == "telephony" and subject in on:
            self.findings.false.append(f"{self.client_id}, line {subject}, proven off: {on[subject]}")
        if system == "internet" and before.off[key] == since:
            for life in self._alive(before, after):
                if wrong := self.findings.session(life, since, after.sent):
                    await self._doubt(life, since, wrong, key)

    async def _hold_rates(self, before: Report, after: Report) -> None:
        rates, since = after.rates
        changes = {nas.address for nas in self.gear if nas.changes}
        for life in (life for life in self._alive(before, after) if rates and life.gear in changes):
            self.findings.plans += 1
            right = rates in (life.rates_at(before.answered), life.rates_at(after.sent))
            if not right and (wrong := self.findings.plan(life, rates, since, after.sent)):
                await self._doubt(life, since, wrong, None)

    def _alive(self, before: Report, after: Report) -> list[Life]:
        """The sessions that lived from the one answer to the other question."""
        return [life for life in self.lives if life.at(before.answered) and life.at(after.sent)]

    async def _doubt(self, life: Life, since: float, wrong: str, key: tuple[str, str] | None) -> None:
        """Ask the workflow itself, which has had every signal by then: the API adds newer proofs of the directory."""
        sent = time.time()
        try:
            report = self._report_of(sent, (await self.gateway.client(self.client_id)).model_dump(mode="json"))
        except NotRunning:  # the watch ends itself what it finds
            found = await self.api.get(f"/clients/{self.client_id}/history")
            believed = not any("Internet access found alive" in line["text"] for line in found.json()["items"])
        except (TemporalAway, WorkflowStuck):
            return
        else:
            believed = since == (report.off.get(key) if key else report.rates[1])
        if believed and life.at(time.time()):
            self.findings.unknown(life, since, time.time(), wrong)

    @property
    def lives(self) -> Iterator[Life]:
        return (life for nas in self.gear for life in nas.lives if life.account == self.client_id)

    async def _ask(self) -> Report:
        sent, view = await eventually(self._answered)
        self._numbers, self._has_internet = frozenset(line["number"] for line in view["lines"]), bool(view["internet"])
        return self._report_of(sent, view)

    async def _answered(self) -> tuple[float, dict[str, Any]]:
        """An answer of the API, and when it was asked. A service that is too busy is asked again."""
        sent = time.time()
        answer = await self.api.get(f"/clients/{self.client_id}")
        assert answer.status_code == 200, answer.text
        return sent, answer.json()

    def _report_of(self, sent: float, view: Mapping[str, Any]) -> Report:
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
        values = sent, time.time(), view["revision"], settled, view["status"], off, proven, view["secret_version"]
        return Report(*values)

    async def _configure(self, report: Report) -> None:
        """Telephones and the router get the client's credentials, once these are proven to be others, or more."""
        has = [*self._numbers, *([""] if self._has_internet else [])]
        if not report.settled or all(self._versions.get(name) == report.secret_version for name in has):
            return
        answer = await self.api.get(f"/clients/{self.client_id}/credentials")
        if answer.status_code != 200:
            return
        credentials = answer.json()
        host, _, port = credentials["servers"]["sip"].partition(":")
        for login in credentials["sip"]:
            self._versions[login["number"]] = report.secret_version
            if phone := self.phones.get(login["number"]):
                phone.password = login["password"]
                continue
            domain = credentials["servers"]["sip_domain"]
            phone = Phone(login["username"], login["password"], domain, (host, int(port)), address=self.address)
            self.phones[login["number"]] = await phone.__aenter__()
        if credentials["radius"]:  # or the router goes on trying with what it has
            self._radius = credentials["radius"]["username"], credentials["radius"]["password"]
            self._versions[""] = report.secret_version

    async def _from_outside(self, report: Report) -> dict[str, str]:
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
