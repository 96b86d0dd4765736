"""Sends to an address that somebody else has given: never to one inside, unless a setting names its network.

The name is resolved, every address of it is checked, and the connection goes to a checked one: a name that resolves
otherwise a moment later leads nowhere else. Redirects are not followed, nothing of the answer but its status is read,
and no proxy stands in between.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx2

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

LONGEST_URL = 1000
NO_ADDRESS = f"must be an address with https and a host, of at most {LONGEST_URL} characters"
PORTS = range(1, 2**16)
_HOST = re.compile(r"([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?|[0-9a-f]*:[0-9a-f:.]+")
"""A name, or an address of IPv6."""

UNICAST = ip_network("2000::/3")
"""All that IPv6 has given to the internet: an address outside of it is none of it, whatever it may be for."""

HOLDING = ip_network("::ffff:0:0/96"), ip_network("64:ff9b::/96")
"""Networks whose addresses are as public as the one of IPv4 at their end: IPv4-mapped, NAT64 (RFC 6052)."""

SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")))
"""Of the internet by their number alone: for protocols (Teredo is one), relays of 6to4, documentation."""

MOST_ADDRESSES = 4
"""So many of a name's are tried: one of them may be of a way that leads nowhere from here."""

UNRESOLVED = "The name of the receiver does not resolve"

NAMES_AT_ONCE = 16
_RESOLVING = ThreadPoolExecutor(NAMES_AT_ONCE, "resolving")
"""Threads for names that somebody else has given: those of the loop are few, and all else that resolves needs them."""


class NotSent(Exception):
    """Why nothing was answered. ``str()`` is a sentence, which repeats nothing that a receiver said."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a name, as the system resolves it. Raises OSError."""
    lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVING, lookup)
    return [str(address[0]) for *_, address in found]


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks of a setting, with commas between. Raises ValueError."""
    return tuple(ip_network(it.strip()) for it in text.split(",") if it.strip())


def check_url(url: str) -> httpx2.URL:
    """Raises ValueError, which says what is wrong, for an address that nothing can be sent to."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise ValueError(NO_ADDRESS) from None
    if parsed.scheme not in ("http", "https") or not parsed.host or len(url) > LONGEST_URL:
        raise ValueError(NO_ADDRESS)
    if not _HOST.fullmatch(_host(parsed)) or parsed.port not in (None, *PORTS):
        raise ValueError("must have the name or the address of a host that there can be, and a port up to 65535")
    if parsed.userinfo or parsed.fragment:
        raise ValueError("must have no user, password or fragment: whoever lists webhooks would read them")
    return parsed


def _host(url: httpx2.URL) -> str:
    """As it is looked up, and said to the receiver: a name of other letters is another one by another rule of IDNA."""
    return url.raw_host.decode("ascii")


@dataclass(frozen=True)
class Sender:
    """``inside`` are networks that may be sent to though they are not public, also without TLS. ``seconds`` bounds all
    of one attempt."""

    inside: Sequence[Network] = ()
    seconds: float = 10.0
    resolve: Resolve = resolve
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer. Raises NotSent."""
        try:
            async with asyncio.timeout(self.seconds):
                return await self._send(check_url(url), body, headers)
        except TimeoutError:
            raise NotSent(f"No answer within {self.seconds:g} s") from None
        except ValueError as error:
            raise NotSent(f"The address {error}") from None
        except httpx2.HTTPError as error:
            raise NotSent(f"No connection, or no answer ({type(error).__name__})") from None

    async def _send(self, url: httpx2.URL, body: bytes, headers: Mapping[str, str]) -> int:
        addresses = await self._checked(url)
        for place, address in enumerate(addresses, 1):
            try:
                return await self._post(url, address, self.seconds / len(addresses), body, headers)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if place == len(addresses):
                    raise
        raise NotSent(UNRESOLVED)

    async def _post(
        self, url: httpx2.URL, address: str, to_connect: float, body: bytes, headers: Mapping[str, str]
    ) -> int:
        host, direct = url.netloc.decode("ascii"), url.copy_with(host=address)
        timeout = httpx2.Timeout(self.seconds, connect=to_connect)
        client = httpx2.AsyncClient(verify=self.trust, timeout=timeout, follow_redirects=False, trust_env=False)
        async with (
            client as http,
            http.stream(
                "POST",
                direct,
                content=body,
                headers={**headers, "Host": host, "User-Agent": "Connect", "Accept-Encoding": "identity"},
                extensions={"sni_hostname": _host(url)},
            ) as answer,
        ):
            return answer.status_code

    async def _checked(self, url: httpx2.URL) -> list[str]:
        """Addresses to connect to, one after the other, when all of the name's may be. Raises NotSent."""
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = [ip_address(it.partition("%")[0]) for it in await self.resolve(_host(url), port)]
        except OSError:
            raise NotSent(UNRESOLVED) from None
        if any(not self._may_be_sent_to(it) for it in found):
            raise NotSent("The receiver is inside: CONNECT_WEBHOOK_NETWORKS does not name its network")
        if url.scheme != "https" and any(not self._is_inside(it) for it in found):
            raise NotSent("The receiver is outside, and its address has no https")
        return [str(it) for it in dict.fromkeys(found)][:MOST_ADDRESSES]

    def _is_inside(self, address: Address) -> bool:
        plain = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
        return any(plain in network for network in self.inside if network.version == plain.version)

    def _may_be_sent_to(self, address: Address) -> bool:
        return self._is_inside(address) or is_public(address)


def is_public(address: Address) -> bool:
    """Whether the address is one of the internet's, and so is every one of IPv4 that it holds."""
    held = _held(address) if isinstance(address, IPv6Address) else []
    if any(not is_public(it) for it in held):
        return False
    if any(address in network for network in HOLDING):
        return True
    if isinstance(address, IPv6Address) and address not in UNICAST:
        return False
    return address.is_global and not address.is_multicast and not any(address in network for network in SPECIAL)


def _held(address: IPv6Address) -> list[IPv4Address]:
    """The addresses of IPv4 that a gateway, or this machine, would send to instead."""
    number = int(address)
    held = [IPv4Address(number & 0xFFFFFFFF)] if any(address in network for network in HOLDING) else []
    if address.sixtofour is not None:
        held.append(address.sixtofour)
    if number >> 32 & 0xFCFFFFFF == 0x5EFE:  # ISATAP (RFC 5214)
        held.append(IPv4Address(number & 0xFFFFFFFF))
    return held
