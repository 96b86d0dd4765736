"""The folder that `connect up` keeps everything in: its layout, lock and secrets, and what still runs of it."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from starter.children import birth, end_leftover

LAYOUT = "1"


class DataFolderRefused(RuntimeError):
    """The folder cannot be used. The text says why, and what to do."""


class DataFolder:
    """The names of everything below the folder. Get one from ``held``."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.postgres = self.path / "postgres"
        self.temporal = self.path / "temporal.db"
        self.token = self.path / "token"
        self.master_key = self.path / "master-key"
        self.postgres_password = self.path / "postgres-password"
        self.radius_secret = self.path / "radius-secret"
        self.rpc_secret = self.path / "kamailio-rpc-secret"
        self.freeradius = self.path / "freeradius"
        self.kamailio = self.path / "kamailio"
        self._layout = self.path / "layout"
        self._lock = self.path / "lock"
        self._children = self.path / "children.json"

    # -- having it to ourselves -----------------------------------------------------------------------------------

    @classmethod
    @contextmanager
    def held(cls, path: Path) -> Iterator["DataFolder"]:
        """Have the folder, in our layout, with nothing left running and nobody else at work. DataFolderRefused."""
        folder = cls(path)
        with folder._made() as lock, _private_files():
            folder._take(lock.fileno())
            folder.path.chmod(0o700)  # somebody may have made it for us, open to all
            folder._layout.write_text(LAYOUT + "\n")
            folder.logs.mkdir(exist_ok=True)
            folder._end_leftovers()
            try:
                yield folder
            finally:  # whoever has the folder leaves nothing running, however it ends
                folder._children.unlink(missing_ok=True)

    def _made(self) -> TextIO:
        """Have the folder, and nothing of anybody else's in it. Returns its lock, open."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = {entry.name for entry in self.path.iterdir()} - {self._lock.name}
            self._check_layout(found)
            return self._lock.open("a+")
        except OSError as e:
            raise DataFolderRefused(
                f"{self.path} cannot be the data folder ({e.strerror}): choose another with --data"
            ) from e

    def _check_layout(self, found: set[str]) -> None:
        if not found:
            return
        if self._layout.name not in found:
            raise DataFolderRefused(
                f"{self.path} holds something else ({', '.join(sorted(found)[:3])}): choose an empty folder with --data"
            )
        if (layout := self._layout.read_text().strip()) != LAYOUT:
            raise DataFolderRefused(
                f"{self.path} has layout {layout!r}, and this version of Connect knows {LAYOUT!r}: "
                "use the version that made it, or choose another folder with --data"
            )

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            holder = self._lock.read_text().strip() or "unknown"
            raise DataFolderRefused(
                f"Connect already runs on {self.path} (process {holder}): use that one, stop it, "
                "or choose another folder with --data, and other ports"
            ) from e
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())

    # -- children -------------------------------------------------------------------------------------------------

    def note_children(self, pids: Mapping[str, int]) -> None:
        """Remember what runs, in the order of starting, for whoever comes after us should we be killed."""
        fresh = self._children.with_suffix(".new")
        fresh.write_text(json.dumps({name: [pid, birth(pid)] for name, pid in pids.items()}))
        fresh.replace(self._children)

    def noted_children(self) -> dict[str, tuple[int, str]]:
        """What ran when it was last noted: numbers and births."""
        try:
            noted: dict[str, list[Any]] = json.loads(self._children.read_text())
        except FileNotFoundError:
            return {}
        return {name: (pid, born) for name, (pid, born) in noted.items() if born is not None}

    def _end_leftovers(self) -> None:
        """Have nothing running that a killed predecessor started. On Linux these are ending already."""
        for pid, born in reversed(self.noted_children().values()):
            end_leftover(pid, born)

    # -- secrets --------------------------------------------------------------------------------------------------

    def make_secrets(self) -> None:
        """Have a token, a master key and a password. DataFolderRefused when one was lost that the data depends on."""
        begun = (self.postgres / "PG_VERSION").exists()
        for file in (self.master_key, self.postgres_password):
            if begun and not file.exists():
                raise DataFolderRefused(
                    f"{file} is missing, and the data in {self.path} depends on it: put it back from a backup"
                )
        for file in (self.token, self.master_key, self.postgres_password):
            _have_secret(file, secrets.token_urlsafe(32))

    def make_radius_secret(self) -> str:
        """The secret that FreeRADIUS shares with its clients on loopback: letters and digits, for any command line."""
        return _have_secret(self.radius_secret, secrets.token_hex(16))

    def make_rpc_secret(self) -> str:
        """The end of the path of Kamailio's JSON-RPC, for the workers alone."""
        return _have_secret(self.rpc_secret, secrets.token_urlsafe(32))


@contextmanager
def _private_files() -> Iterator[None]:
    """Have what we and our children make be for nobody else to read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _have_secret(file: Path, fresh: str) -> str:
    """What is in the file: what was there, else ``fresh``, for nobody else to read."""
    if not file.exists():
        making = file.with_name(file.name + ".new")
        making.touch(mode=0o600)
        making.write_text(fresh + "\n")
        making.rename(file)
    return file.read_text().strip()
