"""The images of docker-compose.yml start FreeRADIUS and Kamailio by scripts: run on this machine, without an engine."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from activities.telephony.kamailio_rpc import Servers
from starter.local.children import dying_with_us, signal_family
from starter.local.databases import DEPLOY
from starter.local.systems import PROGRAMS
from tests.architecture.compose import services
from tests.support.router import Router
from tests.support.waiting import HANGING, eventually, free_port, free_udp_port
from tests.systems.service import DOMAIN, Systems

COMPOSE = DEPLOY / "compose"


@dataclass
class Started:
    """What a start script has become."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    log: Path

    def traces(self) -> str:
        """What a look at it shows: its log, environment and arguments."""
        there = Path(f"/proc/{self.process.pid}")
        return (
            self.log.read_text(encoding="utf-8")
            + (there / "environ").read_text(encoding="utf-8")
            + (there / "cmdline").read_text(encoding="utf-8")
        )


@pytest.fixture
def secrets(tmp_path: Path, systems: Systems) -> dict[str, str]:
    """Every secret, by name, as Docker lays it down: in files below ``secrets``."""

    def password(database: str, role: str) -> str:
        return str(urlsplit(systems.server.dsn(database, role)).password)

    values = {
        "sip-rpc-secret": "path" * 12,
        "radius-secret": "shared" * 8,
        "sip-daemon-password": password("kamailio", "sip_daemon"),
        "radius-daemon-password": password("radius", "radius_daemon"),
    }
    (tmp_path / "secrets").mkdir()
    for name, text in values.items():
        (tmp_path / "secrets" / name).write_text(text, encoding="utf-8")
    return values


@contextmanager
def started(system: str, folder: Path, **changed: str) -> Iterator[Started]:
    """The start script of an image, in the environment of its service, but for what must be another here."""
    run, log = folder / "run", folder / "log"
    run.mkdir()
    here = {"PATH": f"{PROGRAMS}:/bin", "LC_ALL": "C", "SECRETS": f"{folder}/secrets"}
    with log.open("wb") as written:
        process = subprocess.Popen(
            [COMPOSE / f"{system}.sh"],
            env=services()[system]["environment"] | here | changed,
            stdout=written,
            stderr=written,
            start_new_session=True,
            preexec_fn=dying_with_us(signal.SIGKILL),
        )
    try:
        yield Started(process, run, log)
    finally:
        signal_family(process.pid, signal.SIGKILL)
        process.wait()


async def healthy(*words: str) -> bool:
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, check=False)
    return done.returncode == 0


async def test_kamailio_starts_with_its_secrets_in_files_and_is_healthy_without_one(
    systems: Systems, tmp_path: Path, secrets: dict[str, str]
) -> None:
    port, rpc = free_udp_port(), free_port()
    with started(
        "kamailio",
        tmp_path,
        RUN=f"{tmp_path}/run",
        CONFIGURATION=f"{DEPLOY}/kamailio/kamailio.cfg",
        SIP_DB_URL=f"postgres://sip_daemon@127.0.0.1:{systems.server.port}/kamailio",
        SIP_DOMAIN=DOMAIN,
        SIP_LISTEN=f"127.0.0.1:{port}",
        SIP_RPC_LISTEN=f"127.0.0.1:{rpc}",
        SIP_RPC_HOST=f"127.0.0.1:{rpc}",
    ) as it:
        check = str(COMPOSE / services()["kamailio"]["healthcheck"]["test"][1])
        await eventually(lambda: healthy(check, "127.0.0.1", str(port)))
        servers = Servers.named(f"http://127.0.0.1:{rpc}/RPC", secrets["sip-rpc-secret"])
        until = asyncio.get_running_loop().time() + HANGING
        state = await servers.look({"441632960001": [f"441632960001@{DOMAIN}"]}, until)
        assert not state["441632960001"].trouble
        assert not any(secrets[name] in it.traces() for name in ("sip-rpc-secret", "radius-secret"))
        assert {path.stat().st_mode & 0o777 for path in it.folder.iterdir()} == {0o600}
        it.process.send_signal(signal.SIGSTOP)
        signal_family(it.process.pid, signal.SIGSTOP)
        assert not await healthy(check, "127.0.0.1", str(port))


async def test_freeradius_starts_with_its_secrets_in_files_and_shows_none(
    systems: Systems, tmp_path: Path, secrets: dict[str, str]
) -> None:
    port = free_udp_port()
    conninfo = services()["freeradius"]["environment"]["RADIUS_DB"]
    for theirs, ours in (
        ("host=postgres port=5432", f"host=127.0.0.1 port={systems.server.port}"),
        ("/run/radius", f"{tmp_path}/run"),
    ):
        assert theirs in conninfo
        conninfo = conninfo.replace(theirs, ours)
    with started(
        "freeradius",
        tmp_path,
        CONFIGURATION=f"{DEPLOY}/freeradius",
        RADIUS_RUN=f"{tmp_path}/run",
        RADIUS_LISTEN="127.0.0.1",
        RADIUS_AUTH_PORT=str(port),
        RADIUS_ACCT_PORT=str(port + 1),
        RADIUS_DB=conninfo,
    ) as it:
        kind, check = services()["freeradius"]["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        check = check.replace("/run/secrets", f"{tmp_path}/secrets").replace(":1812", f":{port}")
        await eventually(lambda: healthy("sh", "-c", check))
        login = await Router(port, secrets["radius-secret"]).log_in("nobody", "x")
        assert not login.accepted, "and the database said so: without it nobody is answered"
        assert secrets["radius-secret"] not in it.traces()
        assert {path.stat().st_mode & 0o777 for path in it.folder.iterdir() if path.suffix != ".pid"} == {0o600}


@pytest.mark.parametrize("system", ["kamailio", "freeradius"])
@pytest.mark.parametrize("wrong", ["", 'a"b', "$var(x)", "a b"])
def test_a_secret_that_would_have_to_be_quoted_is_refused(
    tmp_path: Path, secrets: dict[str, str], system: str, wrong: str
) -> None:
    name = "sip-rpc-secret" if system == "kamailio" else "radius-secret"
    assert name in secrets
    (tmp_path / "secrets" / name).write_text(wrong, encoding="utf-8")
    with started(system, tmp_path, RUN=f"{tmp_path}/run", RADIUS_RUN=f"{tmp_path}/run") as it:
        assert it.process.wait(HANGING) == 1
        assert it.log.read_text(encoding="utf-8").startswith(f"secret {name}: ")
