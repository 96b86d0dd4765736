"""The Temporal UI for browsers on this machine alone: a proxy in front of the one that the development server brings.

That one answers to any name, so that a web page whose own name is made to point at 127.0.0.1 (DNS rebinding) could read
every workflow, and act. This one answers to the names of loopback and the one that operators use, and to its own pages.
``python -m starter.local.ui_proxy PORT UPSTREAM [ADDRESS [URL [API]]]`` runs it, until SIGTERM: on that port of
loopback, or of another address, in front of the UI at UPSTREAM (host:port), for operators who reach it at URL. What the
UI asks of its codec endpoint goes to the API (host:port), which looks who is signed in.
"""

import asyncio
import logging
import re
import sys
from collections.abc import Coroutine
from contextlib import aclosing
from urllib.parse import urlsplit

import httpx2
import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from starter.local.ports import HOST
from starter.web.descriptors import raise_limit
from starter.web.http_server import Server, run
from starter.web.security import CODEC

OUR_NAMES = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
LARGEST_BODY = 4 * 1024 * 1024  # bytes: Temporal takes no larger message (gRPC's default)
NOT_HANDED_ON = {  # RFC 9110 section 7.6.1; the length of the body is written again
    *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te"),
    *(b"trailer", b"transfer-encoding", b"upgrade", b"expect"),
}
SECONDS = {"connect": 5.0, "read": 120.0, "write": 30.0, "pool": 30.0}  # the UI waits a while for a workflow's events

NOT_OUR_NAME = (
    "This is the Temporal UI of Connect. It answers to the names 127.0.0.1 and localhost only, and to the one in "
    "CONNECT_TEMPORAL_UI_URL: open it at the address that `connect up` printed.\n"
)
NOT_OUR_PAGE = "Another site asked for this. The Temporal UI answers to its own pages only: open it in a tab.\n"
TOO_LARGE = f"A request has at most {LARGEST_BODY // 1024**2} MiB: Temporal takes no more at once.\n"
AWAY = (
    "The Temporal UI does not answer: Temporal is being started, or started again. Reload this page in some seconds. "
    "Should that not help, `connect up` says in its terminal what is wrong.\n"
)


class UiProxy:
    """An ASGI app that hands on what ``refusal`` lets pass, and the answer as it comes, byte for byte."""

    def __init__(self, upstream: str, url: str = "", api: str = "") -> None:
        self._upstream, self._ours, self._api = f"http://{upstream}/", url, f"http://{api}/" if api else ""
        self._transport = httpx2.AsyncHTTPTransport()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # nothing to do when it starts and stops
            return
        answer = refusal(scope, self._ours)
        if answer is None:
            if (body := await _read(receive)) is not None:
                await _while_there(self._hand_on(scope, body, receive, send), receive)
                return
            answer = PlainTextResponse(TOO_LARGE, 413)
        await answer(scope, receive, send)

    async def _hand_on(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        target: bytes = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        headers = [(name, value) for name, value in scope["headers"] if name not in NOT_HANDED_ON | {b"content-length"}]
        request = httpx2.Request(
            scope["method"],
            self._api if self._api and scope["path"].startswith(CODEC) else self._upstream,
            headers=headers,
            content=body,
            extensions={"target": target, "timeout": SECONDS},
        )
        try:
            answer = await self._transport.handle_async_request(request)
        except httpx2.TransportError:
            await PlainTextResponse(AWAY, 502, {"Cache-Control": "no-store"})(scope, receive, send)
            return
        headers = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in NOT_HANDED_ON]
        async with aclosing(answer):
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})


def refusal(scope: Scope, url: str = "") -> Response | None:
    """The refusal of a request from another site, or under another name. None for our own pages. ``url`` is
    where operators reach us, besides at the names of loopback.

    Host: RFC 9110 section 7.2. Origin: RFC 6454 section 7. Sec-Fetch-Site: Fetch Metadata, W3C; browsers send it, and
    pages cannot. A link from another site may open the UI in a tab.
    """
    headers = Headers(scope=scope)
    hosts, ours = [host.lower() for host in headers.getlist("Host")], urlsplit(url.lower())
    if (
        len(hosts) != 1
        or not (OUR_NAMES.fullmatch(hosts[0]) or hosts[0] == ours.netloc != "")
        or not scope["raw_path"].startswith(b"/")
    ):
        return PlainTextResponse(NOT_OUR_NAME, 421)
    origin = f"{ours.scheme if hosts[0] == ours.netloc else 'http'}://{hosts[0]}"
    opened = (scope["method"], headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest"))
    own = headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none") or opened == ("GET", "navigate", "document")
    if not own or any(sender.lower() != origin for sender in headers.getlist("Origin")):
        return PlainTextResponse(NOT_OUR_PAGE, 403)
    return None


async def _read(receive: Receive) -> bytes | None:
    """The body of a request; None for one that is too large."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > LARGEST_BODY:
            return None
    return body


async def _while_there(work: Coroutine[None, None, None], receive: Receive) -> None:
    """Do the work, unless the browser goes away before it is done."""

    async def wait_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        working.cancel()

    async with asyncio.TaskGroup() as both:
        working, waiting = both.create_task(work), both.create_task(wait_gone())
        working.add_done_callback(lambda _: waiting.cancel())


async def serve(port: int, upstream: str, host: str = HOST, url: str = "", api: str = "") -> None:
    """Serve the UI at ``upstream`` until the process is signalled."""
    config = uvicorn.Config(
        UiProxy(upstream, url, api),
        host=host,
        port=port,
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    await run(Server(config))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)  # activities/log.py would bring the whole Temporal SDK into memory
    raise_limit()
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:]))
