"""The system accounts that our daemons run as when we are root. Each daemon has its own."""

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
    """A system account that a daemon runs as."""

    uid: int
    gid: int


class NoAccount(StartFailed):
    """There is no account to run a daemon as. The message explains how to make one."""


def account(name: str) -> Account | None:
    """The system account of this name."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def made_account(name: str) -> Account:
    """The system account of this name, made if it does not exist. Only root can make one. Raises NoAccount."""
    if found := account(name):
        return found
    why = "there is no useradd here"
    if useradd := shutil.which("useradd", path=PROGRAMS):
        added = subprocess.run(
            [useradd, *MADE_WITH, name], check=False, capture_output=True, encoding="utf-8", errors="replace"
        )
        if made := account(name):  # by us, or by somebody at the same time
            return made
        why = added.stderr.strip()
    raise NoAccount(
        f"PostgreSQL refuses to run as root, and there is no account {name} to run it as ({why}). Make one: "
        f"`useradd {' '.join(MADE_WITH)} {name}`; or start Connect as an ordinary user"
    )


def shared_uid() -> int | None:
    """The user id of `nobody`, the account that programs share."""
    found = account(SHARED)
    return found.uid if found else None
