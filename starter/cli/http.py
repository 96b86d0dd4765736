"""The command line's side of the API: where it is, who we are, how an answer becomes an exit status."""

import json
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote
from uuid import uuid4

import typer
from rich.console import Console

DEFAULT_URL = "http://127.0.0.1:8000"
TOKEN_FILE = Path(".connect/token")
LONGEST_WAIT = 60  # seconds the API waits within one request
LONGEST_PAGE = 500  # items the API gives at once
PATIENCE = 20  # seconds beyond the wait before the service counts as away

REFUSED, UNREACHED, NOT_SETTLED = 1, 3, 4
UNFINISHED = ("changing", "attention")  # where provisioning stands while there is something to wait for


class Service:
    """The API, as one command of the command line uses it."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._url = os.environ.get("CONNECT_URL", "").rstrip("/") or DEFAULT_URL
        self._token = os.environ.get("CONNECT_TOKEN", "").strip() or self._token_here()

    def get(self, *path: str, **query: Any) -> dict[str, Any]:
        """The answer to a question."""
        return self._call("GET", path, params={k: v for k, v in query.items() if v is not None})

    def whole(self, *path: str, **query: Any) -> dict[str, Any]:
        """A list with all its pages as one."""
        page = self.get(*path, limit=LONGEST_PAGE, **query)
        items: list[dict[str, Any]] = page["items"]
        while page["next"] is not None:
            page = self.get(*path, limit=LONGEST_PAGE, cursor=page["next"], **query)
            items += page["items"]
        return {**page, "items": items}

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
        key, end = command_id or uuid4().hex, time.monotonic() + wait
        while True:
            left = max(0.0, end - time.monotonic())
            headers = {"Idempotency-Key": key}
            if left:
                headers["Prefer"] = f"wait={min(LONGEST_WAIT, int(left) + 1)}"
            with self._spinning(left):
                answer = self._call(method, path, json=body, params=query, headers=headers, patience=left)
            if answer.get("provisioning") not in UNFINISHED or time.monotonic() >= end:
                return answer

    def finish(self, answer: dict[str, Any], wait: float) -> None:
        """Leave with 4 when the answer was waited for in vain."""
        if wait and answer["provisioning"] in UNFINISHED:
            if not self._as_json:
                typer.echo(f"Accepted, but not settled within {wait:g} s: it goes on. {_why(answer)}", err=True)
            raise typer.Exit(NOT_SETTLED)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        patience: float = 0,
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> dict[str, Any]:
        import httpx2

        url = "/".join([f"{self._url}/api/v1", *(quote(part, safe="") for part in path)])
        try:
            answer = httpx2.request(
                method,
                url,
                headers={"Authorization": f"Bearer {self._token}", **(headers or {})},
                timeout=httpx2.Timeout(min(patience, LONGEST_WAIT) + PATIENCE, connect=5),
                trust_env=not self._url.startswith(DEFAULT_URL.rpartition(":")[0]),  # no proxy to this machine
                **rest,
            )
            document: dict[str, Any] = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            hint = "Start it with: connect up" if self._url == DEFAULT_URL else "Is CONNECT_URL right?"
            self._fail(UNREACHED, f"Connect cannot be reached at {self._url} ({type(error).__name__}). {hint}")
        except json.JSONDecodeError:
            self._fail(UNREACHED, f"What answers at {self._url} is not Connect. Is CONNECT_URL right?")
        if answer.is_error:
            self._refused(document)
        return document

    def _refused(self, problem: dict[str, Any]) -> NoReturn:
        status = problem.get("status")
        undecided = status == 503 and "command_id" in problem
        code = NOT_SETTLED if undecided else UNREACHED if status in (502, 503, 504) else REFUSED
        detail = str(problem.get("detail", "No reason was given."))
        if status == 401:
            detail = (
                f"The service does not know this token. Set CONNECT_TOKEN to what is in its {TOKEN_FILE.name} file."
            )
        self._fail(code, detail, problem)

    def _fail(self, code: int, detail: str, problem: dict[str, Any] | None = None) -> NoReturn:
        if self._as_json:
            typer.echo(
                json.dumps(problem or {"type": "about:blank", "title": "Not reached", "detail": detail}), err=True
            )
        else:
            typer.echo(detail, err=True)
            for wrong in (problem or {}).get("errors", ())[1:]:
                typer.echo(wrong["detail"], err=True)
        raise typer.Exit(code)

    def _token_here(self) -> str:
        try:
            return TOKEN_FILE.read_text(encoding="utf-8").strip()
        except OSError:
            self._fail(
                UNREACHED,
                f"No token: CONNECT_TOKEN is not set and there is no {TOKEN_FILE} here. "
                "Start the service here with connect up, or set CONNECT_URL and CONNECT_TOKEN.",
            )

    def _spinning(self, seconds: float) -> AbstractContextManager[object]:
        if not seconds or self._as_json or not sys.stderr.isatty():
            return nullcontext()
        return Console(stderr=True).status("Waiting until it is done and proven …")


def _why(answer: dict[str, Any]) -> str:
    errors = [f"{system['system']}: {system['last_error']}" for system in answer["systems"] if system["last_error"]]
    return " ".join([*errors, f"See: connect client show {answer['client_id']}"])
