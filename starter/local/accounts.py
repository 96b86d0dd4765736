"""The system accounts that our daemons run as when we are root. Each daemon has its own."""

import pwd
import shutil
import subprocess

from starter.local.children import Identity, StartFailed

POSTGRES = "connect-postgres"
PROGRAMS = "/usr/sbin:/sbin:/usr/bin:/bin"
USERADD = (
    *("useradd", "--system", "--user-group", "--no-create-home"),
    *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"),
)


def account(name: str) -> Identity | None:
    """The system account of this name, with no further group; None: there is none."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Identity(user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])


def ensure_account(name: str) -> Identity:
    """The system account of this name, made if it does not exist. Only root can make one. Raises StartFailed."""
    if found := account(name):
        return found
    why = "there is no useradd here"
    if useradd := shutil.which(USERADD[0], path=PROGRAMS):
        command = [useradd, *USERADD[1:], name]
        added = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", errors="replace")
        if entry := account(name):  # by us, or by somebody at the same time
            return entry
        why = added.stderr.strip()
    raise StartFailed(
        f"PostgreSQL refuses to run as root, and there is no account {name} to run it as ({why}). Make one: "
        f"`{' '.join(USERADD)} {name}`; or start Connect as an ordinary user"
    )
