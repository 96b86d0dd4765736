"""`connect up --systems`: what an operator types, and what a softphone and a router get from it."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from starter.local.data_folder import DataFolder
from tests.support.router import REJECTED, Router
from tests.support.up import CONNECT, Terminal, create, post
from tests.support.waiting import eventually, free_udp_port
from tests.systems.phone import Phone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what still runs")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    it = Terminal(tmp_path / "data")
    yield it
    it.close()


async def typed(words: list[str], env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(subprocess.run, words, env=env, capture_output=True, encoding="utf-8", check=False)


async def test_a_softphone_registers_and_both_daemons_come_back(terminal: Terminal) -> None:
    sip, radius = free_udp_port(), free_udp_port()
    canary = {"CONNECT_CANARIES": "bank-house=+442079460902", "CONNECT_CANARY_EVERY_SECONDS": "1"}
    terminal.start("--systems", "--sip-port", str(sip), "--radius-port", str(radius), env=canary)
    secret = terminal.data / "radius-secret"
    assert (await terminal.ready()).endswith(f"  SIP: 127.0.0.1:{sip}  RADIUS: 127.0.0.1:{radius}, secret: {secret}")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    names = ("PostgreSQL", "Temporal", "FreeRADIUS", "Kamailio", "The Temporal UI", "The worker", "The API")
    assert tuple(terminal.children()) == names
    async with terminal.api() as api:
        await create(api, "acme", "+442079460901")
    environment = os.environ | {
        "CONNECT_URL": f"http://127.0.0.1:{terminal.port}",
        "CONNECT_TOKEN": (terminal.data / "token").read_text(encoding="utf-8"),
    }
    command = [*CONNECT, "client", "credentials", "acme"]
    output = (await typed(command, env=environment)).stdout
    credentials = json.loads((await typed([*command, "--json"], env=environment)).stdout)
    assert credentials["servers"] == {
        "sip": f"127.0.0.1:{sip}",
        "sip_domain": "connect.local",
        "radius": f"127.0.0.1:{radius}",
    }
    login = credentials["sip"][0]
    assert f"{login['username']}  {login['password']}  127.0.0.1:{sip}" in output
    assert not any(login["password"] in log.read_text(encoding="utf-8") for log in (terminal.data / "logs").iterdir())

    async with Phone(login["username"], login["password"], "connect.local", ("127.0.0.1", sip)) as phone:
        assert await phone.register() == 200
        before = terminal.children()
        for daemon in ("Kamailio", "FreeRADIUS"):
            terminal.kill(daemon)
        await eventually(lambda: all(terminal.children().get(d, before[d]) != before[d] for d in names[2:4]))

        async def registers() -> bool:
            try:
                return await phone.register() == 200
            except TimeoutError:
                return False

        await eventually(registers)
        async with terminal.api() as api:
            await post(api, "/clients/acme/suspend", {})

            async def settled() -> Any:
                answer = await api.get("/clients/acme")
                assert answer.status_code == 200, answer.text
                (found,) = (system for system in answer.json()["systems"] if system["system"] == "telephony")
                return found if found["state"] == "settled" else None

            telephony = await eventually(settled)
        assert telephony["method"].endswith("asked of 1 Kamailio by JSON-RPC; a REGISTER without Contact")
        assert await phone.register() == 403
        await not_disclosed(terminal, secret, terminal.data / "kamailio-rpc-secret")
    router = Router(radius, secret.read_text(encoding="utf-8").strip())
    assert await router.log_in("acme", "virtual clients have no account") == REJECTED
    async with terminal.api() as api:

        async def green() -> bool:
            answer = await api.get("/systems")
            assert answer.status_code == 200, answer.text
            states = [(it["site"], it["state"]) for it in answer.json()["canaries"]]
            return states == [("bank-house", "green")]

        await eventually(green)
        assert [it["client_id"] for it in (await api.get("/clients")).json()["items"]] == ["acme"]
    assert terminal.end() == 0
    assert terminal.leftovers() == []
    assert not DataFolder(terminal.data).noted_children()


async def test_no_secret_is_in_an_environment_or_argument_of_what_does_not_need_it(terminal: Terminal) -> None:
    """Arguments are for every user of the machine to see; environments for whatever a process starts, or logs."""
    sip, radius = free_udp_port(), free_udp_port()
    terminal.start("--systems", "--sip-port", str(sip), "--radius-port", str(radius), env={"CONNECT_NAS": NAS})
    await terminal.ready()
    pids = {name: family(pid) for name, (pid, _) in terminal.children().items()}
    assert terminal.process
    pids["connect up"] = {terminal.process.pid}
    secrets = secrets_in(terminal.data) | {"the access gear's": "gear-secret"}
    assert {"token", "master-key", "radius-secret", "passwords/connect", "passwords/radius_daemon"} <= secrets.keys()
    found = {
        (name, secret)
        for name, family_of in pids.items()
        for pid in family_of
        for secret, text in secrets.items()
        if text in cmdline(pid) or text in environ(pid)
    }
    assert found == {("connect up", "the access gear's"), ("The worker", "the access gear's")}
    assert not {
        (name, pid)
        for name, family_of in pids.items()
        for pid in family_of
        if any(text in cmdline(pid) for text in secrets.values())
    }
    environments = {name: environ(*pids[name]) for name in ("The worker", "The API", "Temporal")}
    assert "CONNECT_TOKEN" not in environments["The worker"]
    for setting in ("CONNECT_TELEPHONY_", "CONNECT_INTERNET_", "CONNECT_RADIUS_SECRET", "CONNECT_NAS"):
        assert setting not in environments["The API"]
    assert "CONNECT_" not in environments["Temporal"]


NAS = json.dumps({"127.0.0.9": {"secret": "gear-secret"}})


def secrets_in(data: Path) -> dict[str, str]:
    """Every secret of a data folder, by the name of its file."""
    named = ("token", "master-key", "radius-secret", "kamailio-rpc-secret")
    files = [*(data / name for name in named if (data / name).exists()), *(data / "passwords").iterdir()]
    return {str(f.relative_to(data)): f.read_text(encoding="utf-8").strip().rpartition(":")[2] for f in files}


def family(leader: int) -> set[int]:
    """A process that leads a session, and all in it."""
    return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if session_of(pid) == leader}


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def cmdline(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")


def environ(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace")


async def not_disclosed(terminal: Terminal, *secrets: Path) -> None:
    """What lets its holder ask FreeRADIUS or Kamailio is in private files, and in nothing that others may see."""
    async with terminal.api() as api:
        answers = [(await api.get(path)).text for path in ("/clients/acme", "/clients/acme/timeline", "/systems")]
    logs = [log.read_text(errors="replace", encoding="utf-8") for log in (terminal.data / "logs").iterdir()]
    processes = [Path(f"/proc/{pid}") for pid, _ in terminal.children().values()]
    texts = [(it / name).read_text(encoding="utf-8") for it in processes for name in ("cmdline", "environ")]
    for secret in secrets:
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert not any(secret.read_text(encoding="utf-8").strip() in text for text in (*answers, *logs, *texts))


async def test_a_port_that_is_taken_is_said_before_anything_starts(terminal: Terminal) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        result = await typed([*terminal.command, "--systems", "--sip-port", port])
    assert result.returncode == 1
    assert f"Port {port} for Kamailio is taken by" in result.stderr
    assert "choose another with --sip-port" in result.stderr
