"""The command line's side of the API: where it is, who we are, how an answer becomes an exit status."""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

import typer
from rich.console import Console

if TYPE_CHECKING:  # loaded with the first request: --help and completion are quick without it
    from starter.client import Connect, Refused

LOOPBACK = "http://127.0.0.1"
DEFAULT_URL = f"{LOOPBACK}:8000"
TOKEN_FILE, ADDRESS_FILE = Path(".connect/token"), Path(".connect/address")

REFUSED, WRONG_USAGE, UNREACHED, NOT_SETTLED = 1, 2, 3, 4
TITLES = {REFUSED: "Refused", WRONG_USAGE: "Wrong usage", UNREACHED: "Not reached", NOT_SETTLED: "Not settled"}
UNFINISHED = ("changing", "attention")  # where provisioning stands while there is something to wait for


@dataclass
class Progress:
    """How far the command of this process has come: who interrupts it is told."""

    command_id: str = ""
    sent: bool = False
    answered: bool = False

    def at_interrupt(self) -> str:
        if self.answered:
            return "Interrupted: the command was sent and accepted, and goes on."
        return f"Interrupted. {self.standing()}"

    def standing(self) -> str:
        """What is known of a command that was not answered."""
        if not self.command_id:
            return "No command was sent."
        if not self.sent:
            return "The command was not sent, and nothing was changed."
        return (
            "The command was sent, and is carried out if it arrived. For its answer, give the same command again with "
            f"--command-id {self.command_id}"
        )

    def if_sent(self) -> str:
        """The same, to follow another sentence, of a command that may have arrived."""
        return f" {self.standing()}" if self.sent else ""

    def watch(self, step: str) -> None:
        """Note each request that leaves, and each answer."""
        if self.command_id:
            self.sent = True
            self.answered = self.answered or step == "answered"


progress = Progress()


class Service:
    """The API, as one command of the command line uses it."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        address = os.environ.get("CONNECT_URL", "").rstrip("/")
        self._is_here = not address
        self._url = address or _address_here()
        self._token = os.environ.get("CONNECT_TOKEN", "").strip() or self._token_here()
        if not (self._token.isascii() and self._token.isprintable()):
            self.wrong_usage("CONNECT_TOKEN holds characters that no token has: copy it anew")

    def get(self, *path: str, **query: Any) -> dict[str, Any]:
        """The answer to a question."""
        return self._answer_to(lambda connect: connect.request("GET", *path, query=query))

    def whole(self, *path: str, most: int | None = None, **query: Any) -> dict[str, Any]:
        """A list with all its pages as one, or with its first ``most`` items."""

        async def read(connect: "Connect") -> dict[str, Any]:
            pages = [page async for page in connect.pages(*path, most=most, **query)]
            return {**pages[-1], "items": [item for page in pages for item in page["items"]]}

        return self._answer_to(read)

    def check_site(self, site: str) -> None:
        """Leave with 1 when there is no such site."""
        known = [it["site_id"] for it in self.get("sites")["items"]]
        if site not in known:
            self._fail(REFUSED, f"There is no site {site!r}. Give one of: {', '.join(known) or 'none, yet'}.")

    def send(
        self,
        method: str,
        *path: str,
        body: dict[str, Any] | None = None,
        wait: float = 0,
        command_id: str = "",
        **query: Any,
    ) -> dict[str, Any]:
        """The answer to a command, waited for. The same command is sent again until it is settled or time is over."""
        if not (command_id.isascii() and command_id.isprintable()):
            self.wrong_usage("--command-id takes letters, digits and punctuation of ASCII alone")
        progress.command_id = key = command_id or uuid4().hex
        with self._spinning(wait):
            return self._answer_to(
                lambda connect: connect.send(method, *path, body=body, key=key, wait=wait, query=query)
            )

    def finish(self, answer: dict[str, Any], wait: float) -> None:
        """Leave with 4 when the answer was waited for in vain."""
        if wait and answer["provisioning"] in UNFINISHED:
            if not self._as_json:
                typer.echo(
                    f"Accepted, but not settled within {wait:g} s: it goes on. {_reason_unsettled(answer)}", err=True
                )
            raise typer.Exit(NOT_SETTLED)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _answer_to(self, question: "Callable[[Connect], Awaitable[dict[str, Any]]]") -> dict[str, Any]:
        """Leave with a status that says how it went, and say why, unless there is an answer."""
        import asyncio

        from starter import client

        async def answer() -> dict[str, Any]:
            once = client.Patience(in_all=0)
            async with client.Connect(self._url, self._token, patience=once, on_step=progress.watch) as connect:
                return await question(connect)

        try:
            return asyncio.run(answer())
        except client.Unreached as error:
            hint = "Start it with: connect up" if self._is_here else "Is CONNECT_URL right?"
            self._fail(_status_without_answer(), f"{error}. {hint}{progress.if_sent()}")
        except client.NotConnect as error:
            self._fail(_status_without_answer(), f"{error}. Is CONNECT_URL right?{progress.if_sent()}")
        except client.Refused as error:
            self._leave_refused(error)

    def _leave_refused(self, error: "Refused") -> NoReturn:
        from starter.client import Away, Undecided

        decided = not isinstance(error, Away)
        code = NOT_SETTLED if isinstance(error, Undecided) else REFUSED if decided else _status_without_answer()
        detail = str(error).replace("Idempotency-Key", "--command-id")
        if error.retry_after is not None and not decided:
            detail = f"{detail.removesuffix('Try again shortly.').rstrip()} Try again in {error.retry_after:g} s."
        if error.sent and not isinstance(error, Undecided):  # which says so itself
            detail += progress.if_sent()
        if error.status == 401:
            detail = (
                "The service does not know this token, or it is no longer valid. Set CONNECT_TOKEN to an API token, or "
                f"to what is in its {TOKEN_FILE.name} file."
            )
        self._fail(code, detail, error.problem)

    def _fail(self, code: int, detail: str, problem: Mapping[str, Any] | None = None) -> NoReturn:
        if self._as_json:
            typer.echo(
                json.dumps(problem or {"type": "about:blank", "title": TITLES[code], "detail": detail}), err=True
            )
        else:
            typer.echo(detail, err=True)
            for wrong in (problem or {}).get("errors", ())[1:]:
                typer.echo(wrong["detail"], err=True)
        raise typer.Exit(code)

    def wrong_usage(self, why: str) -> NoReturn:
        """Leave with 2."""
        self._fail(WRONG_USAGE, f"Error: {why}.")

    def _token_here(self) -> str:
        try:
            return TOKEN_FILE.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError):
            self._fail(
                UNREACHED,
                f"No token: CONNECT_TOKEN is not set and there is no {TOKEN_FILE} here. "
                "Start the service here with connect up, or set CONNECT_URL and CONNECT_TOKEN.",
            )

    def _spinning(self, seconds: float) -> AbstractContextManager[object]:
        if not seconds or self._as_json or not sys.stderr.isatty():
            return nullcontext()
        return Console(stderr=True).status("Waiting until it is done and proven …")


def _status_without_answer() -> int:
    """The status when nobody answers: a command may have been accepted before."""
    return NOT_SETTLED if progress.answered else UNREACHED


def _address_here() -> str:
    """Where the service of the data folder here answers. Only our own folder may say where our token is sent."""
    try:
        if ADDRESS_FILE.stat().st_uid == os.geteuid():
            return ADDRESS_FILE.read_text(encoding="utf-8").strip() or DEFAULT_URL
    except (OSError, UnicodeError):
        pass
    return DEFAULT_URL


def _reason_unsettled(answer: dict[str, Any]) -> str:
    errors = [f"{system['system']}: {system['last_error']}" for system in answer["systems"] if system["last_error"]]
    return " ".join([*errors, f"See: connect client show {answer['client_id']}"])
