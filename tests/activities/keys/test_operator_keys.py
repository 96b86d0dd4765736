"""The operator's keys: what a file of them may hold, and what they open."""

import pytest

from activities.keys.operator_keys import KeyMissing, OperatorKeys, key_id

NEW, OLD = "4e" * 32, "01d0" * 16


def test_a_key_opens_what_it_was_used_for_and_nothing_else() -> None:
    keys = OperatorKeys.parse(NEW)
    key, wrapped = keys.wrap("acme", b"k" * 32)
    assert (key, keys.unwrap("acme", key, wrapped)) == (keys.first, b"k" * 32)
    assert b"k" * 32 not in wrapped
    with pytest.raises(KeyMissing, match=f"damaged: operator's key {key}"):
        keys.unwrap("other", key, wrapped)  # a row that was moved to another client
    with pytest.raises(KeyMissing, match=f"key {key} is missing"):
        OperatorKeys.parse(OLD).unwrap("acme", key, wrapped)


def test_the_first_key_is_used_and_the_others_open_what_is_older() -> None:
    older, both = OperatorKeys.parse(OLD), OperatorKeys.parse(f"# of this year\n{NEW}  # in the safe\n\n{OLD}\n")
    key, wrapped = older.wrap("acme", b"k" * 32)
    assert both.unwrap("acme", key, wrapped) == b"k" * 32
    assert both.wrap("acme", b"k" * 32)[0] == both.first == key_id(bytes.fromhex(NEW)) != older.first
    assert OperatorKeys.parse(f"{NEW},{OLD}").first == both.first


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "has no key"),
        ("# nothing yet\n", "has no key"),
        (f"{NEW}\n{OLD[:-2]}", "Key 2 "),
        (f"{NEW}ab", "Key 1 "),
        ("passphrase, said in words, sixty-four characters long, not one digit", "Key 1 "),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as refused:
        OperatorKeys.parse(text)
    assert "openssl rand -hex 32" in str(refused.value)
    assert not any(part in str(refused.value) for part in (NEW, OLD[:-2], "words"))


def test_the_id_of_a_key_follows_from_the_key() -> None:
    """A release that computed it otherwise could open nothing."""
    assert key_id(bytes.fromhex(NEW)) == "727490679783b073"
