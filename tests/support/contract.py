"""A service that answers every route of the OpenAPI document with its example: for tests of callers."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from starter.api import examples
from starter.api.routes import router
from starter.app import Api

NAME = "Caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{GREEK CAPITAL LETTER OMEGA} \N{OFFICE BUILDING} Ltd"


class ContractServer(ThreadingHTTPServer):
    """Answers from the contract; ``verdict`` is a status, a document and headers that it answers instead."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        app = Api(title="Connect", version="0")
        app.include_router(router)
        self.document = app.openapi()
        self.verdict: tuple[int, Mapping[str, Any], Mapping[str, str]] | None = None
        self.requests: list[tuple[str, str, Mapping[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, method: str, target: str) -> tuple[int, Any, Mapping[str, str]]:
        """The status, document and headers of the answer to a request."""
        if self.verdict is not None:
            return self.verdict
        for template, methods in self.document["paths"].items():
            pattern = re.sub(r"\{[^}]*\}", "[^/]+", template)
            if method.lower() in methods and re.fullmatch(pattern, urlsplit(target).path):
                responses = methods[method.lower()]["responses"]
                status = min(int(code) for code in responses if code.startswith("2"))
                schema = responses[str(status)]["content"]["application/json"]["schema"]
                text = json.dumps(self._sample(schema, "dry_run=true" in target))
                return status, json.loads(text.replace("Acme Ltd", json.dumps(NAME)[1:-1])), {}
        return 404, {"status": 404, "title": "No such thing", "detail": f"There is no {method} {target}"}, {}

    def _sample(self, schema: Mapping[str, Any], dry_run: bool) -> Any:
        """A value of a schema: an example where there is one."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            named = self.document["components"]["schemas"][name]
            if name not in examples.ANSWERS:
                return self._sample(named, dry_run)
            empty: dict[Any, Any] = {"array": [], "object": {}}
            defaults = {
                field: it.get("default", empty.get(it.get("type"))) for field, it in named["properties"].items()
            }
            return defaults | examples.ANSWERS[name]  # which says only what is of interest
        if "anyOf" in schema:
            return self._sample(schema["anyOf"][-1 if dry_run else 0], dry_run)
        if "examples" in schema or "enum" in schema:
            return (schema.get("examples") or schema["enum"])[0]
        match schema.get("type"):
            case "array":
                return [self._sample(schema["items"], dry_run)]
            case "object":
                return {
                    name: None if name == "next" else self._sample(inner, dry_run)
                    for name, inner in schema.get("properties", {}).items()
                }
            case "boolean":
                return True
            case "integer" | "number":
                return 1
            case "string" if "date" in schema.get("format", ""):
                return "2026-11-20T10:30:00Z"
            case "string":
                return NAME
        return None


class _Handler(BaseHTTPRequestHandler):
    server: ContractServer

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, dict(self.headers), json.loads(body or "null")))
        status, document, headers = self.server.answer(self.command, self.path)
        answer = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(answer)), **headers}.items():
            self.send_header(name, value)
        with suppress(ConnectionError):  # a caller that was interrupted
            self.end_headers()
            self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = do  # noqa: N815  # names of http.server

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  # as http.server calls it


@contextmanager
def contract_server() -> Iterator[ContractServer]:
    with ContractServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
