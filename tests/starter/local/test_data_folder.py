"""The data folder of `connect up`: nobody else's things, one at a time, secrets that stay, and nothing left running."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from starter.local.children import StartFailed, birth
from starter.local.data_folder import DataFolder
from starter.local.ports import free_port, is_free, who_listens

SOMEBODY = 54321  # a user of this machine

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_new_folder_is_private_and_so_are_its_secrets(path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        passwords = folder.make_passwords(["sip_prov", "sip_daemon"])
        files = [folder.token, folder.master_key, *map(folder.passfile_of, passwords)]
        for file in files:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert len(file.read_text(encoding="utf-8").strip()) >= 32
        assert len({file.read_text(encoding="utf-8") for file in files}) == 4
        assert passwords["sip_prov"] == folder.password_of("sip_prov")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "passwords").stat().st_mode) == 0o700


def test_secrets_stay_from_one_start_to_the_next(path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        token, passwords = folder.token.read_text(encoding="utf-8"), folder.make_passwords(["connect"])
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        assert folder.token.read_text(encoding="utf-8") == token
        assert folder.make_passwords(["connect"]) == passwords


def test_a_lost_master_key_is_not_silently_replaced(path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        folder.postgres.mkdir()
        (folder.postgres / "PG_VERSION").touch()
        folder.master_key.unlink()
        with pytest.raises(StartFailed, match=r"master-key is missing.*backup"):
            folder.make_secrets()


@pytest.mark.parametrize(("content", "why"), [(b"", "is empty"), (b" \n", "is empty"), (b"\x9a" * 64, "is damaged")])
@pytest.mark.parametrize("name", ["token", "master-key"])
def test_a_file_that_lost_its_secret_is_named_and_left_alone(path: Path, name: str, content: bytes, why: str) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        (path / name).write_bytes(content)
        with pytest.raises(StartFailed, match=rf"{name} {why}.*backup$"):
            folder.make_secrets()
        assert (path / name).read_bytes() == content


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StartFailed, match=r"holds something else \(thesis\.txt\).*--data"), DataFolder.held(path):
        pass
    assert [file.name for file in path.iterdir()] == ["thesis.txt"]


def test_a_folder_of_another_version_is_refused(path: Path) -> None:
    with DataFolder.held(path):
        pass
    (path / "layout").write_text("2\n", encoding="utf-8")
    with pytest.raises(StartFailed, match="has layout '2'"), DataFolder.held(path):
        pass


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_layout_that_is_no_file_is_neither_waited_for_nor_told(path: Path, tmp_path: Path, kind: str) -> None:
    path.mkdir(mode=0o700)
    (tmp_path / "secret").write_text("hunter2", encoding="utf-8")
    if kind == "pipe":
        os.mkfifo(path / "layout")
    else:
        (path / "layout").symlink_to(tmp_path / "secret")
    with pytest.raises(StartFailed, match="layout is no file") as refused, DataFolder.held(path):
        pass
    assert "hunter2" not in str(refused.value)


def test_a_file_is_no_folder(path: Path) -> None:
    path.touch()
    with pytest.raises(StartFailed, match="cannot be the data folder"), DataFolder.held(path):
        pass


def test_only_one_may_have_it(path: Path) -> None:
    with (
        DataFolder.held(path),
        pytest.raises(StartFailed, match=f"already runs on .*process {os.getpid()}"),
        DataFolder.held(path),
    ):
        pass


def test_what_a_killed_predecessor_left_running_is_ended(path: Path) -> None:
    with DataFolder.held(path):
        pass
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (path / "children.json").write_text(json.dumps({"The worker": [left.pid, birth(left.pid)]}), encoding="utf-8")
    with DataFolder.held(path):
        assert left.wait(5) == -15


def test_a_stranger_with_the_number_of_a_dead_child_is_left_alone(path: Path) -> None:
    with DataFolder.held(path):
        pass
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (path / "children.json").write_text(
        json.dumps({"The worker": [stranger.pid, "once upon a time"]}), encoding="utf-8"
    )
    with DataFolder.held(path):
        assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc who stands where")
def test_workers_of_a_daemon_that_was_killed_before_its_supervisor_are_ended(path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.kamailio.mkdir()
    forks = "import os, time; worker = os.fork(); worker and print(worker, flush=True); time.sleep(600)"
    command = [sys.executable, "-c", forks]
    daemon = subprocess.Popen(command, cwd=path / "kamailio", start_new_session=True, stdout=subprocess.PIPE)
    assert daemon.stdout
    with daemon.stdout:
        worker = int(daemon.stdout.readline())
    daemon.kill()
    daemon.wait()
    assert birth(worker), "it outlives the daemon"
    with DataFolder.held(path):
        assert not birth(worker)


def test_a_port_in_use_is_known_with_its_user() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert who_listens(port).endswith(f"(process {os.getpid()})") or sys.platform != "linux"
    assert who_listens(port) == ""


def test_a_folder_that_was_open_to_all_is_private_with_everything_made_in_it(path: Path) -> None:
    path.mkdir(mode=0o755)
    path.chmod(0o755)
    umask = os.umask(0o022)
    try:
        with DataFolder.held(path) as folder:
            subprocess.run(["touch", folder.temporal, folder.logs / "worker.log"], check=True)
            for file in (folder.temporal, folder.logs / "worker.log"):
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert [stat.S_IMODE(place.stat().st_mode) for place in (path, folder.logs)] == [0o700, 0o700]
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(umask)


def test_what_mounting_a_volume_left_there_is_ignored(path: Path) -> None:
    (path / "lost+found").mkdir(parents=True)
    with DataFolder.held(path) as folder:
        folder.make_secrets()
    with DataFolder.held(path):
        assert (path / "lost+found").is_dir()


@pytest.mark.parametrize("place", ["token", "passwords/connect", "logs/worker.log", "children.json"])
def test_a_file_that_others_could_write_to_is_refused(path: Path, place: str) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        folder.make_passwords(["connect"])
    (path / place).touch()
    (path / place).chmod(0o666)
    with pytest.raises(StartFailed, match=rf"{place} is not safe to use: others may write"), DataFolder.held(path):
        pass


def test_whoever_shares_his_files_with_a_group_can_start_again(path: Path) -> None:
    umask = os.umask(0o002)
    try:
        for _ in range(2):
            with DataFolder.held(path) as folder:
                folder.make_secrets()
    finally:
        os.umask(umask)


def test_a_folder_with_files_in_it_that_others_could_change_is_refused(path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
    path.chmod(0o777)
    with pytest.raises(StartFailed, match=r"data is not safe to use: others may write.*--data"), DataFolder.held(path):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o777, "nothing was changed"


def test_a_folder_that_somebody_could_exchange_is_refused(path: Path) -> None:
    path.parent.chmod(0o777)
    with pytest.raises(StartFailed, match=r"Everybody may write to .* `chmod o-w"), DataFolder.held(path):
        pass
    path.parent.chmod(0o1777)  # as /tmp is
    with DataFolder.held(path):
        pass


def test_a_link_in_the_place_of_a_secret_is_refused(path: Path, tmp_path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.token.symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").write_text("chosen by somebody else\n", encoding="utf-8")
        with pytest.raises(StartFailed, match="token is a link, and must be the file itself"):
            folder.make_secrets()


def test_a_secret_that_all_could_read_is_read_by_us_alone_from_then_on(path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        folder.token.chmod(0o644)  # put back from a backup
        folder.make_secrets()
        assert stat.S_IMODE(folder.token.stat().st_mode) == 0o600


@root_only
def test_a_folder_that_another_user_made_with_a_token_of_his_is_refused(open_folder: Path) -> None:
    open_folder.chmod(0o1777)
    data = open_folder / "data"
    as_another("mkdir -m 755 $1 && echo 1 > $1/layout && echo a-token-he-knows-all-about > $1/token", data)
    before = data.stat().st_mode, data.stat().st_mtime_ns, (data / "token").read_bytes()
    theirs = rf"data is not safe to use: it belongs to account {SOMEBODY}.*--data"
    with pytest.raises(StartFailed, match=theirs), DataFolder.held(data):
        pass
    assert (data.stat().st_mode, data.stat().st_mtime_ns, (data / "token").read_bytes()) == before


@root_only
def test_what_another_user_put_into_a_folder_of_ours_is_refused(open_folder: Path) -> None:
    data = open_folder / "data"
    data.mkdir()
    data.chmod(0o777)
    as_another("ln -s /etc/passwd $1/token", data)
    with pytest.raises(StartFailed, match="holds something else"), DataFolder.held(data):
        pass
    as_another("echo 1 > $1/layout", data)
    with pytest.raises(StartFailed, match="others may write to it"), DataFolder.held(data):
        pass
    data.chmod(0o700)
    theirs = rf"(layout|token) is not safe to use: it belongs to account {SOMEBODY}"
    with pytest.raises(StartFailed, match=theirs), DataFolder.held(data):
        pass


@root_only
def test_another_user_can_read_nothing_of_ours(open_folder: Path) -> None:
    with DataFolder.held(open_folder / "data") as folder:
        folder.make_secrets()
        folder.make_passwords(["connect"])
        for file in ("token", "master-key", "passwords/connect"):
            assert as_another("cat $1", folder.path / file, check=False).returncode


def as_another(script: str, path: Path, *, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
    """A shell script that somebody else of this machine runs, who has no right but his own."""
    become = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"]
    return subprocess.run([*become, "sh", "-c", script, "sh", path], check=check, capture_output=True)
