"""A login of our own: how the RADIUS server answers an account, as a router would ask (RFC 2865, PAP)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from pyrad.packet import AccessAccept, AccessReject, AuthPacket, Packet

from activities.internet.radius import Unsigned, dictionary, exchange
from activities.settings import Settings
from workflows.domain.journal import shortened
from workflows.domain.provisioning.standing import Proof

NAME = "connect-probe"
"""NAS-Identifier and Calling-Station-Id of a probe. The latter distinguishes it from a router's login in
``radpostauth``."""

LONGEST_WHY = 400
"""Characters that are kept of a server's answer, as a Python literal without control characters."""

_TOLD = (
    "Tunnel-Type",
    "Tunnel-Medium-Type",
    "Tunnel-Private-Group-Id",
    "WISPr-Bandwidth-Max-Down",
    "WISPr-Bandwidth-Max-Up",
    "Mikrotik-Rate-Limit",
)


@dataclass(frozen=True)
class Answer:
    """The answer to a probe, and what it proves. ``admitted`` is None when nobody knows."""

    summary: str
    admitted: bool | None = None
    proof: Proof = Proof.PROVEN
    why: str = ""


NOT_ASKED = Answer("not asked: Connect does not know its secret")


class RadiusProbe:
    """A router of our own. ``seconds``: the time for an answer. ``signed``: answers need a Message-Authenticator."""

    def __init__(self, host: str, port: int, secret: bytes, seconds: float, *, signed: bool = True) -> None:
        self._host, self._port, self._secret, self._seconds = host, port, secret, seconds
        self._signed = signed

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """None unless CONNECT_PROBE_ACCOUNTS is set. Raises ValueError when a setting that it needs is not."""
        if not settings.probe_accounts:
            return None
        file = settings.radius_secret_file
        inline = settings.radius_secret
        secret = inline.get_secret_value() if inline else file.read_text(encoding="utf-8").strip() if file else ""
        if not secret:
            raise ValueError("CONNECT_PROBE_ACCOUNTS needs CONNECT_RADIUS_SECRET or CONNECT_RADIUS_SECRET_FILE")
        return cls(
            *_host_and_port(settings.radius_server or ""),
            secret.encode(),
            settings.probe_seconds,
            signed=settings.radius_message_authenticator,
        )

    async def is_rejected(self, account: str, password: str) -> Answer:
        """The proof that the account is refused. The password need not be right."""
        reply = await self._log_in(account, password)
        if isinstance(reply, Answer):
            return reply
        if reply.code == AccessReject:
            return Answer("Access-Reject", False)
        return _contrary(reply, "off")

    async def is_accepted(self, account: str, password: str, replies: Mapping[str, str]) -> Answer:
        """The proof that the account is admitted, with exactly its VLAN and rates."""
        reply = await self._log_in(account, password)
        if isinstance(reply, Answer):
            return reply
        if reply.code != AccessAccept:
            return _contrary(reply, "on")
        attributes, wanted = _attributes_of(reply), _attributes_of(_accept(replies))
        if attributes == wanted:
            return Answer("Access-Accept", True)
        wrong = ", ".join(
            f"{name} {attributes.get(name, 'missing')} instead of {wanted.get(name, 'nothing')}"
            for name in _TOLD
            if attributes.get(name) != wanted.get(name)
        )
        why = shortened(f"a login got other replies than it should: {wrong}", LONGEST_WHY)
        return Answer("Access-Accept", True, Proof.FAILED, why)

    async def _log_in(self, account: str, password: str) -> Packet | Answer:
        """The server's reply; an Answer when there is none that counts."""
        request = AuthPacket(secret=self._secret, dict=dictionary(), message_authenticator=True)
        request["User-Name"] = account
        request["User-Password"] = request.PwCrypt(password)
        request["NAS-Identifier"] = request["Calling-Station-Id"] = NAME
        server = f"the RADIUS server {self._host}:{self._port}"
        try:
            return await exchange(request, self._host, self._port, self._seconds, signed=self._signed)
        except Unsigned:
            why = (
                f"{server} answered without Message-Authenticator, so anybody on the way may have (CVE-2024-3596). "
                "Have it sign what it answers (deploy/freeradius/radiusd.conf does), or set "
                "CONNECT_RADIUS_MESSAGE_AUTHENTICATOR=false"
            )
            return Answer("no signed answer", proof=Proof.NOT_PROVEN, why=why)
        except TimeoutError:
            why = f"{server} did not answer an Access-Request. Check that it runs, and its secret for us"
            return Answer("no answer", proof=Proof.NOT_PROVEN, why=why)


def _host_and_port(server: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{server}")
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise ValueError(f"CONNECT_PROBE_ACCOUNTS needs CONNECT_RADIUS_SERVER as host:port, not {server!r}")


def _accept(replies: Mapping[str, str]) -> Packet:
    """An Access-Accept with these attributes, to compare another with."""
    accept = Packet(code=AccessAccept, dict=dictionary())
    for name, value in replies.items():
        accept.AddAttribute(name, int(value) if name.startswith("WISPr") else value)
    return accept


def _attributes_of(accept: Packet) -> dict[str, list[Any]]:
    """VLAN and rates of an Access-Accept, whatever the tags."""
    return {name: accept[name] for name in _TOLD if name in accept}


def _contrary(reply: Packet, wanted: str) -> Answer:
    named = {AccessAccept: "Access-Accept", AccessReject: "Access-Reject"}.get(reply.code, f"packet code {reply.code}")
    why = f"it is {wanted}, and a login was answered with {named}"
    return Answer(named, reply.code == AccessAccept, Proof.FAILED, why)
