"""`connect up`, the real one: everything in one terminal, whatever is killed, started again on the same folder."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from temporalio.api.nexus.v1 import Endpoint
from temporalio.api.operatorservice.v1 import ListNexusEndpointsRequest
from temporalio.client import Client

from starter.local.data_folder import DataFolder
from starter.local.databases import ACCESS, ROLES, prepare
from starter.local.postgres import EmbeddedPostgres
from starter.local.up import UpOptions, up
from tests.support.databases import fetch
from tests.support.up import Terminal, create, post, settled
from tests.support.waiting import HANGING, eventually, free_port, http_client

NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Python then takes files to be in ASCII that are not said to be in UTF-8."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what still runs")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal of the test's own, in which nothing runs yet."""
    it = Terminal(tmp_path / "data")
    yield it
    it.close()


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    """A terminal in which it runs, for all tests of this module: each leaves it running. It is an old one, without
    UTF-8."""
    it = Terminal(tmp_path_factory.mktemp("up") / "our data + yours")
    it.start(env=NO_UTF8)
    await it.ready()
    yield it
    it.close()


async def test_what_is_wrong_with_the_systems_file_is_said_and_the_rest_is_served(
    terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "systems.toml"
    file.write_text(
        """
        [doors.main]
        url = "http://127.0.0.1:1/v1"
        token = "a token that is long enough"
        [gates.main]
        token_file = "/run/secrets/gates"
        [telephony.york]
        adapter = "nowhere:Nothing"
        """,
        encoding="utf-8",
    )
    terminal.start(env={"CONNECT_SYSTEMS_FILE": str(file)})
    await terminal.ready()
    assert terminal.line_with(f"{file}: gates.main has no url. Add it")
    york = terminal.line_with(
        f"telephony.york is not served: adapter of [telephony.york] in {file} is 'nowhere:Nothing'"
    )
    assert "cannot be imported" in york
    assert "PYTHONPATH" in york
    log = (terminal.data / "logs/worker.log").read_text(encoding="utf-8")
    started = next(json.loads(line) for line in log.splitlines() if '"worker_started"' in line)
    assert started["serves"] == ["telephony:main", "internet:main", "doors:main"]
    assert terminal.end() == 0


async def test_one_line_says_where_everything_is_and_one_who_can_reach_it(running: Terminal) -> None:
    line = re.fullmatch(
        rf"Connect is ready: (http://127\.0\.0\.1:{running.port}/sign-in\?key=\S+)  "
        rf"Temporal UI: http://127\.0\.0\.1:{running.ui_port}  token: {re.escape(str(running.data / 'token'))}\n"
        rf"Every user of this machine can command clients at 127\.0\.0\.1:{running.temporal_port}, .* SECURITY\.md .*"
        r"\n",
        await eventually(lambda: running.line_with("SECURITY.md") and running.output.read_text(encoding="utf-8")),
    )
    assert line, running.output.read_text(encoding="utf-8")
    async with http_client(headers={"Accept": "text/html"}, follow_redirects=True) as browser:
        assert "<h1>Clients</h1>" in (await browser.get(line[1])).text, "the link signs in"
    assert DataFolder(running.data).address.read_text(encoding="utf-8") == f"http://127.0.0.1:{running.port}\n"
    assert tuple(running.children()) == ("PostgreSQL", "Temporal", "The Temporal UI", "The worker", "The API")
    async with running.api() as api:
        await create(api, "first", "+442079460901")
        assert (await api.get("/clients/first")).json()["status"] == "active"
        assert (await api.get("/clients", headers={"Authorization": "Bearer guess"})).status_code == 401
        assert (await api.get(f"http://127.0.0.1:{running.ui_port}/")).is_success


async def test_workflows_of_other_namespaces_find_it(running: Terminal) -> None:
    temporal = await Client.connect(f"127.0.0.1:{running.temporal_port}")

    async def known() -> list[Endpoint]:
        """The API makes it known once it runs."""
        named = ListNexusEndpointsRequest(name="connect")
        return [*(await temporal.operator_service.list_nexus_endpoints(named)).endpoints]

    target = (await eventually(known))[0].spec.target.worker
    assert (target.namespace, target.task_queue) == ("default", "provisioning")


async def test_the_worker_comes_back_when_it_was_killed(running: Terminal) -> None:
    before = running.children()["The worker"]
    running.kill("The worker")
    await eventually(lambda: running.line_with("The worker ended (killed by signal 9); it is started again in 0.5 s"))
    async with running.api() as api:
        await create(api, "second", "+442079460902")
        assert (await post(api, "/clients/second/suspend", {"source": "billing"}))["status"] == "suspended"
    assert running.children()["The worker"] != before


async def test_clients_go_on_when_the_servers_were_killed(running: Terminal) -> None:
    async with running.api() as api:
        await create(api, "third", "+442079460903")
        running.kill("Temporal")
        running.kill("PostgreSQL")
        view = await post(api, "/clients/third/suspend", {"source": "billing", "reason": "invoice 1042"})
        assert view["status"] == "suspended"
        await eventually(lambda: settled(api, "third"))


async def test_killed_and_started_again_everything_goes_on(running: Terminal) -> None:
    async with running.api() as api:
        await create(api, "fourth", "+442079460904")
    left = running.children()
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    running.start(env=NO_UTF8)
    await running.ready()
    assert not set(left.values()) & set(running.children().values())
    async with running.api() as api:
        await eventually(lambda: settled(api, "fourth"))
        assert (await api.get("/clients/fourth")).json()["status"] == "active"
        assert (await post(api, "/clients/fourth/suspend", {"source": "billing"}))["status"] == "suspended"
        await eventually(lambda: settled(api, "fourth"))


def test_a_second_one_on_the_same_folder_is_told_of_the_first(running: Terminal) -> None:
    second = subprocess.run(running.command, capture_output=True, encoding="utf-8", check=False, timeout=HANGING)
    assert running.process
    assert second.returncode == 1
    assert re.search(rf"already runs on .*\(process {running.process.pid}\).*--data", second.stderr)


async def test_ctrl_c_while_starting_leaves_nothing_behind(terminal: Terminal) -> None:
    terminal.start()
    await eventually(lambda: (terminal.data / "postgres/postmaster.pid").exists())
    assert terminal.end() == 0
    assert terminal.leftovers() == []
    assert "ready" not in terminal.output.read_text(encoding="utf-8")


def test_a_taken_port_is_named_with_its_owner_and_the_way_out(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", terminal.ui_port)):
        result = subprocess.run(terminal.command, capture_output=True, encoding="utf-8", check=False, timeout=HANGING)
    assert result.returncode == 1
    owner = rf"taken by .*\(process {os.getpid()}\)"
    assert re.search(rf"Port {terminal.ui_port} for the Temporal UI is {owner}.* --ui-port\n", result.stderr)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("port", [0, 65536])
def test_what_is_no_port_is_refused(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert up(UpOptions(tmp_path / "data", port=port)) == 1
    assert f"{port} is no TCP port: choose one from 1 to 65535 with --port" in capsys.readouterr().err


def test_data_of_a_newer_version_is_left_alone(terminal: Terminal) -> None:
    with DataFolder.held(terminal.data) as folder:
        folder.make_secrets()
        server = EmbeddedPostgres(folder.postgres, free_port())
        server.start()
        prepare(server)
        asyncio.run(fetch(server.dsn("connect"), "UPDATE alembic_version SET version_num = '9999'"))
        server.stop()
    result = subprocess.run(terminal.command, capture_output=True, encoding="utf-8", check=False, timeout=HANGING)
    assert result.returncode == 1
    assert "connect up: The databases cannot be made ready: " in result.stderr
    assert "9999" in result.stderr
    assert "Traceback" not in result.stderr


async def test_each_role_logs_in_with_the_password_of_its_file_and_the_superuser_not_at_all(running: Terminal) -> None:
    folder = DataFolder(running.data)
    port = int((folder.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()[3])
    server = EmbeddedPostgres(folder.postgres, port, "guessed", passwords=dict.fromkeys(ROLES, "guessed"))
    for database, role in (*ACCESS, ("postgres", "postgres")):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn(database, role))
    for database, role in ACCESS:
        with_its_file = server.dsn(database, role).replace(":guessed@", "@")
        await (await asyncpg.connect(with_its_file, passfile=folder.passfile_of(role))).close()


def test_a_folder_with_something_else_in_it_is_refused(terminal: Terminal) -> None:
    terminal.data.mkdir()
    (terminal.data / "thesis.txt").touch()
    result = subprocess.run(terminal.command, capture_output=True, encoding="utf-8", check=False, timeout=HANGING)
    assert result.returncode == 1
    assert "holds something else (thesis.txt): choose an empty folder with --data" in result.stderr
