"""The host names of the service: which Host headers it accepts, and how it writes its own full addresses."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from activities.settings import HOST, Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
ANY_ADDRESS = ("", "0.0.0.0", "::")  # to be recognised, not listened on
_HOST = re.compile(HOST)


@dataclass(frozen=True)
class Names:
    """The names that the API and the console answer to. Loopback names are always among them.

    A page whose own name points at our address (DNS rebinding) sends that name as Host, and is refused.
    """

    public_url: str = "http://127.0.0.1:8000"
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> "Names":
        """The names of a process, from its public address, the address that it listens on, and CONNECT_HOSTS."""
        listens = "127.0.0.1" if settings.host in ANY_ADDRESS else settings.host
        listens = f"[{listens}]" if ":" in listens else listens
        scheme = "https" if settings.tls_certificate_file else "http"
        public_url = settings.public_url.rstrip("/") or f"{scheme}://{listens}:{settings.port}"
        more = (host.strip() for host in settings.hosts.split(","))
        hosts = (listens, urlsplit(public_url).hostname or "", *more)
        return cls(public_url, frozenset(host.lower() for host in hosts if host))

    def answer_to(self, hosts: Iterable[str]) -> bool:
        """Whether there is exactly one Host header, with one of our names. A name without a port allows any."""
        match [host.lower() for host in hosts]:
            case [host] if found := _HOST.fullmatch(host):
                return not {host, found["name"]}.isdisjoint(LOOPBACK | self.hosts)
        return False
