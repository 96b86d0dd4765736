"""What became of the callers' commands: their log against each client's history, its state and the systems' tables."""

import copy
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2

from tests.faults.callers import CallersLog
from tests.faults.workload import Request, begun
from tests.support.databases import fetch
from workflows.domain.client.client import Client
from workflows.domain.client.rules import needs_of
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Status

DONE = ("decided", "asked")
"""The lines of a history that say that a command was obeyed, whether it changed anything or not."""


@dataclass
class Account:
    """One client as the API shows it at the end, and as its own history explains it, command by command."""

    view: dict[str, Any]
    history: list[dict[str, Any]]
    credentials: dict[str, Any]
    explained: Client | None = None
    before: list[Client] = field(default_factory=list)

    @property
    def client_id(self) -> str:
        return str(self.view["client_id"])


class Audit:
    """Everything compared, once every client is settled. What does not agree stands in sentences."""

    def __init__(
        self, log: CallersLog, accounts: list[Account], begun_with: list[dict[str, Any]], tables: "Tables"
    ) -> None:
        """``begun_with``: what the first of the accounts were created with, before the callers began."""
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.wrong: list[str] = []
        self._log, self._accounts, self._tables = log, accounts, tables
        self._done = Counter(
            line["command_id"] for account in accounts for line in account.history if line["event"] in DONE
        )
        self._verdicts_stand()
        self._others_are_refused()
        self._keys_stand_once()
        self._requests = {request.command_id: request for request in log.verdicts}
        for account, record in zip(accounts, begun_with, strict=False):
            self._explain(account, record)
        self._refusals_have_reasons()
        self._tables_agree()

    @property
    def faults(self) -> list[str]:
        """Empty: nothing was lost, nothing doubled, and nothing is other than the callers were told."""
        return [*self.lost, *self.doubled, *self.wrong]

    def _verdicts_stand(self) -> None:
        """A key that is used again is answered as the first time."""
        for request, verdicts in self._log.verdicts.items():
            if different := [verdict for verdict in verdicts if verdict != verdicts[0]]:
                self.wrong.append(f"{request.key} was answered {verdicts[0]}, then {different[0]}")

    def _others_are_refused(self) -> None:
        """Another request under a key is refused, and does nothing."""
        for request, verdict in self._log.otherwise.items():
            if verdict.status != 422 or "Command id reused" not in verdict.detail:
                self.wrong.append(f"another request under the key of {request} was answered {verdict}")

    def _keys_stand_once(self) -> None:
        """What was accepted was done once, what was refused never."""
        self.lost += [
            f"{r} was accepted, and is in no history" for r in self._log.accepted if not self._done[r.command_id]
        ]
        self.wrong += [f"{r} was refused, and done all the same" for r in self._log.refused if self._done[r.command_id]]
        keys = {request.command_id for request in self._log.verdicts}
        self.doubled += [f"{key} was done {n} times" for key, n in self._done.items() if key in keys and n > 1]

    def _explain(self, account: Account, record: dict[str, Any]) -> None:
        """Its own history leads from how it began to how it is, and to what each caller was answered."""
        client = begun(record, datetime.fromisoformat(account.view["created_at"]))
        for line in account.history:
            request = self._requests.get(line["command_id"])
            if request is None or line["event"] not in DONE:
                continue
            self._compare(f"who asked for {request}", line["by"], request.by)
            account.before.append(copy.deepcopy(client))
            try:
                outcome = client.obey(request.command(), datetime.fromisoformat(line["at"]))
            except Refusal as refusal:
                self.wrong.append(f"{request} was done, but should have been refused: {refusal}")
                continue
            verdict = self._log.verdicts[request][0]
            self._compare(
                f"answer to {request}", (verdict.changed, verdict.detail), (outcome.changed, outcome.message[:300])
            )
        account.before.append(copy.deepcopy(client))
        account.explained = client
        self._compare(account.client_id, _facts_of_view(account.view), _facts_of_client(client))

    def _refusals_have_reasons(self) -> None:
        """What was refused could not have been obeyed at some moment, or was another client's."""
        accounts = {account.client_id: account for account in self._accounts}
        for request in self._log.refused:
            account = accounts[request.client_id]
            if not any(_refuses(client, request) for client in account.before) and not self._taken(account, request):
                self.wrong.append(f"{request} was refused without a reason: {self._log.verdicts[request][0].detail}")

    def _taken(self, account: Account, request: Request) -> bool:
        """Whether another client has ever had what the command asks for."""
        others = [client for other in self._accounts if other is not account for client in other.before]
        for needs in {needs_of(request.command(), c.services, c.billing_ref) for c in account.before}:
            if any(needs.billing_ref == o.billing_ref or set(needs.numbers) & o.numbers_held for o in others):
                return True
        return False

    def _tables_agree(self) -> None:
        """Kamailio and FreeRADIUS serve what the clients have, and nothing else."""
        served = set()
        for account in self._accounts:
            on = account.view["status"] == Status.ACTIVE
            for line in account.view["lines"] if on else []:
                number = line["number"].removeprefix("+")
                served.add(number)
                self._compare(f"secret of {number}", self._tables.ha1.get(number), _ha1(account.credentials, number))
            internet = account.view["internet"] if on else None
            login = (account.credentials["radius"]["password"], _rates(internet)) if internet else None
            self._compare(f"login of {account.client_id}", self._tables.logins.get(account.client_id), login)
        self._compare("lines in service", self._tables.in_service, served)

    def _compare(self, what: str, found: object, right: object) -> None:
        if found != right:
            self.wrong.append(f"{what}: it is {found!r}, and should be {right!r}")


@dataclass(frozen=True)
class Tables:
    """What Kamailio and FreeRADIUS go by: lines in service, digests by line, and accounts that are let in."""

    in_service: set[str]
    ha1: dict[str, str]
    logins: dict[str, tuple[str, str]]

    @classmethod
    async def read(cls, kamailio: str, radius: str) -> "Tables":
        """``kamailio`` and ``radius`` are the URLs of the databases."""
        lines = await fetch(kamailio, "SELECT username, in_service, ha1 FROM subscriber")
        accounts = await fetch(
            radius,
            "SELECT c.username, c.value AS password, r.value AS rates FROM radcheck c "
            "JOIN radreply r ON r.username = c.username AND r.attribute = 'Mikrotik-Rate-Limit' "
            "WHERE c.attribute = 'Cleartext-Password' AND NOT EXISTS "
            "(SELECT FROM radcheck b WHERE b.username = c.username AND b.attribute = 'Auth-Type')",
        )
        return cls(
            {line["username"] for line in lines if line["in_service"]},
            {line["username"]: line["ha1"] for line in lines},
            {row["username"]: (row["password"], row["rates"]) for row in accounts},
        )


async def account_of(api: httpx2.AsyncClient, client_id: str) -> Account:
    """A client with its whole history, oldest line first."""
    view = (await api.get(f"/clients/{client_id}")).raise_for_status().json()
    credentials = (await api.get(f"/clients/{client_id}/credentials")).raise_for_status().json()
    lines: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": ""}
    while page["next"] is not None:
        query = {"limit": 500, **({"cursor": page["next"]} if page["next"] else {})}
        page = (await api.get(f"/clients/{client_id}/history", params=query)).raise_for_status().json()
        lines += page["items"]
    return Account(view, lines[::-1], credentials)


def _refuses(client: Client, request: Request) -> bool:
    try:
        client.check(request.command(), datetime.now(UTC))
    except Refusal:
        return True
    return False


def _facts_of_view(view: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: view[name] for name in ("status", "type", "name", "billing_ref", "end_date", "secret_version")},
        "holds": {hold["source"]: hold["reason"] for hold in view["holds"]},
        "lines": {line["number"]: line["office"] for line in view["lines"]},
        "internet": view["internet"] and _rates(view["internet"]),
        "planned": {change["change_id"]: change["kind"] for change in view["planned"]},
    }


def _facts_of_client(client: Client) -> dict[str, Any]:
    internet = client.services.internet
    return {
        "status": client.status,
        "type": client.services.type,
        "name": client.name,
        "billing_ref": client.billing_ref,
        "end_date": client.end_date and client.end_date.isoformat(),
        "secret_version": client.secret_version,
        "holds": {hold.source: hold.reason for hold in client.holds.values()},
        "lines": {line.number: line.office for line in client.services.lines},
        "internet": internet and f"{internet.up_mbps}M/{internet.down_mbps}M",
        "planned": {change.change_id: change.kind for change in client.schedule},
    }


def _rates(internet: dict[str, Any]) -> str:
    return f"{internet['up_mbps']}M/{internet['down_mbps']}M"


def _ha1(credentials: dict[str, Any], username: str) -> str:
    (login,) = (login for login in credentials["sip"] if login["username"] == username)
    text = f"{username}:{credentials['servers']['sip_domain']}:{login['password']}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()  # RFC 2617 digest
