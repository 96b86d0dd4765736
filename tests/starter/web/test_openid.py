"""Claims about tokens of an OpenID provider: which count, by which rule others do not, and who comes with one."""

import asyncio
import base64
import hmac
import json
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import settings as chances
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey
from starlette.datastructures import Headers
from structlog.testing import capture_logs

from activities.openid_settings import RoleName
from starter.contract.callers import Caller, Role, is_anothers
from starter.errors import InvalidToken, NotAllowed
from starter.web.guesses import MOST as GUESSES
from starter.web.openid import ACCESS_TOKENS, ALGORITHMS, ID_TOKENS, MOST
from starter.web.provider import DISCOVERY
from tests.support.away import AppOf
from tests.support.openid import (
    AUDIENCE,
    CLIENT,
    FORGER,
    ISSUER,
    NOW,
    ROLES,
    RSA,
    FakeProvider,
    claims,
    rule_of,
    settings,
    signed,
)


@pytest.fixture
def it() -> FakeProvider:
    return FakeProvider()


@pytest.mark.parametrize(("kid", "alg"), [("RS256", "RS256"), ("RS256", "PS256"), ("ES256", "ES256")])
async def test_a_good_token_is_its_callers(it: FakeProvider, kid: str, alg: str) -> None:
    token = signed(it.keys[kid], claims(), alg=alg)
    assert await it.openid().caller(token) == Caller("oidc:ann", Role.OPERATOR, openid=True)


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
async def test_a_token_by_an_edwards_curve_is_good(it: FakeProvider, alg: str) -> None:
    assert await it.openid().caller(signed(it.keys["EdDSA"], claims(), alg=alg)) is not None


BAD: dict[str, tuple[str, Callable[[FakeProvider], str]]] = {
    "expired": ("exp", lambda it: it.sign(exp=NOW - 61)),
    "without an end": ("exp", lambda it: it.sign(exp=None)),
    "an end that is no number": ("exp", lambda it: it.sign(exp="2099")),
    "too early": ("nbf", lambda it: it.sign(nbf=NOW + 61)),
    "issued in the future": ("iat", lambda it: it.sign(iat=NOW + 61)),
    "of another audience": ("aud", lambda it: it.sign(aud="another-api")),
    "of several others": ("aud", lambda it: it.sign(aud=["another-api", "a-third"])),
    "for the console": ("aud", lambda it: it.sign(aud=CLIENT)),
    "for nobody": ("aud", lambda it: it.sign(aud=None)),
    "of another issuer": ("iss", lambda it: it.sign(iss="https://evil.example")),
    "of an issuer that only begins so": ("iss", lambda it: it.sign(iss=f"{ISSUER}/")),
    "of no issuer": ("iss", lambda it: it.sign(iss=None)),
    "without a subject": ("sub", lambda it: it.sign(sub=None)),
    "unsigned": ("alg", lambda it: signed(it.keys["ES256"], claims(), alg="none")),
    "signed with the public key as a secret": (
        "alg",
        lambda it: by_public_key(it),
    ),
    "by another algorithm than its key's": ("alg", lambda it: header_of(it.sign("ES256"), alg="RS256")),
    "by somebody else": ("signature", lambda it: signed(FORGER, claims())),
    "changed": ("signature", lambda it: part_of(it.sign(), 1, claims(roles=["admins"]))),
    "by a key that nobody knows": ("kid", lambda it: signed(it.keys["ES256"], claims(), kid="unknown")),
    "by a key without a name among several": ("kid", lambda it: signed(it.keys["ES256"], claims(), kid=None)),
    "a token of signing out": ("typ", lambda it: signed(it.keys["ES256"], claims(), typ="logout+jwt")),
    "bound to a key": ("cnf", lambda it: it.sign(cnf={"jkt": "abc"})),
    "with an extension that must be known": (
        "alg",
        lambda it: header_of(it.sign(), crit=["https://evil.example/ext"], **{"https://evil.example/ext": 1}),
    ),
    "no JWT": ("JWT", lambda _: "a.b.c"),
    "a list": ("JWT", lambda it: part_of(it.sign(), 1, [1])),
    "very deep": ("JWT", lambda it: part_of(it.sign(), 1, text="[" * 20_000)),
    "a number that is very long": ("JWT", lambda it: part_of(it.sign(), 1, text='{"exp": ' + "9" * 5_000 + "}")),
}


def by_public_key(it: FakeProvider) -> str:
    """The trick of taking a public key for a shared secret, which joserfc itself refuses to do."""
    text = header_of(it.sign("RS256"), alg="HS256").rpartition(".")[0]
    mark = hmac.digest(RSA.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


def part_of(token: str, place: int, value: Any = None, text: str = "") -> str:
    parts = token.split(".")
    parts[place] = base64.urlsafe_b64encode((text or json.dumps(value)).encode()).rstrip(b"=").decode()
    return ".".join(parts)


def header_of(token: str, **more: Any) -> str:
    head = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    return part_of(token, 0, head | more)


@pytest.mark.parametrize("what", BAD)
async def test_a_token_that_breaks_a_rule_is_nobodys(it: FakeProvider, what: str) -> None:
    rule, make = BAD[what]
    assert await rule_of(it.openid(), make(it)) == rule


@pytest.mark.parametrize("alg", [*ALGORITHMS, "HS256", "HS512", "none", "None", "", None, 7, [], {}])
async def test_only_listed_algorithms_get_as_far_as_a_key(it: FakeProvider, alg: Any) -> None:
    token = header_of(it.sign(), alg=alg)
    known = isinstance(alg, str) and alg in ALGORITHMS
    assert await rule_of(it.openid(), token) in (("signature", "alg") if known else ("alg", "JWT"))
    assert bool(it.requests) == known


async def test_a_key_that_is_for_one_algorithm_signs_by_no_other(it: FakeProvider) -> None:
    key = RSAKey.generate_key(2048, {"kid": "rs"})
    it.keys, openid = {"rs": RSAKey.import_key(key.as_pem(), {"kid": "rs", "alg": "RS256", "use": "sig"})}, it.openid()
    assert await rule_of(openid, signed(key, claims(), alg="PS256")) == "alg"
    assert await rule_of(openid, signed(key, claims(), alg="RS256")) == ""


async def test_a_key_for_encryption_signs_nothing(it: FakeProvider) -> None:
    key = ECKey.generate_key("P-256", {"kid": "enc"})
    it.keys = {"enc": ECKey.import_key(key.as_pem(), {"kid": "enc", "use": "enc"})}
    assert await rule_of(it.openid(), signed(key, claims(), alg="ES256")) == "alg"


async def test_one_key_needs_no_name(it: FakeProvider) -> None:
    del it.keys["RS256"], it.keys["EdDSA"]
    assert await it.openid().caller(signed(it.keys["ES256"], claims(), kid=None)) is not None


@pytest.mark.parametrize("more", [{"exp": NOW - 59}, {"nbf": NOW + 60}, {"iat": NOW + 60}, {"aud": ["x", AUDIENCE]}])
async def test_clocks_may_differ_a_little_and_one_audience_is_enough(it: FakeProvider, more: dict[str, Any]) -> None:
    assert await rule_of(it.openid(), it.sign(**more)) == ""


async def test_how_far_clocks_may_differ_is_a_setting(it: FakeProvider) -> None:
    token = it.sign(exp=NOW - 59)
    assert [await rule_of(it.openid(oidc_skew_seconds=most), token) for most in (0, 59, 60, 300)] == [
        *("exp", "exp", "", "")
    ]


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/AT+JWT"])
async def test_access_tokens_are_written_in_several_ways(it: FakeProvider, typ: str | None) -> None:
    assert await rule_of(it.openid(), signed(it.keys["ES256"], claims(), typ=typ)) == ""


def test_an_access_token_is_no_id_token() -> None:
    assert not {kind for kind in ACCESS_TOKENS if "at+jwt" in kind} & ID_TOKENS


@chances(deadline=None, max_examples=50, derandomize=True, database=None)
@given(
    st.text(max_size=200)
    | st.tuples(*[st.binary(max_size=60)] * 3).map(
        lambda parts: ".".join(base64.urlsafe_b64encode(part).decode() for part in parts)
    )
)
def test_whatever_is_sent_is_refused_and_no_more(text: str) -> None:
    async def judge() -> None:
        openid = FakeProvider().openid()
        try:
            assert await openid.caller(text) is None
        except InvalidToken:
            assert text.count(".") == 2

    asyncio.run(judge())


# -- who it is ------------------------------------------------------------------------------------------------------


def caller(claims_of_token: dict[str, Any], **more: Any) -> Caller:
    return FakeProvider().openid(**more).caller_by(claims(**claims_of_token))


@pytest.mark.parametrize(
    ("claims_of_token", "claim", "role"),
    [
        ({"roles": ["staff", "desk"]}, "roles", Role.OPERATOR),
        ({"roles": ["other", "staff", "admins"]}, "roles", Role.ADMIN),
        ({"roles": ["staff", "billing"]}, "roles", Role.SERVICE),
        ({"roles": "staff"}, "roles", Role.VIEWER),
        ({"scope": "openid desk"}, "scope", Role.OPERATOR),
        ({"scp": "staff desk"}, "scp", Role.OPERATOR),
        ({"scp": ["staff", "desk"]}, "scp", Role.OPERATOR),
        ({"realm_access": {"roles": ["desk"]}}, "realm_access.roles", Role.OPERATOR),
        ({"https://firm.example/roles": ["desk"]}, "https://firm.example/roles", Role.OPERATOR),
    ],
)
def test_the_role_is_what_the_table_makes_of_the_claim(claims_of_token: dict[str, Any], claim: str, role: Role) -> None:
    assert caller({"roles": None} | claims_of_token, oidc_role_claim=claim).role is role


@pytest.mark.parametrize("roles", [None, [], ["Admins"], "admins2", ["admin"], {"admins": True}, 7, [["admins"]], ""])
def test_nobody_has_a_role_that_the_table_does_not_give(roles: Any) -> None:
    with pytest.raises(NotAllowed, match=r"oidc:ann has no role here.*CONNECT_OIDC_ROLES"):
        caller({"roles": roles})


@pytest.mark.parametrize("text", ["not admins", "admins not", "admins ", "staff\tadmins", "admins,staff", "a admins b"])
def test_a_text_with_blanks_is_one_value_but_of_scopes(text: str) -> None:
    for claims_of_token, claim in (
        ({"roles": text}, "roles"),
        ({"roles": [text]}, "roles"),
        ({"realm": {"scope": text}}, "realm.scope"),
        ({"scope": [text]}, "scope"),
    ):
        with pytest.raises(NotAllowed, match="has no role here"):
            caller({"roles": None} | claims_of_token, oidc_role_claim=claim)


@pytest.mark.parametrize(
    ("claims_of_token", "claim", "name"),
    [
        ({}, "preferred_username", "oidc:ann"),
        ({"preferred_username": None}, "preferred_username", "oidc:sub=4711"),
        ({"preferred_username": "sub=1"}, "preferred_username", "oidc:sub=4711"),
        ({"preferred_username": "SUB=4711"}, "preferred_username", "oidc:sub=4711"),
        ({"preferred_username": "a\u202eb"}, "preferred_username", "oidc:sub=4711"),
        ({"preferred_username": "a" * 151}, "preferred_username", "oidc:sub=4711"),
        ({"preferred_username": " ann"}, "preferred_username", "oidc:sub=4711"),
        ({"preferred_username": "e\u0301va"}, "preferred_username", "oidc:sub=4711"),
        ({"preferred_username": ["ann"]}, "preferred_username", "oidc:sub=4711"),
        ({}, "sub", "oidc:sub=4711"),
        ({"email": "ann@firm.example", "email_verified": True}, "email", "oidc:ann@firm.example"),
        ({"email": "ann@firm.example", "email_verified": "true"}, "email", "oidc:sub=4711"),
        ({"email": "ann@firm.example"}, "email", "oidc:sub=4711"),
    ],
)
def test_the_name_is_one_that_nobody_else_can_have(claims_of_token: dict[str, Any], claim: str, name: str) -> None:
    found = caller(claims_of_token, oidc_name_claim=claim)
    assert found.name == name
    assert is_anothers(found.name)


@pytest.mark.parametrize("subject", ["", " 4711", "a" * 151, "a\nb"])
def test_who_has_no_name_at_all_does_nothing(subject: str) -> None:
    with pytest.raises(NotAllowed, match="is a name"):
        caller({"preferred_username": None, "sub": subject})


@pytest.mark.parametrize(
    ("sites", "seen"),
    [(["york"], ("york",)), ("york", ("york",)), ("york leeds", ("york leeds",)), ("*", None), (["york", "*"], None)],
)
def test_sites_are_the_claims(sites: Any, seen: tuple[str, ...] | None) -> None:
    assert caller({"sites": sites}, oidc_sites_claim="sites").sites == seen


@pytest.mark.parametrize("sites", [None, [], 7, [7], ["york"] * (MOST + 1)])
def test_without_sites_where_they_are_asked_for_nobody_sees_all(sites: Any) -> None:
    with pytest.raises(NotAllowed, match=r"has no sites here.*claim sites"):
        caller({"sites": sites}, oidc_sites_claim="sites")


@pytest.mark.parametrize(
    ("claims_of_token", "more", "sources"),
    [
        ({}, {}, ("oidc:ann",)),
        ({"sources": ["billing", "All", ""]}, {"oidc_sources_claim": "sources"}, ("billing",)),
    ],
)
def test_a_service_has_its_own_sources(
    claims_of_token: dict[str, Any], more: dict[str, Any], sources: tuple[str, ...]
) -> None:
    assert caller({"roles": ["billing"]} | claims_of_token, **more).sources == sources
    with pytest.raises(NotAllowed, match="no source"):
        caller({"roles": ["billing"], "sources": ["all"]}, oidc_sources_claim="sources")


def test_a_service_has_so_many_sources_at_most() -> None:
    sources = [f"source-{number}" for number in range(2 * MOST)]
    assert len(caller({"roles": ["billing"], "sources": sources}, oidc_sources_claim="sources").sources) == MOST


def test_the_settings_name_the_roles_that_there_are() -> None:
    assert {*get_args(RoleName)} == {role.value for role in Role} == {*ROLES.values()}


# -- over HTTP ------------------------------------------------------------------------------------------------------


@pytest.fixture
def away(it: FakeProvider) -> AppOf:
    app = AppOf({"crm": Caller("crm", Role.VIEWER, token_id="t")})
    app.app.state.callers._openid = app.app.state.openid = it.openid()
    return app


async def test_a_token_is_let_in_as_far_as_its_role_goes(it: FakeProvider, away: AppOf) -> None:
    viewer = {"Authorization": f"Bearer {it.sign(roles=['staff'])}"}
    async with away.calling() as api:
        seen = await api.get("/api/v1/sites", headers=viewer)
        refused = await api.post("/api/v1/clients/some/suspend", headers=viewer, json={})
    assert seen.status_code == 503, "nothing is behind this app"
    assert (refused.status_code, "oidc:ann has the role viewer" in refused.text) == (403, True)


@pytest.mark.parametrize("path", ["/api/v1/sites", "/clients.csv"])
async def test_the_rule_is_said_and_nothing_of_the_token(it: FakeProvider, away: AppOf, path: str) -> None:
    token = it.sign(exp=NOW - 90)
    with capture_logs() as logs:
        async with away.calling() as api:
            answer = await api.get(path, headers={"Authorization": f"Bearer {token}", "Accept": "*/*"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token", error_description="exp: it has expired"'
    assert "it has expired (exp)" in answer.json()["detail"]
    assert not any(part in f"{answer.text}{logs}" for part in token.split("."))


@pytest.mark.parametrize("path", ["/api/v1/sites", "/clients.csv"])
async def test_a_token_of_the_providers_own_that_has_expired_is_no_guess(
    it: FakeProvider, away: AppOf, path: str
) -> None:
    await it.provider.look()
    expired = it.sign(exp=NOW - 90)
    forged = signed(FORGER, claims(exp=NOW - 90))
    unknown = signed(FORGER, claims(exp=NOW - 90), kid="unknown", alg="ES256")

    async def tried(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Accept": "*/*"}
        async with away.calling() as api:
            return (await api.get(path, headers=headers)).status_code

    assert {await tried(expired) for _ in range(2 * GUESSES)} == {401}
    guessed = [await tried(token) for token in (forged, unknown) * GUESSES]
    assert guessed == [401] * GUESSES + [429] * GUESSES
    assert await tried(expired) == 401, "whoever guesses at the same address keeps nobody from renewing"
    assert it.requests["/keys"] == 1


@pytest.mark.parametrize("path", ["/api/v1/sites", "/clients.csv"])
async def test_who_has_no_role_is_told_how_to_get_one(it: FakeProvider, away: AppOf, path: str) -> None:
    async with away.calling() as api:
        answer = await api.get(path, headers={"Authorization": f"Bearer {it.sign(roles=[])}", "Accept": "*/*"})
    assert (answer.status_code, "CONNECT_OIDC_ROLES" in answer.json()["detail"]) == (403, True)


async def test_tokens_of_ours_ask_the_provider_nothing(it: FakeProvider, away: AppOf) -> None:
    it.away = True
    async with away.calling("crm") as api, away.calling() as admin:
        assert (await api.get("/api/v1/sites")).status_code == 503
        assert (await admin.get("/api/v1/sites")).status_code == 503
        wrong = await api.get("/api/v1/sites", headers={"Authorization": "Bearer connect_wrong"})
        unknown = await api.get("/api/v1/sites", headers={"Authorization": f"Bearer {it.sign()}"})
    assert not {*it.requests} - {DISCOVERY}
    assert it.requests[DISCOVERY] == 1, "for the one token of its own"
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, "Bearer")
    assert (unknown.status_code, unknown.json()["title"]) == (503, "Provider away")


@pytest.mark.parametrize("more", [{"oidc_audience": ""}])
async def test_an_api_that_is_no_audience_takes_no_token(it: FakeProvider, more: dict[str, Any]) -> None:
    assert await it.openid(**more).caller(it.sign()) is None


async def test_a_stream_ends_with_the_token(it: FakeProvider, away: AppOf) -> None:
    callers = away.app.state.callers
    headers = Headers({"Authorization": f"Bearer {it.sign()}"})
    assert await callers.knows(headers)
    it.wall += 400
    assert not await callers.knows(headers)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"oidc_issuer": "http://id.example"}, "https"),
        ({"oidc_issuer": "https://id.example?x=1"}, "no query"),
        ({"oidc_issuer": ""}, "CONNECT_OIDC_ISSUER"),
        ({"oidc_audience": "", "oidc_client_id": ""}, "CONNECT_OIDC_AUDIENCE"),
        ({"oidc_audience": CLIENT}, "audience of its own"),
        ({"oidc_roles": ""}, "nobody a role"),
        ({"oidc_roles": "admins=admin"}, "JSON"),
        ({"oidc_roles": '["admin"]'}, "JSON"),
        ({"oidc_roles": '{"admins": "root"}'}, "viewer, service, operator, admin"),
        ({"oidc_roles": '{"admins": ["admin"]}'}, "viewer, service, operator, admin"),
        ({"oidc_scopes": "profile"}, "openid"),
    ],
)
def test_settings_that_would_let_nobody_in_or_too_many_are_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        settings(**more)
