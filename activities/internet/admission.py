"""What a FreeRADIUS's tables make of the logins of one account: who lets it in, and what keeps it out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from activities.internet.logins import REJECT, Item, Login, Tables
from activities.internet.order import OURS

_OURS = frozenset(name.lower() for name in OURS)
_DATES = ("%d %b %Y", "%b %d %Y", "%d %B %Y", "%B %d %Y", "%Y-%m-%d")


@dataclass(frozen=True)
class LetIn:
    """Who lets logins of an account in. ``other_row``: a row of somebody else, with what to do. ``twins``: other
    spellings of it that are let in."""

    at_all: bool
    other_row: str
    twins: frozenset[str]

    @classmethod
    def of(cls, tables: Tables, account: str, twins: Sequence[str], logins: Collection[Login] | None = None) -> Self:
        """What these tables make of it. ``twins`` are its other spellings that no client owns; ``logins``: its own,
        where they are known."""
        rows = [_other_row(it) for it in (tables.logins(account) if logins is None else logins) if not it.denied]
        same = [twin for twin in twins if twin.strip(" ").lower() == account.lower()]
        if same and not rows:  # as a server reads them that ignores case
            rows = [_other_row(login) for login in tables.logins(account, *same) if not login.denied]
        let_in = [twin for twin in twins if any(not login.denied for login in tables.logins(twin))]
        other_row = next(filter(None, rows), "") or next(map(_twin, let_in), "")
        return cls(bool(rows or let_in), other_row, frozenset(let_in))


@dataclass(frozen=True)
class Admission:
    """What becomes of a login. ``checks`` and ``replies`` are the account's own rows, the latter of our attributes.

    ``admits``: some login may be let in. ``other_row``: a row of somebody else, which is named, with what to do.
    ``twins``: other spellings of it that are let in. ``hindrance``: why a login with its own password, from any router,
    is not answered as it should be. ``limits``: check items that keep everybody out where the server looks at them.
    ``conditions``: check items that a login of our own may not satisfy.
    """

    checks: Sequence[Item]
    replies: list[tuple[str, str, str]]
    admits: bool
    other_row: str
    twins: frozenset[str]
    hindrance: str
    limits: tuple[str, ...]
    conditions: tuple[str, ...]

    @classmethod
    def of(cls, tables: Tables, account: str, twins: Sequence[str], replies: Mapping[str, str], now: datetime) -> Self:
        """What these tables make of an account that is to be answered with these ``replies``. ``twins`` are its other
        spellings that no client owns."""
        checks = tables.checks.get(account, ())
        logins = tables.logins(account)
        let_in = LetIn.of(tables, account, twins, logins)
        conditions = tables.conditions(account)
        limits = {item: why for item in conditions if (why := _limit(item, now))}
        return cls(
            checks,
            [(i.attribute, i.op, i.value) for i in tables.replies.get(account, ()) if i.name in _OURS],
            let_in.at_all,
            let_in.other_row,
            let_in.twins,
            _hindrance(tables, account, logins, replies),
            tuple(limits.values()),
            tuple(dict.fromkeys(item.attribute for item in conditions if item not in limits)),
        )

    @property
    def known(self) -> bool:
        return bool(self.checks)

    @property
    def keyed(self) -> bool:
        """Whether it has a password of its own."""
        return any("password" in item.name for item in self.checks)

    @property
    def rejected(self) -> bool:
        """Whether its own rows reject it, and no other row of its own says anything else about it."""
        auth_types = [item for item in self.checks if item.name == "auth-type"]
        return bool(auth_types) and all((i.operator, i.value.strip().lower()) == (":=", "reject") for i in auth_types)

    @property
    def has_reject(self) -> bool:
        return any(item.name == "auth-type" and item.value.strip().lower() in REJECT for item in self.checks)

    @property
    def switched_off(self) -> bool:
        """Whether its own rows let nobody in."""
        return self.rejected or not self.known

    @property
    def summary(self) -> str:
        """What a login meets, in a word for the evidence."""
        if not self.admits:
            return "rejected" if self.known else "absent"
        doubtful = (self.hindrance and self.keyed) or (self.has_reject and not self.other_row)
        return "doubtful" if doubtful else "accepted"


def _other_row(login: Login) -> str:
    """How somebody else's row lets it in; empty when its own rows do."""
    if "radgroup" not in login.why:
        return ""
    return f"a login is let in by {login.why}. Remove that row, or take the account out of that group (radusergroup)"


def _twin(name: str) -> str:
    remedy = "Reject it or remove its rows; CONNECT_RADIUS_REALMS says which realms make another spelling"
    return f"account {name!r} is another spelling of it, and is let in. {remedy}"


def _hindrance(tables: Tables, account: str, logins: set[Login], replies: Mapping[str, str]) -> str:
    if wrong := tables.unreadable([account]):
        return f"every login fails: FreeRADIUS cannot read {wrong[0]}. Correct its operator, or remove it"
    checks = tables.checks.get(account, ())
    if never := [item for item in checks if item.is_password and item.operator not in (":=", "+=")]:
        return f"no login matches {never[0]}. Its operator must be :="
    good = [login for login in logins if login.takes_own_password]
    if not good:
        admitted = sorted(login.why for login in logins if not login.denied)
        denied = sorted(login.why for login in logins if login.denied)
        if admitted:
            return f"its own password is not the one that counts, but {admitted[0]}. Remove that row"
        return f"every login is rejected, by {next(filter(None, denied), 'no row')}. Remove that row"
    expected = sorted((name.lower(), value) for name, value in replies.items())
    if not any(sorted(login.replies) == expected for login in good):
        rows = [item for group in tables.groups_of(account) for item in tables.group_replies.get(group, ())]
        other = next((item for item in rows if item.name in _OURS), None)
        return f"a router is told something else, by {other}. Remove that row" if other else ""
    return ""


def _limit(item: Item, now: datetime) -> str:
    """Why a check item keeps everybody out, where the server looks at it; empty when it does not."""
    value = item.value.strip().lower()
    never = (item.name, value) in (("login-time", "never"), ("simultaneous-use", "0"))
    if never or (item.name == "expiration" and (end := _date(item.value)) and end < now):
        return f"{item} keeps everybody out, unless the server does not look at it. Remove that row"
    return ""


def _date(text: str) -> datetime | None:
    """The end of a day as FreeRADIUS writes dates; None for what is none."""
    if text.strip().isdecimal():
        return datetime.fromtimestamp(min(int(text), 4e9), UTC)
    words = text.replace(",", " ").split()
    for form in _DATES:
        try:
            day = datetime.strptime(" ".join(words[: len(form.split())]), form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return day + timedelta(days=1)
    return None
