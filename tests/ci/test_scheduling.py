"""`make test` runs files in several processes, those that need the same servers in the same one."""

from types import SimpleNamespace
from typing import Any

from xdist.remote import Producer

from tests.support.scheduling import ByFolder

FILES = [
    *("tests/activities/test_log.py", "tests/browser/test_access.py", "tests/browser/test_live.py"),
    *("tests/ci/test_audit.py", "tests/systems/test_calls.py", "tests/systems/test_up.py"),
]


class Process:
    """A process of pytest-xdist: it takes what it is given, and says when it has done some."""

    shutting_down = False
    gateway = SimpleNamespace(id="gw")

    def __init__(self, collection: list[str]) -> None:
        self.collection = collection
        self.sent: list[str] = []
        self.done = 0

    def send_runtest_some(self, indices: list[int]) -> None:
        self.sent += [self.collection[n] for n in indices]

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(test.partition("::")[0] for test in self.sent))


def scheduled(count: int) -> tuple[ByFolder, list[Any]]:
    """So many processes that have begun, with four tests in each file."""
    collection = [f"{file}::test_{n}" for file in FILES for n in range(4)]
    option = SimpleNamespace(loadscopereorder=False)
    config: Any = SimpleNamespace(option=option, getvalue=lambda _: ["popen"] * count)
    processes: list[Any] = [Process(collection) for _ in range(count)]
    scheduling = ByFolder(config, Producer("", enabled=False))
    for process in processes:
        scheduling.add_node(process)
        scheduling.add_node_collection(process, collection)
    scheduling.schedule()
    return scheduling, processes


def run_all(scheduling: ByFolder, process: Any) -> None:
    while process.done < len(process.sent):
        scheduling.mark_test_complete(process, process.collection.index(process.sent[process.done]))
        process.done += 1


def test_each_begins_with_a_folder_of_its_own_and_the_longest_come_first() -> None:
    _, processes = scheduled(2)
    assert [process.files for process in processes] == [
        ["tests/browser/test_access.py"],
        ["tests/systems/test_calls.py"],
    ]


def test_a_folder_stays_where_its_servers_are() -> None:
    scheduling, (one, other) = scheduled(2)
    for n in (*range(3), *range(3)):
        for process in (one, other):
            scheduling.mark_test_complete(process, process.collection.index(process.sent[n]))
    assert one.files[:2] == ["tests/browser/test_access.py", "tests/browser/test_live.py"]
    assert other.files[:2] == ["tests/systems/test_calls.py", "tests/systems/test_up.py"]


def test_whoever_has_nothing_left_helps_until_everything_has_run_once() -> None:
    scheduling, (one, other) = scheduled(2)
    run_all(scheduling, other)
    assert "tests/browser/test_live.py" in other.files
    run_all(scheduling, one)
    assert sorted(one.sent + other.sent) == sorted(one.collection)
    assert scheduling.tests_finished
