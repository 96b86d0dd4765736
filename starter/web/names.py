"""Under which names the service is reached: what a Host header may say, and where our own full addresses lead."""

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

    A page whose own name points at our address (DNS rebinding) says that name as Host: so it is not answered.
    """

    public_url: str = "http://127.0.0.1:8000"
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> "Names":
        """The names of a process: of its public address, of the address it listens on, and those that are set."""
        listens = "127.0.0.1" if settings.host in ANY_ADDRESS else settings.host
        listens = f"[{listens}]" if ":" in listens else listens
        public_url = settings.public_url.rstrip("/") or f"http://{listens}:{settings.port}"
        given = (host.strip() for host in settings.hosts.split(","))
        hosts = (listens, urlsplit(public_url).hostname or "", *given)
        return cls(public_url, frozenset(host.lower() for host in hosts if host))

    def answer_to(self, hosts: Iterable[str]) -> bool:
        """Whether the Host headers of a request are one, and say one of our names. One without a port is of any."""
        match [host.lower() for host in hosts]:
            case [host] if found := _HOST.fullmatch(host):
                return not {host, found["name"]}.isdisjoint(LOOPBACK | self.hosts)
        return False
