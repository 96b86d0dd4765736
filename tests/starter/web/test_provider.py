"""Keys and configuration of an OpenID provider: looked up when one is new, kept while it is away, believed if the
issuer's."""

import asyncio
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey
from structlog.testing import capture_logs

from starter.errors import ProviderAway
from starter.web.provider import DISCOVERY, FRESH, PAUSE
from tests.support.openid import (
    CLIENT,
    FORGER,
    ISSUER,
    NOW,
    FakeProvider,
    claims,
    rule_of,
    signed,
)


@pytest.fixture
def it() -> FakeProvider:
    return FakeProvider()


async def test_a_new_key_is_found_and_one_that_was_withdrawn_counts_no_longer(it: FakeProvider) -> None:
    openid, old = it.openid(), it.sign()
    assert await rule_of(openid, old) == ""
    key = it.rotate("new")
    it.now += PAUSE
    assert await rule_of(openid, signed(key, claims(), alg="ES256")) == ""
    assert it.requests == {DISCOVERY: 2, "/keys": 2}
    assert await rule_of(openid, old) == "kid"


async def test_of_two_keys_by_one_name_neither_counts(it: FakeProvider) -> None:
    it.keys["another"] = ECKey.import_key(FORGER.as_pem(private=True), {"kid": "ES256"})
    openid = it.openid()
    for key in (it.keys["ES256"], FORGER):
        assert await rule_of(openid, signed(key, claims())) == "kid"
        assert await rule_of(openid, signed(key, claims(exp=NOW - 90))) == "exp"
    assert it.provider.known_key("ES256") is None


async def test_a_flood_of_made_up_keys_asks_the_provider_once(it: FakeProvider) -> None:
    openid, good = it.openid(), it.sign()
    assert await rule_of(openid, good) == ""
    it.now += PAUSE
    made_up = [signed(it.keys["ES256"], claims(), kid=f"made-up-{number}", alg="ES256") for number in range(200)]
    assert {*await asyncio.gather(*(rule_of(openid, token) for token in made_up))} == {"kid"}
    assert it.requests["/keys"] == 2, "one look for all of them"
    it.now += PAUSE - 0.1
    assert await rule_of(openid, made_up[0]) == "kid"
    assert it.requests["/keys"] == 2
    it.now += 0.1
    assert await rule_of(openid, made_up[0]) == "kid"
    assert it.requests["/keys"] == 3


async def test_what_is_of_no_use_anyhow_asks_the_provider_nothing(it: FakeProvider) -> None:
    openid = it.openid()
    for token in (it.sign(exp=NOW - 90), it.sign(iss="https://evil.example"), it.sign(aud="x"), "a.b.c", "no", ""):
        assert await rule_of(openid, token) or await openid.caller(token) is None
    assert not it.requests


async def test_a_provider_that_is_away_turns_no_known_key_bad(it: FakeProvider) -> None:
    openid, good = it.openid(), it.sign()
    assert await rule_of(openid, good) == ""
    it.away = True
    with capture_logs() as logs:
        for _ in range(3):
            it.now += FRESH
            await it.provider.look()
            assert await rule_of(openid, good) == ""
        with pytest.raises(ProviderAway, match="no route to it"):
            await openid.caller(signed(it.keys["ES256"], claims(), kid="unknown", alg="ES256"))
    assert [line["event"] for line in logs] == ["openid_provider_away"], "said once"
    it.away = False
    it.now += PAUSE
    assert await rule_of(openid, signed(it.keys["ES256"], claims(), kid="unknown", alg="ES256")) == "kid"


async def test_unknown_is_not_wrong(it: FakeProvider) -> None:
    it.away = True
    with pytest.raises(ProviderAway):
        await it.openid().caller(it.sign())
    with pytest.raises(ProviderAway):
        await it.provider.endpoint("token_endpoint")


async def test_a_provider_that_hangs_keeps_nobody_waiting_whose_key_is_known(it: FakeProvider) -> None:
    openid, good = it.openid(), it.sign()
    assert await rule_of(openid, good) == ""
    it.now += PAUSE
    it.hangs.clear()
    it.requested.clear()
    strangers = [
        asyncio.create_task(rule_of(openid, signed(FORGER, claims(), kid="unknown", alg="ES256"))) for _ in range(5)
    ]
    await it.requested.wait()
    assert await rule_of(openid, good) == ""
    assert not any(stranger.done() for stranger in strangers)
    strangers[0].cancel()
    it.hangs.set()
    assert await asyncio.gather(*strangers[1:]) == ["kid"] * 4, "who hangs up ends the look for nobody else"
    assert it.requests[DISCOVERY] == 2


async def test_a_look_is_over_after_a_while(it: FakeProvider) -> None:
    it.provider._longest_look = 0.01
    it.hangs.clear()
    with pytest.raises(ProviderAway, match="no answer within"):
        await it.openid().caller(it.sign())


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": f"{ISSUER}/"},
        {"issuer": None},
        {"jwks_uri": None},
        {"token_endpoint": 7},
        {"jwks_uri": "http://id.example/keys"},
        {"userinfo_endpoint": "http://id.example/userinfo"},
        {"userinfo_endpoint": ["https://id.example/userinfo"]},
    ],
)
async def test_a_configuration_that_is_not_the_issuers_counts_for_nothing(
    it: FakeProvider, metadata: dict[str, Any]
) -> None:
    it.metadata |= metadata
    with pytest.raises(ProviderAway):
        await it.openid().caller(it.sign())


@pytest.mark.parametrize("path", [DISCOVERY, "/keys"])
async def test_where_the_provider_sends_us_instead_nobody_is_asked(it: FakeProvider, path: str) -> None:
    it.moved[path] = f"{ISSUER}/elsewhere"
    with pytest.raises(ProviderAway):
        await it.openid().caller(it.sign())
    assert "/elsewhere" not in it.requests


NO_KIND: tuple[object, ...] = ("EC", "RSA", "OKP", "", 5, None, [], {})
NO_KEYS: tuple[object, ...] = (
    *(5, "keys", True, None, {"ES256": {"kty": "EC"}}, [], [5], [None, "k", [], {}]),
    *([{"kty": kty}] for kty in NO_KIND),
    [{"kty": "EC", "crv": "P-256", "x": 5, "y": []}],
    [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}],
    [{"kty": "RSA", "n": "AA", "e": "AA"}],
    [{"kty": "OKP", "crv": ["Ed25519"], "x": "AA"}],
)


@pytest.mark.parametrize("keys", NO_KEYS)
async def test_what_is_published_in_place_of_keys_is_none_and_those_of_before_count_on(
    it: FakeProvider, keys: object
) -> None:
    known, good = it.openid(), it.sign()
    assert await rule_of(known, good) == ""
    it.answers["/keys"] = {"keys": keys}
    it.now += FRESH
    await it.provider.look()
    assert await rule_of(known, good) == ""
    new = FakeProvider()
    new.answers = it.answers
    with pytest.raises(ProviderAway, match="no key that can be used"):
        await new.openid().caller(good)


@pytest.mark.parametrize("answer", [[], 5, None, "keys", {}])
async def test_what_is_no_set_of_keys_at_all_is_none(it: FakeProvider, answer: object) -> None:
    it.answers["/keys"] = answer
    with pytest.raises(ProviderAway):
        await it.openid().caller(it.sign())


async def test_secrets_that_are_published_are_no_keys(it: FakeProvider) -> None:
    it.keys = {"oct": OctKey.generate_key(256, {"kid": "oct"})}
    with pytest.raises(ProviderAway, match="no key that can be used"):
        await it.openid().caller(signed(FORGER, claims(), kid="oct", alg="ES256"))


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("https://id.example/out", "https://id.example/out?client_id="),
        ("https://id.example/out?realm=firm", "https://id.example/out?realm=firm&client_id="),
        ("javascript:alert(1)", ""),
        ("/out", ""),
        (None, ""),
        (["https://id.example/out"], ""),
    ],
)
async def test_the_way_out_at_the_provider_is_an_address_of_the_web(
    it: FakeProvider, place: object, address: str
) -> None:
    it.metadata["end_session_endpoint"] = place
    await it.provider.look()
    way = it.openid().sign_out_address("https://connect.example")
    back = "post_logout_redirect_uri=https%3A%2F%2Fconnect.example%2Fsign-in"
    assert way == (f"{address}{CLIENT}&{back}" if address else "")
