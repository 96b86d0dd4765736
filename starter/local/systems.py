"""FreeRADIUS and Kamailio as our children: on loopback, with the configurations of deploy/, not those of the packages.

The system's packages install them. When we are root, they run as the packages' own accounts. These need no access to
the data folder: each daemon works in its own folder below it, with relative paths.

Their secrets are in that folder too, in files that only their account can read. No secret is in an argument, an
environment or a define, because Kamailio's ``core.ppdefines_full`` shows defines.
"""

import os
import secrets
import socket
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyrad.client import Client, Timeout
from pyrad.packet import PacketError, StatusServer

from starter.local.accounts import account
from starter.local.children import Child, Identity, StartFailed
from starter.local.data_folder import DataFolder, have_secret
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
OPTIONS = """OPTIONS sip:{to} SIP/2.0
Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{key}
Max-Forwards: 5
From: <sip:ready@{host}>;tag={key}
To: <sip:{to}>
Call-ID: {key}
CSeq: 1 OPTIONS
Content-Length: 0

"""
TIMEOUT = 0.5  # seconds that a living daemon has to answer
LIMITS = "-c lock_timeout=2000 -c row_security=off"
"""Of FreeRADIUS's sessions in its database: what is locked or hidden is an error, and it stays silent."""
PASSFILE = "pgpass"  # its password for PostgreSQL, as libpq reads it (PostgreSQL manual, 34.16)


class Daemon(Child):
    """A daemon in a folder of its own, with a configuration of deploy/, on a port of loopback.

    ``files`` are the others in it, its secrets, with their text by name.
    """

    def __init__(
        self,
        name: str,
        argv: list[str],
        port: int,
        folder: Path,
        log: Path,
        env: Mapping[str, str],
        *,
        account: str,
        configurations: Sequence[Path],
        files: Mapping[str, str],
    ) -> None:
        environment = {"PATH": PROGRAMS, "LC_ALL": "C", **env}
        super().__init__(name, argv, log, environment, folder=folder, identity=identity_of(account))
        self.port, self.address = port, f"{HOST}:{port}"
        self._files = {path.name: path.read_text(encoding="utf-8") for path in configurations} | dict(files)

    def start(self) -> None:
        """Start it in its folder, which is made for its account alone. StartFailed.

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
            for name, text in self._files.items():
                write_private(self.folder / name, text, self.identity)
        except OSError as e:
            raise StartFailed(f"{self.name} cannot have its folder {self.folder} ({e.strerror})") from e
        super().start()


class FreeRadius(Daemon):
    """Internet logins (UDP ``port``) and accounting (the port after it), on the loopback of IPv6 as well if wanted."""

    def __init__(
        self,
        server: EmbeddedPostgres,
        port: int,
        secret: str,
        folder: Path,
        log: Path,
        *,
        database: str = "radius",
        ipv6: bool = False,
    ) -> None:
        self._secret, role = secret, "radius_daemon"
        configurations = ["radiusd.conf", "accounting.conf", "accounting.policy", *(["ipv6.conf"] if ipv6 else [])]
        super().__init__(
            "FreeRADIUS",
            ["freeradius", "-f", "-l", "stdout", "-d", HERE],
            port,
            folder,
            log,
            {
                "RADIUS_RUN": HERE,
                "RADIUS_LISTEN": HOST,
                "RADIUS_AUTH_PORT": str(port),
                "RADIUS_ACCT_PORT": str(port + 1),
                "RADIUS_CLIENTS": "127.0.0.0/8",
                "RADIUS_MESSAGE_AUTHENTICATOR": "yes",
                "PGOPTIONS": LIMITS,
                "RADIUS_LISTEN_IPV6": "::1",
                "RADIUS_CLIENTS_IPV6": "::1",
                "RADIUS_DB": f"host={server.host} port={server.port} dbname={database} user={role} "  # it is logged
                f"passfile={HERE}/{PASSFILE} connect_timeout=2 application_name=freeradius",
            },
            account="freerad",
            configurations=[DEPLOY / "freeradius" / name for name in configurations],
            files={PASSFILE: server.passfile(role), "secret.conf": f'radius_secret = "{secret}"\n'},
        )

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

    ``db_mode`` is usrloc's: 3 keeps registrations in the table alone, 1 in memory as well.
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
        database: str = "kamailio",
        configuration: Path = DEPLOY / "kamailio/kamailio.cfg",
    ) -> None:
        rpc, role = f"{HOST}:{free_port(besides={port})}", "sip_daemon"
        self.rpc_url = f"http://{rpc}/RPC"
        argv = ["kamailio", "-f", f"{HERE}/{configuration.name}", "-DD", "-E", "-m", "32", "-M", "8"]
        super().__init__(
            "Kamailio",
            [*argv, "-w", HERE, "-Y", HERE, "-P", f"{HERE}/kamailio.pid"],
            port,
            folder,
            log,
            {
                "PGPASSFILE": f"{HERE}/{PASSFILE}",
                "SIP_DB_URL": f"postgres://{role}@{server.host}:{server.port}/{database}",
                "SIP_DOMAIN": domain,
                "SIP_LISTEN": f"{HOST}:{port}",
                "SIP_RPC_LISTEN": rpc,
                "SIP_RPC_HOST": rpc,
                "SIP_GATEWAY": HOST,
                "SIP_GATEWAY_PORT": "0",
                "SIP_USRLOC_DB_MODE": str(db_mode),
            },
            account="kamailio",
            configurations=[configuration],
            files={
                PASSFILE: server.passfile(role),
                "rpc-path.cfg": f'route[RPC_PATH] {{ $var(rpc_path) = "/RPC/{rpc_secret}"; }}\n',
            },
        )

    def ready(self) -> bool:
        """Whether it answers OPTIONS (RFC 3261 section 11)."""
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.settimeout(TIMEOUT)
            try:
                s.connect((HOST, self.port))
                host, port = s.getsockname()
                request = OPTIONS.format(to=self.address, host=host, port=port, key=uuid.uuid4().hex)
                s.send(request.replace("\n", "\r\n").encode())
                return s.recv(4096).startswith(b"SIP/2.0 200")
            except OSError:
                return False


def daemons(
    server: EmbeddedPostgres, folder: DataFolder, sip_port: int, radius_port: int, domain: str
) -> tuple[FreeRadius, Kamailio]:
    """Both daemons, for the databases of this server, with their files below the data folder."""
    secret = have_secret(folder.radius_secret, secrets.token_hex(16))  # letters and digits, for any command line
    rpc_secret = have_secret(folder.rpc_secret, secrets.token_urlsafe(32))
    return (
        FreeRadius(server, radius_port, secret, folder.freeradius, folder.logs / "freeradius.log"),
        Kamailio(server, sip_port, domain, rpc_secret, folder.kamailio, folder.logs / "kamailio.log"),
    )


def check_installed(system: Path = MODULES) -> None:
    """Raises StartFailed when a part of FreeRADIUS or Kamailio is not below ``system``."""
    if missing := [package for package, brings in PACKAGES.items() if not any(system.glob(brings))]:
        raise StartFailed(
            f"--systems needs FreeRADIUS and Kamailio, and there is no {', no '.join(missing)} here. As root, on "
            f"Debian:\n  apt-get install --no-install-recommends {' '.join(PACKAGES)}\n"
            "The packages start their daemons on public addresses, unless /usr/sbin/policy-rc.d is a program that "
            "exits with 101\nmeanwhile. `.ci/run install` in the source folder does both."
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
    return found
