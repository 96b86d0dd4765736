"""FreeRADIUS and Kamailio as children of ours: on loopback, configured from deploy/, whatever the packages configured.

They are installed by the system's packages. As root they run as the packages' own accounts, which need not be able to
walk to the data folder: each stands in its own folder below it, and names everything from there.
"""

import os
import shutil
import signal
import socket
import uuid
from pathlib import Path

from pyrad.client import Client, Timeout
from pyrad.packet import PacketError, StatusServer

from starter.accounts import account
from starter.children import Child, Identity, StartFailed, signal_family
from starter.data_folder import DataFolder
from starter.databases import DEPLOY, kamailio_dsn, radius_conninfo
from starter.listening import HOST, free_port
from starter.postgres import HERE, EmbeddedPostgres

PROGRAMS = os.pathsep.join(("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"))
MODULES = Path("/usr")
PACKAGES = {  # Debian's names, and what each of them brings
    "freeradius": "sbin/freeradius",
    "freeradius-postgresql": "lib/freeradius/rlm_sql_postgresql.so",
    "kamailio": "sbin/kamailio",
    "kamailio-postgres-modules": "lib/*/kamailio/modules/db_postgres.so",
}
GLANCE = 0.5  # seconds that a living daemon has to answer


class DaemonsMissing(StartFailed):
    """FreeRADIUS or Kamailio is not installed. The text says how to install them."""


class Daemon(Child):
    """A daemon whose family may outlive it: Kamailio's workers keep the port of a killed main process, and answer."""

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

    def furnish(self, configuration: Path) -> None:
        """Have its folder, with its configuration, where its account may read and write. StartFailed."""
        assert self.folder is not None
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            for path in (self.folder, Path(shutil.copy(configuration, self.folder))):
                if self.identity:
                    os.chown(path, self.identity["user"], self.identity["group"])
        except OSError as e:
            raise StartFailed(f"{self.name} cannot have its folder {self.folder} ({e.strerror})") from e


class FreeRadius(Daemon):
    """Internet logins (UDP ``port``) and accounting (the port after it).

    ``database`` is the libpq conninfo of another database than Connect's usual one, without its password.
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
        environment = {
            "RADIUS_RUN": HERE,
            "RADIUS_LISTEN": HOST,
            "RADIUS_AUTH_PORT": str(port),
            "RADIUS_ACCT_PORT": str(port + 1),
            "RADIUS_CLIENTS": "127.0.0.0/8",
            "RADIUS_SECRET": secret,
            "RADIUS_DB": database or radius_conninfo(server),
            "PGPASSWORD": server.password_of("radius_daemon"),
        }
        argv = ["freeradius", "-f", "-l", "stdout", "-d", HERE]
        super().__init__("FreeRADIUS", argv, folder, log, environment, "freerad")

    def start(self) -> None:
        self.furnish(DEPLOY / "freeradius/radiusd.conf")
        super().start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def ready(self) -> bool:
        """Whether it answers a Status-Server request (RFC 5997), for which it asks no database."""
        client = Client(HOST, authport=self.port, secret=self._secret.encode(), retries=1, timeout=GLANCE)
        try:
            client.SendPacket(client.CreateAuthPacket(code=StatusServer))
        except (Timeout, PacketError, OSError):
            return False
        finally:
            client._CloseSocket()  # pyrad has no other way to close it
        return True


class Kamailio(Daemon):
    """The registrar and call router of telephone lines (UDP ``port``).

    ``db_mode`` is usrloc's: 3 keeps registrations in the table alone, 1 in memory as well. ``database`` is the address
    of another database than Connect's usual one, in the words of Kamailio's module db_postgres.
    """

    def __init__(
        self,
        server: EmbeddedPostgres,
        port: int,
        domain: str,
        folder: Path,
        log: Path,
        *,
        db_mode: int = 3,
        database: str | None = None,
    ) -> None:
        self.port, rpc = port, free_port(besides={port})
        self.rpc_url = f"http://{HOST}:{rpc}/RPC"
        environment = {
            "SIP_DB_URL": database or kamailio_dsn(server),
            "SIP_DOMAIN": domain,
            "SIP_LISTEN": f"{HOST}:{port}",
            "SIP_RPC_LISTEN": f"{HOST}:{rpc}",
            "SIP_RPC_PORT": str(rpc),
            "SIP_GATEWAY": HOST,
            "SIP_GATEWAY_PORT": "0",
            "SIP_USRLOC_DB_MODE": str(db_mode),
        }
        argv = ["kamailio", "-f", f"{HERE}/kamailio.cfg", "-DD", "-E", "-m", "32", "-M", "8"]
        argv += ["-w", HERE, "-Y", HERE, "-P", f"{HERE}/kamailio.pid"]
        super().__init__("Kamailio", argv, folder, log, environment, "kamailio")

    def start(self) -> None:
        self.furnish(DEPLOY / "kamailio/kamailio.cfg")
        super().start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def ready(self) -> bool:
        """Whether it answers OPTIONS (RFC 3261 section 11)."""
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.settimeout(GLANCE)
            try:
                s.connect((HOST, self.port))
                s.send(_options(self.port, s.getsockname()[1]))
                return s.recv(4096).startswith(b"SIP/2.0 200")
            except OSError:
                return False


def daemons(
    server: EmbeddedPostgres, folder: DataFolder, sip_port: int, radius_port: int, domain: str
) -> tuple[FreeRadius, Kamailio]:
    """Both, for the databases of this server, everything of theirs below the data folder. DaemonsMissing."""
    check_installed()
    secret = folder.make_radius_secret()
    return (
        FreeRadius(server, radius_port, secret, folder.freeradius, folder.logs / "freeradius.log"),
        Kamailio(server, sip_port, domain, folder.kamailio, folder.logs / "kamailio.log"),
    )


def check_installed(system: Path = MODULES) -> None:
    """Raises DaemonsMissing when a part of FreeRADIUS or Kamailio is not below ``system``."""
    if missing := [package for package, brings in PACKAGES.items() if not any(system.glob(brings))]:
        raise DaemonsMissing(how_to_install(missing))


def how_to_install(missing: list[str]) -> str:
    """What to do on Debian, whose packages would start the daemons on every address."""
    return (
        f"--systems needs FreeRADIUS and Kamailio, and there is no {', no '.join(missing)} here. As root, on Debian:\n"
        f"  apt-get install --no-install-recommends {' '.join(PACKAGES)}\n"
        "The packages start their daemons on public addresses, unless /usr/sbin/policy-rc.d is a program that exits "
        "with 101\nmeanwhile. `.ci/run install` in the source folder does both."
    )


def identity_of(account_name: str) -> Identity:
    """Whom a daemon runs as: as we are, unless we are root; then as its package's account. StartFailed."""
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
