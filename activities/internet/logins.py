"""What rlm_sql makes of its tables when somebody logs in: every way in which a login of an account may go.

FreeRADIUS 3 takes the account's ``radcheck`` (if its conditions hold), then its groups by priority (each if its
conditions hold; further ones only after ``Fall-Through = Yes``), then a profile's groups. Each moves its items into the
list of the request, by operator: so a group's ``Auth-Type == Accept`` removes our ``Auth-Type := Reject``, and its
``:=`` replaces it. Conditions that hold for some routers only may hold or not: both ways count.

What is not in these tables (a users file, LDAP, unlang) cannot be seen here, but by a login of our own.
tests/systems/test_internet_matrix.py holds what follows from it against the daemon.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from typing import Any, Self

from workflows.domain.text import safe_text

PASSES = frozenset({":=", "+="})
"""Operators of items that are set, and compared with nothing."""

COMPARES = frozenset({"==", "=", "!=", "<", ">", "<=", ">=", "=~", "!~", "-="})
"""All other operators that rlm_sql takes. One row with another makes every login fail."""

NOT_COMPARED = frozenset({"auth-type", "autz-type", "acct-type", "session-type", "strip-user-name", "crypt-password"})
"""Items that the server never compares with the request (``paircompare``)."""

HARMLESS = frozenset({"auth-type", "user-profile", "pool-name", "fall-through"})
"""Check items that keep nobody out by what a login says of itself."""

REJECT = frozenset({"reject", "4"})
BY_MODULE = "set by a module"
"""Auth-Type as the modules before rlm_sql leave it: chap, mschap and eap set one, for a PAP login none does."""


@dataclass(frozen=True)
class Item:
    """A row of radcheck, radreply, radgroupcheck or radgroupreply. ``owner`` is an account or a group."""

    table: str
    id: int
    owner: str
    attribute: str
    op: str
    value: str

    @property
    def name(self) -> str:
        """The attribute, as the server compares it."""
        return self.attribute.strip().lower()

    @property
    def operator(self) -> str:
        return self.op.strip() or "=="  # as rlm_sql takes none

    @property
    def is_password(self) -> bool:
        """A password that the server compares with what a login brings."""
        return "password" in self.name and self.name not in ("user-password", "chap-password")

    def __str__(self) -> str:
        value = "…" if "password" in self.name or "secret" in self.name else self.value
        where = f"group {self.owner}, " if self.table.startswith("radgroup") else ""
        return safe_text(f"{self.attribute} {self.operator} {value} ({where}{self.table} row {self.id})", 200)


@dataclass(frozen=True)
class Login:
    """One way in which a login goes: what the server has when it decides. ``why``: the row that settled it."""

    control: tuple[tuple[str, str, str], ...] = ()  # name, value, table
    replies: tuple[tuple[str, str], ...] = ()
    falls_through: bool | None = None
    why: str = field(default="", compare=False)

    @property
    def denied(self) -> bool:
        auth_types = [value for name, value, _ in self.control if name == "auth-type"]
        keyed = any(_is_password(name) for name, _, _ in self.control)
        return any(it.lower() in REJECT for it in auth_types) or not (
            keyed or any(it != BY_MODULE for it in auth_types)
        )

    @property
    def takes_own_password(self) -> bool:
        """Whether it is admitted with the password in the account's own ``radcheck``."""
        first = next((table for name, _, table in self.control if _is_password(name)), "")
        return not self.denied and first == "radcheck"


@dataclass(frozen=True)
class Tables:
    """The rows that concern some accounts. ``groups``: of each account or profile, with
    their priority; equal ones come in any order. ``profile``: the
    account whose groups everybody has (``default_user_profile``)."""

    checks: Mapping[str, Sequence[Item]]
    replies: Mapping[str, Sequence[Item]]
    groups: Mapping[str, Sequence[tuple[int, str]]]
    group_checks: Mapping[str, Sequence[Item]]
    group_replies: Mapping[str, Sequence[Item]]
    profile: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any], profile: str) -> Self:
        """Those of a row of ``sql.READ`` or ``sql.WATCH``."""
        groups: dict[str, list[tuple[int, str]]] = {}
        for name, priority, group in row["members"] or []:
            groups.setdefault(name, []).append((priority, group))
        checks, replies = _items("radcheck", row["checks"]), _items("radreply", row["replies"])
        group_items = _items("radgroupcheck", row["group_checks"]), _items("radgroupreply", row["group_replies"])
        return cls(checks, replies, groups, *group_items, profile)

    def logins(self, *accounts: str) -> set[Login]:
        """Every way in which a login may go; several spellings of one account: as a server that ignores case has
        their rows, together. Empty when the server cannot read a row."""
        checks = sorted(chain(*(self.checks.get(name, ()) for name in accounts)), key=lambda item: item.id)
        replies = sorted(chain(*(self.replies.get(name, ()) for name in accounts)), key=lambda item: item.id)
        ends: set[Login] = set()
        starts = (Login(), Login(control=(("auth-type", BY_MODULE, ""),)))
        for start, reverse in product(starts, (False, True)):
            groups = self._in_order(accounts, reverse)
            firsts = set()
            holds = _holds(checks)
            if holds is not False and checks:
                firsts.add(_merge(start, checks, replies))
            if holds is not True or not checks:
                firsts.add(start)
            for first in firsts:
                after = self._through(groups, first) if first.falls_through is not False else {first}
                ends.update(*(self._profiled(login, reverse) for login in after))
        return ends if self._readable(accounts) else set()

    def conditions(self, account: str) -> list[Item]:
        """The check items, of the account and its groups, that a login of our own may not satisfy."""
        return [
            item
            for item in chain(self.checks.get(account, ()), *map(self._checks_of, self.groups_of(account)))
            if item.name not in HARMLESS and not (item.is_password and item.operator in PASSES)
        ]

    def unreadable(self, accounts: Iterable[str]) -> list[Item]:
        """Rows with an operator that rlm_sql does not take: a login that meets one fails."""
        rows = chain(
            *(chain(self.checks.get(name, ()), self.replies.get(name, ())) for name in accounts),
            *(map(self._checks_of, chain(*map(self.groups_of, accounts)))),
        )
        return [item for item in rows if item.operator not in PASSES | COMPARES]

    def _readable(self, accounts: Iterable[str]) -> bool:
        # one in a group may be met by some logins only: it is no reason to call the account off
        own = chain(*(chain(self.checks.get(name, ()), self.replies.get(name, ())) for name in accounts))
        return all(item.operator in PASSES | COMPARES for item in own)

    def _checks_of(self, group: str) -> Sequence[Item]:
        return self.group_checks.get(group, ())

    def groups_of(self, account: str) -> list[str]:
        """Every group that an account is in, with those of everybody."""
        return self._in_order((account, self.profile), reverse=False)

    def _in_order(self, accounts: Iterable[str], reverse: bool) -> list[str]:
        members = sorted(chain(*(self.groups.get(name, ()) for name in accounts)), reverse=reverse)
        return [group for _, group in sorted(members, key=lambda member: member[0])]

    def _through(self, groups: Sequence[str], login: Login) -> set[Login]:
        """Groups in their order: the first whose conditions hold, and the next ones after Fall-Through = Yes."""
        going: set[Login] = {login}
        ended: set[Login] = set()
        for group in groups:
            checks, replies = self._checks_of(group), self.group_replies.get(group, ())
            holds = _holds(checks)
            next_going: set[Login] = set()
            if any(item.operator not in PASSES | COMPARES for item in (*checks, *replies)):
                break  # the server cannot read it: who comes so far is not let in
            for state in going:
                if holds is not False:
                    merged = _merge(state, checks, replies)
                    (next_going if merged.falls_through else ended).add(merged)
                if holds is not True:
                    next_going.add(state)
            going = next_going
        else:
            ended |= going
        return ended

    def _profiled(self, login: Login, reverse: bool) -> set[Login]:
        named = next((value for name, value, _ in login.control if name == "user-profile"), self.profile)
        groups = self._in_order((named,), reverse)
        return self._through(groups, login) if groups and login.falls_through is not False else {login}


def _holds(checks: Sequence[Item]) -> bool | None:
    """Whether these conditions hold for a login; None: for some."""
    holds: bool | None = True
    for item in checks:
        if item.operator in PASSES or item.name in NOT_COMPARED:
            continue
        if item.is_password:
            return False  # no login brings such an attribute
        holds = None
    return holds


def _merge(login: Login, checks: Sequence[Item], replies: Sequence[Item]) -> Login:
    deciding = [item for item in checks if item.name in ("auth-type", "user-profile") or item.is_password]
    control = _move([(n, v, t) for n, v, t in login.control], deciding)
    moved = _move([(n, v, "") for n, v in login.replies], [item for item in replies if item.name != "fall-through"])
    falls = [item.value.strip().lower() in ("yes", "1") for item in replies if item.name == "fall-through"]
    decides = next((str(item) for item in deciding if item.name == "auth-type" or item.is_password), "")
    changed = tuple(control) != login.control
    return Login(
        tuple(control),
        tuple((name, value) for name, value, _ in moved),
        falls[0] if falls else None,
        decides if changed and decides else login.why,
    )


def _move(to: list[tuple[str, str, str]], items: Sequence[Item]) -> list[tuple[str, str, str]]:
    """These items moved into a list, by their operators (``radius_pairmove``)."""
    before: list[tuple[str, str, str] | None] = list(to)
    edited, added = set(), []
    for item in items:
        entry = (item.name, _text(item), item.table)
        same = [n for n, known in enumerate(before) if known and known[0] == item.name and n not in edited]
        match item.operator:
            case "+=":
                added.append(entry)
            case ":=" if same:
                before[same[0]] = entry
                edited.add(same[0])
            case "=" | "<=" | ">=" | ":=":
                if not same:
                    added.append(entry)
                elif item.operator != "=":
                    before[same[0]] = entry  # perhaps: numbers decide, and a Reject that goes is what counts
            case "==" | "-=":
                for n in same:
                    known = before[n]
                    equal = known is not None and known[1].lower() == entry[1].lower()
                    if equal is (item.operator == "-="):
                        before[n] = None
    return [known for known in before if known] + added


def _text(item: Item) -> str:
    """The value, which a password never shows."""
    return "" if item.is_password else item.value.strip()


def _is_password(name: str) -> bool:
    return "password" in name


def _items(table: str, rows: Sequence[Sequence[Any]] | None) -> dict[str, list[Item]]:
    items: dict[str, list[Item]] = {}
    for number, owner, attribute, op, value in rows or []:
        items.setdefault(owner, []).append(Item(table, number, owner, attribute or "", op or "", value or ""))
    return items
