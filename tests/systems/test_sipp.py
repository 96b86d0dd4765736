"""The same answers for SIPp, which others wrote, as for our own telephone (PRODUCT.md sections 3 and 5)."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.service import number
from tests.support.waiting import HANGING, free_udp_port
from tests.systems.phone import Phone
from tests.systems.service import DOMAIN, Building

SCENARIOS = Path(__file__).with_name("sipp")
NO_SUCH_LINE, REFUSED, UNKNOWN, AWAY = 401, 403, 404, 480


@pytest.fixture(scope="module")
def sipp() -> str:
    """The program, which Debian's package sip-tester brings."""
    program = shutil.which("sipp")
    if program is None and os.environ.get("CONNECT_REQUIRE_SYSTEMS") == "1":
        pytest.fail("sipp is not installed: `.ci/run install` installs it, on Debian, as root")
    if program is None:
        pytest.skip("sipp is not installed: `.ci/run install` installs it, on Debian, as root")
    return program


class Sipp:
    """SIPp, as the telephone of one line. Its folder is for what it reads and writes."""

    def __init__(self, program: str, folder: Path, line: Phone) -> None:
        self._program, self._folder, self._line = program, folder, line

    async def registers(self, final: int) -> None:
        """A registration gets this final answer."""
        await self._run("register", "", final)

    async def is_refused(self, callee: str, final: int) -> None:
        """A call gets this final answer."""
        await self._run("invite_refused", callee, final)

    async def calls(self, callee: str) -> None:
        """A call is taken, and ended."""
        await self._run("invite_taken", callee, 200)

    async def _run(self, scenario: str, callee: str, final: int) -> None:
        text = (
            (SCENARIOS / f"{scenario}.xml")
            .read_text(encoding="utf-8")
            .replace("FINAL", str(final))
            .replace("DOMAIN", DOMAIN)
        )
        (self._folder / "scenario.xml").write_text(text, encoding="utf-8")
        login = f"[authentication username={self._line.username} password={self._line.password}]"
        (self._folder / "lines.csv").write_text(
            f"SEQUENTIAL\n{self._line.username};{login};{callee}\n", encoding="utf-8"
        )
        host, port = self._line.proxy
        words = [self._program, "-sf", "scenario.xml", "-inf", "lines.csv", "-m", "1", "-nostdin", "-trace_err"]
        words += ["-error_file", "errors.log", "-i", "127.0.0.1", "-p", str(free_udp_port())]
        words += ["-timeout", f"{HANGING:.0f}"]
        run = await asyncio.to_thread(
            subprocess.run,
            [*words, "-timeout_error", f"{host}:{port}"],
            cwd=self._folder,
            env={"TERM": "dumb", "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        errors = self._folder / "errors.log"
        assert run.returncode == 0, f"{scenario}, {final}: " + (
            errors.read_text(encoding="utf-8") if errors.exists() else run.stderr
        )


async def test_sipp_gets_what_every_status_promises(building: Building, sipp: str, tmp_path: Path) -> None:
    lines = [{"number": number()}]
    acme = await building.create(type="virtual", lines=lines, activation="manual")
    other = await building.create(type="virtual", lines=[{"number": number()}])
    async with await building.phone(other) as theirs:
        assert await theirs.register() == 200
        line = await building.phone(acme)
        ours, caller = Sipp(sipp, tmp_path, line), Sipp(sipp, tmp_path, theirs)
        # New
        await ours.registers(NO_SUCH_LINE)
        await caller.is_refused(line.username, UNKNOWN)
        # Active
        await building.command(acme, "activate")
        await caller.is_refused(line.username, AWAY)
        await ours.registers(200)
        await ours.calls(theirs.username)
        assert theirs.rang == [line.username]
        async with await building.phone(acme) as phone:
            assert await phone.register() == 200
            await caller.calls(line.username)
            assert phone.rang == [theirs.username]
        # Suspended
        await building.command(acme, "suspend")
        await ours.registers(REFUSED)
        await ours.is_refused(theirs.username, REFUSED)
        await caller.is_refused(line.username, UNKNOWN)
        # Active again
        await building.command(acme, "unsuspend")
        await caller.is_refused(line.username, AWAY)
        await ours.registers(200)
        # Decommissioned
        await building.command(acme, "decommission")
        await ours.registers(REFUSED)
        await ours.is_refused(theirs.username, REFUSED)
        await caller.is_refused(line.username, UNKNOWN)
    assert theirs.rang == [line.username]
