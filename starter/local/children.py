"""Child processes: started so that they end with us, restarted when they die, never confused with a stranger."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
LONGEST_LOG = 10_000_000  # bytes; an older log of the same length is kept beside it
PIECE = 1 << 16


class StartFailed(RuntimeError):
    """A program could not be started. The text says why, and what to do."""


class Identity(TypedDict, total=False):
    """Whom a child runs as, as Popen takes it; empty: as we are."""

    user: int
    group: int
    extra_groups: list[int]


class Child:
    """One program of ours, in a session of its own: Ctrl-C is for us, and we end it in our own order.

    Start it from the main thread (see ``dying_with_us``). ``folder`` is where it stands.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        patience: float = 10.0,
        folder: Path | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.name, self.argv, self.log, self.env, self.patience = name, list(argv), log, env, patience
        self.folder, self.identity = folder, identity or Identity()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have it running. Whether it is ready is another question."""
        turn_over(self.log)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.env,
                start_new_session=True,
                preexec_fn=dying_with_us(signal.SIGTERM),
                **self.identity,
            )

    def stop(self) -> None:
        """End it: politely, then, after ``patience`` seconds, surely, with whatever it has started itself."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(self.patience)
        signal_family(self.process.pid, signal.SIGKILL)
        self.process.wait()


def dying_with_us(by: signal.Signals) -> Callable[[], None] | None:
    """What a child does before it becomes its program: ask the kernel to be sent a signal when we are gone.

    For ``Popen(preexec_fn=…)``, from the main thread only: the kernel means the *thread* that forked. Other systems
    than Linux have no such request; there a killed parent leaves its children behind (see ``birth``).
    """
    if _LIBC is None:
        return None
    libc, parent = _LIBC, os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:  # gone between the fork and the request
            os.kill(os.getpid(), signal.SIGKILL)

    return ask


def signal_family(leader: int, how: signal.Signals) -> None:
    """Signal a session leader of ours and everything it started. That nobody is left is fine."""
    with suppress(ProcessLookupError):
        os.killpg(leader, how)


def end_leftover(pid: int, born: str, within: float = 10.0) -> None:
    """End a child that a killed predecessor of ours left behind, unless its number is somebody else's by now."""
    end = time.monotonic() + within
    asked = False
    while birth(pid) == born:
        if time.monotonic() > end:
            signal_family(pid, signal.SIGKILL)
        elif not asked:
            signal_family(pid, signal.SIGTERM)
            asked = True
        time.sleep(0.02)


def end_orphans(folder: Path) -> None:
    """End what a killed daemon of ours had started itself and left standing in its folder, on Linux.

    Kamailio's workers outlive their main process: they keep its ports, and answer. Whoever else stands there has a
    session whose leader lives.
    """
    while left := [pid for pid in processes_in(folder) if _leaderless(pid)] if folder.exists() else []:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _leaderless(pid: int) -> bool:
    try:
        leader = os.getsid(pid)  # 0: beyond our own namespace
        return leader > 0 and birth(leader) is None
    except ProcessLookupError:
        return False


def birth(pid: int) -> str | None:
    """When a living process was born, in the system's own words; None: it is not there, or dead and not buried.

    A number and a birth together name one process for good; numbers alone are used again.
    """
    if sys.platform == "linux":
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return None
        state, started = after_name[0], after_name[19]  # proc(5): fields 3 and 22, ticks since boot
        return None if state == "Z" else f"{_boot_id()} {started}"
    told = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, encoding="utf-8", check=False
    )
    state, _, started = told.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


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


def turn_over(log: Path) -> None:
    """Put a log that has become too long aside, also while its writer goes on; one old one is kept.

    Copied, then emptied: children know nothing of it, for they append to a file that stays the same. A pipe would lose
    nothing, but then a child would wait for us whenever we are busy. What is written in the moment between the end of
    the copy and the emptying is lost; so is the old log where the disk is too full to keep it.
    """
    if not log.exists() or log.stat().st_size <= LONGEST_LOG:
        return
    with log.open("rb+") as full:
        with suppress(OSError), log.with_name(log.name + ".1").open("wb") as old:
            full.seek(-LONGEST_LOG, os.SEEK_END)
            left = 2 * LONGEST_LOG  # whatever is written meanwhile
            while left > 0 and (piece := full.read(PIECE)):
                old.write(piece)
                left -= len(piece)
        full.truncate(0)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for a message that says why something ended."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
