"""A password is good for its own line alone, whatever names a request gives; who has none has nothing carried."""

import socket
from dataclasses import replace

import pytest

from tests.support.service import number
from tests.support.waiting import HANGING
from tests.systems.phone import Phone
from tests.systems.service import DOMAIN, Building, Systems

REFUSED, TWO_LOGINS, CHALLENGES = 403, 400, (401, 407)


async def lines(building: Building, count: int = 2) -> list[Phone]:
    """Telephones of lines of different clients."""
    clients = [await building.create(type="virtual", lines=[{"number": number()}]) for _ in range(count)]
    return [await building.phone(client) for client in clients]


def login_of(username: str, header: str, realm: str) -> str:
    answer = f'username="{username}", realm="{realm}", nonce="x", uri="sip:{DOMAIN}", response="{"0" * 32}"'
    return f"{header}: Digest {answer}"


async def final_code(phone: Phone, method: str, line: str, *before: str, after: tuple[str, ...] = ()) -> int:
    """The last word on a request in the name of ``line``, with the telephone's own login among others."""
    async with replace(phone, username=line) as other:
        uri, to, key, tag = f"sip:{DOMAIN}", f"<sip:{line}@{DOMAIN}>", other._key, "tag"
        challenge = await other._request(method, uri, to, key, tag, [])
        assert challenge.code in CHALLENGES
        own = phone._login(method, uri, challenge.headers)
        return (await other._request(method, uri, to, key, tag, [*before, own, *after])).code


@pytest.mark.parametrize(
    ("header", "realm"), [("Authorization", "other"), ("Authorization", DOMAIN), ("Proxy-Authorization", DOMAIN)]
)
@pytest.mark.parametrize("first", [True, False])
async def test_nobody_registers_another_number_by_a_second_login(
    building: Building, header: str, realm: str, first: bool
) -> None:
    ours, victim = await lines(building)
    second = login_of(victim.username, header, realm)
    headers = ((second,), ()) if first else ((), (second,))
    assert await final_code(ours, "REGISTER", victim.username, *headers[0], after=headers[1]) == TWO_LOGINS
    assert await final_code(ours, "REGISTER", victim.username) == REFUSED
    assert await final_code(ours, "REGISTER", ours.username) == 200


@pytest.mark.parametrize("realm", ["other", DOMAIN])
async def test_nobody_calls_in_the_name_of_another_number_by_a_second_login(building: Building, realm: str) -> None:
    ours, victim = await lines(building)
    second = login_of(victim.username, "Proxy-Authorization", realm)
    assert await final_code(ours, "INVITE", victim.username, second) == TWO_LOGINS
    assert await final_code(ours, "INVITE", victim.username) == REFUSED
    registrar = login_of(victim.username, "Authorization", realm)
    assert await final_code(ours, "INVITE", victim.username, registrar) == REFUSED


@pytest.mark.parametrize("method", ["MESSAGE", "REFER", "INFO", "NOTIFY", "OPTIONS"])
async def test_strangers_have_nothing_carried_to_where_they_like(systems: Systems, method: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as anybody, socket.socket(type=socket.SOCK_DGRAM) as stranger:
        anybody.bind(("127.0.0.1", 0))
        stranger.bind(("127.0.0.1", 0))
        request = (
            f"{method} sip:x@127.0.0.1:{anybody.getsockname()[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{stranger.getsockname()[1]};branch=z9hG4bK{method}",
            "Max-Forwards: 9",
            f"Route: <sip:{systems.kamailio.address};lr>",
            f"From: <sip:boss@{DOMAIN}>;tag=1",
            f"To: <sip:x@{DOMAIN}>;tag=2",
            f"Call-ID: {method}",
            f"CSeq: 1 {method}",
            "Content-Length: 0",
        )
        stranger.settimeout(HANGING)
        stranger.sendto(("\r\n".join(request) + "\r\n\r\n").encode(), ("127.0.0.1", systems.kamailio.port))
        assert stranger.recv(4096).startswith(b"SIP/2.0 481 ")
        anybody.setblocking(False)
        with pytest.raises(BlockingIOError):
            anybody.recv(4096)
