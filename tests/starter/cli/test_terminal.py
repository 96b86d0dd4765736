"""The command line at a terminal, and when somebody presses Ctrl-C (PRODUCT.md section 7.1)."""

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from starter.cli.http import Progress
from starter.cli.streams import Device
from tests.support.contract import ContractServer, contract_server
from tests.support.terminal import PROGRAM

DECOMMISSION = ("client", "decommission", "acme")
DONE = "POST", "/api/v1/clients/acme/decommission"


@pytest.fixture
def contract() -> Iterator[ContractServer]:
    with contract_server() as server:
        yield server


def at_terminal(
    contract: ContractServer, folder: Path, words: Sequence[str], typed: Mapping[str, bytes], **streams: Any
) -> tuple[int, str]:
    """The status, and what was shown, when a person types an answer to each text that is shown."""
    ours, theirs = pty.openpty()
    environment = {
        "CONNECT_URL": contract.url,
        "CONNECT_TOKEN": "t",
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "COLUMNS": "80",
    }
    process = subprocess.Popen(
        [PROGRAM, *words],
        **{"stdin": theirs, "stdout": theirs, "stderr": theirs, **streams},
        env=environment,
        cwd=folder,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),  # so that Ctrl-C reaches it
    )
    os.close(theirs)
    output, answers = "", dict(typed)
    while True:
        try:
            more = os.read(ours, 4096)
        except OSError:  # the terminal has no user any more
            more = b""
        if not more:
            break
        output += more.decode(errors="replace")
        for text in [text for text in answers if text in output]:
            os.write(ours, answers.pop(text))
    os.close(ours)
    return process.wait(), output


def sent(contract: ContractServer) -> list[tuple[str, str]]:
    return [(method, path) for method, path, *_ in contract.requests]


def test_decommission_asks_for_the_id(contract: ContractServer, tmp_path: Path) -> None:
    status, output = at_terminal(contract, tmp_path, DECOMMISSION, {"to go on: ": b"acme\n"})
    assert (status, sent(contract)) == (0, [DONE]), output
    assert "ends the contract of acme" in output


@pytest.mark.parametrize("typed", [b"y\n", b"\n", b"yes\n", b"\x04", b"acm\xc3\n"])
def test_any_other_answer_does_nothing(contract: ContractServer, tmp_path: Path, typed: bytes) -> None:
    status, output = at_terminal(contract, tmp_path, DECOMMISSION, {"to go on: ": typed})
    assert (status, sent(contract)) == (1, []), output
    assert "Nothing was done" in output


def test_ctrl_c_at_the_question_sends_nothing(contract: ContractServer, tmp_path: Path) -> None:
    status, output = at_terminal(contract, tmp_path, DECOMMISSION, {"to go on: ": b"\x03"})
    assert (status, sent(contract)) == (130, []), output
    assert "No command was sent." in output


def test_who_says_yes_or_tries_alone_is_not_asked(contract: ContractServer, tmp_path: Path) -> None:
    for more in ("--yes", "--dry-run"):
        status, output = at_terminal(contract, tmp_path, (*DECOMMISSION, more), {})
        assert (status, "to go on" in output) == (0, False), output


def test_a_pipe_behind_it_does_not_hide_the_question(contract: ContractServer, tmp_path: Path) -> None:
    status, output = at_terminal(contract, tmp_path, DECOMMISSION, {"to go on: ": b"acme\n"}, stdout=subprocess.DEVNULL)
    assert (status, sent(contract)) == (0, [DONE]), output


def test_a_terminal_has_a_spinner_and_colours_and_a_pipe_has_none(contract: ContractServer, tmp_path: Path) -> None:
    _, output = at_terminal(contract, tmp_path, ("client", "suspend", "acme"), {})
    assert "\x1b[" in output
    assert "Waiting until it is done" in output
    for name in ("stdout", "stderr"):
        with (tmp_path / name).open("w", encoding="utf-8") as file:
            _, output = at_terminal(contract, tmp_path, ("client", "suspend", "acme"), {}, **{name: file})
        assert ("Waiting" in output) == (name == "stdout")
        assert "\x1b" not in (tmp_path / name).read_text(encoding="utf-8")


def test_ctrl_c_while_it_waits_says_that_the_command_was_sent(contract: ContractServer, tmp_path: Path) -> None:
    request_came, go_on = threading.Event(), threading.Event()
    answer = contract.answer

    def late(method: str, target: str) -> Any:
        request_came.set()
        go_on.wait()
        return answer(method, target)

    contract.answer = late  # type: ignore[method-assign]  # a slow service
    process = subprocess.Popen(
        [PROGRAM, "client", "suspend", "acme", "--command-id", "k1"],
        env={"CONNECT_URL": contract.url, "CONNECT_TOKEN": "t"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    request_came.wait()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    go_on.set()
    assert (process.returncode, out) == (130, "")
    assert err.startswith("Interrupted. The command was sent")
    assert "--command-id k1" in err


def test_an_interrupt_before_it_was_sent_says_so() -> None:
    progress = Progress()
    assert progress.at_interrupt() == "Interrupted. No command was sent."
    progress.watch("sent")
    assert progress.at_interrupt() == "Interrupted. No command was sent.", "a question is no command"
    progress.command_id = "k1"
    assert "was not sent" in progress.at_interrupt()
    progress.watch("sent")
    assert "was sent" in progress.at_interrupt()
    progress.watch("answered")
    assert "was sent and accepted" in progress.at_interrupt()


def test_a_pipe_that_is_full_and_does_not_block_is_waited_for() -> None:
    """As a program that shares the pipe may set it."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    device, text = Device(write), b"x" * 1_000_000  # more than a pipe holds
    found = bytearray()

    def reading() -> None:
        while more := os.read(read, 65536):
            found.extend(more)

    reader = threading.Thread(target=reading)
    reader.start()
    assert device.write(text) == len(text)
    os.close(write)
    reader.join()
    os.close(read)
    assert (bytes(found), device.error) == (text, None)


LOCALES: dict[str, dict[str, str]] = {
    "POSIX": {"LC_ALL": "POSIX"},
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "UTF-8": {"LC_ALL": "C.UTF-8"},
}


@pytest.mark.parametrize("locale", LOCALES)
def test_an_argument_is_utf_8_in_every_locale_or_wrong_usage(
    contract: ContractServer, tmp_path: Path, locale: str
) -> None:
    environment = {"CONNECT_URL": contract.url, "CONNECT_TOKEN": "t", **LOCALES[locale]}
    words: list[str | bytes] = [str(PROGRAM), "client", "suspend", "acme", "--reason"]
    right = subprocess.run(
        [*words, "Caf\u00e9".encode()], env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    wrong = subprocess.run(
        [*words, "M\u00fcller".encode("latin-1")], env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    assert (right.returncode, right.stderr) == (0, b"")
    [(*_, body)] = contract.requests
    assert body["reason"] == "Caf\u00e9"
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert rb"'M\xfcller' is not UTF-8" in wrong.stderr


def test_the_data_folder_here_says_where_the_service_is(contract: ContractServer, tmp_path: Path) -> None:
    (tmp_path / ".connect").mkdir()
    for name, text in (("token", "of-the-folder"), ("address", contract.url)):
        (tmp_path / ".connect" / name).write_text(f"{text}\n", encoding="utf-8")
    result = subprocess.run([PROGRAM, "client", "list"], env={}, cwd=tmp_path, capture_output=True, check=False)
    assert result.returncode == 0, result
    assert contract.requests[0][2]["Authorization"] == "Bearer of-the-folder"
    if os.geteuid() == 0:
        os.chown(tmp_path / ".connect/address", 12345, -1)
        result = subprocess.run([PROGRAM, "client", "list"], env={}, cwd=tmp_path, capture_output=True, check=False)
        assert (result.returncode, b"127.0.0.1:8000" in result.stderr) == (3, True), (
            "another account may not have our token"
        )


def test_a_shell_completes_commands_and_options(tmp_path: Path) -> None:
    for typed, found in (
        ("connect cl", "client"),
        ("connect client susp", "suspend"),
        ("connect client list --so", "--sort"),
    ):
        environment = {
            "_CONNECT_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
        }
        result = subprocess.run(
            [PROGRAM], env=environment, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
        )
        assert (result.returncode, result.stdout.split()) == (0, [found]), result
