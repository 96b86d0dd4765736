"""What somebody who can reach the daemons, and knows no secret, gets from them: another user of this machine, or a page
in a browser."""

import json
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from starter.local.systems import FreeRadius, Kamailio
from tests.support.waiting import HANGING, eventually
from tests.systems.phone import options
from tests.systems.service import DOMAIN, Systems

LINE = ("location", f"441632960001@{DOMAIN}")
JSON = {"Content-Type": "application/json"}


# -- Kamailio's JSON-RPC ----------------------------------------------------------------------------------------------


@dataclass
class Rpc:
    """Kamailio's JSON-RPC, as somebody who knows its path, or not, can ask it."""

    url: str
    secret: str
    client: httpx2.AsyncClient

    async def post(self, body: bytes, path: str | None = None, method: str = "POST", **headers: str) -> httpx2.Response:
        url = f"{self.url}/{self.secret}" if path is None else self.url.replace("/RPC", path)
        return await self.client.request(method, url, content=body, headers={**JSON, **headers})


@pytest_asyncio.fixture
async def rpc(systems: Systems) -> AsyncIterator[Rpc]:
    await eventually(systems.kamailio.ready)
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield Rpc(systems.kamailio.rpc_url, systems.rpc_secret, client)


def command(method: str, *values: Any) -> bytes:
    """A command as activities/telephony/kamailio_rpc.py writes it."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": values}, separators=(",", ":")).encode()


def with_another(text: str) -> bytes:
    """Our own question, and somewhere in it another method."""
    return command("ul.lookup", *LINE).replace(b'"method":"ul.lookup"', text.encode())


async def test_who_knows_the_path_gets_an_answer(rpc: Rpc) -> None:
    answer = await rpc.post(command("ul.lookup", *LINE))
    assert answer.json()["error"]["message"] == "AOR not found in location table"


@pytest.mark.parametrize(
    "path", ["/RPC", "/RPC/", "/", "/RPC/guessed", "/RPC/{secret}x", "/RPC/{secret}?", "//{secret}"]
)
@pytest.mark.parametrize("method", ["core.ppdefines_full", "core.kill", "ul.lookup"])
async def test_who_does_not_know_the_path_finds_nothing(rpc: Rpc, path: str, method: str) -> None:
    answer = await rpc.post(command(method, *LINE), path.format(secret=rpc.secret))
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    "body",
    [
        command("core.ppdefines_full"),
        command("core.kill"),
        command("core.shmmem"),
        command("cfg.get", "core", "debug"),
        command("htable.dump", "wrong"),
        command("ul.dump"),
        command("dlg.list"),
        command("system.listMethods"),
        with_another('"method":"ul.lookup","method":"core.kill"'),
        with_another('"method":"core.kill","method":"ul.lookup"'),
        with_another('"METHOD":"core.kill","method":"ul.lookup"'),
        with_another('"method":"core.kil\\u006c"'),
        with_another('"m\\u0065thod":"core.kill"'),
        with_another('"x":{"method":"ul.lookup"},"method":"core.kill"'),
        with_another('"method":["core.kill"]'),
        b"[" + command("ul.lookup", *LINE) + b"," + command("core.kill") + b"]",
        command("ul.lookup", *LINE) + command("core.kill"),
        command("ul.lookup", *LINE) + b"\n" + command("core.kill"),
        command("core.kill") + b"\n" + command("ul.lookup", *LINE),
        b"\0" + command("core.kill"),
        command("ul.lookup", *LINE, "core.kill"),
        command("ul.lookup", "location", 'x","method":"core.kill'),
        command("dlg.list_match", "furi", "re", ".*", 0),
        command("dlg.end_dlg", 1, "2"),
        b"",
    ],
    ids=lambda body: body.decode(errors="replace")[:60],
)
async def test_who_knows_the_path_gets_no_other_method_however_it_is_written(
    rpc: Rpc, systems: Systems, body: bytes
) -> None:
    answer = await rpc.post(body)
    assert (answer.status_code, answer.content) == (403, b"")
    assert systems.kamailio.ready()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Referer": "http://127.0.0.1:8000/clients"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Dest": "empty"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json;charset=utf-8"},
        {"Content-Type": ""},
        {"Host": "evil.example"},
        {"Host": "localhost"},
    ],
    ids=str,
)
async def test_a_page_that_knows_the_path_is_refused_all_the_same(rpc: Rpc, headers: dict[str, str]) -> None:
    answer = await rpc.post(command("ul.lookup", *LINE), **headers)
    assert (answer.status_code, answer.content) == (403, b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "HEAD"])
async def test_only_a_post_is_taken(rpc: Rpc, method: str) -> None:
    assert (await rpc.post(command("ul.lookup", *LINE), method=method)).status_code == 403


def test_the_port_of_json_rpc_is_not_for_telephones(systems: Systems) -> None:
    port = int(systems.kamailio.rpc_url.removesuffix("/RPC").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=HANGING) as connection:
        connection.sendall(options("sip:127.0.0.1", "TCP", "127.0.0.1:1"))
        connection.sendall(b"POST /RPC HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 404"), "the other was not answered"


def test_the_port_of_telephones_is_not_for_json_rpc(systems: Systems) -> None:
    """Kamailio takes HTTP over UDP, too."""
    body, host = command("ul.lookup", *LINE), systems.kamailio.rpc_url.removeprefix("http://").removesuffix("/RPC")
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.settimeout(HANGING)
        stranger.connect(("127.0.0.1", systems.kamailio.port))
        via = f"127.0.0.1:{stranger.getsockname()[1]}"
        request = (
            f"POST /RPC/{systems.rpc_secret} HTTP/1.1",
            f"Via: SIP/2.0/UDP {via};branch=z9hG4bKx",
            f"Host: {host}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        stranger.send("\r\n".join(request).encode() + b"\r\n\r\n" + body)
        stranger.send(options(f"sip:{systems.kamailio.address}", "UDP", via))
        assert stranger.recv(4096).startswith(b"SIP/2.0 200"), "the other was answered"


# -- where secrets stand, and what listens ----------------------------------------------------------------------------


def test_the_secrets_of_the_daemons_are_in_files_for_their_accounts_alone(systems: Systems) -> None:
    server = systems.server
    passwords = [
        re.search(r"//\w+:(.+)@", server.dsn(*it))
        for it in (("kamailio", "sip_daemon"), ("radius", "radius_daemon"), ("postgres", "postgres"))
    ]
    hidden = [systems.secret, systems.rpc_secret, *(found[1] for found in passwords if found and found[1] != "secret")]
    for daemon in systems.daemons:
        assert daemon.process
        texts = [(f"/proc/{pid}/environ", f"/proc/{pid}/cmdline") for pid in family(daemon)]
        assert texts
        assert not [
            (path, it)
            for pair in texts
            for path in pair
            for it in hidden
            if it in Path(path).read_text(encoding="utf-8")
        ]
        assert "PASSWORD" not in "".join(Path(path).read_text(encoding="utf-8") for path, _ in texts)
        assert not any(it in daemon.log.read_text(encoding="utf-8") for it in hidden)
        assert daemon.folder
        mine = {path.name: path.stat() for path in daemon.folder.iterdir() if path.suffix != ".pid"}
        assert {stat.st_mode & 0o777 for stat in mine.values()} == {0o600}
        assert {stat.st_uid for stat in mine.values()} == {daemon.identity.get("user", os.geteuid())}
    assert set(mine) == {"kamailio.cfg", "pgpass", "rpc-path.cfg"}


def test_the_daemons_listen_on_their_ports_of_loopback_and_nowhere_else(systems: Systems) -> None:
    kamailio, radius = systems.kamailio, systems.freeradius
    rpc = kamailio.rpc_url.removeprefix("http://").removesuffix("/RPC")
    assert listening(kamailio) == {f"udp {kamailio.address}", f"tcp {rpc}"}
    assert listening(radius) == {f"udp {radius.address}", f"udp 127.0.0.1:{radius.port + 1}"}


def family(daemon: FreeRadius | Kamailio) -> list[int]:
    assert daemon.process
    result = subprocess.run(
        ["ps", "-o", "pid=", "-s", str(daemon.process.pid)], capture_output=True, encoding="utf-8", check=True
    )
    return [int(pid) for pid in result.stdout.split()]


def listening(daemon: FreeRadius | Kamailio) -> set[str]:
    """Its sockets that take what nobody has asked for (unix(7), proc_pid_net(5)); unix ones by their path."""
    own = set()
    for pid in family(daemon):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(handle)):
                own.add(found[1])
    found_ = set()
    for kind, listens in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for row in Path(f"/proc/net/{kind}").read_text(encoding="utf-8").splitlines()[1:]:
            words = row.split()
            if words[9] in own and words[3] == listens:
                address, _, port = words[1].partition(":")
                octets = bytes.fromhex(address)[::-1]
                found_.add(f"{kind} {'.'.join(map(str, octets))}:{int(port, 16)}")
    for row in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]:
        words = row.split()
        if words[6] in own and len(words) > 7:
            found_.add(f"unix {words[7]}")
    return found_
