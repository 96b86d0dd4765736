"""Random commands to a few clients, the same ones for the same seed. Most of them can be obeyed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from starter.web.keys import OWNER, command_id_of
from workflows.domain.client.client import Client
from workflows.domain.client.planning import named_day
from workflows.domain.client.rules import needs_of
from workflows.domain.commands import ClientCommand
from workflows.domain.dates import NamedDay, resolve
from workflows.domain.errors import NumberTaken, Refusal
from workflows.domain.lifecycle import Kind
from workflows.domain.services import ClientType, Internet, Line, Services
from workflows.wire.messages import BY_NAME, DatedMessage

SITE = {"site_id": "bank-house", "name": "Bank House", "timezone": "Europe/London"}
BEGUN = date(2025, 1, 1)
CREATE = "create"
SHARED = tuple(f"+442079460{n}" for n in range(800, 816))  # numbers that clients give up, and take from each other
DOOMED = 2  # so many clients may be decommissioned, and are asked for more
REFUSED_TOO = 0.5  # this part of what would be refused is asked for all the same
ASKED_AGAIN = 0.3  # this part of the commands is sent once more under its key, by any caller, ...
LATER = 60  # ... at most so many commands later

ACTIONS = {
    "suspend": 24,
    "unsuspend": 20,
    "add a line": 14,
    "remove a line": 10,
    "set internet": 8,
    "convert": 6,
    "edit": 8,
    "take a billing ref": 3,
    "rotate": 5,
    "plan": 5,
    "cancel": 5,
    "decommission": 1,
    "create": 3,
}
"""What may be asked, and how often."""

_PATHS = {
    Kind.CANCEL_SCHEDULED_DECOMMISSION: "cancel-scheduled-decommission",
    Kind.CHANGE_SERVICES: "services",
    Kind.EDIT: "",
    Kind.ROTATE_CREDENTIALS: "rotate-credentials",
}


@dataclass(frozen=True)
class Request:
    """One command under a key of its own. ``fields`` are all that it says beside the key; ``by``: whose token it comes
    with."""

    key: str
    client_id: str
    kind: str
    fields: dict[str, Any] = field(hash=False)
    by: str = OWNER

    @property
    def command_id(self) -> str:
        """What the key is for its caller."""
        return command_id_of(self.by, self.key)

    @property
    def method(self) -> str:
        return {Kind.EDIT.value: "PATCH", Kind.CANCEL_PLANNED.value: "DELETE"}.get(self.kind, "POST")

    @property
    def path(self) -> str:
        """Below /api/v1."""
        if self.kind == CREATE:
            return "/clients"
        if self.kind == Kind.CANCEL_PLANNED:
            return f"/clients/{self.client_id}/planned/{self.fields['change']}"
        return f"/clients/{self.client_id}/{_PATHS.get(Kind(self.kind), self.kind)}".rstrip("/")

    @property
    def body(self) -> dict[str, Any]:
        return {name: value for name, value in self.fields.items() if name != "change"}

    @property
    def otherwise(self) -> "Request":
        """Another request under the same key."""
        other = {"name": "Another"} if self.kind == CREATE else {"reason": "another request"}
        return replace(self, fields={**self.fields, **other})

    def command(self) -> ClientCommand:
        """What the client is asked to do, in the words of the domain."""
        message = BY_NAME[self.kind].model_validate({**self.fields, "command_id": self.command_id, "by": self.by})
        if isinstance(message, DatedMessage) and (day := named_day(message.command())):
            message = message.dated(resolve(day, SITE["timezone"]))  # as the API does
        command: ClientCommand = message.command()  # type: ignore[assignment]  # none of them is about a system
        return command


INTERNET = {"down_mbps": 100, "up_mbps": 20}
OFFICE = "1.1"


def records(clients: int, *, residential: bool = False) -> list[dict[str, Any]]:
    """What the clients are created with: virtual, two lines each; or residential, with internet access, too."""
    lines = [(f"+44207946{9000 + n}", f"+44207946{9500 + n}") for n in range(clients)]
    office = {"office": OFFICE} if residential else {}
    return [
        {
            "client_id": f"tenant-{n}",
            "name": f"Tenant {n}",
            "type": "residential" if residential else "virtual",
            "site": SITE["site_id"],
            "billing_ref": f"T-{n}",
            "start_date": BEGUN.isoformat(),
            "lines": [{"number": number} | office for number in lines[n]],
            **({"internet": INTERNET} if residential else {}),
        }
        for n in range(clients)
    ]


def begun(record: dict[str, Any], created_at: datetime) -> Client:
    """A client of ``records`` as the domain begins it: its start date has activated it."""
    client = Client(
        client_id=record["client_id"],
        name=record["name"],
        site=record["site"],
        timezone=SITE["timezone"],
        services=Services(
            ClientType(record["type"]),
            tuple(Line(line["number"], line.get("office")) for line in record["lines"]),
            Internet(**record["internet"]) if "internet" in record else None,
        ),
        start_date=resolve(NamedDay(BEGUN), SITE["timezone"]),
        created_at=created_at,
        billing_ref=record["billing_ref"],
    )
    client.begin()
    client.advance(created_at)
    return client


class Workload:
    """What each caller asks, in its order. ``requests`` are all commands; some are sent again, under the same key.
    ``actions``: what is asked, and how often; ``tokens``: the names of those that the callers have, in turn."""

    def __init__(
        self,
        seed: int,
        clients: int,
        callers: int,
        commands: int,
        *,
        residential: bool = False,
        actions: Mapping[str, int] = ACTIONS,
        tokens: Sequence[str] = (OWNER,),
    ) -> None:
        self._chance, self._actions = random.Random(seed), actions
        self._now = datetime.now(UTC)
        created = records(clients, residential=residential)
        self._clients = {record["client_id"]: begun(record, self._now) for record in created}
        self._living = list(self._clients)[DOOMED:]
        self.requests: list[Request] = []
        self.turns: list[list[Request]] = [[] for _ in range(callers)]
        again: dict[int, list[Request]] = {}
        for n in range(commands):
            caller = self._chance.randrange(callers)
            request = replace(self._next(n, f"caller-{caller}"), by=tokens[caller % len(tokens)])
            self.requests.append(request)
            self.turns[caller].append(request)
            if self._chance.random() < ASKED_AGAIN:
                again.setdefault(n + self._chance.randrange(LATER), []).append(request)
            for repeated in again.pop(n, ()):
                self.turns[self._chance.randrange(callers)].append(repeated)

    def _next(self, n: int, source: str) -> Request:
        """A command that its client would obey now, had all been obeyed before it; sometimes one it would not."""
        key = f"{n:04}-{self._chance.getrandbits(32):08x}"
        while True:
            client = self._clients[self._chance.choice(list(self._clients))]
            (action,) = self._chance.choices(list(self._actions), list(self._actions.values()))
            if action == "create":
                return Request(key, "", CREATE, {"name": f"Late {key}", "type": "virtual", "site": SITE["site_id"]})
            if action == "decommission" and client.client_id in self._living:
                continue
            kind, fields = self._command_fields(action, client, n, source)
            request = Request(key, client.client_id, kind.value, {"source": source, "reason": f"command {n}", **fields})
            try:
                self._obey(client, request)
            except Refusal:
                if self._chance.random() > REFUSED_TOO:
                    continue
            return request

    def _obey(self, client: Client, request: Request) -> None:
        command = request.command()
        for other in self._clients.values():
            if (
                other is not client
                and set(needs_of(command, client.services, client.billing_ref).numbers) & other.numbers_held
            ):
                raise NumberTaken("It belongs to another client")
        client.obey(command, self._now)

    def _command_fields(self, action: str, client: Client, n: int, source: str) -> tuple[Kind, dict[str, Any]]:
        chance, residential = self._chance, client.services.type is ClientType.RESIDENTIAL
        office = chance.choice(["1.1", "1.2", "2.1"])
        match action:
            case "suspend":
                return Kind.SUSPEND, {}
            case "unsuspend":
                return Kind.UNSUSPEND, {"source": chance.choice([*client.holds, source])}
            case "add a line":
                line = {"number": chance.choice(SHARED), **({"office": office} if residential else {})}
                return Kind.CHANGE_SERVICES, {"add_lines": [line]}
            case "remove a line":
                return Kind.CHANGE_SERVICES, {"remove_lines": [chance.choice([*client.services.numbers, *SHARED[:1]])]}
            case "set internet":
                rates = {"down_mbps": chance.randint(1, 500), "up_mbps": chance.randint(1, 100)}
                return Kind.CHANGE_SERVICES, {"internet": chance.choice([rates, rates, "none"])}
            case "convert" if residential:
                return Kind.CONVERT, {"to": "virtual"}
            case "convert":
                return Kind.CONVERT, {"to": "residential", "offices": [office]}
            case "edit":
                day = date(chance.randint(2030, 2080), 6, 30).isoformat()
                return Kind.EDIT, chance.choice([{"name": f"Tenant {n}"}, {"end_date": day}])
            case "take a billing ref":
                return Kind.EDIT, {"billing_ref": chance.choice([f"B-{n}", "T-1"])}
            case "rotate":
                return Kind.ROTATE_CREDENTIALS, {}
            case "plan":
                last_day = date(chance.randint(2030, 2080), 1, 31).isoformat()
                return chance.choice([Kind.SUSPEND, Kind.DECOMMISSION]), {"last_day": last_day}
            case "cancel":
                kind = chance.choice([Kind.CANCEL_PLANNED, Kind.CANCEL_SCHEDULED_DECOMMISSION])
                return kind, {"change": "suspend"} if kind is Kind.CANCEL_PLANNED else {}
            case "decommission":
                return Kind.DECOMMISSION, {}
        raise AssertionError(action)
