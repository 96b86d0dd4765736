"""Files with secrets. Only their owner can read them, and a file of another account in their place is refused."""

import os
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from starter.local.accounts import account
from starter.local.children import Identity, StartFailed

OF_OTHERS = stat.S_IWGRP | stat.S_IWOTH
LOST_AND_FOUND = "lost+found"  # root's, at the top of a volume


def read_private(file: Path) -> str:
    """The content of a file of ours, stripped. From then on nobody else can read it.

    Raises StartFailed for a link, for anything that is not a file of text, and for a file that another account owns or
    can write to; OSError when there is none.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        if file.is_symlink():
            raise StartFailed(f"{file} is a link, and must be the file itself: move the file here") from e
        raise
    with open(handle, encoding="utf-8") as opened:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise StartFailed(f"{file} is no file: remove it")
        if found.st_uid != os.geteuid() or found.st_mode & OF_OTHERS:
            raise StartFailed(
                f"{file} belongs to account {found.st_uid} and has mode {stat.S_IMODE(found.st_mode):o}, so others may "
                "know what is in it, or have put it there: remove it, or put it back from a backup as yours, mode 600"
            )
        os.fchmod(handle, 0o600)
        try:
            return opened.read().strip()
        except UnicodeDecodeError:  # it would show a part
            raise StartFailed(f"{file} is damaged, it holds no text: put it back from a backup") from None


def write_private(file: Path, text: str, identity: Identity | None = None) -> None:
    """Write the file at once, readable only for ``identity`` (default: us). Raises OSError.

    What is there is replaced, never written through, because another account may own the folder.
    """
    fresh = file.with_name(f"{file.name}.new")
    with suppress(FileNotFoundError):
        fresh.unlink()  # of somebody who was killed
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "w", encoding="utf-8") as opened:
        if identity:
            os.fchown(handle, identity["user"], identity["group"])
        opened.write(text)
        opened.flush()
        os.fsync(handle)
    fresh.replace(file)


def check_ours(folder: Path, accounts: Mapping[str, str]) -> None:
    """Raises StartFailed unless we own the folder and everything in it, and nobody else can change any of it.

    ``accounts`` are folders in it that a daemon may own, each with the account that may own it besides us. What is in
    them is not checked.
    """
    for above in folder.parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise StartFailed(
                f"Everybody may write to {above}, and put another folder in the place of {folder}: "
                f"`chmod o-w {above}`, or choose another with --data"
            )
    us = os.geteuid()
    _check_owner(folder, {us})
    for entry in sorted(folder.iterdir()):
        if entry.name in accounts:
            daemon = account(accounts[entry.name])
            _check_owner(entry, {us, daemon["user"] if daemon else us})
        elif entry.name != LOST_AND_FOUND:
            for path in (entry, *sorted(entry.rglob("*"))):  # which follows no link
                _check_owner(path, {us})


def _check_owner(path: Path, owners: Collection[int]) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:  # gone meanwhile
        return
    writable = found.st_mode & OF_OTHERS and not stat.S_ISLNK(found.st_mode)
    if found.st_uid not in owners or writable:
        why = "others may write to it" if writable else f"it belongs to account {found.st_uid}"
        raise StartFailed(
            f"{path} is not safe to use: {why}, so somebody else may know what is in it, or have chosen it. "
            "Choose another folder with --data; or, if you know that all in it is yours: `chown`, `chmod go-w`"
        )
