"""What is said of the operator's keys before anything is done with a wrong one."""

from pathlib import Path

from activities.keys.operator_keys import OperatorKeys
from tests.activities.keys.conftest import KEY, Store
from tests.support.service import Service
from tests.support.terminal import Terminal

NEWER = "9a" * 32


def terminal(folder: Path, directory: str, keys: str, operator: str) -> Terminal:
    """A command line with the settings of a process."""
    settings = dict.fromkeys(("DIRECTORY_DSN", "TELEPHONY_DSN", "INTERNET_DSN"), directory)
    settings |= {"KEYS_DSN": keys, "ENCRYPTION_KEYS": operator, "MASTER_KEY": "k" * 32}
    return Terminal(folder, {f"CONNECT_{name}": value for name, value in settings.items() if value})


async def test_the_command_line_checks_and_rotates_keys(store: Store, tmp_path: Path) -> None:
    for name in ("acme", "other"):
        await store.keys().make(name)
    old, new = OperatorKeys.parse(KEY).first, OperatorKeys.parse(NEWER).first
    wrong = await terminal(tmp_path, store.dsn, store.dsn, NEWER).connect("keys", "check")
    assert (wrong.status, f"clients are encrypted under {old} (2 clients)" in wrong.err) == (1, True), wrong
    both = terminal(tmp_path, store.dsn, store.dsn, f"{NEWER},{KEY}")
    checked = await both.json("keys", "check")
    assert (checked["key"], checked["used"], len(checked["problems"])) == (new, {old: 2}, 1)
    assert (await both.json("keys", "rotate"))["used"] == {new: 2}
    right = await terminal(tmp_path, store.dsn, store.dsn, NEWER).connect("keys", "check")
    assert (right.status, right.out) == (0, f"Key {new} (used from now on) opens the keys of 2 clients.\n"), right
    none = await terminal(tmp_path, store.dsn, store.dsn, "").connect("keys", "check")
    assert (none.status, "missing or wrong" in none.err) == (1, True), none


async def test_a_file_that_holds_no_key_is_named_and_not_shown(store: Store, tmp_path: Path) -> None:
    await store.keys().make("acme")
    file, process = tmp_path / "keys", terminal(tmp_path, store.dsn, store.dsn, "")
    process.environment["CONNECT_ENCRYPTION_KEYS_FILE"] = str(file)
    for content in (None, b"", bytes.fromhex(NEWER), NEWER[:40].encode(), NEWER.encode("utf-16"), b"\0" * 64):
        if content is not None:
            file.write_bytes(content)
        wrong = await process.connect("keys", "check")
        named = str(file) in wrong.err or "CONNECT_ENCRYPTION_KEYS" in wrong.err
        assert (wrong.status, wrong.out, named) == (1, "", True), (content, wrong)
        assert not [part for part in (NEWER[:8], "0x9a", "codec") if part in wrong.err], (content, wrong)


async def test_a_worker_with_a_wrong_key_takes_no_task(service: Service, tmp_path: Path) -> None:
    await service.create()
    directory, keys = (it.get_secret_value() for it in (service.settings.directory_dsn, service.settings.keys_dsn))
    for operator in (NEWER, ""):
        worker = await terminal(tmp_path, directory, keys, operator).connect("worker")
        assert (worker.status, "A key of the operator is missing or wrong" in worker.err) == (1, True), worker
        assert "worker_started" not in worker.err
