"""The demonstration's doors: a system of a further kind, which speaks the JSON protocol as docs/systems.md has it.

``python -m starter.local.doors PORT FOLDER`` serves them on loopback until it is ended. ``FOLDER/token`` is the token
that it asks for. What it was sent is kept in ``FOLDER/doors.json``, from which the next start goes on.
"""

import hmac
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, ValidationError

from starter.local.ports import HOST
from starter.local.private_files import read_private, write_private
from workflows.wire.messages import Model

CHANGE = re.compile(r"/v1/clients/([^/]{1,200})/services")
LOOK = "/v1/services"
LARGEST_BODY = 1024 * 1024  # bytes

Answer = tuple[int, dict[str, Any]]


class Door(Model):
    """One door of a client: whether its card opens it, and with which settings."""

    in_service: bool
    settings: dict[str, str | int | bool | None] = Field(default_factory=dict)


class Change(Model):
    """All that is wanted of one client's doors."""

    revision: int
    services: dict[str, Door]


class Known(Model):
    """What is kept: the newest revision of each client, and its doors."""

    newest: dict[str, int] = Field(default_factory=dict)
    doors: dict[str, dict[str, Door]] = Field(default_factory=dict)


class Doors:
    """The doors of all clients, as the file has them. It takes one change at a time."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, Lock()
        self._known = Known.model_validate_json(read_private(file)) if file.exists() else Known()

    def change(self, client_id: str, change: Change) -> Answer:
        """Have a client's doors as they are wanted, once that is written down. An older revision changes nothing."""
        with self._lock:
            known = self._known.model_copy(deep=True)
            if change.revision < (newest := known.newest.get(client_id, 0)):
                return 409, {"newest": newest}
            doors = known.doors.setdefault(client_id, {})
            doors |= {name: door for name, door in change.services.items() if door.in_service or name in doors}
            known.newest[client_id] = change.revision
            write_private(self._file, known.model_dump_json())
            self._known = known
        return 200, {"refused": {}, "needs_secret": []}

    def look(self, client_id: str, names: list[str]) -> Answer:
        """What is known of these doors. Nobody is on their way through one: ``alive`` is none."""
        doors = self._known.doors.get(client_id, {})
        items = [
            {"name": name, "client_id": client_id, "alive": 0, **doors[name].model_dump()}
            if name in doors
            else {"name": name, "known": False}
            for name in names
        ]
        return 200, {"items": items}


class Handler(BaseHTTPRequestHandler):
    """The protocol, of whoever has the token."""

    doors: ClassVar[Doors]
    token: ClassVar[str]
    protocol_version = "HTTP/1.1"
    timeout = 30.0  # seconds for a caller that says nothing
    server_version, sys_version = "doors", ""

    def do_PUT(self) -> None:  # http.server's name
        self._answer(self._change)

    def do_GET(self) -> None:  # http.server's name
        self._answer(self._look)

    def _answer(self, answer: Any) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True  # what follows is not read
            self._send(413, {"why": f"a body has at most {LARGEST_BODY} bytes"})
            return
        body = self.rfile.read(int(length))
        credentials = self.headers.get("Authorization", "").encode()
        known = hmac.compare_digest(credentials, f"Bearer {self.token}".encode())
        self._send(*(answer(body) if known else (401, {"why": "the token is not the one of the doors"})))

    def _change(self, body: bytes) -> Answer:
        if not (found := CHANGE.fullmatch(urlsplit(self.path).path)):
            return 404, {"why": "there are services of clients here, and nothing else"}
        try:
            return self.doors.change(unquote(found[1]), Change.model_validate_json(body))
        except ValidationError:
            return 422, {"why": "the body is not one of the protocol"}

    def _look(self, body: bytes) -> Answer:
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        if address.path != LOOK or "client_id" not in query:
            return 404, {"why": "there are services of clients here, and nothing else"}
        return self.doors.look(query["client_id"][0], query.get("name", []))

    def _send(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        """What callers send stands in no log."""


def server(port: int, folder: Path) -> ThreadingHTTPServer:
    """The server, which listens already. It answers while ``serve_forever`` runs."""
    content = {"doors": Doors(folder / "doors.json"), "token": read_private(folder / "token")}
    return ThreadingHTTPServer((HOST, port), type("OurHandler", (Handler,), content))


if __name__ == "__main__":
    server(int(sys.argv[1]), Path(sys.argv[2])).serve_forever()
