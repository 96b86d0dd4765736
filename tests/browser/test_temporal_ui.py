"""Temporal beside a browser that another site's page is open in: its HTTP API, its UI, and our proxy in front of that.

The page is served on evil.example, which the browser is told is 127.0.0.1: as a name is that its owner points there.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error, Page, expect
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from starter.local.children import Child
from starter.local.temporal import TemporalServer
from starter.local.ui_proxy import LARGEST_BODY, refusal
from tests.browser.browsing import new_context, running_browser
from tests.support.waiting import eventually, free_port, http_client

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what listens")

EVIL = "evil.example"
SECRET = "client-dr-jane-doe"
CALL = """async ([url, options]) => {
  try { const answer = await fetch(url, options); return `${answer.type} ${answer.status} ${await answer.text()}` }
  catch (error) { return String(error) }
}"""


@dataclass(frozen=True)
class Temporal:
    """A development server as `connect up` has it, with one workflow that nobody works on."""

    server: TemporalServer
    proxy: Child
    port: int
    client: Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def listening(self) -> list[str]:
        """Every address that the server listens on."""
        assert self.server.process
        return listening(self.server.process.pid)

    async def signals(self) -> int:
        """How often the workflow was signalled."""
        history = await self.client.get_workflow_handle(SECRET).fetch_history()
        return [e.event_type for e in history.events].count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)


def listening(pid: int) -> list[str]:
    """proc_net_tcp: local_address in the host's byte order, st 0A: LISTEN, inode."""
    inodes = {path.readlink().name for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    found = []
    for row in Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]:
        fields = row.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            address, port = fields[1].split(":")
            found.append(".".join(str(x) for x in reversed(bytes.fromhex(address))) + f":{int(port, 16)}")
    return found


@pytest_asyncio.fixture(scope="module")
async def temporal_up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Temporal]:
    folder = tmp_path_factory.mktemp("temporal")
    server, port = TemporalServer(folder / "temporal.db", free_port(), folder / "temporal.log"), free_port()
    proxy = Child("UI", [sys.executable, "-m", "starter.local.ui_proxy", str(port), server.ui], folder / "ui.log")
    server.start()
    proxy.start()
    try:
        await eventually(lambda: asyncio.to_thread(server.ready))
        client = await Client.connect(server.address)
        await client.start_workflow("ClientLifecycle", id=SECRET, task_queue="nobody")
        it = Temporal(server, proxy, port, client)
        await eventually(lambda: answers(f"{it.url}/healthz"))
        yield it
    finally:
        proxy.stop()
        server.stop()


async def answers(url: str) -> bool:
    async with http_client() as caller:
        try:
            return (await caller.get(url)).is_success
        except httpx2.TransportError:
            return False


@pytest_asyncio.fixture(scope="module")
async def misled() -> AsyncIterator[Browser]:
    """A browser that takes evil.example for 127.0.0.1."""
    async with running_browser(f"--host-resolver-rules=MAP {EVIL} 127.0.0.1") as browser:
        yield browser


@pytest_asyncio.fixture
async def evil_page(misled: Browser) -> AsyncIterator[Page]:
    """A page of another site."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<h1>Free money</h1>")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        page = await (await new_context(misled)).new_page()
        await page.goto(f"http://{EVIL}:{server.sockets[0].getsockname()[1]}/")
        yield page
        await page.close()


def signal_path(name: str = "suspend") -> str:
    return f"/api/v1/namespaces/default/workflows/{SECRET}/signal/{name}"


async def test_a_page_of_another_site_cannot_place_a_hold(temporal_up: Temporal, evil_page: Page) -> None:
    before = await temporal_up.signals()
    options = {"method": "POST", "mode": "no-cors", "body": json.dumps({"input": [{"source": "evil"}]})}
    for address in (*temporal_up.listening(), f"127.0.0.1:{temporal_up.port}"):
        await evil_page.evaluate(CALL, [f"http://{address}{signal_path()}", options])
        await evil_page.evaluate(CALL, [f"http://{EVIL}:{address.rpartition(':')[2]}{signal_path()}", options])
    assert await temporal_up.signals() == before


async def test_a_page_whose_name_points_at_loopback_reads_nothing_and_does_nothing(
    temporal_up: Temporal, misled: Browser
) -> None:
    before = await temporal_up.signals()
    for port in (temporal_up.port, *(int(address.rpartition(":")[2]) for address in temporal_up.listening())):
        page = await (await new_context(misled)).new_page()
        try:
            await page.goto(f"http://{EVIL}:{port}/namespaces/default/workflows/{SECRET}")
        except Error:  # it speaks no HTTP that browsers speak, or it is not at that address
            continue
        for path in ("/", "/api/v1/namespaces", "/api/v1/namespaces/default/workflows", "/api/v1/settings"):
            read = str(await page.evaluate(CALL, [path, {}]))
            assert not re.search(f"{SECRET}|default|_app", read), read
        await page.evaluate(CALL, [signal_path(), {"method": "POST", "body": "{}"}])
        await page.close()
    assert await temporal_up.signals() == before
    page = await (await new_context(misled)).new_page()
    await page.goto(f"http://{EVIL}:{temporal_up.port}/")
    await expect(page.get_by_text("It answers to the names 127.0.0.1 and localhost only")).to_be_visible()
    await page.close()


async def test_a_page_of_another_site_cannot_use_the_ui(temporal_up: Temporal, evil_page: Page) -> None:
    for path in ("/", "/api/v1/namespaces/default/workflows"):
        assert "TypeError" in str(await evil_page.evaluate(CALL, [f"{temporal_up.url}{path}", {}]))
    async with evil_page.expect_event("response", lambda answer: answer.url.startswith(temporal_up.url)) as framed:
        await evil_page.evaluate(
            "url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))", temporal_up.url
        )
    assert (await framed.value).status == 403


async def test_the_ui_works_at_the_address_that_is_printed(temporal_up: Temporal, misled: Browser) -> None:
    page = await (await new_context(misled)).new_page()
    for name in ("127.0.0.1", "localhost"):
        await page.goto(f"http://{name}:{temporal_up.port}/namespaces/default/workflows/{SECRET}")
        await expect(page.get_by_text(SECRET).first).to_be_visible()
        before = await temporal_up.signals()
        assert "basic 200" in await page.evaluate(CALL, [signal_path(name), {"method": "POST", "body": "{}"}])
        assert await temporal_up.signals() == before + 1
    await page.close()


async def test_a_link_on_another_site_opens_the_ui(temporal_up: Temporal, evil_page: Page) -> None:
    await evil_page.evaluate(
        "href => document.body.append(Object.assign(document.createElement('a'), {href, text: 'Your client'}))",
        f"{temporal_up.url}/namespaces/default/workflows/{SECRET}",
    )
    await evil_page.get_by_text("Your client").click()
    await expect(evil_page.get_by_text(SECRET).first).to_be_visible()


async def test_the_proxy_hands_on_what_the_ui_answers_as_it_is(temporal_up: Temporal) -> None:
    async with (
        http_client(base_url=temporal_up.url) as proxy,
        http_client(base_url=f"http://{temporal_up.server.ui}") as ui,
    ):
        script = re.search(r'"(/_app/[^"]+\.js)"', (await proxy.get("/")).text)
        assert script

        async def raw(client: httpx2.AsyncClient, path: str) -> tuple[int, str | None, bytes]:
            async with client.stream("GET", path) as answer:
                body = b"".join([part async for part in answer.aiter_raw()])
                return answer.status_code, answer.headers.get("Content-Encoding"), body

        theirs = await raw(ui, script[1])
        assert theirs[1] == "gzip"
        assert set(await asyncio.gather(*(raw(proxy, script[1]) for _ in range(50)))) == {theirs}
        assert (await proxy.get("/api/v1/namespaces/default/workflows?query=a%2Bb%20%3D")).status_code == 400
        assert (await proxy.post(signal_path(), content=b"x" * (LARGEST_BODY + 1))).status_code == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "LOCALHOST:1"}, 200),
        ({"Host": "[::1]:8233"}, 200),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "evil@localhost"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
    ],
)
async def test_the_ui_answers_to_loopback_names_and_its_own_pages(
    temporal_up: Temporal, headers: dict[str, str], status: int
) -> None:
    async with http_client() as caller:
        assert (await caller.get(f"{temporal_up.url}/healthz", headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Host": "temporal.example"}, True),
        ({"Host": "Temporal.example", "Origin": "https://temporal.example"}, True),
        ({"Host": "temporal.example", "Origin": "http://temporal.example"}, False),
        ({"Host": "localhost:8233", "Origin": "http://localhost:8233"}, True),
        ({"Host": "other.example"}, False),
    ],
)
def test_the_ui_answers_to_the_name_that_operators_are_told(headers: dict[str, str], passes: bool) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "raw_path": b"/", "headers": raw}
    assert (refusal(scope, "https://temporal.example") is None) == passes


async def test_while_temporal_is_away_the_page_says_so(tmp_path: Path) -> None:
    port = free_port()
    proxy = Child("UI", [sys.executable, "-m", "starter.local.ui_proxy", str(port), "127.0.0.1:1"], tmp_path / "log")
    proxy.start()

    async def serves() -> bool:
        async with http_client() as caller:
            try:
                answer = await caller.get(f"http://127.0.0.1:{port}/")
            except httpx2.ConnectError:
                return False
        assert answer.status_code == 502
        assert "Reload this page in some seconds" in answer.text
        return True

    try:
        await eventually(serves)
    finally:
        proxy.stop()
    assert proxy.process
    assert proxy.process.returncode == 0, "it ends when told to"


async def test_temporal_listens_on_loopback_alone_and_its_ui_where_nobody_looks(temporal_up: Temporal) -> None:
    addresses = temporal_up.listening()
    assert len(addresses) == 7, "gRPC, HTTP API, metrics, UI; matching, history and worker: SECURITY.md lists them"
    assert all(address.startswith("127.") for address in addresses)
    assert temporal_up.server.ui in addresses
    assert not temporal_up.server.ui.startswith("127.0.0.1:")
