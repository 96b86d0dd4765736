"""The data folder of `connect up`: its layout, its lock, its secrets, and the processes that an earlier run left."""

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from starter.local.accounts import POSTGRES
from starter.local.children import StartFailed, birth, end_leftover, end_orphans
from starter.local.private_files import LOST_AND_FOUND, OF_OTHERS, check_ours, read_private, write_private

LAYOUT = "1"
ACCOUNTS = {  # whom folders of daemons may belong to, when we are root
    "postgres": POSTGRES,
    "postgres.new": POSTGRES,
    "freeradius": "freerad",
    "kamailio": "kamailio",
}


class DataFolder:
    """The paths of everything in the folder. Get one from ``held``."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self.postgres = self.path / "postgres"
        self.temporal = self.path / "temporal.db"
        self.token = self.path / "token"
        self.address = self.path / "address"
        self.master_key = self.path / "master-key"
        self.encryption_keys = self.path / "encryption-keys"
        self.passwords = self.path / "passwords"
        self.radius_secret = self.path / "radius-secret"
        self.rpc_secret = self.path / "kamailio-rpc-secret"
        self.freeradius = self.path / "freeradius"
        self.kamailio = self.path / "kamailio"
        self.doors = self.path / "doors"
        self.systems_file = self.path / "systems.toml"
        self._layout = self.path / "layout"
        self._lock = self.path / "lock"
        self._children = self.path / "children.json"

    # -- having it to ourselves -----------------------------------------------------------------------------------

    @classmethod
    @contextmanager
    def held(cls, path: Path) -> Iterator["DataFolder"]:
        """Lock the folder for this process, in our layout, after ending what an earlier run left. StartFailed."""
        folder = cls(path)
        with folder._open_lock() as lock, _private_files():
            folder._take(lock.fileno())
            folder._layout.write_text(LAYOUT + "\n", encoding="utf-8")
            folder.logs.mkdir(exist_ok=True)
            folder._end_leftovers()
            try:
                yield folder
            finally:  # whoever has the folder leaves nothing running, however it ends
                folder._children.unlink(missing_ok=True)

    def _open_lock(self) -> TextIO:
        """Make the folder private, check that everything in it is ours, and return its lock file, open. StartFailed."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = {entry.name for entry in self.path.iterdir()} - {self._lock.name, LOST_AND_FOUND}
            self._check_layout(found)
            folder = self.path.stat()
            if folder.st_uid == os.geteuid() and not (found and folder.st_mode & OF_OTHERS):
                self.path.chmod(0o700)  # somebody may have made it for us, open to all
            check_ours(self.path, ACCOUNTS)
            with _private_files():
                return self._lock.open("a+", encoding="utf-8")
        except OSError as e:
            raise StartFailed(
                f"{self.path} cannot be the data folder ({e.strerror}): choose another with --data"
            ) from e

    def _check_layout(self, found: set[str]) -> None:
        if not found:
            return
        if self._layout.name not in found:
            raise StartFailed(
                f"{self.path} holds something else ({', '.join(sorted(found)[:3])}): choose an empty folder with --data"
            )
        if not stat.S_ISREG(self._layout.lstat().st_mode):  # a pipe would be waited for, a link's text printed
            raise StartFailed(f"{self._layout} is no file: choose another folder with --data")
        if (layout := self._layout.read_text(encoding="utf-8").strip()) != LAYOUT:
            raise StartFailed(
                f"{self.path} has layout {layout!r}, and this version of Connect knows {LAYOUT!r}: "
                "use the version that made it, or choose another folder with --data"
            )

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            holder = self._lock.read_text(encoding="utf-8").strip() or "unknown"
            raise StartFailed(
                f"Connect already runs on {self.path} (process {holder}): use that one, stop it, "
                "or choose another folder with --data, and other ports"
            ) from e
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())

    # -- children -------------------------------------------------------------------------------------------------

    def note_children(self, pids: Mapping[str, int]) -> None:
        """Write down what runs, in the order of starting. The next run reads it if this one is killed."""
        write_private(self._children, json.dumps({name: [pid, birth(pid)] for name, pid in pids.items()}))

    def noted_children(self) -> dict[str, tuple[int, str]]:
        """What ran when it was last written down: process numbers and start times."""
        try:
            noted: dict[str, list[Any]] = json.loads(self._children.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {name: (pid, born) for name, (pid, born) in noted.items() if born is not None}

    def _end_leftovers(self) -> None:
        """End everything that a killed earlier run started. On Linux the kernel is already ending it."""
        for pid, born in reversed(self.noted_children().values()):
            end_leftover(pid, born)
        for folder in (self.kamailio, self.freeradius):
            end_orphans(folder)

    # -- secrets --------------------------------------------------------------------------------------------------

    def make_secrets(self) -> None:
        """Make the token and the master key unless they exist. StartFailed: the data needs a key that is missing. The
        encryption keys are made once the databases say that no client needs those that are missing."""
        if (self.postgres / "PG_VERSION").exists() and not self.master_key.exists():
            raise StartFailed(
                f"{self.master_key} is missing, and the data in {self.path} depends on it: put it back from a backup"
            )
        for file in (self.token, self.master_key):
            have_secret(file, secrets.token_urlsafe(32))

    def make_passwords(self, roles: Iterable[str]) -> dict[str, str]:
        """A password for each database role. A lost one is replaced, because `prepare` sets them all again."""
        self.passwords.mkdir(exist_ok=True)
        for role in roles:
            have_secret(self.passfile_of(role), f"*:*:*:{role}:{secrets.token_hex(24)}")
        return {role: self.password_of(role) for role in roles}

    def passfile_of(self, role: str) -> Path:
        """The file with a role's password, as libpq and asyncpg read it (PostgreSQL manual, "The Password File")."""
        return self.passwords / role

    def password_of(self, role: str) -> str:
        """The password of a role: letters and digits. Raises StartFailed."""
        return read_private(self.passfile_of(role)).rpartition(":")[2]


@contextmanager
def _private_files() -> Iterator[None]:
    """Make new files of this process and its children private to their owner."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def have_secret(file: Path, fresh: str) -> str:
    """The file's content; ``fresh`` is written when there is no file. Raises StartFailed, also for an empty one."""
    try:
        secret = read_private(file)
    except FileNotFoundError:
        write_private(file, fresh + "\n")
        secret = read_private(file)
    if not secret:
        raise StartFailed(f"{file} is empty: put it back from a backup")
    return secret
