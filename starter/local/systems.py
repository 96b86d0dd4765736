"""FreeRADIUS and Kamailio as our children: on loopback, with the configurations of deploy/, not those of the packages.

The system's packages install them. When we are root, they run as the packages' own accounts. These need no access to
the data folder: each daemon works in its own folder below it, with relative paths.

Their secrets are in that folder too, in files that only their account can read. No secret is in an argument, an
environment or a define, because Kamailio's ``core.ppdefines_full`` shows defines.
"""

import os
import shutil
import signal
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyrad.client import Client, Timeout
from pyrad.packet import PacketError, StatusServer

from starter.local.accounts import account
from starter.local.children import Child, Identity, StartFailed, signal_family
from starter.local.data_folder import DataFolder
from starter.local.databases import DEPLOY
from starter.local.ports import HOST, free_port
from starter.local.postgres import HERE, EmbeddedPostgres
from starter.local.private_files import write_private

PROGRAMS = os.pathsep.join(("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"))
MODULES = Path("/usr")
PACKAGES = {  # Debian's names, and what each of them brings
    "freeradius": "sbin/freeradius",
    "freeradius-postgresql": "lib/freeradius/rlm_sql_postgresql.so",
    "kamailio": "sbin/kamailio",
    "kamailio-postgres-modules": "lib/*/kamailio/modules/db_postgres.so",
}
TIMEOUT = 0.5  # seconds that a living daemon has to answer
PASSFILE = "pgpass"  # its password for PostgreSQL, as libpq reads it (PostgreSQL manual, 34.16)


@dataclass(frozen=True)
class Login:
    """The server, database, role and password that a daemon logs in with."""

    host: str
    port: int
    database: str
    role: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, url: str) -> "Login":
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        return cls(
            parts.hostname, parts.port, parts.path[1:], unquote(parts.username or ""), unquote(parts.password or "")
        )

    @property
    def url(self) -> str:
        """The URL as Kamailio's module db_postgres reads it."""
        return f"postgres://{self.role}@{self.host}:{self.port}/{self.database}"

    @property
    def conninfo(self) -> str:
        """The connection string of libpq, without the password, because FreeRADIUS logs it."""
        return f"host={self.host} port={self.port} dbname={self.database} user={self.role}"

    @property
    def passfile(self) -> str:
        """The line in which libpq finds the password (PostgreSQL manual, 34.16)."""
        escaped = self.password.replace("\\", "\\\\").replace(":", "\\:")
        return f"{self.host}:{self.port}:{self.database}:{self.role}:{escaped}\n"


class DaemonsMissing(StartFailed):
    """FreeRADIUS or Kamailio is not installed. The message explains how to install them."""


class Daemon(Child):
    """A daemon whose own children may outlive it: Kamailio's workers keep the port of a killed main process."""

    def __init__(self, name: str, argv: list[str], folder: Path, log: Path, env: dict[str, str], account: str) -> None:
        program = shutil.which(argv[0], path=PROGRAMS)
        if program is None:
            raise DaemonsMissing(how_to_install([argv[0]]))
        environment = {"PATH": PROGRAMS, "LC_ALL": "C", **env}
        super().__init__(name, [program, *argv[1:]], log, environment, folder=folder, identity=identity_of(account))

    def start(self) -> None:
        if self.process is not None:
            signal_family(self.process.pid, signal.SIGKILL)
        super().start()

    def make_folder(self, configuration: Path, secrets: Mapping[str, str]) -> None:
        """Have its folder, with its configuration and its secrets by file name, for its account alone. StartFailed.

        The folder is the account's, and we may be root: nothing that lies there is followed or written to.
        """
        assert self.folder is not None
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            opened = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if self.identity:
                    os.fchown(opened, self.identity["user"], self.identity["group"])
            finally:
                os.close(opened)
            for name, text in {configuration.name: configuration.read_text(encoding="utf-8"), **secrets}.items():
                write_private(self.folder / name, text, self.identity)
        except OSError as e:
            raise StartFailed(f"{self.name} cannot have its folder {self.folder} ({e.strerror})") from e


class FreeRadius(Daemon):
    """Internet logins (UDP ``port``) and accounting (the port after it).

    ``database`` is the URL of its database, if not Connect's usual one.
    """

    def __init__(
        self,
        server: EmbeddedPostgres,
        port: int,
        secret: str,
        folder: Path,
        log: Path,
        *,
        database: str | None = None,
    ) -> None:
        self.port, self._secret = port, secret
        self._login = Login.read(database or server.dsn("radius", "radius_daemon"))
        environment = {
            "RADIUS_RUN": HERE,
            "RADIUS_LISTEN": HOST,
            "RADIUS_AUTH_PORT": str(port),
            "RADIUS_ACCT_PORT": str(port + 1),
            "RADIUS_CLIENTS": "127.0.0.0/8",
            "RADIUS_MESSAGE_AUTHENTICATOR": "yes",
            "RADIUS_DB": f"{self._login.conninfo} passfile={HERE}/{PASSFILE} connect_timeout=2 "
            "application_name=freeradius",
        }
        argv = ["freeradius", "-f", "-l", "stdout", "-d", HERE]
        super().__init__("FreeRADIUS", argv, folder, log, environment, "freerad")

    def start(self) -> None:
        secrets = {PASSFILE: self._login.passfile, "secret.conf": f'radius_secret = "{self._secret}"\n'}
        self.make_folder(DEPLOY / "freeradius/radiusd.conf", secrets)
        super().start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def ready(self) -> bool:
        """Whether it answers a Status-Server request (RFC 5997) with a signed answer. This needs no database."""
        client = Client(
            HOST, authport=self.port, secret=self._secret.encode(), retries=1, timeout=TIMEOUT, enforce_ma=True
        )
        try:
            client.SendPacket(client.CreateAuthPacket(code=StatusServer))
        except (Timeout, PacketError, OSError):
            return False
        finally:
            client._CloseSocket()  # pyrad has no other way to close it
        return True


class Kamailio(Daemon):
    """The registrar and call router of telephone lines (UDP ``port``). Its JSON-RPC's path ends in ``rpc_secret``.

    ``db_mode`` is usrloc's: 3 keeps registrations in the table alone, 1 in memory as well. ``database`` is the URL of
    its database, if not Connect's usual one.
    """

    def __init__(
        self,
        server: EmbeddedPostgres,
        port: int,
        domain: str,
        rpc_secret: str,
        folder: Path,
        log: Path,
        *,
        db_mode: int = 3,
        database: str | None = None,
    ) -> None:
        self.port, rpc = port, free_port(besides={port})
        self.rpc_url, self._rpc_secret = f"http://{HOST}:{rpc}/RPC", rpc_secret
        self._login = Login.read(database or server.dsn("kamailio", "sip_daemon"))
        environment = {
            "PGPASSFILE": f"{HERE}/{PASSFILE}",
            "SIP_DB_URL": self._login.url,
            "SIP_DOMAIN": domain,
            "SIP_LISTEN": f"{HOST}:{port}",
            "SIP_RPC_LISTEN": f"{HOST}:{rpc}",
            "SIP_RPC_HOST": f"{HOST}:{rpc}",
            "SIP_GATEWAY": HOST,
            "SIP_GATEWAY_PORT": "0",
            "SIP_USRLOC_DB_MODE": str(db_mode),
        }
        argv = ["kamailio", "-f", f"{HERE}/kamailio.cfg", "-DD", "-E", "-m", "32", "-M", "8"]
        argv += ["-w", HERE, "-Y", HERE, "-P", f"{HERE}/kamailio.pid"]
        super().__init__("Kamailio", argv, folder, log, environment, "kamailio")

    def start(self) -> None:
        path = f'route[RPC_PATH] {{ $var(rpc_path) = "/RPC/{self._rpc_secret}"; }}\n'
        self.make_folder(DEPLOY / "kamailio/kamailio.cfg", {PASSFILE: self._login.passfile, "rpc-path.cfg": path})
        super().start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def ready(self) -> bool:
        """Whether it answers OPTIONS (RFC 3261 section 11)."""
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.settimeout(TIMEOUT)
            try:
                s.connect((HOST, self.port))
                s.send(_options(self.port, s.getsockname()[1]))
                return s.recv(4096).startswith(b"SIP/2.0 200")
            except OSError:
                return False


def daemons(
    server: EmbeddedPostgres, folder: DataFolder, sip_port: int, radius_port: int, domain: str
) -> tuple[FreeRadius, Kamailio]:
    """Both daemons, for the databases of this server, with their files below the data folder. Raises DaemonsMissing."""
    check_installed()
    secret = folder.make_radius_secret()
    return (
        FreeRadius(server, radius_port, secret, folder.freeradius, folder.logs / "freeradius.log"),
        Kamailio(server, sip_port, domain, folder.make_rpc_secret(), folder.kamailio, folder.logs / "kamailio.log"),
    )


def check_installed(system: Path = MODULES) -> None:
    """Raises DaemonsMissing when a part of FreeRADIUS or Kamailio is not below ``system``."""
    if missing := [package for package, brings in PACKAGES.items() if not any(system.glob(brings))]:
        raise DaemonsMissing(how_to_install(missing))


def how_to_install(missing: list[str]) -> str:
    """How to install them on Debian without its packages starting daemons on every address."""
    return (
        f"--systems needs FreeRADIUS and Kamailio, and there is no {', no '.join(missing)} here. As root, on Debian:\n"
        f"  apt-get install --no-install-recommends {' '.join(PACKAGES)}\n"
        "The packages start their daemons on public addresses, unless /usr/sbin/policy-rc.d is a program that exits "
        "with 101\nmeanwhile. `.ci/run install` in the source folder does both."
    )


def identity_of(account_name: str) -> Identity:
    """The account that a daemon runs as: ours, or its package's when we are root. Raises StartFailed."""
    if os.geteuid() != 0:
        return Identity()
    if (found := account(account_name)) is None:
        raise StartFailed(
            f"There is no account {account_name}, which a package of {', '.join(PACKAGES)} makes: reinstall it, "
            "or start Connect as an ordinary user"
        )
    return Identity(user=found.uid, group=found.gid, extra_groups=[])


def _options(port: int, ours: int) -> bytes:
    key = uuid.uuid4().hex
    lines = (
        f"OPTIONS sip:{HOST}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {HOST}:{ours};branch=z9hG4bK{key}",
        "Max-Forwards: 5",
        f"From: <sip:ready@{HOST}>;tag={key[:8]}",
        f"To: <sip:{HOST}:{port}>",
        f"Call-ID: {key}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
