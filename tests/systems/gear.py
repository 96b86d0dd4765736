"""Access gear that knows the truth about its sessions, and accounts for them until the server has it."""

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.router import INTERIM, START, STOP, Login, Nas
from tests.support.waiting import eventually

PATIENCE = 1.0  # seconds that it waits for an acknowledgement
ACCOUNTS_EVERY = 0.4  # seconds between two Interim-Updates
RATES = "Mikrotik-Rate-Limit"


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
        life = Life(username, session, self.address, asked, began, [(began, answer.attributes[RATES])])
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
