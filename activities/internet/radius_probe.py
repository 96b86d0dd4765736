"""A login of our own: how the RADIUS server answers an account, as a router would ask (RFC 2865, PAP)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, get_args
from urllib.parse import urlsplit

from pyrad.packet import AccessAccept, AccessReject, AuthPacket, Packet

from activities.internet.nas import Changeable
from activities.internet.radius import Unsigned, dictionary, exchange
from activities.settings import Settings
from workflows.domain.journal import shortened
from workflows.domain.provisioning.standing import Proof

NAME = "connect-probe"
"""NAS-Identifier and Calling-Station-Id of a probe. The latter distinguishes it from a router's login in
``radpostauth``."""

LONGEST_WHY = 400
"""Characters that are kept of a server's answer, as a Python literal without control characters."""

_COMPARED = get_args(Changeable)

_NAMES = {AccessAccept: "Access-Accept", AccessReject: "Access-Reject"}


@dataclass(frozen=True)
class Answer:
    """The answer to a probe, and what it proves. ``admitted`` is None when nobody knows."""

    summary: str
    admitted: bool | None = None
    proof: Proof = Proof.PROVEN
    why: str = ""


SILENT = "no answer"

NOT_ASKED = Answer("not asked: Connect does not know its secret")


@dataclass(frozen=True)
class RadiusProbe:
    """A router of our own. ``seconds``: the time for an answer. ``signed``: answers need a Message-Authenticator."""

    host: str
    port: int
    secret: bytes = field(repr=False)
    seconds: float
    signed: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """None unless CONNECT_PROBE_ACCOUNTS is set. Raises ValueError when a setting that it needs is not."""
        if not settings.probe_accounts:
            return None
        if not (secret := radius_secret(settings)):
            raise ValueError("CONNECT_PROBE_ACCOUNTS needs CONNECT_RADIUS_SECRET or CONNECT_RADIUS_SECRET_FILE")
        return cls(
            *host_and_port(settings.radius_server or ""),
            secret,
            settings.probe_seconds,
            signed=settings.radius_message_authenticator,
        )

    async def log_in(self, account: str, password: str, replies: Mapping[str, str] | None) -> Answer:
        """The proof that the account is admitted with exactly the VLAN and rates of ``replies``; where these are None,
        that it is refused. Then the password need not be right."""
        reply = await self._log_in(account, password)
        if isinstance(reply, Answer):
            return reply
        named = _NAMES.get(reply.code, f"packet code {reply.code}")
        admitted = reply.code == AccessAccept
        if reply.code != (AccessReject if replies is None else AccessAccept):
            why = f"it is {'off' if replies is None else 'on'}, and a login was answered with {named}"
            return Answer(named, admitted, Proof.FAILED, why)
        if replies is None or (attributes := _attributes_of(reply)) == (expected := _attributes_of(_accept(replies))):
            return Answer(named, admitted)
        wrong = ", ".join(
            f"{name} {attributes.get(name, 'missing')} instead of {expected.get(name, 'nothing')}"
            for name in _COMPARED
            if attributes.get(name) != expected.get(name)
        )
        why = shortened(f"a login got other replies than it should: {wrong}", LONGEST_WHY)
        return Answer(named, admitted, Proof.FAILED, why)

    async def _log_in(self, account: str, password: str) -> Packet | Answer:
        """The server's reply; an Answer when there is none that counts."""
        request = AuthPacket(secret=self.secret, dict=dictionary(), message_authenticator=True)
        request["User-Name"] = account
        request["User-Password"] = request.PwCrypt(password)
        request["NAS-Identifier"] = request["Calling-Station-Id"] = NAME
        server = f"the RADIUS server {self.host}:{self.port}"
        try:
            return await exchange(request, self.host, self.port, self.seconds, signed=self.signed)
        except Unsigned:
            why = (
                f"{server} answered without Message-Authenticator, so anybody on the way may have (CVE-2024-3596). "
                "Have it sign what it answers (deploy/freeradius/radiusd.conf does), or set "
                "CONNECT_RADIUS_MESSAGE_AUTHENTICATOR=false"
            )
            return Answer("no signed answer", proof=Proof.NOT_PROVEN, why=why)
        except TimeoutError:
            why = f"{server} did not answer an Access-Request. Check that it runs, and its secret for us"
            return Answer(SILENT, proof=Proof.NOT_PROVEN, why=why)


def radius_secret(settings: Settings) -> bytes:
    """The RADIUS server's secret for us; empty where none is set."""
    inline, file = settings.radius_secret, settings.radius_secret_file
    secret = inline.get_secret_value() if inline else file.read_text(encoding="utf-8").strip() if file else ""
    return secret.encode()


def host_and_port(server: str) -> tuple[str, int]:
    """The host and the port of ``host:port``. Raises ValueError, naming the setting, for anything else."""
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
    return {name: accept[name] for name in _COMPARED if name in accept}
