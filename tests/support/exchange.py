"""A Kamailio's JSON-RPC in miniature: registrations in memory and calls, and the ways in which it can fail."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any, Self

TALKING, RINGING = 4, 2


@dataclass
class Exchange:
    """``registered`` are addresses-of-record; ``calls`` are (caller, callee, state) by number.

    ``silent`` takes questions, which ``taken`` counts, and never answers; ``reply_body`` is what it answers whatever
    was asked, with ``status``; ``paths`` are those that it was asked by;
    ``lacks`` are methods that it does not know. Calls do not end while it is ``stubborn``. Those ``disguised`` name
    somebody else as their callee than they are routed to.
    """

    registered: set[str] = field(default_factory=set)
    calls: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    requests: list[tuple[str, list[Any]]] = field(default_factory=list)
    silent: bool = False
    taken: int = 0
    reply_body: bytes = b""
    status: int = 200
    paths: set[str] = field(default_factory=set)
    lacks: tuple[str, ...] = ()
    stubborn: bool = False
    disguised: set[int] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.name = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"{self.name}/RPC"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def methods(self) -> set[str]:
        return {method for method, _ in self.requests}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                self.paths.add(head.split()[1].decode())
                question = json.loads(await reader.readexactly(int(length[1]) if length else 0))
                self.taken += 1
                if not self.silent:
                    status, body = self._answer(question["method"], question["params"])
                    writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it was hung up
        finally:
            writer.close()

    def _answer(self, method: str, values: list[Any]) -> tuple[int, bytes]:
        self.requests.append((method, values))
        if self.reply_body:
            return self.status, self.reply_body
        result = None if method in self.lacks else self._obey(method, values)
        if isinstance(result, str) or result is None:
            error = {"code": 500, "message": result or "Method Not Found"}
            return 500, json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()
        return 200, json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()

    def _obey(self, method: str, values: list[Any]) -> Any:
        match method:
            case "ul.rm":
                self.registered.discard(values[1])
                return {}
            case "ul.lookup":
                contacts = [{"Contact": {"Address": "sip:phone", "Expires": 300}}]
                return {"Contacts": contacts} if values[1] in self.registered else "AOR not found in location table"
            case "dlg.list_match":
                return [self._dialog(number) for number in self.calls if self._matches(number, *values)] or "Not found"
            case "dlg.end_dlg":
                known = values[1] in self.calls if self.stubborn else self.calls.pop(values[1], None)
                return {} if known else "dialog not found"
        return None

    def _matches(self, number: int, key: str, how: str, pattern: str, limit: int) -> bool:
        dialog = self._dialog(number)
        uris = {"furi": dialog["from_uri"], "turi": dialog["to_uri"], "ruri": f"sip:{self.calls[number][1]}@sip.test"}
        assert (how, limit) == ("re", 0)
        return re.search(pattern, uris[key]) is not None

    def _dialog(self, number: int) -> dict[str, Any]:
        caller, callee, state = self.calls[number]
        name = "somebody" if number in self.disguised else callee
        uris = {"from_uri": f"sip:{caller}@sip.test", "to_uri": f"sip:{name}@sip.test"}
        return {"h_entry": 7, "h_id": number, "call-id": f"call {number}", "state": state, **uris}
