"""A line is off only when no telephone can register, call or be called by its number, whatever was there before.

Each way in which a line could live on is tried on two systems: ours, and one as an operator has it (Kamailio's own
schema, registrations in memory, many telephones for a login, alias_db). From outside: does a telephone register, does a
call get through? No way may be settled while one does, and what is off must be settled.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import phonenumbers
import pytest
import pytest_asyncio

from activities.prepare import prepare
from activities.secrets import ha1
from starter.local.databases import DEPLOY
from starter.local.systems import Kamailio
from tests.support.databases import fetch, run_scripts
from tests.support.service import SITE, number
from tests.support.waiting import eventually, free_udp_port
from tests.systems.phone import Call, Phone, wait_ended
from tests.systems.service import DOMAIN, Building, Systems, for_preparation, running_service
from tests.systems.test_registrations import load_stock, view_of

OPERATORS = Path(__file__).parent / "operator/kamailio.cfg"
SECRET = "a password from before"
SECOND = "second.test"
ALIVE = 200


@dataclass(frozen=True)
class Login:
    """A row of subscriber, and the telephone of it: ``{n}`` is the number's digits, ``{nsn}`` without country code."""

    username: str
    domain: str = DOMAIN
    digest: str = ""


@dataclass(frozen=True)
class Way:
    """How a line was there before Connect, and what somebody did then (``sql``).

    ``why`` is said of one that is never settled while it is to be off; unless it is ``taken_on``, nor while it is to be
    on. ``only``: the system where it can be. ``rpc``: contacts that an operator adds. ``back``: it works again when the
    line is on.
    ``calls``: a call from (or to) the line goes on.
    """

    name: str
    logins: tuple[Login, ...] = (Login("{n}"),)
    sql: tuple[str, ...] = ()
    telephones: int = 1
    why: str = ""
    taken_on: bool = False
    only: str = ""
    calls: str = ""
    back: bool = True
    rpc: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


SUBSCRIBER_GONE = "DELETE FROM subscriber WHERE username ~ '{n}$'"
LOCATION_GONE = "DELETE FROM location WHERE username ~ '{n}$'"
RECEPTION = Login("reception{n}")
ALIAS = "INSERT INTO dbaliases (alias_username, alias_domain, username, domain) VALUES "
MAY_BE = "which may be this line"

WAYS = [
    Way("as we spell it"),
    Way("with a plus", (Login("+{n}"),)),
    Way("with two zeros", (Login("00{n}"),)),
    Way("with 011", (Login("011{n}"),)),
    Way("with dashes", (Login("44-{nsn}"),)),
    Way("national", (Login("0{nsn}"),), only="operators"),
    Way("national without trunk prefix", (Login("{nsn}"),), only="operators"),
    Way("national, and no country set", (Login("0{nsn}"),), why=MAY_BE, only="ours"),
    Way("short national, and no country set", (Login("{nsn}"),), why=MAY_BE, only="ours"),
    Way("twins", (Login("{n}"), Login("+{n}"))),
    Way("four of a kind", (Login("{n}"), Login("+{n}"), Login("00{n}"), Login("44-{nsn}"))),
    Way("a twin in national form", (Login("{n}"), Login("0{nsn}")), why=MAY_BE, taken_on=True, only="ours"),
    Way("a second domain", (Login("{n}", SECOND, f"{{n}}@{SECOND}"),), only="ours", back=False),
    Way("a twin in a second domain", (Login("{n}"), Login("{n}", SECOND, f"{{n}}@{SECOND}")), only="ours", back=False),
    Way("a domain in capitals", (Login("{n}", "SIP.TEST", "{n}@SIP.TEST"),), only="ours", back=False),
    Way("a domain that nobody looks at", (Login("{n}", SECOND),), only="operators"),
    Way("no domain", (Login("+{n}", ""),), only="operators"),
    Way("twins in two domains", (Login("{n}", SECOND), Login("{n}", "")), only="operators"),
    Way("three telephones", (Login("{n}"),), telephones=3),
    Way("three telephones, otherwise spelt", (Login("+{n}"),), telephones=3),
    Way("login deleted", (Login("+{n}"),), (SUBSCRIBER_GONE,), back=False),
    Way("registration deleted from the table", (Login("+{n}"),), (LOCATION_GONE,), only="operators"),
    Way("both deleted", (Login("00{n}"),), (SUBSCRIBER_GONE, LOCATION_GONE), back=False),
    Way("a contact by hand", (), rpc=("+{n}",), only="operators", back=False),
    Way("a contact by hand, with zeros", (), rpc=("00{n}", "0{nsn}"), only="operators", back=False),
    Way("in a call, as caller", (Login("+{n}"),), calls="from"),
    Way("in a call, as callee", (Login("00{n}"),), calls="to"),
    Way("in a call, in national form", (Login("0{nsn}"),), calls="from", only="operators"),
    Way("by an alias", (RECEPTION,), (ALIAS + "('{n}', '', 'reception{n}', '')",), why="dbaliases gives {n} to"),
    Way("by an alias, with a plus", (RECEPTION,), (ALIAS + f"('+{{n}}', '{DOMAIN}', 'reception{{n}}', '{DOMAIN}')",),
        why="dbaliases gives +{n}@"),
    Way("by an alias in national form", (RECEPTION,), (ALIAS + "('0{nsn}', '', 'reception{n}', '')",),
        why="dbaliases gives 0{nsn} to"),
    Way("as a name that another may use", (RECEPTION,),
        ("INSERT INTO uri (username, domain, uri_user) VALUES ('reception{n}', 'sip.test', '{n}')",),
        why="uri gives {n} to"),
]  # fmt: skip


@dataclass
class Town:
    """A service, its phone system, and a neighbour who calls."""

    building: Building
    dsn: str
    rpc_secret: str
    neighbour: Phone
    numbers: dict[str, str] = field(default_factory=dict)

    async def execute(self, sql: str, *values: object) -> None:
        await fetch(self.dsn, sql, *values)

    async def login(self, login: Login) -> Phone:
        """Make a row of subscriber as others made it, and the telephone of it."""
        username, domain = login.username.format(**self.numbers), login.domain
        digest = login.digest.format(**self.numbers)
        await self.execute(
            "INSERT INTO subscriber (username, domain, ha1, ha1b) VALUES ($1, $2, $3, $4)",
            *(username, domain, ha1(username, DOMAIN, SECRET), ha1(digest or f"{username}@{domain}", DOMAIN, SECRET)),
        )
        server = ("127.0.0.1", self.building.kamailio.port)
        return Phone(username, SECRET, DOMAIN, server, login=digest)

    async def stands(self, client_id: str, why: str) -> None:
        """The telephones of a client are settled; or, where there is a ``why``, they need a person, who reads that."""

        async def clear() -> bool:
            view = await view_of(self.building, client_id)
            error = str(view["last_error"])
            return (view["state"], why in error) == ("attention" if why else "settled", True)

        await eventually(clear, why=f"it needs a person: {why}" if why else "it is settled")

    async def command(self, client_id: str, name: str, why: str) -> None:
        """Have a command obeyed, as far as that is possible."""
        await self.building.post(f"/clients/{client_id}/{name}", wait=0 if why else 20)
        await self.stands(client_id, why)

    async def call(self, username: str) -> int:
        """What the neighbour is answered who calls exactly that."""
        return await self.neighbour.call(f"sip:{username}@{DOMAIN}")

    async def reached(self, phones: list[Phone]) -> list[str]:
        """What lives of these telephones and of the number: who registers, and which call gets through."""
        names = {phone.username for phone in phones} | {self.numbers["n"], f"+{self.numbers['n']}"}
        called = [name for name in sorted(names) if await self.call(name) == ALIVE]
        registered = [phone.username for phone in phones if await phone.register() == ALIVE]
        return [f"called {name}" for name in called] + [f"registered {name}" for name in registered]


@asynccontextmanager
async def town(systems: Systems, folder: Path, kind: dict[str, Any], **settings: Any) -> AsyncIterator[Town]:
    paths = folder / "kamailio", folder / "kamailio.log"
    kamailio = Kamailio(systems.server, free_udp_port(), DOMAIN, systems.rpc_secret, *paths, **kind)
    kamailio.start()
    ours = Systems(systems.server, systems.freeradius, kamailio, systems.secret, systems.rpc_secret)
    limits = {"first_pause_seconds": 0.2, "longest_pause_seconds": 0.2, "attempt_seconds": 8.0, "probe_seconds": 0.5}
    try:
        await eventually(kamailio.ready)
        async with running_service(ours, **limits, **settings) as building:
            neighbour = await building.phone(await building.create(type="virtual", lines=[{"number": number()}]))
            async with neighbour:
                assert await neighbour.register() == ALIVE
                dsn = systems.server.dsn(kind.get("database", "kamailio"))
                yield Town(building, dsn, systems.rpc_secret, neighbour)
    finally:
        kamailio.stop()


@pytest_asyncio.fixture(scope="module")
async def towns(systems: Systems, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Town]]:
    folder = tmp_path_factory.mktemp("towns")
    for name in ("ours", "operators"):
        (folder / name).mkdir()
    await load_stock(systems.server, "operators")
    await prepare(for_preparation(systems.server, telephony="operators"))
    await run_scripts(systems.server.dsn("operators"), DEPLOY / "kamailio/grants.sql")
    dsn = systems.server.dsn("operators", "sip_prov")
    kind = {"database": "operators", "db_mode": 1, "configuration": OPERATORS}
    for statement in NAMES:
        await fetch(systems.server.dsn("kamailio"), statement)
    try:
        async with (
            town(systems, folder / "ours", {}) as ours,
            town(
                systems, folder / "operators", kind,
                telephony_dsn=dsn, sip_country="GB", probe_lines=False,
            ) as operators,
        ):  # fmt: skip
            yield {"ours": ours, "operators": operators}
    finally:
        await fetch(systems.server.dsn("kamailio"), "DROP TABLE dbaliases, uri")


NAMES = (
    "CREATE TABLE dbaliases (alias_username text, alias_domain text, username text, domain text)",
    "CREATE TABLE uri (username text, domain text, uri_user text)",
    "GRANT SELECT ON dbaliases, uri TO sip_prov",
)
CELLS = [(name, way) for name in ("ours", "operators") for way in WAYS if way.only in ("", name)]


@pytest.mark.parametrize(("name", "way"), CELLS, ids=[f"{name}: {way}" for name, way in CELLS])
async def test_no_line_is_settled_while_it_lives(towns: dict[str, Town], name: str, way: Way) -> None:
    it = towns[name]
    line = number()
    nsn = phonenumbers.national_significant_number(phonenumbers.parse(line, None))
    it.numbers = {"n": line.removeprefix("+"), "nsn": nsn}
    async with AsyncExitStack() as stack:
        phones = []
        for login in way.logins:
            phone = await it.login(login)
            for n in range(way.telephones):
                other = phone if n == 0 else Phone(phone.username, SECRET, DOMAIN, phone.proxy)
                phones.append(await stack.enter_async_context(other))
        before = [await phone.register() for phone in phones]
        assert before == [ALIVE] * len(phones), "it worked before"
        for contact in way.rpc:
            username = contact.format(**it.numbers)
            phone = await stack.enter_async_context(Phone(username, SECRET, DOMAIN, it.neighbour.proxy))
            await add_contact(it, username, phone)
        for statement in way.sql:
            await it.execute(statement.format(**it.numbers))
        rows = len(await fetch(it.dsn, "SELECT FROM subscriber"))

        alive = way.why.format(**it.numbers)
        refused = "" if way.taken_on else alive
        client_id = await created(it, line, refused)
        if way.logins and not refused and way.back:
            assert len(await fetch(it.dsn, "SELECT FROM subscriber")) == rows, "never a twin"
            assert [await it.call(phone.username) for phone in phones] == [ALIVE] * len(phones), "during"
        call = await dialled(it, way, phones)

        await it.command(client_id, "suspend", alive)
        assert alive or not await it.reached(phones), "settled, and alive"
        if call is not None:
            caller, callee = ends(it, way, phones)
            await wait_ended(call, caller, callee, ours=name == "ours")
        if way.back and not alive:
            await it.command(client_id, "unsuspend", "")
            assert [await phone.register() for phone in phones] == [ALIVE] * len(phones), "its old password works again"
            assert await it.call(phones[0].username) == ALIVE


async def created(it: Town, line: str, why: str) -> str:
    """A client who takes the line, as far as that is possible; its id."""
    body = {"name": "Acme Ltd", "type": "virtual", "site": SITE, "lines": [{"number": line}]}
    client_id: str = (await it.building.post("/clients", wait=0 if why else 20, **body)).json()["client_id"]
    await it.stands(client_id, why)
    return client_id


async def dialled(it: Town, way: Way, phones: list[Phone]) -> Call | None:
    """The call that goes on, if one should."""
    if not way.calls:
        return None
    caller, callee = ends(it, way, phones)
    call = await caller.dial(f"sip:{callee.username}@{DOMAIN}")
    assert call.code == ALIVE
    return call


def ends(it: Town, way: Way, phones: list[Phone]) -> tuple[Phone, Phone]:
    """Who calls, and who is called."""
    return (phones[0], it.neighbour) if way.calls == "from" else (it.neighbour, phones[0])


async def add_contact(it: Town, username: str, phone: Phone) -> None:
    """An operator adds a contact that no login made: module usrloc's ul.add. The telephone takes calls."""
    url, aor = f"{it.building.kamailio.rpc_url}/{it.rpc_secret}", f"{username}@{DOMAIN}"
    values = ["location", aor, phone.contact.strip("<>"), 3600, 1.0, "", 0, 0, 4294967295]
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "ul.add", "params": values})
    assert "error" not in answer.json(), answer.text
    assert await it.call(username) == ALIVE
