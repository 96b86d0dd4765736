"""The largest clients that there can be, and somebody at a service that has them: no workflow runs them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache

import pytest_asyncio

from activities.instances import KindSettings
from starter.app import create_app
from starter.clients import ClientService
from starter.contract.answers import ClientNote, Credentials, HistoryEntry, HistoryPage, NotePage
from starter.contract.catalogue import ONLY_BUILT_IN, Catalogue
from starter.erasing import Eraser
from starter.errors import NotErasable
from tests.starter.console.filling_in import Somebody, signed_in
from tests.support.builders import LONDON, dated, tenant
from tests.support.service import KEYRING, LIMITS, TOKEN, Service, serving
from workflows.domain.client.planning import named_day
from workflows.domain.commands import ChangeServices, Suspend
from workflows.domain.dates import resolve
from workflows.domain.errors import Refusal
from workflows.domain.preview import preview
from workflows.domain.services import MOST_LINES, MOST_SERVICES, ClientType, Internet, Line, Services
from workflows.domain.services import Service as Further
from workflows.domain.state import ClientState
from workflows.wire.messages import AnyMessage, DatedMessage
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView, SubjectView, SystemView

NOW = datetime.now(UTC)
OFFICE = "Third floor, east wing, room %04d behind the old lift and stairs"
SEEN = {
    "password": "set by Connect",
    "registrations": "none",
    "calls": "none",
    "login": "401 Unauthorized",
    "rows": "1",
}
LATER = date(NOW.year + 1, 6, 30)


def numbers(first: int, many: int) -> list[str]:
    return [f"+4420794{place:05d}" for place in range(first, first + many)]


@cache
def largest(kind: ClientType) -> ClientState:
    """A client with as much of everything as there can be."""
    virtual = kind is ClientType.VIRTUAL
    lines = [Line(number, None if virtual else OFFICE % n) for n, number in enumerate(numbers(0, MOST_LINES))]
    rooms = [] if virtual else [f"Room {n}, {'x' * 54}"[:64] for n in range(MOST_LINES)]
    further = [Further("doors", f"door-{n}", {"card": "7" * 100, "zones": "8" * 200}) for n in range(MOST_SERVICES)]
    internet = None if virtual else Internet(100, 20, 110)
    services = Services(kind, tuple(lines), internet, tuple(rooms), () if virtual else tuple(further))
    client = tenant(client_id=f"largest-{kind}", services=services)
    client.tags = [f"{n} {'t' * 55}" for n in range(20)]
    client.external_ids = {f"system-{n}": "i" * 60 for n in range(20)}
    state = ClientState(client, LIMITS)
    for n in range(100):
        client.obey(Suspend(source=f"source {n} {'s' * 50}", reason=f"reason {n} {'r' * 480}"), NOW)
    added = tuple(Line(number, None if virtual else OFFICE % 1) for number in numbers(0, 500))
    client.obey(dated(ChangeServices(add_lines=added, last_day=LATER, command_id="plan", reason="q" * 500)), NOW)
    state.provisioning.follow(client)
    return state


def state_of(client_id: str) -> ClientState:
    return largest(ClientType(client_id.removeprefix("largest-")))


def seen(system: str, subjects: list[str], *, wrong: int = 0) -> SystemView:
    """A system whose last subjects are not as decided."""
    views = [
        SubjectView(
            subject=name,
            desired="off",
            actual="unknown" if n < wrong else "off",
            state="failed" if n < wrong else "proven",
            proven_at=None if n < wrong else NOW,
            protected=False,
            why="It did not answer. " * 10 if n < wrong else "",
            seen={} if n < wrong else SEEN,
        )
        for n, name in enumerate(reversed(subjects))
    ]
    return SystemView(
        system=system,
        desired=dict.fromkeys(subjects, "off"),
        actual=dict.fromkeys(subjects, "off"),
        proven_at=None,
        attempts=3,
        last_error="e" * 500,
        next_attempt_at=NOW,
        subjects=views,
        state="attention",
    )


class OfTheLargest(ClientService):
    """The service, for which there are the largest clients, too: no workflow runs them."""

    async def client(self, client_id: str) -> ClientView:
        if not client_id.startswith("largest-"):
            return await super().client(client_id)
        view = ClientView.of(state_of(client_id), NOW).with_actions()
        doors = [f"door-{n}" for n in range(MOST_SERVICES)] if view.services else ["door"]
        systems = [
            seen("telephony", [line.number for line in view.lines], wrong=300),
            seen("internet", [client_id]),
            seen("doors", doors),
        ]
        return view.model_copy(update={"systems": systems, "temporal_ui_url": "http://127.0.0.1/"})

    async def preview(self, client_id: str, message: AnyMessage) -> PreviewView:
        state = state_of(client_id)
        if isinstance(message, DatedMessage) and (day := named_day(message.command())) is not None:
            message = message.dated(resolve(day, LONDON))
        try:
            return PreviewView.of(preview(state, message.command(), NOW), LONDON)
        except Refusal as refusal:
            return PreviewView.refused(refusal)

    async def history(self, client_id: str, limit: int, cursor: str | None, event: str = "") -> HistoryPage:
        line = HistoryEntry(
            history_id=1,
            event="decided",
            at=NOW,
            kind="suspend",
            text="t" * 500,
            by="b" * 200,
            source="s" * 64,
            reason="r" * 500,
            command_id="",
            revision=1,
            facts={},
        )
        return HistoryPage(items=[line] * limit, next="more", total=10_000)

    async def notes(self, client_id: str, limit: int, cursor: str | None) -> NotePage:
        note = ClientNote(note_id=1, at=NOW, by="b" * 200, text="t" * 1000)
        return NotePage(items=[note] * limit, next="more", total=10_000)

    async def credentials(self, client_id: str, by: str) -> Credentials:
        return self.keyring.credentials(await self.client(client_id), {})


class ErasesNobody(Eraser):
    async def check(self, client_id: str) -> None:
        raise NotErasable(f"Client {client_id} is kept", "Keep it")


@dataclass
class Desk:
    """Somebody at a service that has the largest clients."""

    ann: Somebody
    clients: OfTheLargest


@pytest_asyncio.fixture(scope="module")
async def desk(service: Service) -> AsyncIterator[Desk]:
    same = service.clients
    doors = Catalogue(
        ONLY_BUILT_IN.kinds | {"doors": KindSettings("doors", "Doors", in_building=True)}, {"doors": ["main"]}
    )
    clients = OfTheLargest(same.gateway, same.directory, same.watch, LIMITS, KEYRING, doors)
    app = create_app(clients, TOKEN, eraser=ErasesNobody(clients))
    async with serving(app) as url, signed_in(service, url) as somebody:
        yield Desk(somebody, clients)
