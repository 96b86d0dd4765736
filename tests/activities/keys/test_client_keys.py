"""Clients' keys: made once, opened by the operator's keys, destroyed for good."""

import asyncio

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from activities.keys import client_keys
from activities.keys.client_keys import KeyDestroyed, KeysAway, KeysMissing
from activities.keys.encryption import OFF
from activities.keys.operator_keys import OperatorKeys
from tests.activities.keys.conftest import KEY, Store

NEWER = "9a" * 32


def same(one: AESGCM | None, other: AESGCM | None) -> bool:
    assert one is not None
    assert other is not None
    return other.decrypt(b"n" * 12, one.encrypt(b"n" * 12, b"text", b""), b"") == b"text"


async def test_processes_that_make_a_clients_key_at_once_have_the_same(store: Store) -> None:
    processes = [store.keys(), store.keys(), store.keys()]
    keys = await asyncio.gather(*(process.make("acme") for process in processes for _ in range(4)))
    assert all(same(keys[0], key) for key in keys)
    assert list(await store.rows()) == ["acme"]


async def test_a_key_in_use_is_read_once_and_memory_has_a_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_keys, "CACHED", 2)
    keys, database = store.keys(), store.databases[0]
    for name in ("a", "b", "a", "b"):
        await keys.make(name)
    before = len(database.statements)
    assert before == 3  # the check, and one for each
    await keys.find("a")
    await keys.make("c")  # takes the place of b, which was used longest ago
    assert (keys.cached("a") is not None, keys.cached("b"), len(database.statements)) == (True, None, before + 1)
    database.away = True
    assert await keys.find("a")
    with pytest.raises(KeysAway, match=r"keys 0 database .* does not give clients' keys: ConnectionRefusedError"):
        await keys.find("b")


async def test_a_destroyed_key_is_gone_and_never_made_again(store: Store) -> None:
    keys, other = store.keys(), store.keys()
    await keys.make("acme")
    await keys.make("other")
    await keys.destroy(["acme", "never-had-one"])
    await keys.destroy(["acme"])
    for erased in ("acme", "never-had-one"):
        for process in (keys, other):
            with pytest.raises(KeyDestroyed, match=f"Client {erased} was erased"):
                await process.find(erased)
            with pytest.raises(KeyDestroyed):
                await process.make(erased)
    assert same(await keys.find("other"), await other.find("other"))
    assert {*(await other.fresh(["acme", "other", "nobody"]))} == {"other"}
    assert (await store.rows())["acme"][1] is False


async def test_a_process_reads_a_key_anew_after_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, other, later = store.keys(), store.keys(), store.keys()
    monkeypatch.setattr(client_keys, "SECONDS", -1.0)
    await later.make("acme")
    monkeypatch.undo()
    await keys.make("acme")
    await other.destroy(["acme"])
    assert await keys.find("acme")  # from memory, for an hour at most
    with pytest.raises(KeyDestroyed):
        await later.find("acme")


async def test_rotation_brings_all_keys_under_the_newer_one(store: Store) -> None:
    old = store.keys()
    clients = [f"client-{number}" for number in range(3)]
    made = {name: await old.make(name) for name in clients}
    await old.destroy(["client-2"])
    both = store.keys(f"{NEWER},{KEY}")
    assert await both.check() == [
        "2 clients' keys are under an older key of the operator: run `connect keys rotate`",
    ]
    assert (await both.rewrap(), await both.rewrap(), await both.check()) == (2, 0, [])
    alone = store.keys(NEWER)
    assert await alone.check() == []
    for name in clients[:2]:
        assert same(made[name], await alone.find(name))
    with pytest.raises(KeyDestroyed):
        await alone.find("client-2")


@pytest.mark.parametrize("operator", [NEWER, ""])
async def test_a_process_with_a_wrong_key_or_none_says_so_and_makes_nothing(store: Store, operator: str) -> None:
    await store.keys().make("acme")
    wrong = store.process(operator)
    which = f"{OperatorKeys.parse(KEY).first} .1 clients.. Put it into CONNECT_ENCRYPTION_KEYS_FILE"
    with pytest.raises(KeysMissing, match=which):
        await wrong.check()
    if wrong.keys:
        with pytest.raises(KeysAway, match="missing"):
            await wrong.keys.find("acme")
        with pytest.raises(KeysMissing):
            await wrong.keys.make("another")
    assert [*(await store.rows())] == ["acme"]


async def test_a_process_without_a_key_says_what_that_means(store: Store) -> None:
    assert await store.process("").check() == [OFF]


async def test_a_database_without_the_table_says_what_to_do(store: Store) -> None:
    keys = store.keys()
    async with store.databases[0].transaction() as connection:
        await connection.execute("DROP TABLE client_keys")
    with pytest.raises(KeysAway, match="run `connect migrate`"):
        await keys.check()
