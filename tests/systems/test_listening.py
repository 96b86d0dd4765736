"""What `connect up --systems --demo` opens: SECURITY.md names every listening socket, and none is for strangers."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.up import Terminal
from tests.support.waiting import eventually, free_udp_port
from tests.systems.sockets import Socket, listening

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc who listens")

SECURITY = Path(__file__).parents[2] / "SECURITY.md"
ROW = re.compile(r"^\| (?P<part>[^|]+) \| (?P<protocol>tcp|udp) \| (?P<port>[^|]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    it = Terminal(tmp_path / "data")
    yield it
    it.close()


async def test_every_listening_socket_is_on_loopback_and_stands_in_security_md(terminal: Terminal) -> None:
    sip, radius = free_udp_port(), free_udp_port()
    terminal.start("--systems", "--demo", "--sip-port", str(sip), "--radius-port", str(radius))
    await terminal.ready()
    assert terminal.process is not None
    assert not listening([terminal.process.pid])  # `connect up` itself

    named = {
        "--port": terminal.port,
        "--temporal-port": terminal.temporal_port,
        "--ui-port": terminal.ui_port,
        "--sip-port": sip,
        "--radius-port": radius,
        "the one after it": radius + 1,
    }
    strangers, documented = set[Socket](), _documented()

    def all_opened() -> bool:
        opened = {part: listening([pid]) for part, (pid, _) in terminal.children().items()}
        strangers.update(it for sockets in opened.values() for it in sockets if not it.on_loopback)
        seen = _seen(opened, named)
        assert not documented - seen, f"documented, not opened: {documented - seen}"
        not_documented.update(seen - documented)
        return True

    not_documented = Counter[tuple[str, str, str]]()
    await eventually(all_opened)
    assert not strangers
    assert not not_documented, "opened, not documented"


def _seen(opened: dict[str, set[Socket]], named: dict[str, int]) -> Counter[tuple[str, str, str]]:
    options = {port: option for option, port in named.items()}
    return Counter(
        (part, socket.protocol, options.get(socket.port, "random"))
        for part, sockets in opened.items()
        for socket in sockets
    )


def _documented() -> Counter[tuple[str, str, str]]:
    """The rows of the table, each as often as it says: `random (3)` are three sockets."""
    rows: Counter[tuple[str, str, str]] = Counter()
    for row in ROW.finditer(SECURITY.read_text(encoding="utf-8")):
        port, _, count = row["port"].replace("`", "").partition(" (")
        rows[row["part"], row["protocol"], port] += int(count.rstrip(")") or 1) if count else 1
    return rows
