"""Another account of the same machine: all that it gets of a running `connect up --systems`."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.up import Terminal, create
from tests.support.waiting import free_udp_port
from tests.systems.other_user import REFUSED

UID = 54_321  # nobody's

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what runs"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account"),
]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal whose data folder lies where every account may walk to: nothing protects it but itself."""
    above = Path(tempfile.mkdtemp(prefix="connect-"))
    above.chmod(0o755)
    it = Terminal(above / "data")
    yield it
    it.close()
    shutil.rmtree(above)


async def test_another_account_of_the_machine_gets_nothing_but_temporal(terminal: Terminal) -> None:
    sip, radius = free_udp_port(), free_udp_port()
    terminal.start("--systems", "--sip-port", str(sip), "--radius-port", str(radius))
    await terminal.ready()
    async with terminal.api() as api:
        await create(api, "acme", "+442079460901")
    assert terminal.process
    family = family_of(terminal.process.pid)
    listening = listening_ports(family)
    came = await other_user(
        {
            "folder": str(terminal.data),
            "pids": list(family),
            "postgres": listening["postgres"],
            "kamailio": listening["kamailio"],
            "url": f"http://127.0.0.1:{terminal.port}",
            "temporal": terminal.temporal_port,
            "sip": sip,
        }
    )
    titles = came.pop("titles")
    secrets = secrets_of(terminal.data)
    assert len(secrets) >= 4
    assert not [secret for secret in secrets if secret in titles]
    assert came.pop("Temporal") == "open: client-acme", "SECURITY.md says so, and why"
    assert came == dict.fromkeys(came, REFUSED)


def secrets_of(folder: Path) -> list[str]:
    """What every file of the data folder keeps that is called a secret, and passwords in libpq's files."""
    files = [file for file in folder.iterdir() if re.search("token|key|secret|password$", file.name)]
    return [
        file.read_text(encoding="utf-8").strip().rpartition(":")[2] for file in (*files, *folder.glob("passwords/*"))
    ]


async def other_user(target: dict[str, Any]) -> dict[str, str]:
    """What each attempt of an ordinary account came to."""
    command = [sys.executable, "-m", "tests.systems.other_user", str(UID)]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    tried = await asyncio.to_thread(
        subprocess.run,
        command,
        input=json.dumps(target),
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert tried.returncode == 0, tried.stderr
    came: dict[str, str] = json.loads(tried.stdout)
    return came


def family_of(ancestor: int) -> dict[int, str]:
    """A process and all that descend from it, with their names."""
    parents, names = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = stat.read_text(encoding="utf-8").rpartition(")")
        except OSError:
            continue
        pid = int(stat.parent.name)
        parents[pid], names[pid] = int(after.split()[1]), before.partition("(")[2]
    family = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {pid: names[pid] for pid in sorted(family)}


def listening_ports(family: dict[int, str]) -> dict[str, list[int]]:
    """The TCP ports that each program of a family listens on, by its name."""
    ports = {}
    for row in Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]:
        fields = row.split()
        if fields[3] == "0A":  # TCP_LISTEN
            ports[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
    found: dict[str, set[int]] = {}
    for pid, name in family.items():
        for handle in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                if (port := ports.get(str(handle.readlink()))) is not None:
                    found.setdefault(name, set()).add(port)
            except OSError:  # closed meanwhile
                continue
    return {name: sorted(of) for name, of in found.items()}
