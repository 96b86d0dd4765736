"""What an ordinary account of the machine tries on a running service: run as root, it becomes that account first.

``python -m tests.systems.other_user UID`` reads what it aims at as JSON, and prints by name what each attempt came to:
``refused``, or what it got.
"""

import asyncio
import ctypes
import errno
import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
from temporalio.client import Client

REFUSED = "refused"
PATIENCE = 120.0  # seconds, after which it hangs
GUESSES = ("", "postgres", "connect", "secret", "password")
ROLES = ("postgres", "connect", "connect_keys", "sip_prov", "sip_daemon", "radius_prov", "radius_daemon")
RPC = ("core.ppdefines_full", "core.psx", "ul.dump", "dlg.list", "cfg.list", "htable.dump", "system.listMethods")
_PTRACE_ATTACH = 16  # sys/ptrace.h


def become(uid: int) -> None:
    """As `setpriv --reuid=UID --regid=UID --clear-groups` does; there is no way back."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def permitted(attempt: Callable[[], object]) -> str:
    """What an attempt came to that the system may forbid."""
    try:
        return f"got {str(attempt())[:200]}"
    except OSError as e:
        return REFUSED if e.errno in (errno.EACCES, errno.EPERM) else f"{e}"


def files(folder: Path) -> str:
    """Read any file of the data folder, listed or guessed."""
    names = "token master-key postgres-password radius-secret kamailio-rpc-secret temporal.db children.json lock layout"
    guessed = [
        *names.split(),
        "encryption-keys",
        "passwords/connect",
        "passwords/connect_keys",
        "logs/api.log",
        "logs/postgres.log",
        "postgres/pg_hba.conf",
    ]
    guessed += ["kamailio/kamailio.cfg", "kamailio/rpc-path.cfg", "freeradius/radiusd.conf", "freeradius/pgpass"]
    outcomes = {permitted(lambda: list(folder.iterdir()))}
    outcomes |= {permitted(lambda name=name: (folder / name).read_bytes()) for name in guessed}  # type: ignore[misc]  # mypy knows no default of a lambda
    outcomes.add(permitted((folder / "planted").touch))
    return worst(outcomes)


def processes(pids: list[int]) -> str:
    """Look into each process, stop it, or take it over."""
    libc = ctypes.CDLL(None, use_errno=True)
    outcomes = set()
    for pid in pids:
        for part in ("environ", "maps", "mem", "auxv"):
            outcomes.add(permitted(Path(f"/proc/{pid}/{part}").read_bytes))
        outcomes.add(permitted(lambda pid=pid: os.listdir(f"/proc/{pid}/fd")))  # type: ignore[misc]  # see above
        outcomes.add(permitted(lambda pid=pid: os.readlink(f"/proc/{pid}/cwd")))  # type: ignore[misc]  # see above
        outcomes.add(permitted(lambda pid=pid: os.kill(pid, 0)))  # type: ignore[misc]  # see above
        if libc.ptrace(_PTRACE_ATTACH, pid, None, None) == 0:
            outcomes.add(f"attached to {pid}")
        else:
            outcomes.add(REFUSED if ctypes.get_errno() == errno.EPERM else os.strerror(ctypes.get_errno()))
    return worst(outcomes)


def titles(pids: list[int]) -> str:
    """What every account may read of a process: its arguments, and what it calls itself."""
    text = ""
    for pid in pids:
        with suppress(OSError):
            text += Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace") + "\n"
    return text


async def database(ports: list[int]) -> str:
    """Log in as anybody, with what people guess."""
    outcomes = set()
    for port in ports:
        for role in ROLES:
            for guess in (*GUESSES, role):
                try:
                    await asyncpg.connect(
                        host="127.0.0.1", port=port, user=role, password=guess, database="postgres", timeout=PATIENCE
                    )
                    outcomes.add(f"{role} with {guess!r}")
                except asyncpg.InvalidAuthorizationSpecificationError:  # a wrong password is one
                    outcomes.add(REFUSED)
    return worst(outcomes)


def answer_of(url: str, body: bytes | None = None, **headers: str) -> str:
    """The status of an answer, or refused (401, 403, 404; 429 to who guesses on)."""
    request = urllib.request.Request(url, body, headers)  # noqa: S310  # our own address
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310  # our own address
            return f"{answer.status} {answer.read(200)!r}"
    except urllib.error.HTTPError as e:
        return REFUSED if e.code in (401, 403, 404, 429) else str(e)
    except OSError as e:
        return str(e)


def json_rpc(ports: list[int]) -> str:
    """Have Kamailio tell, by the paths that are known."""
    outcomes = set()
    for port in ports:
        for method in RPC:
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": []}).encode()
            for path in ("RPC", "", "RPC/", "jsonrpc"):
                outcomes.add(answer_of(f"http://127.0.0.1:{port}/{path}", body, **{"Content-Type": "application/json"}))
    return worst(outcomes)


def api(url: str) -> str:
    """Everything that needs the token, without one and with guesses."""
    outcomes = set()
    for path in ("clients", "sites", "systems", "attention", "clients/acme", "clients/acme/credentials"):
        outcomes.add(answer_of(f"{url}/api/v1/{path}"))
        outcomes |= {answer_of(f"{url}/api/v1/{path}", Authorization=f"Bearer {guess}") for guess in GUESSES}
    outcomes.add(answer_of(f"{url}/api/v1/clients/acme/suspend", b"{}", **{"Content-Type": "application/json"}))
    return worst(outcomes)


async def temporal(port: int) -> str:
    """Ask Temporal what there is, over gRPC."""
    client = await Client.connect(f"127.0.0.1:{port}")
    found = sorted([workflow.id async for workflow in client.list_workflows()])
    return f"open: {', '.join(found)}"


def sip_answer(port: int) -> str:
    """Register a telephone without a password."""
    lines = [
        "REGISTER sip:connect.local SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKother",
        "From: <sip:442079460901@connect.local>;tag=other",
        "To: <sip:442079460901@connect.local>",
        "Contact: <sip:442079460901@127.0.0.1:9>",
        "Call-ID: other",
        "CSeq: 1 REGISTER",
        "Max-Forwards: 5",
        "Content-Length: 0",
    ]
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE)
        s.connect(("127.0.0.1", port))
        mine = s.getsockname()[1]
        s.send(("\r\n".join(lines).replace("127.0.0.1:9;", f"127.0.0.1:{mine};") + "\r\n\r\n").encode())
        answer = s.recv(4096).decode(errors="replace").partition("\r\n")[0]
    return REFUSED if " 401 " in answer else answer


def worst(outcomes: set[str]) -> str:
    """Refused, or all that was not."""
    return "; ".join(sorted(outcomes - {REFUSED})) or REFUSED


def main() -> None:
    """Become the account, try everything, print what came of it."""
    target: dict[str, Any] = json.load(sys.stdin)
    "".encode("idna")  # Python loads it late, and may lie where the account cannot read it
    become(int(sys.argv[1]))
    folder, pids = Path(target["folder"]), target["pids"]
    came = {
        "the data folder": files(folder),
        "processes": processes(pids),
        "titles": titles(pids),
        "the database": asyncio.run(database(target["postgres"])),
        "Kamailio's JSON-RPC": json_rpc(target["kamailio"]),
        "the API without its token": api(target["url"]),
        "a telephone without a password": sip_answer(target["sip"]),
        "Temporal": asyncio.run(temporal(target["temporal"])),
    }
    sys.stdout.write(json.dumps(came))
    sys.stdout.flush()
    os._exit(0)  # the SDK's threads can crash an interpreter that is shutting down (sdk-python issue 300)


if __name__ == "__main__":
    main()
