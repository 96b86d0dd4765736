"""What keeps the parts of `connect up` running: pauses that grow, trust that comes back, and giving up."""

import os
import tracemalloc
from pathlib import Path

import pytest

from starter.local.children import LONGEST_LOG, Child, StartFailed, birth, turn_over
from starter.local.supervisor import PAUSES, STEADY, TRIES_AT_FIRST, GaveUp, Supervisor
from tests.support.waiting import eventually


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Service:
    """A supervisor with one part, a clock, and what was said."""

    def __init__(self, part: Child, tries: int | None = None, *, ready: bool = True) -> None:
        self.clock, self.lines, self.part = Clock(), list[str](), part
        self.supervisor = Supervisor(self.lines.append, self.clock)
        self.supervisor.ready = ready
        self.supervisor.start(part, tries)

    def let_it_end(self) -> None:
        assert self.part.process is not None
        self.part.process.kill()
        self.part.process.wait()
        self.supervisor.look()

    def come_back(self, after: float) -> bool:
        self.clock.now += after
        return self.supervisor.look()


@pytest.fixture
def part(tmp_path: Path) -> Child:
    return Child("The sleeper", ["sleep", "600"], tmp_path / "sleeper.log")


def test_what_ended_comes_back_after_a_pause_and_one_line_says_so(part: Child) -> None:
    service = Service(part)
    service.let_it_end()
    assert service.lines == [
        f"The sleeper ended (killed by signal 9); it is started again in {PAUSES[0]:g} s. Its log: {part.log}"
    ]
    assert not service.come_back(after=PAUSES[0] / 2), "not before its pause is over"
    assert service.come_back(after=PAUSES[0])
    assert list(service.supervisor.pids()) == ["The sleeper"]
    service.supervisor.stop()
    assert service.supervisor.pids() == {}


def test_pauses_grow_until_the_part_has_run_for_a_while(part: Child) -> None:
    service = Service(part)
    for pause in (*PAUSES, PAUSES[-1]):
        service.let_it_end()
        assert f"again in {pause:g} s" in service.lines[-1]
        assert service.come_back(after=pause)
    assert not service.come_back(after=STEADY + 1)
    service.let_it_end()
    assert f"again in {PAUSES[0]:g} s" in service.lines[-1], "it is trusted again"
    service.supervisor.stop()


def test_what_everything_rests_on_is_given_up_with_the_end_of_its_log(part: Child) -> None:
    part.log.write_text("the disk is full\n", encoding="utf-8")
    service = Service(part, tries=2)
    for _ in range(2):
        service.let_it_end()
        service.come_back(after=PAUSES[-1])
    with pytest.raises(GaveUp, match=r"(?s)ended 3 times .*sleeper\.log says:.*the disk is full"):
        service.let_it_end()


def test_at_first_nothing_gets_many_tries(part: Child) -> None:
    service = Service(part, tries=None, ready=False)
    for _ in range(TRIES_AT_FIRST):
        service.let_it_end()
        service.come_back(after=PAUSES[-1])
    with pytest.raises(GaveUp):
        service.let_it_end()


def test_a_part_that_cannot_even_start_says_why(part: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(part)
    service.let_it_end()

    def refuse() -> None:
        raise StartFailed("no such port")

    monkeypatch.setattr(part, "start", refuse)
    service.come_back(after=PAUSES[0])
    service.come_back(after=0)
    assert "ended (no such port)" in service.lines[-1]


async def test_stopping_ends_also_what_a_part_has_started(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 600 & echo $!; wait"
    part = Child("The parent", ["sh", "-c", script], tmp_path / "parent.log", patience=0.2)
    part.start()
    assert part.process is not None
    while not (log := part.log.read_text(encoding="utf-8")):
        assert part.process.poll() is None
    part.stop()
    await eventually(lambda: birth(int(log)) is None)  # killed; the system buries it in its own time


def test_a_log_that_became_too_long_is_put_aside(part: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starter.local.children.LONGEST_LOG", 100)
    part.log.write_text("x" * 101, encoding="utf-8")
    part.start()
    part.stop()
    assert part.log.stat().st_size == 0
    assert part.log.with_name("sleeper.log.1").stat().st_size == 100


async def test_a_log_is_put_aside_while_its_writer_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starter.local.children.LONGEST_LOG", 20_000)
    line = "i=$((i+1)); echo line $i of a program that says much"
    script = f"i=0; while :; do {line}; [ $((i % 20)) -ne 0 ] || sleep 0.01; done"  # and not faster than it is read
    part = Child("The talker", ["sh", "-c", script], tmp_path / "talker.log")
    service, old = Service(part), part.log.with_name("talker.log.1")
    pid = service.supervisor.pids()["The talker"]
    turned_over: set[int] = set()

    def often_enough() -> bool:
        service.supervisor.look()
        assert part.log.stat().st_size < 10_000_000, "the log is not sparse: its writer appends"
        if old.exists():
            turned_over.add(old.stat().st_mtime_ns)
        return len(turned_over) > 3

    try:
        await eventually(often_enough)
        assert service.supervisor.pids() == {"The talker": pid}
        assert service.lines == []
    finally:
        service.supervisor.stop()
    assert sorted(os.listdir(tmp_path)) == ["talker.log", "talker.log.1"]
    assert old.stat().st_size < 3 * 20_000, "its end was kept, and what was said while it was put aside"
    assert all(line.endswith("says much") for line in old.read_text(encoding="utf-8").splitlines()[1:-1])


def test_what_a_very_long_log_is_put_aside_with_is_its_end_and_little_memory(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    with log.open("wb") as long:
        long.truncate(5 * LONGEST_LOG)
        long.seek(0, os.SEEK_END)
        long.write(b"the last line\n")
    tracemalloc.start()
    turn_over(log)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < LONGEST_LOG / 10
    assert log.stat().st_size == 0
    old = log.with_name("long.log.1").read_bytes()
    assert len(old) == LONGEST_LOG
    assert old.endswith(b"the last line\n")


def test_where_the_disk_is_full_a_log_is_emptied_all_the_same(part: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starter.local.children.LONGEST_LOG", 100)
    part.log.write_text("x" * 101, encoding="utf-8")
    part.log.with_name("sleeper.log.1").symlink_to("/dev/full")
    turn_over(part.log)
    assert part.log.stat().st_size == 0
