"""What was found false, or excused, of what Connect says of sessions."""

import math
from collections import Counter
from dataclasses import dataclass, field

from tests.systems.gear import Life

ROUNDS = 3  # of the watch, after which it has found what it was told of, and told the client's workflow


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
