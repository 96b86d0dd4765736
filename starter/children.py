"""Child processes that end with us, and the accounts they run under."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def dying_with_us(by: signal.Signals) -> Callable[[], None] | None:
    """What a child does before it becomes its program: ask the kernel to be sent a signal when we are gone.

    For ``Popen(preexec_fn=…)``, from the main thread only: the kernel means the *thread* that forked. Other systems
    than Linux have no such request; there a killed parent leaves its children behind.
    """
    if _LIBC is None:
        return None
    libc, parent = _LIBC, os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:  # gone between the fork and the request
            os.kill(os.getpid(), signal.SIGKILL)

    return ask


def reachable(path: Path) -> bool:
    """Whether any account may walk down to ``path``: a file below a home folder of mode 0700 is not reachable."""
    path = path.resolve()
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


def processes_in(folder: Path) -> list[int]:
    """Processes whose working folder is ``folder``, on Linux. Zombies have none, so none of these is dead."""
    found = []
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if cwd.samefile(folder):
                found.append(int(cwd.parent.name))
        except OSError:  # gone meanwhile, a zombie, or another account's
            continue
    return sorted(found)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for a message that says why something ended."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
