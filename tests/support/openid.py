"""An OpenID provider in memory: it publishes its keys, signs what it is told to, and counts who asked."""

import asyncio
import base64
import hashlib
import json
import time
import warnings
from collections import Counter
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from activities.openid_settings import OpenIdSettings
from starter.errors import InvalidToken
from starter.web.openid import ALGORITHMS, OpenId
from starter.web.provider import DISCOVERY, Provider
from tests.support.waiting import HANGING

ISSUER, AUDIENCE, CLIENT = "https://id.example/firm", "connect-api", "connect-console"
NOW = 1_800_000_000
ROLES = {"admins": "admin", "desk": "operator", "billing": "service", "staff": "viewer"}
SETTINGS: dict[str, Any] = {
    "oidc_issuer": ISSUER,
    "oidc_audience": AUDIENCE,
    "oidc_client_id": CLIENT,
    "oidc_roles": json.dumps(ROLES),
}

AnyKey: TypeAlias = RSAKey | ECKey | OKPKey | OctKey
CURVE = ECKey.generate_key("P-256", {"kid": "ES256"})
RSA = RSAKey.generate_key(2048, {"kid": "RS256"})
_MADE: dict[str, AnyKey] = {
    "RS256": RSA,
    "ES256": CURVE,
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "EdDSA"}),
}


def settings(**more: Any) -> OpenIdSettings:
    """Settings of an API that this provider vouches for callers of."""
    return OpenIdSettings.model_validate(SETTINGS | more)


def claims(**more: Any) -> dict[str, Any]:
    """What an access token of an operator says; None takes a claim away."""
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "4711",
        "iat": NOW,
        "exp": NOW + 300,
        "preferred_username": "ann",
        "roles": ["desk"],
    }
    return {name: value for name, value in (whole | more).items() if value is not None}


def signed(key: AnyKey, payload: dict[str, Any], **header: Any) -> str:
    """A token that is signed by this key, by the algorithm that it is named for unless told otherwise."""
    head = {"alg": str(key.kid), "kid": str(key.kid), "typ": "at+jwt"} | header
    registry = jws.JWSRegistry(algorithms=[*ALGORITHMS, "none", "HS256"], strict_check_header=False)
    named = {name: value for name, value in head.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is not safe to do is tried here
        return jws.serialize_compact(named, json.dumps(payload), key, registry=registry)


FORGER = ECKey.generate_key("P-256", {"kid": "ES256"})
"""Somebody else's key, under the name of one of the provider's."""


class FakeProvider:
    """What lies behind the provider's addresses. ``away``: none answers; ``hangs``: none does before it is set;
    ``moved``: where a path sends who asks."""

    def __init__(self) -> None:
        self.keys: dict[str, AnyKey] = dict(_MADE)
        self.requests: Counter[str] = Counter()
        self.away, self.hangs = False, asyncio.Event()
        self.hangs.set()
        self.requested = asyncio.Event()
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.codes: dict[str, dict[str, str]] = {}
        self.id_claims: dict[str, Any] = {}
        self.id_typ, self.extra = "JWT", dict[str, Any]()
        self.answers: dict[str, object] = {}
        self.moved: dict[str, str] = {}
        self.info: dict[str, Any] = {}
        self.now, self.wall = 1000.0, float(NOW)
        self.provider = Provider(ISSUER, httpx2.MockTransport(self._answer), lambda: self.now, HANGING)

    def openid(self, **more: Any) -> OpenId:
        """What an API with such settings asks."""
        return OpenId(settings(**more), self.provider, lambda: self.wall)

    def sign(self, kid: str = "ES256", /, **more: Any) -> str:
        """A good token, but for claims that are given."""
        return signed(self.keys[kid], claims(**more))

    def rotate(self, kid: str) -> AnyKey:
        """A new key takes the place of all others; it signs with ES256."""
        self.keys = {kid: ECKey.generate_key("P-256", {"kid": kid})}
        return self.keys[kid]

    def allow(self, address: str, **more: Any) -> str:
        """The way back of a browser that came to this address, and may sign in: ``more`` is what the ID token says."""
        parameters = dict(parse_qsl(urlsplit(address).query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = parameters
        self.id_claims = {"aud": CLIENT, "nonce": parameters["nonce"], "iat": now(), "exp": now() + 300} | more
        return f"{urlsplit(parameters['redirect_uri']).path}?{urlencode({'code': code, 'state': parameters['state']})}"

    def _exchange(self, form: dict[str, str]) -> httpx2.Response:
        """The tokens for a code, which is good once, for who began with it (RFC 7636)."""
        parameters = self.codes.pop(form["code"], {})
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if parameters.get("code_challenge") != challenge.decode() or parameters["redirect_uri"] != form["redirect_uri"]:
            return httpx2.Response(400, json={"error": "invalid_grant", "error_description": "<b>pay at evil</b>"})
        token = signed(self.keys["ES256"], claims(**self.id_claims), typ=self.id_typ)
        return httpx2.Response(200, json={"access_token": "a", "token_type": "Bearer", "id_token": token} | self.extra)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path = str(request.url).removeprefix(ISSUER)
        self.requests[path] += 1
        self.requested.set()
        await self.hangs.wait()
        if self.away:
            raise httpx2.ConnectError("no route to it")
        if path in self.moved:
            return httpx2.Response(307, headers={"location": self.moved[path]})
        if path == DISCOVERY:
            return httpx2.Response(200, json=self.metadata)
        if path in self.answers:
            return httpx2.Response(200, json=self.answers[path])
        if path == "/token":
            return self._exchange(dict(parse_qsl(request.content.decode())))
        if path == "/userinfo":
            return httpx2.Response(200, json=self.info)
        public = [key.as_dict(private=False) for key in self.keys.values()]
        return httpx2.Response(200, json={"keys": [*public, {"kty": "ML-DSA", "kid": "newer than we are"}]})


def now() -> int:
    """The time that a service without a clock of its own takes."""
    return int(time.time())


async def rule_of(openid: OpenId, token: str) -> str:
    """The rule that a token breaks; empty for a good one."""
    try:
        await openid.caller(token)
    except InvalidToken as wrong:
        return wrong.rule
    return ""
