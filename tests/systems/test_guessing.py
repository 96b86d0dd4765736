"""Guesses of passwords are cut, of telephones and of routers, and lock out nobody but the guesser."""

import asyncio
import hashlib
import itertools
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from pyrad.packet import AccessAccept, AccessReject, AuthPacket

from activities.internet.radius import dictionary, exchange
from starter.local.databases import DEPLOY
from starter.local.systems import Kamailio
from tests.support.databases import fetch
from tests.support.router import REJECTED, Router
from tests.support.service import number
from tests.support.waiting import HANGING, eventually, free_udp_port
from tests.systems.phone import Phone, options
from tests.systems.service import DOMAIN, Building, Systems, running_service

CHALLENGE, TOO_MANY = 401, 503
CHAP_PASSWORD, CHAP_CHALLENGE = 3, 60  # attributes
OF_ONE, OF_ALL = 10, 100  # wrong passwords in a minute: of one number from one address, of one address
FORGOTTEN = 60  # seconds after the first wrong password
BURST = 100  # requests

# -- guessing a telephone's password ----------------------------------------------------------------------------------


@pytest.fixture
def fresh(systems: Systems, tmp_path: Path) -> Iterator[Systems]:
    """The same systems, with a Kamailio of this test alone, that has heard of no wrong password yet, and forgets none
    while a busy machine guesses."""
    here, configuration = (tmp_path / "kamailio", tmp_path / "kamailio.log"), tmp_path / "kamailio.cfg"
    text = (DEPLOY / "kamailio/kamailio.cfg").read_text(encoding="utf-8")
    forgets, never = f"wrong=>size=10;autoexpire={FORGOTTEN};", "wrong=>size=10;autoexpire=86400;"
    assert forgets in text
    configuration.write_text(text.replace(forgets, never), encoding="utf-8")
    port = free_udp_port()
    kamailio = Kamailio(systems.server, port, DOMAIN, systems.rpc_secret, *here, configuration=configuration)
    kamailio.start()
    try:
        yield replace(systems, kamailio=kamailio)
    finally:
        kamailio.stop()


@pytest_asyncio.fixture
async def ours(fresh: Systems) -> AsyncIterator[Building]:
    async with running_service(fresh, probe_lines=False) as building:
        yield building


async def tenant(building: Building) -> str:
    return await building.create(type="virtual", lines=[{"number": number()}])


def at(phone: Phone, address: str, password: str = "") -> Phone:
    """A telephone of the same line at another address."""
    return Phone(phone.username, password or phone.password, phone.domain, phone.proxy, address=address)


async def guess(phone: Phone, times: int) -> list[int]:
    """What is said to so many wrong passwords, one after the other."""
    return [await phone.register() for _ in range(times)]


def cut(codes: list[int], most: int, repeated: int) -> bool:
    """Whether so many guesses were looked at, and no more, each repetition being one. After these none was."""
    guesses = codes.count(CHALLENGE)
    in_turn = codes == [CHALLENGE] * guesses + [TOO_MANY] * (len(codes) - guesses)
    return in_turn and most - repeated <= guesses <= most


async def test_three_hundred_guesses_are_ten_and_lock_out_nobody_else(ours: Building) -> None:
    acme, other = await tenant(ours), await tenant(ours)
    right, neighbour = await ours.phone(acme), await ours.phone(other)
    async with at(right, "127.0.0.21", "guessed") as guesser:
        codes = await guess(guesser, 300)
    assert cut(codes, OF_ONE, guesser.repeated), (codes, guesser.repeated)
    async with at(right, "127.0.0.21") as lucky, at(neighbour, "127.0.0.21") as next_door, right as elsewhere:
        assert await lucky.register() == TOO_MANY, "no guess says whether it was right"
        assert await lucky.call(neighbour.username) == TOO_MANY
        assert await next_door.register() == 200
        assert await elsewhere.register() == 200
        assert await elsewhere.call(neighbour.username) == 200


async def test_who_tries_many_numbers_is_cut_and_telephones_behind_the_same_address_go_on(ours: Building) -> None:
    known, new = await ours.phone(await tenant(ours)), await ours.phone(await tenant(ours))
    async with at(known, "127.0.0.22") as known, at(new, "127.0.0.22") as new:
        assert await known.register() == 200
        codes, repeated = [], 0
        usernames = [f"4416329680{n:03}" for n in range(OF_ALL + 20)]
        await lines(ours, *usernames)
        for username in usernames:
            async with Phone(username, "guessed", DOMAIN, known.proxy, address="127.0.0.22") as guesser:
                codes.append(await guesser.register())
                repeated += guesser.repeated
        assert cut(codes, OF_ALL, repeated), (codes, repeated)
        assert await known.register() == 200
        assert await new.register() == TOO_MANY, "it is not known there yet: from the next minute on"
        async with at(new, "127.0.0.23") as moved:
            assert await moved.register() == 200


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
async def test_sipvicious_tells_no_line_that_there_is_from_one_that_there_is_not(
    ours: Building, fresh: Systems, method: str
) -> None:
    there = int((await ours.phone(await tenant(ours))).username)
    extensions = [*range(there - 4, there + 5)]
    async with sipvicious(
        "svwar",
        fresh.kamailio,
        "--force",
        "-m",
        method,
        "-e",
        f"{extensions[0]}-{extensions[-1]}",
        "--maximumtime",
        "2",
    ) as program:
        output, log = await program.communicate()
    found = dict(re.findall(r"^\| (\d+) +\| (\w+) +\|$", output.decode(), re.MULTILINE))
    assert found.keys() in (set(), {f"{number}" for number in extensions}), output.decode()
    assert len(set(found.values())) <= 1, output.decode()
    if method == "REGISTER":  # it saw that a line that is nobody's is asked for a password, too
        assert b"svwar will probably not work" in log, log.decode()


async def test_sipvicious_guesses_no_password_and_a_telephone_goes_on_meanwhile(
    ours: Building, fresh: Systems, tmp_path: Path
) -> None:
    real, other = await ours.phone(await tenant(ours)), await ours.phone(await tenant(ours))
    words = tmp_path / "words"
    words.write_text("\n".join([*(f"guess-{n}" for n in range(2 * OF_ONE)), real.password]), encoding="utf-8")
    async with at(real, "127.0.0.27") as real, at(other, "127.0.0.28") as other:
        assert await real.register() == 200
        async with sipvicious("svcrack", fresh.kamailio, "-u", real.username, "-d", str(words)) as program:
            assert program.stderr
            output = b""
            while b"unknown response" not in output:  # it is refused; it would wait, and stop
                line = await program.stderr.readline()
                assert line, output.decode()
                output += line
        assert real.password.encode() not in output
        assert await real.register() == 200
        assert await other.register() == 200
        assert await real.call(other.username) == 200
    async with at(real, "127.0.0.1") as guesser:
        assert await guesser.register() == TOO_MANY, "also with the right one"


@asynccontextmanager
async def sipvicious(tool: str, kamailio: Kamailio, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A tool of SIPVicious, at 127.0.0.1, ended with the block."""
    where = ("--domain", DOMAIN, "-p", str(kamailio.port), "-P", str(free_udp_port()), "-x", "127.0.0.1", "127.0.0.1")
    program = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name(f"sipvicious_{tool}"),
        *(*options, *where),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield program
    finally:
        if program.returncode is None:
            program.terminate()
            await program.communicate()


async def lines(building: Building, *usernames: str) -> None:
    """Have these lines on the server, with the password ``right``, whoever they are of."""
    sql = """INSERT INTO subscriber (username, domain, ha1)
        SELECT name, $1::text, md5(name || ':' || $1::text || ':right') FROM unnest($2::text[]) AS name"""
    await fetch(building.databases["kamailio"], sql, DOMAIN, usernames)


async def test_a_telephone_that_is_there_before_its_line_registers_as_soon_as_that_is(
    ours: Building, fresh: Systems
) -> None:
    async with Phone("441632969999", "right", DOMAIN, ("127.0.0.1", fresh.kamailio.port)) as early:
        assert await guess(early, 3 * OF_ONE) == [CHALLENGE] * 3 * OF_ONE, "there is nothing to guess"
        await lines(ours, early.username)
        assert await early.register() == 200


async def test_nobody_uses_up_the_guesses_of_an_address_that_is_not_theirs(ours: Building) -> None:
    """A sender's address can be forged, but not what is sent to it: its challenge is not known."""
    victim = await ours.phone(await tenant(ours))
    uri, line = f"sip:{DOMAIN}", f"<sip:{victim.username}@{DOMAIN}>"
    async with at(victim, "127.0.0.24") as attacker, at(victim, "127.0.0.25", "guessed") as forged:
        challenge = (await attacker._request("REGISTER", uri, line, "key", "tag", [])).headers
        for _ in range(2 * OF_ONE):
            answer = forged._login("REGISTER", uri, challenge)
            assert (await forged._request("REGISTER", uri, line, "key", "tag", [answer])).code == CHALLENGE
    async with at(victim, "127.0.0.25") as victim:
        assert await victim.register() == 200


async def test_an_address_that_floods_is_not_heard_and_others_are(fresh: Systems) -> None:
    await eventually(fresh.kamailio.ready)
    answered = await asyncio.to_thread(flood, "127.0.0.26", fresh.kamailio, 4000)
    assert 100 < answered < 4000
    assert fresh.kamailio.ready(), "at another address"


def flood(address: str, kamailio: Kamailio, most: int) -> int:
    """How many requests it answered before it was silent, though not to others. Many come at once: on a busy machine
    one after the other is no flood."""
    answered = 0
    with socket.socket(type=socket.SOCK_DGRAM) as sending:
        sending.bind((address, 0))
        sending.connect(("127.0.0.1", kamailio.port))
        sending.settimeout(1)
        request = options(f"sip:{kamailio.address}", "UDP", f"{address}:{sending.getsockname()[1]}")
        while answered < most:
            before = answered
            for _ in range(BURST):
                sending.send(request)
            with suppress(TimeoutError):
                while answered < before + BURST:
                    sending.recv(4096)
                    answered += 1
            if answered == before and kamailio.ready():
                break
    return answered


# -- guessing a router's password -------------------------------------------------------------------------------------


@dataclass
class Accounts:
    """FreeRADIUS with accounts of its own, whoever asks it."""

    port: int
    secret: str
    database: str

    async def add(self, account: str) -> None:
        sql = "INSERT INTO radcheck (username, attribute, op, value) VALUES ($1, 'Cleartext-Password', ':=', 'right')"
        await fetch(self.database, sql, account)

    async def count_noted(self, account: str) -> int:
        """How many of its logins were looked at."""
        return len(await fetch(self.database, "SELECT FROM radpostauth WHERE username = $1", account))

    def request(self, account: str, password: str, device: str = "aa-bb", *, signed: bool = True) -> AuthPacket:
        request = AuthPacket(secret=self.secret.encode(), dict=dictionary(), message_authenticator=signed or None)
        request["User-Name"], request["Calling-Station-Id"] = account, device
        request["User-Password"] = request.PwCrypt(password)
        return request

    async def log_in(self, account: str, password: str, device: str = "aa-bb") -> int:
        """What is said to a login from this device."""
        answer = await exchange(self.request(account, password, device), "127.0.0.1", self.port, HANGING, signed=True)
        return int(answer.code)


@pytest_asyncio.fixture
async def accounts(systems: Systems) -> Accounts:
    await eventually(systems.freeradius.ready)
    return Accounts(systems.freeradius.port, systems.secret, systems.server.dsn("radius"))


async def test_two_hundred_guesses_at_an_account_are_a_few_and_lock_out_no_other_device(accounts: Accounts) -> None:
    await accounts.add("next-door")
    for n in itertools.count():
        begin = time.monotonic()
        try:
            await guess_two_hundred_times(accounts, f"guessed-at-{n}")
        except AssertionError:
            if time.monotonic() - begin < FORGOTTEN:
                raise
        else:
            break


async def guess_two_hundred_times(accounts: Accounts, account: str) -> None:
    await accounts.add(account)
    assert await accounts.log_in(account, "wrong") == AccessReject
    gate = asyncio.Semaphore(50)

    async def guess(number: int) -> int:
        async with gate:
            return await accounts.log_in(account, f"guess {number}")

    assert set(await asyncio.gather(*map(guess, range(200)))) == {AccessReject}
    assert await accounts.count_noted(account) == OF_ONE
    assert await accounts.log_in(account, "right") == AccessReject, "no guess says whether it was right"
    assert await accounts.log_in(account, "right", "cc-dd") == AccessAccept
    assert await accounts.log_in("next-door", "right") == AccessAccept


async def test_a_right_password_forgets_the_wrong_ones_before_it(accounts: Accounts) -> None:
    await accounts.add("forgetful")
    for _ in range(3):
        codes = await asyncio.gather(*(accounts.log_in("forgetful", "wrong") for _ in range(5)))
        assert set(codes) == {AccessReject}
        assert await accounts.log_in("forgetful", "right") == AccessAccept


@pytest.mark.parametrize("chap", [False, True], ids=["PAP", "CHAP"])
async def test_a_login_that_is_not_signed_is_not_answered(accounts: Accounts, chap: bool) -> None:
    """With CHAP (RFC 2865 section 2.2) it takes no secret to make one, so anybody on this machine could guess."""
    name = f"unsigned-{'chap' if chap else 'pap'}"
    await accounts.add(name)
    unsigned, signed = accounts.request(name, "right", signed=False), accounts.request(name, "right")
    if chap:
        challenge, number = b"16 random octets", b"7"
        response = hashlib.md5(number + b"right" + challenge, usedforsecurity=False).digest()
        del unsigned["User-Password"]
        unsigned[CHAP_PASSWORD], unsigned[CHAP_CHALLENGE] = [number + response], [challenge]
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(HANGING)
        asking.connect(("127.0.0.1", accounts.port))
        asking.send(unsigned.RequestPacket())
        asking.send(signed.RequestPacket())
        raw = await asyncio.to_thread(asking.recv, 4096)
    answer = signed.CreateReply(packet=raw)
    assert signed.VerifyReply(answer, raw, enforce_ma=True), "it is the answer to the signed one, and signed"
    assert answer.code == AccessAccept
    assert await accounts.count_noted(name) == 1


async def test_a_router_that_is_there_before_its_account_logs_in_as_soon_as_it_is(accounts: Accounts) -> None:
    codes = await asyncio.gather(*(accounts.log_in("early", "right") for _ in range(30)))
    assert set(codes) == {AccessReject}
    await accounts.add("early")
    assert await accounts.log_in("early", "right") == AccessAccept


async def test_who_is_switched_off_is_told_so_at_once_and_counts_as_no_guess(
    systems: Systems, accounts: Accounts
) -> None:
    await accounts.add("suspended")
    off = "INSERT INTO radcheck (username, attribute, op, value) VALUES ($1, 'Auth-Type', ':=', 'Reject')"
    await fetch(accounts.database, off, "suspended")
    router = Router(accounts.port, accounts.secret)
    for _ in range(30):
        assert await router.log_in("suspended", "right") == REJECTED
    await fetch(accounts.database, "DELETE FROM radcheck WHERE username = $1 AND attribute = 'Auth-Type'", "suspended")
    assert (await router.log_in("suspended", "right")).accepted
