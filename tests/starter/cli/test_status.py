"""The exit status is the command's own, whatever happens while it prints (PRODUCT.md section 7.1).

Every command of the tree is tried with the examples of its help, so that a new command is tried by itself.
"""

import itertools
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import typer

from starter.cli.main import app
from tests.support import forks
from tests.support.contract import ContractServer, contract_server
from tests.support.forks import Ended, Streams
from tests.support.waiting import free_port

PROCESSES = {
    "up",
    "worker",
    "serve",
    "migrate",
    "systems prepare",
    "systems adopt",
    "keys check",
    "keys rotate",
}  # they ask no API
TROUBLE = {
    "a reader that has gone": Streams(out="broken"),
    "readers that have gone": Streams(out="broken", err="broken"),
    "a full device": Streams(out="full"),
    "full devices": Streams(out="full", err="full"),
    "a closed output": Streams(out="closed"),
    "closed errors": Streams(err="closed"),
    "nothing open": Streams(out="closed", err="closed"),
    "an ASCII locale": Streams(encoding="ascii"),
    "a POSIX locale": Streams(encoding="ascii", errors="surrogateescape"),
    "a Latin-1 locale": Streams(encoding="latin-1"),
}


def tree() -> dict[str, Any]:
    """Every command by the words that call it: the groups, too, that are commands themselves."""
    found = {}

    def walk(command: Any, path: str) -> None:
        if not hasattr(command, "commands") or command.invoke_without_command:
            found[path] = command
        for name, below in getattr(command, "commands", {}).items():
            walk(below, f"{path} {name}".strip())

    walk(typer.main.get_command(app), "")
    found.pop("", None)
    return found


def examples(command: Any) -> list[list[str]]:
    """The examples of a command's help, each as its words."""
    _, _, text = (command.help or "").partition("Examples:\n")
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line.partition(" > ")[0])[1:] for line in lines if line.strip().startswith("connect ")]


TREE = tree()


def calls(name: str) -> list[list[str]]:
    """What is tried of a command: its examples, and one of them for machines."""
    if name == "up":  # does not start: its data folder cannot be one
        return [["up", "--data", "/dev/null/no-folder"]]
    found = examples(TREE[name])
    machine = [*found[0], "--json"] if any(it.name == "as_json" for it in TREE[name].params) else []
    return [*found, *([machine] if machine and "--csv" not in machine else [])]


@pytest.fixture(scope="module")
def contract() -> Iterator[ContractServer]:
    with contract_server() as server:
        yield server


@pytest.fixture
def environment(contract: ContractServer) -> Iterator[dict[str, str]]:
    contract.verdict = None
    contract.requests.clear()
    yield {"CONNECT_URL": contract.url, "CONNECT_TOKEN": "t"}
    contract.verdict = None


def test_every_command_has_examples_that_call_it() -> None:
    for name, command in TREE.items():
        assert examples(command), f"connect {name}: its help needs 'Examples:', as those of the other commands"
        for words in examples(command):
            assert words[: len(name.split())] == name.split(), (name, words)


@pytest.fixture(scope="module")
def own(contract: ContractServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """How every call of the API ends when everything that it prints is read."""
    every = [words for name in TREE if name not in PROCESSES for words in calls(name)]
    environment = {"CONNECT_URL": contract.url, "CONNECT_TOKEN": "t"}
    ended = forks.run([(words, Streams()) for words in every], environment, tmp_path_factory.mktemp("own"))
    return {shlex.join(words): it for words, it in zip(every, ended, strict=True)}


def test_every_example_works(own: dict[str, Ended]) -> None:
    for words, ended in own.items():
        assert ended.status == 0, (words, ended)
        assert ended.out, (words, ended)


@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_trouble_of_printing_changes_the_status_of_any_command(
    own: dict[str, Ended], trouble: str, environment: dict[str, str], tmp_path: Path
) -> None:
    every = [words for name in TREE if name not in PROCESSES for words in (calls(name)[0], calls(name)[-1])]
    ended = forks.run([(words, TROUBLE[trouble]) for words in every], environment, tmp_path)
    for words, it in zip(every, ended, strict=True):
        assert it.status == own[shlex.join(words)].status, (words, it)
        assert "Traceback" not in it.err, (words, it)


def test_nor_that_of_a_process_that_cannot_start(tmp_path: Path) -> None:
    cases = [
        (words, streams)
        for streams in (Streams(), *TROUBLE.values())
        for name in PROCESSES
        for words in calls(name)[:1]
    ]
    for (words, streams), ended in zip(cases, forks.run(cases, {}, tmp_path, forks.PROCESSES), strict=True):
        assert ended.status == 1, (words, streams, ended)
        assert "Traceback" not in ended.err, (words, streams, ended)
        assert ended.err or streams.err != "file", (words, streams, ended)


def test_help_is_never_in_trouble(tmp_path: Path) -> None:
    words = [[*name.split(), "--help"] for name in ("", *TREE)] + [["--version"], ["client"]] * 5
    cases = [*zip(words, itertools.cycle(TROUBLE.values()), strict=False)]
    for (call, streams), ended in zip(cases, forks.run(cases, {}, tmp_path), strict=True):
        assert ended.status == (2 if call == ["client"] else 0), (call, streams, ended)


Verdict: TypeAlias = tuple[int, Mapping[str, Any], Mapping[str, str]]
REFUSED: Verdict = (409, {"status": 409, "title": "Not allowed now", "detail": "No, caf\u00e9 \u03a9."}, {})
AWAY: Verdict = (503, {"status": 503, "title": "Not available", "detail": "Temporal is away."}, {"Retry-After": "7"})
VERDICTS: dict[int, tuple[list[str], Verdict | None]] = {
    1: (["client", "suspend", "acme"], REFUSED),
    2: (["client", "suspend", "acme", "--wait", "caf\u00e9"], None),
    3: (["client", "suspend", "acme"], AWAY),
    4: (["client", "suspend", "acme", "--wait", "0.01"], None),
}


@pytest.mark.parametrize("status", VERDICTS)
def test_no_trouble_of_printing_changes_any_status(
    status: int, environment: dict[str, str], contract: ContractServer, tmp_path: Path
) -> None:
    words, contract.verdict = VERDICTS[status]
    if status == 4:
        _, answer, _ = contract.answer("POST", "/api/v1/clients/acme/suspend")
        contract.verdict = (202, {**answer, "provisioning": "changing"}, {})
    cases = [(call, streams) for call in (words, [*words, "--json"]) for streams in TROUBLE.values()]
    for (call, streams), ended in zip(cases, forks.run(cases, environment, tmp_path), strict=True):
        assert ended.status == status, (call, streams, ended)
        assert "Traceback" not in ended.err, (call, streams, ended)


def test_what_could_not_be_written_is_said_unless_the_reader_has_seen_enough(
    environment: dict[str, str], tmp_path: Path
) -> None:
    words = ["client", "list"]
    full, broken = forks.run([(words, Streams(out=kind)) for kind in ("full", "broken")], environment, tmp_path)
    assert full.err == "What was to be printed could not be written whole: No space left on device.\n"
    assert broken.err == ""


def test_what_an_encoding_lacks_is_replaced_for_people_and_escaped_for_machines(
    environment: dict[str, str], tmp_path: Path
) -> None:
    text, machine, sheet = forks.run(
        [([*words], Streams(encoding="ascii")) for words in (
            ("client", "show", "acme"), ("client", "show", "acme", "--json"), ("client", "list", "--csv")
        )],
        environment,
        tmp_path,
    )  # fmt: skip
    assert text.out.startswith("Caf? ? ? Ltd (acme)")
    assert r'"Caf\u00e9 \u03a9 \ud83c\udfe2 Ltd"' in machine.out
    assert "Caf\u00e9 \u03a9 \U0001f3e2 Ltd" in sheet.out, "a file for spreadsheets is UTF-8 in every locale"


@pytest.mark.parametrize("wait", ["inf", "nan", "-1", "-inf", "1e999", "", "soon", "\u0663\u0660s"])
def test_a_time_to_wait_that_is_none_is_wrong_usage(
    wait: str, environment: dict[str, str], contract: ContractServer, tmp_path: Path
) -> None:
    [ended] = forks.run([(["client", "suspend", "acme", "--wait", wait], Streams())], environment, tmp_path)
    assert (ended.status, "--wait" in ended.err, contract.requests) == (2, True, [])


def test_contradictions_are_wrong_usage_and_nothing_is_sent(
    environment: dict[str, str], contract: ContractServer, tmp_path: Path
) -> None:
    plan = ["--last-day", "2099-01-01", "--at", "2099-01-01T00:00:00Z"]
    both = {
        **{
            name: [*calls(name)[0][:3], *plan] for name in ("client suspend", "client unsuspend", "client decommission")
        },
        "list": ["client", "list", "--csv", "--json"],
        "sort": ["client", "list", "--sort", "colour"],
        "field": ["site", "list", "--sort", "colour"],
        "limit": ["client", "history", "acme", "--limit", "0"],
        "key": ["client", "suspend", "acme", "--command-id", "caf\u00e9"],
        "port": ["up", "--port", "0"],
    }
    for words, ended in zip(
        both.values(), forks.run([(words, Streams()) for words in both.values()], environment, tmp_path), strict=True
    ):
        assert (ended.status, ended.out) == (2, ""), (words, ended)
        assert ended.err.count("Error: ") == 1, (words, ended)
    assert [method for method, *_ in contract.requests if method != "GET"] == []


def test_a_service_that_is_away_is_said_with_the_time_after_which_to_ask_again(
    environment: dict[str, str], contract: ContractServer, tmp_path: Path
) -> None:
    contract.verdict = AWAY
    [away] = forks.run([(["client", "list"], Streams())], environment, tmp_path)
    assert (away.status, away.err) == (3, "Temporal is away. Try again in 7 s.\n")
    contract.verdict = (429, {"status": 429, "title": "Too many", "detail": "Too many requests."}, {"Retry-After": "2"})
    [busy] = forks.run([(["client", "suspend", "acme"], Streams())], environment, tmp_path)
    assert (busy.status, busy.err) == (3, "Too many requests. Try again in 2 s.\n")


def test_where_a_proxy_has_the_last_word_the_way_to_the_answer_of_a_command_is_said(
    environment: dict[str, str], contract: ContractServer, tmp_path: Path
) -> None:
    for status, why in ((504, "answers 504"), (500, "is not Connect")):
        contract.verdict = (status, {"error": "no answer from upstream"}, {})
        [lost] = forks.run([(["client", "suspend", "acme"], Streams())], environment, tmp_path)
        assert (lost.status, why in lost.err) == (3, True), lost
        assert "carried out if it arrived. For its answer, give the same command again with --command-id" in lost.err


def test_where_no_connect_answers_is_status_3(
    environment: dict[str, str], contract: ContractServer, tmp_path: Path
) -> None:
    for nonsense in (["a", "list"], {"error": "no such page"}):
        contract.verdict = (404, nonsense, {})  # type: ignore[assignment]  # what others answer
        [ended] = forks.run([(["client", "list"], Streams())], environment, tmp_path)
        assert (ended.status, "is not Connect" in ended.err) == (3, True), ended
    for url in (f"http://127.0.0.1:{free_port()}", "no address", "http://[", "http://\u00e9\u00e9:x"):
        [ended] = forks.run([(["client", "list"], Streams())], {**environment, "CONNECT_URL": url}, tmp_path)
        assert (ended.status, "cannot be reached" in ended.err) == (3, True), (url, ended)
    [ended] = forks.run([(["client", "list"], Streams())], {**environment, "CONNECT_TOKEN": "caf\u00e9"}, tmp_path)
    assert (ended.status, "CONNECT_TOKEN" in ended.err) == (2, True), ended


def test_a_site_that_is_not_there_is_named(
    environment: dict[str, str], contract: ContractServer, tmp_path: Path
) -> None:
    def nothing(method: str, target: str) -> Any:
        if "sites" in target:
            return 200, {"items": [{"site_id": "thames-house"}], "next": None, "total": 1}, {}
        return 200, {"items": [], "next": None, "total": 0}, {}

    answer, contract.answer = contract.answer, nothing  # type: ignore[method-assign]  # an operator without clients
    try:
        wrong = [[*words, "--site", "nowhere"] for words in (["client", "list"], ["attention"])]
        right = [[*words, "--site", "thames-house"] for words in (["client", "list"], ["attention"])]
        ended = forks.run([(words, Streams()) for words in [*wrong, *right]], environment, tmp_path)
    finally:
        contract.answer = answer  # type: ignore[method-assign]  # as above
    assert [it.status for it in ended] == [1, 1, 0, 0]
    assert ended[0].err == "There is no site 'nowhere'. Give one of: thames-house.\n"


def test_the_lists_are_sorted_and_cut(environment: dict[str, str], contract: ContractServer, tmp_path: Path) -> None:
    [ended] = forks.run(
        [(["client", "list", "--sort", "-end-date", "--limit", "7", "--status", "Inactive", "--json"], Streams())],
        environment,
        tmp_path,
    )
    assert ended.status == 0, ended
    [(_, path, *_)] = contract.requests
    assert {"sort=-end_date", "limit=7", "status=decommissioned"} <= {*path.partition("?")[2].split("&")}
