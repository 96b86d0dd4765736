"""A man in the middle, between us and real FreeRADIUS: what he forges is never evidence (CVE-2024-3596).

He knows the secret here, so that his Response Authenticators are right: that is what a collision of MD5 gives him.
"""

import hashlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from pyrad.packet import AccessAccept, AccessReject, AuthPacket

from activities.internet.radius import dictionary
from activities.internet.radius_probe import Answer as ProbeAnswer
from activities.internet.radius_probe import RadiusProbe
from starter.local.systems import FreeRadius
from tests.support.relay import Relay
from tests.support.waiting import HANGING, eventually, free_udp_port
from tests.systems.service import Systems
from workflows.domain.provisioning.standing import Proof

SIGNATURE = 80
PASSWORD = "right"

Answer = tuple[int, list[tuple[int, bytes]]]  # its code and attributes


def as_it_is(code: int, attributes: list[tuple[int, bytes]]) -> Answer:
    return code, attributes


def stripped(code: int, attributes: list[tuple[int, bytes]]) -> Answer:
    return code, [it for it in attributes if it[0] != SIGNATURE]


def signed_wrongly(code: int, attributes: list[tuple[int, bytes]]) -> Answer:
    return code, [(kind, secrets.token_bytes(16) if kind == SIGNATURE else value) for kind, value in attributes]


def turned_round(code: int, attributes: list[tuple[int, bytes]]) -> Answer:
    """The contrary, with the signature of what was said."""
    return AccessAccept if code == AccessReject else AccessReject, attributes


def rejected(code: int, attributes: list[tuple[int, bytes]]) -> Answer:
    return AccessReject, []


def accepted(code: int, attributes: list[tuple[int, bytes]]) -> Answer:
    return AccessAccept, []


def rejected_with_proxy_state(code: int, attributes: list[tuple[int, bytes]]) -> Answer:
    return AccessReject, [(33, secrets.token_bytes(200))]


@dataclass
class ManInTheMiddle:
    """Passes requests on, and answers as he likes. ``right``: his Response Authenticators are."""

    secret: bytes
    forge: Callable[[int, list[tuple[int, bytes]]], Answer]
    right: bool = True
    seen: int = 0
    _request: bytes = b""

    def hears(self, request: bytes) -> tuple[bytes, ...]:
        self._request = request
        return (request,)

    def answers(self, answer: bytes) -> tuple[bytes, ...]:
        self.seen += 1
        attributes, rest = list[tuple[int, bytes]](), answer[20:]
        while rest:
            attributes.append((rest[0], rest[2 : rest[1]]))
            rest = rest[rest[1] :]
        code, attributes = self.forge(answer[0], attributes)
        body = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in attributes)
        head = bytes((code, answer[1])) + (20 + len(body)).to_bytes(2, "big")
        vector = hashlib.md5(head + self._request[4:20] + body + self.secret, usedforsecurity=False).digest()
        return (head + (vector if self.right else secrets.token_bytes(16)) + body,)


@pytest_asyncio.fixture(params=["on", "off"])
async def account(request: pytest.FixtureRequest, systems: Systems) -> AsyncIterator[tuple[str, bool]]:
    """An account of the real server, and whether it is on."""
    name, database = f"forged-{secrets.token_hex(4)}", await asyncpg.connect(systems.server.dsn("radius"))
    sql = "INSERT INTO radcheck (username, attribute, op, value) VALUES ($1, $2, ':=', $3)"
    await database.execute(sql, name, "Cleartext-Password", PASSWORD)
    if request.param == "off":
        await database.execute(sql, name, "Auth-Type", "Reject")
    yield name, request.param == "on"
    await database.execute("DELETE FROM radcheck WHERE username = $1", name)
    await database.close()


@asynccontextmanager
async def in_the_middle(
    systems: Systems, forge: Any, *, right: bool = True, seconds: float = 0.6
) -> AsyncIterator[tuple[ManInTheMiddle, RadiusProbe]]:
    """He, and a login of ours that goes by him."""
    man = ManInTheMiddle(systems.secret.encode(), forge, right)
    async with Relay(("127.0.0.1", systems.freeradius.port), request=man.hears, answer=man.answers) as relay:
        yield man, RadiusProbe("127.0.0.1", relay.port, systems.secret.encode(), seconds)


async def forged_login(
    man: ManInTheMiddle, probe: RadiusProbe, name: str, replies: dict[str, str] | None
) -> ProbeAnswer:
    """What a login comes to that he had an answer to."""
    while True:
        answer = await probe.log_in(name, PASSWORD, replies)
        if man.seen:
            return answer


@pytest.mark.parametrize(
    "forge", [stripped, signed_wrongly, turned_round, rejected, accepted, rejected_with_proxy_state]
)
async def test_what_he_forges_is_no_evidence(systems: Systems, account: tuple[str, bool], forge: Any) -> None:
    name, on = account
    async with in_the_middle(systems, forge) as (man, probe):
        answer = await forged_login(man, probe, name, {} if on else None)
    assert (answer.proof, answer.admitted) == (Proof.NOT_PROVEN, None)


async def test_an_answer_with_a_wrong_authenticator_is_no_evidence(systems: Systems, account: tuple[str, bool]) -> None:
    name, on = account
    async with in_the_middle(systems, as_it_is, right=False) as (man, probe):
        answer = await forged_login(man, probe, name, {} if on else None)
    assert (answer.proof, answer.admitted) == (Proof.NOT_PROVEN, None)


async def test_what_he_leaves_as_it_is_proves_what_it_says(systems: Systems, account: tuple[str, bool]) -> None:
    name, on = account
    async with in_the_middle(systems, as_it_is, seconds=HANGING) as (_, probe):
        answer = await probe.log_in(name, PASSWORD, {} if on else None)
    assert (answer.proof, answer.admitted) == (Proof.PROVEN, on)


@pytest.mark.parametrize("proxied", [False, True])
async def test_gear_that_cannot_sign_is_answered_unless_its_request_is_open_to_the_forgery(
    systems: Systems, tmp_path: Path, proxied: bool
) -> None:
    daemon = FreeRadius(systems.server, free_udp_port(), systems.secret, tmp_path / "radius", tmp_path / "log")
    assert daemon.env
    daemon.env = {**daemon.env, "RADIUS_MESSAGE_AUTHENTICATOR": "no", "RADIUS_CLIENTS": "127.0.0.2/32"}
    daemon.start()
    try:
        await eventually(daemon.ready)
        request = AuthPacket(secret=systems.secret.encode(), dict=dictionary())
        request["User-Name"], request["User-Password"] = "nobody", request.PwCrypt("x")
        packet = request.RequestPacket()
        if proxied:
            state = b"\x21\x06told"
            packet = packet[:2] + (len(packet) + len(state)).to_bytes(2, "big") + packet[4:] + state
        with socket.socket(type=socket.SOCK_DGRAM) as gear:
            gear.bind(("127.0.0.2", 0))
            gear.settimeout(0.5 if proxied else HANGING)
            gear.sendto(packet, ("127.0.0.1", daemon.port))
            if proxied:
                with pytest.raises(TimeoutError):
                    gear.recv(4096)
            else:
                assert gear.recv(4096)[0] == AccessReject
    finally:
        daemon.stop()
