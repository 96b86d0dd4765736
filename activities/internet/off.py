"""Accounts that should be off, of any number of clients, as they are read for the watch (alive.py)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from activities.internet.admission import LetIn
from activities.internet.logins import Tables
from activities.internet.sessions import local, spells


@dataclass(frozen=True)
class Off:
    """What was read of accounts that should be off. ``owners``: the client that each account has by now. ``sessions``:
    rows of ``radacct`` of those that may live: key, username, session, NAS, the Unix time at which it was heard of,
    whether it is open, and its Interim interval. ``cutoffs``: of other accounts, whose sessions were changed lately
    (late.py), what the fence says of that."""

    at: datetime
    owners: Mapping[str, str]
    sessions: Sequence[Sequence[Any]]
    tables: Tables
    realms: tuple[str, ...]
    cutoffs: Sequence[Mapping[str, Any]] = ()
    _let_in: dict[object, LetIn] = field(default_factory=dict)

    @cached_property
    def _spelt(self) -> dict[str, set[str]]:
        return spelt_alike({*self.tables.checks, *self.tables.groups})

    @cached_property
    def _living(self) -> dict[str, list[Sequence[Any]]]:
        found: dict[str, list[Sequence[Any]]] = {}
        for row in self.sessions:
            found.setdefault(local(row[1] or ""), []).append(row)
        return found

    def let_in(self, account: str) -> LetIn:
        """Who lets logins of an account in. Accounts whose rows say the same are worked out once."""
        names = self._spelt.get(local(account), set())
        twins = sorted(n for n in names if n not in self.owners and n != account and spells(account, n, self.realms))
        if twins:
            return LetIn.of(self.tables, account, twins)
        own = (*self.tables.checks.get(account, ()), *self.tables.replies.get(account, ()))
        rows = tuple((item.table, item.name, item.operator, "" if item.is_password else item.value) for item in own)
        shape = rows, tuple(sorted(self.tables.groups.get(account, ())))
        if shape not in self._let_in:
            self._let_in[shape] = LetIn.of(self.tables, account, twins)
        return self._let_in[shape]

    def living(self, account: str) -> list[Sequence[Any]]:
        """The rows of its sessions that may live, however they are spelt. Another client's account is not it."""
        rows = self._living.get(local(account), [])
        return [
            row
            for row in rows
            if spells(account, row[1], self.realms) and (row[1] == account or row[1] not in self.owners)
        ]


def spelt_alike(names: Iterable[str]) -> dict[str, set[str]]:
    """These names, by what all spellings of an account have in common."""
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(local(name), set()).add(name)
    return found
