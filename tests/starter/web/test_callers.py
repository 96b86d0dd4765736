"""Claims about finding out whose a token is: what is looked up, for how long it counts, and what is written down."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from starlette.datastructures import Headers

from starter.contract.callers import Caller, Role
from starter.contract.tokens import SECRET_LENGTH, is_token, new_token
from starter.directory.tokens import Tokens
from starter.errors import DirectoryAway
from starter.web.callers import MINUTE, REMEMBERED, Callers

ADMIN = "the-token-of-the-settings"


class FakeTokens:
    """Tokens in memory, with what was asked of them."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[Caller, datetime | None]] = {}
        self.calls: Counter[str] = Counter()
        self.away = False

    def add(self, role: Role = Role.VIEWER, expires_at: datetime | None = None) -> str:
        token_id, text = new_token()
        self.known[text] = (Caller("crm", role, token_id=token_id), expires_at)
        return text

    async def caller(self, text: str) -> tuple[Caller, datetime | None] | None:
        self.calls["caller"] += 1
        if self.away:
            raise DirectoryAway
        return self.known.get(text)

    async def note_use(self, token_id: str) -> None:
        self.calls["used"] += 1
        if self.away:
            raise DirectoryAway


class Fixture:
    def __init__(self) -> None:
        self.tokens, self.now = FakeTokens(), 1000.0
        self.callers = Callers(cast(Tokens, self.tokens), ADMIN, lambda: self.now)

    async def of(self, token: str) -> Caller | None:
        return await self.callers.of(Headers({"Authorization": f"Bearer {token}"}))

    async def noted(self) -> int:
        """How often a use was written down, when all that was begun is done."""
        for task in [*self.callers._noting]:
            await task
        return self.tokens.calls["used"]


@pytest.fixture
def it() -> Fixture:
    return Fixture()


async def test_the_token_of_the_settings_is_known_without_a_look(it: Fixture) -> None:
    it.tokens.away = True
    caller = await it.of(ADMIN)
    assert caller is not None
    assert (caller.name, caller.role, caller.sites) == ("api", Role.ADMIN, None)
    assert not it.tokens.calls


async def test_what_no_token_can_be_is_not_looked_up(it: Fixture) -> None:
    good = it.tokens.add()
    for wrong in ("", "wrong", good[:-1], good[:-1] + ("x" if good[-1] != "x" else "y"), good + "x", good.upper()):
        assert not is_token(wrong)
        assert await it.of(wrong) is None
    assert not it.tokens.calls


async def test_a_token_counts_for_a_few_seconds_and_is_then_looked_up_again(it: Fixture) -> None:
    token = it.tokens.add()
    for _ in range(20):
        assert await it.of(token) is not None
    assert it.tokens.calls["caller"] == 1
    del it.tokens.known[token]
    it.now += REMEMBERED - 0.1
    assert await it.of(token) is not None, "for so long a revoked one may go on in another process"
    it.now += 0.1
    assert await it.of(token) is None


async def test_one_that_was_revoked_here_is_forgotten_at_once(it: Fixture) -> None:
    token, other = it.tokens.add(), it.tokens.add()
    caller = await it.of(token)
    assert caller is not None
    assert await it.of(other) is not None
    del it.tokens.known[token]
    it.callers.forget(caller.token_id)
    assert await it.of(token) is None
    assert await it.of(other) is not None


async def test_one_that_expires_is_good_no_longer_whatever_is_remembered(it: Fixture) -> None:
    token = it.tokens.add(expires_at=datetime.now(UTC) + timedelta(days=1))
    assert await it.of(token) is not None
    [(digest, (until, caller, _))] = it.callers._known.items()
    it.callers._known[digest] = (until, caller, datetime.now(UTC))
    assert await it.of(token) is None


async def test_a_directory_that_is_away_says_nothing_against_a_token(it: Fixture) -> None:
    token = it.tokens.add()
    it.tokens.away = True
    with pytest.raises(DirectoryAway):
        await it.of(token)


async def test_the_last_use_is_written_down_once_a_minute_beside_the_answer(it: Fixture) -> None:
    token = it.tokens.add()
    assert await it.of(token) is not None
    assert it.tokens.calls["used"] == 0, "the answer does not wait for it"
    for _ in range(10):
        it.now += MINUTE / 10 - 0.01
        assert await it.of(token) is not None
    assert await it.noted() == 1
    it.now += 1
    assert await it.of(token) is not None
    assert await it.noted() == 2


async def test_a_use_that_cannot_be_written_down_is_no_trouble(it: Fixture) -> None:
    token = it.tokens.add()
    assert await it.of(token) is not None
    it.tokens.away = True
    assert await it.noted() == 1
    assert await it.of(token) is not None


def test_a_token_can_be_found_by_scanners_and_by_nobody_who_guesses() -> None:
    made = [new_token() for _ in range(200)]
    assert len({text for _, text in made}) == len({token_id for token_id, _ in made}) == 200
    for token_id, text in made:
        assert is_token(text)
        assert text.startswith(f"connect_{token_id}_")
    assert 62**SECRET_LENGTH >= 2**256


def test_a_checksum_finds_every_mistyped_letter() -> None:
    text: str = new_token()[1]
    mistyped: list[Any] = [text[:place] + other + text[place + 1 :] for place in range(8, len(text)) for other in "aZ3"]
    assert not any(is_token(wrong) for wrong in mistyped if wrong != text)
