"""Child processes. They end when we end, and a process of somebody else is never taken for one of them."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypedDict

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
LONGEST_LOG = 10_000_000  # bytes; an older log of the same length is kept beside it
PIECE = 1 << 16


class StartFailed(RuntimeError):
    """`connect up`, or a program, cannot start or go on. The message explains why, and what to do."""


class Identity(TypedDict, total=False):
    """The user and groups of a child, as arguments of Popen. Empty: the same as ours."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(eq=False)
class Child:
    """One program, in a session of its own, so that Ctrl-C reaches only us and we stop the children in our order.

    Start it from the main thread (see ``dying_with_us``). ``folder`` is its working folder. The signal
    ``ending`` has it end within ``patience`` seconds.
    """

    name: str
    argv: Sequence[str | Path]
    log: Path
    env: Mapping[str, str] | None = None
    patience: float = 10.0
    folder: Path | None = None
    identity: Identity = field(default_factory=Identity)
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    ending: ClassVar[signal.Signals] = signal.SIGTERM

    @property
    def running(self) -> bool:
        """Whether the program that we started is alive."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the program, without waiting until it is ready. What its killed predecessor left is ended."""
        self.kill()
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
                preexec_fn=dying_with_us(self.ending),
                **self.identity,
            )

    def wait_until(
        self, ready: Callable[[], bool], within: float = 60.0, pause: Callable[[float], None] | None = None
    ) -> None:
        """Wait until it is ready. Raises StartFailed when it is not within so many seconds.

        ``pause`` lets time pass. Without it, a program that ends is not waited for.
        """
        end = time.monotonic() + within
        while not ready():
            if time.monotonic() > end:
                raise StartFailed(f"{self.name} was not ready after {within:g} s. {self.log} says:\n{tail(self.log)}")
            if pause is None and not self.running:
                raise StartFailed(f"{self.name} ended while starting. {self.log} says:\n{tail(self.log)}")
            (pause or time.sleep)(0.02)

    def stop(self) -> None:
        """Have it end, and after ``patience`` seconds kill it, together with everything that it started."""
        if self.process is not None and self.running:
            self.process.send_signal(self.ending)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(self.patience)
        self.kill()

    def kill(self) -> None:
        """Kill it with everything that it started, and return when it is gone. Nothing happens if it never ran."""
        if self.process is not None:
            signal_family(self.process.pid, signal.SIGKILL)
            self.process.wait()


def dying_with_us(by: signal.Signals) -> Callable[[], None] | None:
    """A function for a child to call before its program starts: the kernel then signals it when we die.

    For ``Popen(preexec_fn=…)``, from the main thread only: the kernel watches the *thread* that forked. Only Linux
    can do this; elsewhere a killed parent leaves its children running (see ``birth``).
    """
    if _LIBC is None:
        return None
    libc, parent = _LIBC, os.getpid()

    def request() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:  # gone between the fork and the request
            os.kill(os.getpid(), signal.SIGKILL)

    return request


def signal_family(leader: int, how: signal.Signals) -> None:
    """Signal a session leader of ours and everything that it started. It is no error if nothing is left."""
    with suppress(ProcessLookupError):
        os.killpg(leader, how)


def end_leftover(pid: int, born: str, within: float = 10.0) -> None:
    """End a child of an earlier, killed `connect up`, unless another process has its number by now."""
    end = time.monotonic() + within
    terminated = False
    while birth(pid) == born:
        if time.monotonic() > end:
            signal_family(pid, signal.SIGKILL)
        elif not terminated:
            signal_family(pid, signal.SIGTERM)
            terminated = True
        time.sleep(0.02)


def end_orphans(folder: Path) -> None:
    """End the processes that a killed daemon of ours left in its working folder. Linux only.

    Kamailio's workers outlive their main process, keep its ports and go on answering. A process whose session leader
    lives is not one of them.
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
    """When a process started, as the system writes it. None when there is no such process, or it is a zombie.

    Numbers are used again. A number and its start time together name one process.
    """
    if sys.platform == "linux":
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return None
        state, started = after_name[0], after_name[19]  # proc(5): fields 3 and 22, ticks since boot
        return None if state == "Z" else f"{_boot_id()} {started}"
    listed = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, encoding="utf-8", check=False
    )
    state, _, started = listed.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def reachable(path: Path) -> bool:
    """Whether every account can reach ``path``: it cannot below a home folder of mode 0700."""
    path = path.resolve()
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


def processes_in(folder: Path) -> list[int]:
    """Living processes whose working folder is ``folder``. Linux only."""
    found = []
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if cwd.samefile(folder):
                found.append(int(cwd.parent.name))
        except OSError:  # gone meanwhile, a zombie, or another account's
            continue
    return sorted(found)


def turn_over(log: Path) -> None:
    """Move a log that is too long aside, while its writer goes on. One old log is kept.

    The log is copied and then emptied, so that children can go on appending to the same file. Lines that are written
    between the copy and the emptying are lost. So is the old log when the disk is full. A pipe would lose nothing,
    but children would wait whenever we are busy.
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
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
