"""The data folder of `connect up`: nobody else's things, one at a time, secrets that stay, and nothing left running."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from starter.children import birth
from starter.data_folder import DataFolder, DataFolderRefused
from starter.listening import free_port, is_free, who_listens


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_new_folder_is_private_and_so_are_its_secrets(path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        for file in (folder.token, folder.master_key, folder.postgres_password):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert len(file.read_text().strip()) >= 32
        assert len({file.read_text() for file in (folder.token, folder.master_key, folder.postgres_password)}) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_secrets_stay_from_one_start_to_the_next(path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        token = folder.token.read_text()
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        assert folder.token.read_text() == token


def test_a_lost_master_key_is_not_silently_replaced(path: Path) -> None:
    with DataFolder.held(path) as folder:
        folder.make_secrets()
        folder.postgres.mkdir()
        (folder.postgres / "PG_VERSION").touch()
        folder.master_key.unlink()
        with pytest.raises(DataFolderRefused, match=r"master-key is missing.*backup"):
            folder.make_secrets()


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("mine")
    with pytest.raises(DataFolderRefused, match=r"holds something else \(thesis\.txt\).*--data"), DataFolder.held(path):
        pass
    assert [file.name for file in path.iterdir()] == ["thesis.txt"]


def test_a_folder_of_another_version_is_refused(path: Path) -> None:
    with DataFolder.held(path):
        pass
    (path / "layout").write_text("2\n")
    with pytest.raises(DataFolderRefused, match="has layout '2'"), DataFolder.held(path):
        pass


def test_a_file_is_no_folder(path: Path) -> None:
    path.touch()
    with pytest.raises(DataFolderRefused, match="cannot be the data folder"), DataFolder.held(path):
        pass


def test_only_one_may_have_it(path: Path) -> None:
    with (
        DataFolder.held(path),
        pytest.raises(DataFolderRefused, match=f"already runs on .*process {os.getpid()}"),
        DataFolder.held(path),
    ):
        pass


def test_what_a_killed_predecessor_left_running_is_ended(path: Path) -> None:
    with DataFolder.held(path):
        pass
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (path / "children.json").write_text(json.dumps({"The worker": [left.pid, birth(left.pid)]}))
    with DataFolder.held(path):
        assert left.wait(5) == -15


def test_a_stranger_with_the_number_of_a_dead_child_is_left_alone(path: Path) -> None:
    with DataFolder.held(path):
        pass
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (path / "children.json").write_text(json.dumps({"The worker": [stranger.pid, "once upon a time"]}))
    with DataFolder.held(path):
        assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


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
