"""Which sockets listen on this machine, and whose they are (Linux, proc(5))."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_LISTENS = {"tcp": "0A", "udp": "07"}  # include/net/tcp_states.h: TCP_LISTEN, TCP_CLOSE (an unconnected UDP socket)


@dataclass(frozen=True, order=True)
class Socket:
    """A socket that answers whoever reaches its address: ``tcp``, ``udp`` or ``unix`` (``address`` is then a path)."""

    protocol: str
    address: str
    port: int

    @property
    def on_loopback(self) -> bool:
        return self.protocol != "unix" and ipaddress.ip_address(self.address).is_loopback


def listening(leaders: Iterable[int]) -> set[Socket]:
    """Every socket on which a process of these sessions listens: children of a child of ours stay in its session."""
    ours = {inode for leader in leaders for pid in _family(leader) for inode in _inodes(pid)}
    return {socket for inode, socket in _sockets() if inode in ours}


def _family(leader: int) -> Iterator[int]:
    """A process and the session that it leads: field 6 of stat is the number of its session."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if leader in (int(fields[3]), int(stat.parent.name)):
            yield int(stat.parent.name)


def _inodes(pid: int) -> Iterator[str]:
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if found := re.fullmatch(r"socket:\[(\d+)]", str(fd.readlink())):
                yield found[1]
        except OSError:  # closed meanwhile
            continue


def _sockets() -> Iterator[tuple[str, Socket]]:
    for protocol, listens in _LISTENS.items():
        for table in (protocol, f"{protocol}6"):
            for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                address, _, port = fields[1].partition(":")
                if fields[3] == listens and int(fields[2].rpartition(":")[2], 16) == 0:
                    yield fields[9], Socket(protocol, _address(address), int(port, 16))
    for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and int(fields[3], 16) & 0x10000:  # __SO_ACCEPTCON: it listens
            yield fields[6], Socket("unix", fields[7], 0)


def _address(words: str) -> str:
    """An address as the kernel writes it: words of 32 bits in the order of this machine."""
    raw = b"".join(int(words[start : start + 8], 16).to_bytes(4, "little") for start in range(0, len(words), 8))
    found = ipaddress.ip_address(raw)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
