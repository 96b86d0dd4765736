"""oidc-provider of npm, a certified OpenID provider, as a process of its own, and a browser that walks its pages."""

import asyncio
import json
import os
import re
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest

from tests.support.openid import AUDIENCE
from tests.support.waiting import http_client, unless_it_hangs

FOLDER = Path(__file__).with_name("npm")
SECRET = "told-to-the-console-and-nobody-else"
API = "https://connect.example/api/"
"""What a token for the API is asked for by (RFC 8707), before the algorithm that is to sign it."""

FORM = re.compile(r'<form[^>]* action="([^"]+)"[^>]*>')
FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


def node() -> str:
    """The program, with its package, or the test is skipped. With CONNECT_REQUIRE_SYSTEMS=1 it fails where node is and
    its package is not."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    if not (FOLDER / "node_modules").is_dir():
        missing = "oidc-provider is not installed: `.ci/run install` installs it where npm is"
        if os.environ.get("CONNECT_REQUIRE_SYSTEMS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return program


class StrictProvider:
    """The running provider. ``other`` is an issuer with the same keys, people and clients."""

    def __init__(self, process: Process, issuer: str, other: str) -> None:
        self.process, self.issuer, self.other = process, issuer, other

    async def sign_by_new_keys(self) -> None:
        """Have it withdraw its keys, and sign by others from now on."""
        assert self.process.stdin
        self.process.stdin.write(b"\n")
        assert await _line_of(self.process) == b"\n"

    async def end(self) -> None:
        """Have it answer nobody any more."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def token(
        self, service: str = "billing", resource: str = f"{API}RS256", issuer: str = "", dpop: str = ""
    ) -> str:
        """An access token of a service, by its client credentials."""
        async with http_client() as http:
            answer = await http.post(
                f"{issuer or self.issuer}/token",
                auth=(service, SECRET),
                data={"grant_type": "client_credentials", "resource": resource},
                headers={"DPoP": dpop} if dpop else {},
            )
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token


async def _line_of(process: Process) -> bytes:
    assert process.stdout
    async with unless_it_hangs():
        return await process.stdout.readline()


@asynccontextmanager
async def running_strict_provider(home: str) -> AsyncIterator[StrictProvider]:
    """The provider, where the console at this address is known."""
    command = (node(), FOLDER / "provider.mjs", home, AUDIENCE)
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    provider = StrictProvider(process, "", "")
    try:
        line = await _line_of(process)
        assert line, "it ended at once; what it says is among the errors of this run"
        addresses = json.loads(line)
        provider.issuer, provider.other = addresses["issuer"], addresses["other"]
        yield provider
    finally:
        await provider.end()


class Person:
    """A browser at the provider's own pages, with its cookies."""

    def __init__(self, http: httpx2.AsyncClient, home: str) -> None:
        self._http, self._home = http, home
        self.seen: list[str] = []

    async def signs_in(self, address: str, name: str) -> str:
        """Where the provider sends the browser in the end: back to the console. Forms are filled in with the name."""
        return await self._walk(await self._http.get(address), {"login": name, "password": "any"})

    async def signs_out(self, address: str) -> str:
        """As signing in, at the address of signing out."""
        return await self._walk(await self._http.get(address), {"logout": "yes"})

    async def _walk(self, answer: httpx2.Response, fields: dict[str, str]) -> str:
        self.seen = []
        async with unless_it_hangs():
            while True:
                assert answer.status_code < 400, answer.text
                if answer.is_redirect:
                    address = urljoin(str(answer.url), answer.headers["location"])
                    if address.startswith(self._home):
                        return address
                    answer = await self._http.get(address)
                    continue
                action, hidden = FORM.search(answer.text), dict(FIELD.findall(answer.text))
                assert action, answer.text
                self.seen.append(hidden.get("prompt", ""))
                data = hidden | fields
                answer = await self._http.post(urljoin(str(answer.url), unescape(action[1])), data=data)


@asynccontextmanager
async def a_person(home: str) -> AsyncIterator[Person]:
    async with http_client(headers={"Accept": "text/html"}) as http:
        yield Person(http, home)
