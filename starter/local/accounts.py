"""The system's accounts that daemons of ours run as when we are root: one of its own for each, never a shared one."""

import pwd
import shutil
import subprocess
from typing import NamedTuple

from starter.local.children import StartFailed

POSTGRES = "connect-postgres"
SHARED = "nobody"  # whoever runs as it can change what others do that run as it
PROGRAMS = "/usr/sbin:/sbin:/usr/bin:/bin"
MADE_WITH = (
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir",
    "/nonexistent",
    "--shell",
    "/usr/sbin/nologin",
)


class Account(NamedTuple):
    """Whom a daemon runs as."""

    uid: int
    gid: int


class NoAccount(StartFailed):
    """There is no account to run a daemon as. The text says how to make one."""


def account(name: str) -> Account | None:
    """The system's account of this name."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def made_account(name: str) -> Account:
    """The system's account of this name, made if there is none. Only root can make one. NoAccount."""
    if found := account(name):
        return found
    why = "there is no useradd here"
    if useradd := shutil.which("useradd", path=PROGRAMS):
        told = subprocess.run(
            [useradd, *MADE_WITH, name], check=False, capture_output=True, encoding="utf-8", errors="replace"
        )
        if made := account(name):  # by us, or by somebody at the same time
            return made
        why = told.stderr.strip()
    raise NoAccount(
        f"PostgreSQL refuses to run as root, and there is no account {name} to run it as ({why}). Make one: "
        f"`useradd {' '.join(MADE_WITH)} {name}`; or start Connect as an ordinary user"
    )


def shared_uid() -> int | None:
    """The number of the account for programs that have none of their own."""
    found = account(SHARED)
    return found.uid if found else None
