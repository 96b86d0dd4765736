"""Databases and activities of one test, and the orders they are given."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
from asyncpg.connection import LoggedQuery

from activities.database import Databases, open_databases
from activities.directory.evidence import Evidences
from activities.directory.publish import PostgresDirectory
from activities.internet.adapter import RadiusInternet
from activities.internet.order import Access
from activities.settings import Settings
from activities.telephony.adapter import KamailioTelephony
from tests.support.databases import UNHURRIED, connected, fetch
from tests.support.orders import access_order, line_order
from tests.support.waiting import eventually
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.services import ClientType
from workflows.domain.systems import BUILT_IN, INTERNET, TELEPHONY, System, SystemInstance
from workflows.ports import Claim, Ensure, Publish
from workflows.wire.views import ClientView, LineView, SystemView

MASTER_KEY = b"k" * 32
DOMAIN = "sip.test"
AT = datetime(2026, 11, 1, 9, tzinfo=UTC)
ONE, TWO, THREE = "+442079460001", "+442079460002", "+442079460003"
REF_LEFT_BLANK = ""
AS_THEY_ARE: Mapping[str, str] = {}
AS_USUAL: Mapping[str, object] = {}


class World:
    """The activities of one worker. ``dsns`` are the databases as they are; ``open`` may reach them by other ways.

    ``statements`` are all that these sent to any database: each is a round trip, BEGIN and COMMIT too.
    """

    def __init__(self, dsns: dict[str, str], stack: AsyncExitStack) -> None:
        self.dsns, self._stack = dsns, stack
        self.statements: list[LoggedQuery] = []

    def took(self, word: str = "") -> int:
        """How many statements with this word were sent since it was last asked."""
        count = sum(word in statement.query for statement in self.statements)
        self.statements.clear()
        return count

    async def open(self, dsns: Mapping[str, str] = AS_THEY_ARE, limits: Mapping[str, object] = AS_USUAL) -> None:
        """(Re)connect the activities, with other settings or through other addresses."""
        self.settings = settings_for({**self.dsns, **dsns}, limits)
        self.databases: Databases = await self._stack.enter_async_context(open_databases(self.settings))
        evidences = Evidences(self.databases.directory, self.settings.record_seconds)
        instances = self.databases.instances.instances
        self.telephony = KamailioTelephony.of(instances[SystemInstance(TELEPHONY)], self.databases, evidences)
        self.internet = RadiusInternet.of(instances[SystemInstance(INTERNET)], self.databases, evidences)
        self.directory = PostgresDirectory(self.databases.directory)

    async def admin(self, name: str) -> asyncpg.Connection:
        """A connection of somebody else, closed when the test ends."""
        connection = await asyncpg.connect(self.dsns[name])
        self._stack.push_async_callback(connection.close)
        return connection

    @asynccontextmanager
    async def held(self, name: str, rows: str) -> AsyncIterator[None]:
        """Somebody else holds the rows of a database's table, or those that meet a condition, and lets go of them."""
        async with connected(self.dsns[name]) as other, other.transaction():
            await other.execute(f"SELECT FROM {rows} FOR UPDATE")
            yield

    async def rows(self, name: str, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """What a database holds."""
        return [tuple(row) for row in await fetch(self.dsns[name], sql, *args)]

    async def execute(self, name: str, sql: str, *args: object) -> None:
        """Change a database behind everybody's back."""
        await self.rows(name, sql, *args)

    async def waiting_for_locks(self, how_many: int, name: str = "telephony") -> None:
        """Until so many connections to a database wait for a lock."""
        waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        await eventually(lambda: self.rows(name, waiting), equal=[()] * how_many)

    async def show_site(self) -> None:
        await self.execute("directory", "INSERT INTO sites (site_id, name, timezone) VALUES ('lon', 'London', 'UTC')")

    async def register(self, client_id: str, *numbers: str, billing_ref: str = REF_LEFT_BLANK) -> str:
        """Have the directory know this client. Returns its billing reference."""
        published = await self.directory.publish(registration(client_id, *numbers, billing_ref=billing_ref))
        assert published.lost is None
        assert published.billing_ref
        return published.billing_ref

    async def subscriber(self, number: str) -> tuple[Any, ...] | None:
        """``in_service`` and ``ha1`` of a line."""
        found = await self.rows(
            "telephony", "SELECT in_service, ha1 FROM subscriber WHERE username = $1", number.removeprefix("+")
        )
        return found[0] if found else None

    async def brownfield_line(self, number: str, *, in_service: int = 1) -> None:
        """A line from before Connect, with a registered telephone."""
        user = number.removeprefix("+")
        await self.execute(
            "telephony",
            "INSERT INTO subscriber (username, domain, ha1, in_service) VALUES ($1, $2, 'handmade', $3)",
            *(user, DOMAIN, in_service),
        )
        await self.telephone(number)

    async def telephone(self, number: str) -> None:
        """A telephone registers."""
        user = number.removeprefix("+")
        await self.execute(
            "telephony", "INSERT INTO location (ruid, username, domain) VALUES ($1, $1, $2)", user, DOMAIN
        )


def settings_for(dsns: Mapping[str, str], limits: Mapping[str, object]) -> Settings:
    return Settings.model_validate(
        {
            "directory_dsn": dsns["directory"],
            "telephony_dsn": dsns["telephony"],
            "internet_dsn": dsns["internet"],
            "master_key": MASTER_KEY.decode(),
            "sip_domain": DOMAIN,
            "pool_size": 4,
            **({} if "attempt_seconds" in limits else UNHURRIED),
            **limits,
        }
    )


def lines(client_id: str, revision: int, version: int = 1, release: tuple[str, ...] = (), **on: bool) -> Ensure:
    """An order for lines: ``one=True`` is line ONE in service."""
    numbers = {"one": ONE, "two": TWO, "three": THREE}
    return line_order(client_id, revision, {numbers[n]: v for n, v in on.items()}, list(release), version)


def access(client_id: str, revision: int, *, on: bool, vlan: int | None = 110, version: int = 1) -> Ensure:
    """An order for the one account of a client, 100 Mbit/s down and 20 up."""
    return access_order(client_id, revision, [Access(client_id, on, 100, 20, vlan)], version)


def view_of(client_id: str, revision: int, *numbers: str, **changes: object) -> ClientView:
    """A client as its workflow shows it."""
    view = ClientView(
        client_id=client_id,
        name=f"{client_id.capitalize()} Ltd",
        type=ClientType.RESIDENTIAL,
        site="lon",
        timezone="UTC",
        status=Status.ACTIVE,
        provisioning=Provisioned.CHANGING,
        billing_ref="",
        start_date=date(2026, 11, 1),
        end_date=None,
        end_date_passed=False,
        activation=Activation.AUTOMATIC,
        management=False,
        offices=["3.12"],
        office_label="3.12",
        lines=[LineView(number=number, office="3.12", protected=False) for number in numbers],
        internet=None,
        services=[],
        holds=[],
        planned=[],
        systems=[],
        revision=revision,
        created_at=AT,
        decommissioned_at=None,
    )
    return view.model_copy(update=changes)


def switched(system: System, **changes: object) -> SystemView:
    """A system as a client's workflow shows it, settled."""
    settled: dict[str, Any] = {"desired": {}, "actual": {}, "proven_at": None, "attempts": 0, "last_error": ""}
    return SystemView.model_validate({"system": system, "next_attempt_at": None, **settled, **changes})


def registration(client_id: str, *numbers: str, billing_ref: str = REF_LEFT_BLANK, first_run: str = "") -> Publish:
    """The first publication of a client."""
    return Publish(
        client_id,
        first_run or f"run of {client_id}",
        1,
        view_of(client_id, 1, *numbers, billing_ref=billing_ref, systems=[switched(system) for system in BUILT_IN]),
        {TELEPHONY: 0, INTERNET: 0},
        sorted(numbers),
        register=True,
        claim=Claim(billing_ref, sorted(numbers)),
    )


def publication(
    client_id: str,
    revision: int,
    *numbers: str,
    billing_ref: str,
    claim: Claim | None = None,
    ceasing: tuple[str, ...] = (),
    systems: Sequence[SystemView] = (),
    **changes: object,
) -> Publish:
    """A later publication. ``ceasing`` are numbers held only until they are proven off. ``systems`` are shown instead
    of the two that come with Connect, or beside them. Nothing new is wanted of any."""
    desired = dict.fromkeys(numbers, "on") | dict.fromkeys(ceasing, "off")
    views = {x.system: x for x in (switched(TELEPHONY, desired=desired), switched(INTERNET), *systems)}
    view = view_of(client_id, revision, *numbers, billing_ref=billing_ref, systems=[*views.values()], **changes)
    return Publish(
        client_id,
        f"run of {client_id}",
        revision,
        view,
        dict.fromkeys(views, 0),
        sorted({*numbers, *ceasing}),
        claim=claim,
    )
