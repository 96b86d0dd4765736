"""What processes use, as Linux tells it in /proc: CPU time and memory, per part."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CALLER = "caller"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Stat:
    """One process (proc(5), /proc/pid/stat): CPU in seconds with that of buried children, memory in bytes."""

    pid: int
    parent: int
    cpu: float
    resident: int

    @classmethod
    def read(cls, pid: int) -> "Stat | None":
        """None for a process that is gone."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return None
        return cls(pid, int(fields[1]), sum(map(int, fields[11:15])) / _TICKS, int(fields[21]) * _PAGE)


def cpu_seconds(parts: Mapping[str, int]) -> dict[str, float]:
    """CPU time that each part, given by its process, and everything it started have used so far, and we as caller."""
    everybody = [stat for entry in Path("/proc").glob("[0-9]*") if (stat := Stat.read(int(entry.name)))]
    used = {part: sum(stat.cpu for stat in _family(pid, everybody)) for part, pid in parts.items()}
    return used | {CALLER: time.process_time()}


def resident_bytes(pid: int) -> int:
    """Memory of one process that is in RAM."""
    stat = Stat.read(pid)
    return stat.resident if stat else 0


def _family(pid: int, everybody: list[Stat]) -> Iterator[Stat]:
    for stat in everybody:
        if stat.pid == pid:
            yield stat
        elif stat.parent == pid:
            yield from _family(stat.pid, everybody)
