"""Random rows of rlm_sql's tables: whom the real server lets in, Connect never calls off.

Each case is an account with rows of chance, and logins of several kinds. ``--seed`` repeats a run.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from pyrad.client_async import ClientAsync
from pyrad.packet import AccessAccept

from activities.database import Database
from activities.internet.accounts import Reader
from activities.internet.order import Access
from activities.settings import Settings
from tests.support.radius import dictionary
from tests.support.router import prove
from tests.systems.accounting import Place
from tests.systems.service import KEY

CASES = 60
PASSWORD, STATION = "right", "02-00-00-00-00-01"
PROFILE = "DEFAULT"
WITHIN = 3.0  # seconds for an answer; none comes where the server cannot read a row

Row = tuple[str, str, str]
WAYS = ("Reject", "Accept", "PAP", "CHAP", "reject")
OPERATORS = (":=", "=", "+=", "==", "-=", "!=", "<=", ">=", "=~")
CONDITIONS: tuple[Row, ...] = (
    ("Calling-Station-Id", "==", STATION),
    ("Calling-Station-Id", "!=", STATION),
    ("NAS-IP-Address", "==", "127.0.0.1"),
    ("NAS-IP-Address", "==", "10.9.9.9"),
    ("NAS-Port-Type", "=~", "Ethernet"),
    ("Simultaneous-Use", ":=", "1"),
    ("User-Profile", ":=", "profile"),
)


@dataclass(frozen=True)
class Case:
    """An account, its rows, and its groups with theirs: priority, name, check rows, reply rows."""

    name: str
    checks: list[Row]
    replies: list[Row]
    groups: list[tuple[int, str, list[Row], list[Row]]]


def case(chance: random.Random, name: str) -> Case:
    """Mostly off, as Connect would have it: with a password, rejected; and anything beside that."""
    own = [("Cleartext-Password", chance.choice([":=", ":=", ":=", "==", "="]), PASSWORD)] * (chance.random() < 0.9)
    own += [("Auth-Type", ":=", "Reject")] * (chance.random() < 0.7) or ways(chance, 0.4)
    own += conditions(chance, 0.2)
    groups = [
        (chance.randrange(3), f"{name}-g{n}", ways(chance, 0.6) + conditions(chance, 0.3), falls(chance))
        for n in range(chance.choice([0, 1, 1, 2, 3]))
    ]
    chance.shuffle(own)
    return Case(name, own, falls(chance), groups)


def ways(chance: random.Random, often: float) -> list[Row]:
    found = [("Auth-Type", chance.choice(OPERATORS), chance.choice(WAYS))] * (chance.random() < often)
    return found + [("Cleartext-Password", chance.choice([":=", "+=", "="]), PASSWORD)] * (chance.random() < often / 4)


def conditions(chance: random.Random, often: float) -> list[Row]:
    return [chance.choice(CONDITIONS)] * (chance.random() < often)


def falls(chance: random.Random) -> list[Row]:
    return [("Fall-Through", chance.choice(["=", ":="]), chance.choice(["Yes", "No"]))] * (chance.random() < 0.4)


async def store(database: asyncpg.Connection, it: Case) -> None:
    async def add(table: str, column: str, name: str, rows: list[Row]) -> None:
        await database.executemany(
            f"""INSERT INTO {table} ({column}, attribute, op, value) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING""",  # noqa: S608  # the test's
            [(name, *row) for row in rows],
        )

    await add("radcheck", "username", it.name, it.checks)
    await add("radreply", "username", it.name, it.replies)
    for priority, group, checks, replies in it.groups:
        sql = "INSERT INTO radusergroup (username, groupname, priority) VALUES ($1, $2, $3)"
        await database.execute(sql, it.name, group, priority)
        await add("radgroupcheck", "groupname", group, checks)
        await add("radgroupreply", "groupname", group, replies)


async def log_in(
    client: ClientAsync, name: str, password: str, *, chap: bool = False, station: str = ""
) -> bool | None:
    """Whether this login is accepted; None: it is not answered."""
    request = client.CreateAuthPacket(User_Name=name, NAS_IP_Address="127.0.0.1", message_authenticator=True)
    if station:
        request["Calling-Station-Id"] = station
    prove(request, password, chap=chap)
    try:
        return bool((await client.SendPacket(request)).code == AccessAccept)
    except TimeoutError:
        return None


LOGINS: dict[str, dict[str, Any]] = {
    "PAP": {"password": PASSWORD},
    "PAP, from a device": {"password": PASSWORD, "station": STATION},
    "CHAP": {"password": PASSWORD, "chap": True},
    "a wrong password": {"password": "wrong", "station": STATION},
}


async def answers(client: ClientAsync, cases: Sequence[Case]) -> dict[tuple[str, str], bool]:
    """What is said to logins of all kinds, by account and kind. Who was not answered asks again while anybody is: a
    server that is busy with the others answers later, one that cannot read a row never does."""
    found = dict[tuple[str, str], bool]()
    open_, answered = [(it.name, kind) for it in cases for kind in LOGINS], True
    while open_ and answered:
        results = await asyncio.gather(*(log_in(client, name, **LOGINS[kind]) for name, kind in open_))
        news = {login: it for login, it in zip(open_, results, strict=True) if it is not None}
        found, open_, answered = found | news, [login for login in open_ if login not in news], bool(news)
    return found


async def test_whom_the_server_lets_in_is_never_called_off(
    place: Place, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    seed = request.config.getoption("seed")
    seed = random.randrange(2**32) if seed is None else int(seed)
    record_property("seed of random logins", seed)
    chance = random.Random(seed)
    cases = [case(chance, f"random-{seed:x}-{n}") for n in range(CASES)]
    for it in cases:
        await store(place.database, it)
    client = ClientAsync(
        "127.0.0.1",
        auth_port=place.daemon.port,
        secret=place.gear.secret.encode(),
        dict=dictionary(),
        retries=0,
        timeout=WITHIN,
        enforce_ma=True,
    )
    await client.initialize_transports(enable_auth=True)
    try:
        let_in = {name: kind for (name, kind), accepted in (await answers(client, cases)).items() if accepted}
    finally:
        await client.deinitialize_transports()
    dsn = SecretStr(place.dsn)
    settings = Settings(directory_dsn=dsn, telephony_dsn=dsn, internet_dsn=dsn, master_key=SecretStr(KEY))
    async with Database("internet", place.dsn, settings) as database:
        reader = Reader(database, 1, 600, 1800, ("*",), PROFILE)
        reading = await reader.accounts([(it.name, Access(it.name, on=False, down_mbps=1, up_mbps=1)) for it in cases])
        watch = await reader.off([it.name for it in cases])
    admits = {account.access.account: account.login.admits for account in reading.accounts}
    wrong = [f"{let_in[it.name]}: {it}" for it in cases if it.name in let_in and not admits[it.name]]
    assert not wrong, f"seed {seed}, at {datetime.now(UTC)}: let in, and called off:\n" + "\n".join(wrong)
    assert {name: watch.let_in(name).at_all for name in admits} == admits, "the watch sees what a change sees"
    off = sum(not it for it in admits.values())
    record_property("random logins", f"{CASES} cases, {len(let_in)} let in; called off {off} of {CASES - len(let_in)}")
    assert off >= (CASES - len(let_in)) // 2, "it does not just call everything on"
    assert let_in
