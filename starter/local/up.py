"""`connect up`: PostgreSQL, Temporal with its UI, a worker and the API in one terminal (PRODUCT.md section 7.1)."""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from types import FrameType
from typing import NoReturn, TextIO

import httpx2
from pydantic import ValidationError

from activities.adapters import problems_of
from activities.settings import Settings
from starter.console.auth.sessions import link_key
from starter.local.children import Child, StartFailed
from starter.local.data_folder import DataFolder, have_secret
from starter.local.databases import ACCESS, ROLES, dsns, have_keys, lock_superuser, prepare
from starter.local.demo import seed
from starter.local.ports import HOST, free_port, is_free, who_listens
from starter.local.postgres import EmbeddedPostgres
from starter.local.private_files import read_private, write_private
from starter.local.supervisor import Supervisor
from starter.local.systems import FreeRadius, Kamailio, check_installed, daemons
from starter.local.temporal import NAMESPACE, TemporalServer
from starter.nexus.contract import ENDPOINT
from starter.web.security import CODEC
from workflows.wire.start import TASK_QUEUE

TRIES = 5  # times that PostgreSQL or Temporal may end in a row: everything rests on them
LONGEST_WORK = 25.0  # seconds that a worker or the API may need to end the work in its hands
# Children get only the variables that they need.
NOT_FOR_CHILDREN = ("TEMPORAL_", "CONNECT_TOKEN", "CONNECT_MASTER_KEY", "CONNECT_ENCRYPTION_KEYS", "CONNECT_URL")
OF_OTHER_PROCESSES = ("TEMPORAL_", "CONNECT_")
OF_THE_WORKER = (
    *("CONNECT_TELEPHONY_", "CONNECT_INTERNET_", "CONNECT_JSON_TELEPHONY_", "CONNECT_JSON_INTERNET_"),
    *("CONNECT_NAS", "CONNECT_RADIUS_SECRET", "CONNECT_SIP_RPC_", "CONNECT_PROBE_", "CONNECT_SERVES", "CONNECT_CANAR"),
)
OF_THE_API = ("CONNECT_TOKEN", "CONNECT_HOST", "CONNECT_PORT", "CONNECT_TEMPORAL_UI_URL", "CONNECT_TRUSTED_PROXIES")
SYSTEMS_FILE = """# `connect up` writes this file anew at each start. For one of yours, set CONNECT_SYSTEMS_FILE.

[doors]
title = "Doors"
in_building = true

[doors.main]
url = "{url}"
token_file = {token_file}
"""
OPEN_TO_THE_MACHINE = (
    "Every user of this machine can command clients at {address}, past the token: Temporal's development server asks "
    "nobody who they are. SECURITY.md says what to do about it."
)

NO_ENDPOINT = (
    f"Workflows of other namespaces cannot call Connect: Temporal did not make its Nexus endpoint {ENDPOINT}. "
    "docs/integrating.md, Nexus, has the command"
)


@dataclass(frozen=True)
class UpOptions:
    """The options of `connect up`."""

    data: Path = Path(".connect")
    port: int = 8000
    temporal_port: int = 7233
    ui_port: int = 8233
    systems: bool = False
    sip_port: int = 5060
    radius_port: int = 1812
    demo: bool = False

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def ui_url(self) -> str:
        return f"http://{HOST}:{self.ui_port}"


class StopRequested(Exception):
    """Somebody pressed Ctrl-C, or sent SIGTERM."""


def up(options: UpOptions) -> int:
    """Run everything until a signal to stop. Returns the exit status: 0 stopped by a signal, 1 cannot go on."""
    try:
        with stop_signals() as stop_requested, DataFolder.held(options.data) as folder:
            _check_ports(options)
            if options.systems:
                check_installed()
            Local(options, folder, stop_requested).run()
    except StopRequested:
        return 0
    except StartFailed as e:
        _write(sys.stderr, f"connect up: {e}")
        return 1


class Local:
    """The parts, in the order in which they rest on one another."""

    def __init__(self, options: UpOptions, folder: DataFolder, stop_requested: Callable[[], bool]) -> None:
        self._options, self._folder, self._stop_requested = options, folder, stop_requested
        self._supervisor = Supervisor(self._print)
        self._token = ""
        self._systems: tuple[FreeRadius, Kamailio] | None = None
        self._doors = False

    def run(self) -> NoReturn:
        """Start everything, run until a signal, then stop everything. Raises StopRequested, or what went wrong."""
        try:
            self._start()
            self._supervisor.ready = True
            write_private(self._folder.address, f"{self._options.url}\n")  # for the command line
            self._print(self._ready_line())
            self._print(OPEN_TO_THE_MACHINE.format(address=f"{HOST}:{self._options.temporal_port}"))
            if self._options.demo:
                threading.Thread(target=self._seed, daemon=True).start()
            while True:
                self._pause(0.1)
        finally:
            self._supervisor.stop()

    def _start(self) -> None:
        options, folder = self._options, self._folder
        folder.make_secrets()
        self._token = read_private(folder.token)
        postgres = EmbeddedPostgres(
            folder.postgres,
            free_port(besides={options.port, options.temporal_port, options.ui_port}),
            passwords=folder.make_passwords(ROLES),
            access=ACCESS,
            log=folder.logs / "postgres.log",
        )
        self._have(postgres, TRIES)
        codec = f"{options.ui_url}{CODEC}".rstrip("/")
        temporal = TemporalServer(folder.temporal, options.temporal_port, folder.logs / "temporal.log", codec)
        temporal.env = _without(os.environ, OF_OTHER_PROCESSES)
        self._have(temporal, TRIES)
        prepare(postgres)
        have_keys(postgres, folder.encryption_keys)
        lock_superuser(postgres)
        temporal.wait_until(temporal.ready, pause=self._pause)
        if not temporal.have_endpoint(ENDPOINT, TASK_QUEUE):
            self._print(NO_ENDPOINT)
        if options.systems:
            self._have_systems(postgres)
        self._have_doors()
        environment = self._environment(dsns(postgres, folder.passfile_of), temporal.address)
        for problem in _problems_of(environment):
            self._print(problem)
        python = [sys.executable, "-u", "-m"]
        where = (str(options.ui_port), temporal.ui, HOST, options.ui_url, f"{HOST}:{options.port}")
        proxy = [*python, "starter.local.ui_proxy", *where]
        ui = Child("The Temporal UI", proxy, folder.logs / "temporal-ui.log", _without(os.environ, OF_OTHER_PROCESSES))
        self._have(ui)
        for_worker = _without(environment, OF_THE_API) | self._for_canaries(environment)
        for_api = _without(environment, OF_THE_WORKER)
        worker = Child("The worker", [*python, "worker"], folder.logs / "worker.log", for_worker, LONGEST_WORK)
        api = Child("The API", [*python, "starter.cli.main", "serve"], folder.logs / "api.log", for_api, LONGEST_WORK)
        self._have(worker)
        self._have(api)
        with httpx2.Client(trust_env=False, timeout=5) as probe:
            api.wait_until(lambda: _answers(probe, f"{options.url}/readyz"), pause=self._pause)
            ui.wait_until(lambda: _answers(probe, f"{options.ui_url}/healthz"), pause=self._pause)
        worker.wait_until(lambda: temporal.has_worker(TASK_QUEUE), pause=self._pause)

    def _have_systems(self, postgres: EmbeddedPostgres) -> None:
        options = self._options
        self._systems = daemons(postgres, self._folder, options.sip_port, options.radius_port, _sip_domain())
        for daemon in self._systems:
            self._have(daemon)
            daemon.wait_until(daemon.ready, pause=self._pause)

    def _have_doors(self) -> None:
        """Have the demonstration's doors, a further kind that settings alone name, also at every later start."""
        options, folder = self._options, self._folder
        if not (options.demo or folder.doors.exists()):
            return
        if "CONNECT_SYSTEMS_FILE" in os.environ:
            self._print("CONNECT_SYSTEMS_FILE names a file of yours, so the demonstration's doors are not there")
            return
        folder.doors.mkdir(exist_ok=True)
        have_secret(token_file := folder.doors / "token", token_urlsafe(32))
        port = free_port(besides={options.port, options.temporal_port, options.ui_port})
        command = [sys.executable, "-u", "-m", "starter.local.doors", str(port), str(folder.doors)]
        doors = Child("The doors", command, folder.logs / "doors.log", _without(os.environ, OF_OTHER_PROCESSES))
        self._have(doors)
        doors.wait_until(lambda: not is_free(port), pause=self._pause)
        text = SYSTEMS_FILE.format(url=f"http://{HOST}:{port}/v1", token_file=json.dumps(str(token_file)))
        write_private(folder.systems_file, text)
        self._doors = True

    def _have(self, part: Child, tries: int | None = None) -> None:
        self._supervisor.start(part, tries)
        self._folder.note_children(self._supervisor.pids())
        self._pause(0)

    def _environment(self, urls: Mapping[str, str], temporal: str) -> Mapping[str, str]:
        """The environment of the worker and the API. Our own values decide where they connect, and with which role."""
        servers = {}
        if self._systems:
            radius, sip = self._systems
            servers = {
                "CONNECT_SIP_SERVER": sip.address,
                "CONNECT_SIP_RPC_URLS": sip.rpc_url,
                "CONNECT_SIP_RPC_SECRET_FILE": str(self._folder.rpc_secret),
                "CONNECT_PROBE_LINES": "true",
                "CONNECT_RADIUS_SERVER": radius.address,
                "CONNECT_RADIUS_SECRET_FILE": str(self._folder.radius_secret),
                "CONNECT_PROBE_ACCOUNTS": "true",
            }
        file = {"CONNECT_SYSTEMS_FILE": str(self._folder.systems_file)} if self._doors else {}
        return _without(os.environ, NOT_FOR_CHILDREN) | {
            **servers,
            **file,
            "CONNECT_SIP_DOMAIN": _sip_domain(),
            **urls,
            "CONNECT_MASTER_KEY_FILE": str(self._folder.master_key),
            "CONNECT_ENCRYPTION_KEYS_FILE": str(self._folder.encryption_keys),
            "CONNECT_TOKEN_FILE": str(self._folder.token),
            "CONNECT_HOST": HOST,
            "CONNECT_PORT": str(self._options.port),
            "CONNECT_TEMPORAL_UI_URL": self._options.ui_url,
            "TEMPORAL_ADDRESS": temporal,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_CONFIG_FILE": os.devnull,  # a profile of the user's is for elsewhere
        }

    def _for_canaries(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What the worker needs to ask the API as a caller, where the environment names canaries."""
        if not environment.get("CONNECT_CANARIES"):
            return {}
        return {"CONNECT_URL": self._options.url, "CONNECT_TOKEN_FILE": str(self._folder.token)}

    def _pause(self, seconds: float) -> None:
        """Let time pass, and look after everything meanwhile."""
        if self._stop_requested():
            raise StopRequested
        if self._supervisor.look():
            self._folder.note_children(self._supervisor.pids())
        time.sleep(seconds)

    def _ready_line(self) -> str:
        options = self._options
        link = f"{options.url}/sign-in?key={link_key(self._token, datetime.now(UTC))}"
        line = f"Connect is ready: {link}  Temporal UI: {options.ui_url}  token: {_near(self._folder.token)}"
        if self._systems is None:
            return line
        radius, sip = self._systems
        return f"{line}  SIP: {sip.address}  RADIUS: {radius.address}, secret: {_near(self._folder.radius_secret)}"

    def _seed(self) -> None:
        try:
            demo_clients = seed(self._options.url, self._token, doors=self._doors)
        except StartFailed as e:
            if not self._stop_requested():
                self._print(f"The demonstration is not complete: {e}")
        else:
            self._print(f"The demonstration is there: {demo_clients} clients at Riverside House")

    def _print(self, line: str) -> None:
        _write(sys.stdout, line)


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Have Ctrl-C, SIGTERM and a closed terminal noted only. Gives the question whether one came."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    stopping = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        stopping.append(signal.SIGHUP)
    before = {s: signal.signal(s, note) for s in stopping}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_ports(options: UpOptions) -> None:
    """Raises StartFailed for the first port that somebody else has."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    ports = [
        ("--port", options.port, "the API and console", tcp),
        ("--temporal-port", options.temporal_port, "Temporal", tcp),
        ("--ui-port", options.ui_port, "the Temporal UI", tcp),
    ]
    if options.systems:
        ports += [
            ("--sip-port", options.sip_port, "Kamailio", udp),
            ("--radius-port", options.radius_port, "FreeRADIUS", udp),
            ("--radius-port", options.radius_port + 1, "FreeRADIUS's accounting", udp),
        ]
    chosen: dict[tuple[int, int], str] = {}
    for option, port, purpose, kind in ports:
        if port not in range(1, 65536):
            protocol = "TCP" if kind is tcp else "UDP"
            raise StartFailed(f"{port} is no {protocol} port: choose one from 1 to 65535 with {option}")
        if other := chosen.get((kind, port)):
            raise StartFailed(f"{other} and {option} cannot both be {port}: choose another with {option}")
        chosen[kind, port] = option
        try:
            free = is_free(port, kind)
        except OSError as e:
            raise StartFailed(f"Port {port} for {purpose} cannot be used ({e}): choose another with {option}") from e
        if not free:
            holder = who_listens(port, kind) or "another program"
            raise StartFailed(
                f"Port {port} for {purpose} is taken by {holder}: end that, or choose another with {option}"
            )


def _problems_of(environment: Mapping[str, str]) -> list[str]:
    """What a worker with this environment cannot serve of the systems that its settings name, and what to do."""
    names = {name: f"CONNECT_{name.upper()}" for name in Settings.model_fields}
    try:
        settings = Settings.model_validate({n: environment[key] for n, key in names.items() if key in environment})
    except ValidationError:
        return []  # then the worker does not start, and says why
    return asyncio.run(problems_of(settings))


def _without(environment: Mapping[str, str], those: tuple[str, ...]) -> dict[str, str]:
    """An environment without the names that begin like those."""
    return {name: value for name, value in environment.items() if not name.startswith(those)}


def _sip_domain() -> str:
    """The domain of every line, for all parts the same."""
    default: str = Settings.model_fields["sip_domain"].default
    return os.environ.get("CONNECT_SIP_DOMAIN") or default


def _answers(probe: httpx2.Client, url: str) -> bool:
    try:
        return probe.get(url).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def _write(stream: TextIO, line: str) -> None:
    with suppress(OSError):  # nobody reads any more: that is no reason to stop
        stream.write(f"{line}\n")
        stream.flush()


def _near(path: Path) -> str:
    """A path as one would type it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
