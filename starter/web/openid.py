"""OpenID Connect: tokens that an OpenID provider signed, and which caller comes with one (RFC 7519, RFC 9068).

A token counts only with every rule kept: its issuer, audience and times, its kind, a signature by a key that the
provider publishes. Who comes with it, and in which role, is read from its claims by the table in the settings.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from joserfc import jws
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError, MissingClaimError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jws import CompactSignature, JWSRegistry
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry
from pydantic import StringConstraints, TypeAdapter, ValidationError

from activities.openid_settings import OpenIdSettings
from starter.contract.callers import Caller, Role
from starter.errors import ExpiredToken, InvalidToken, NotAllowed
from starter.web.provider import Key, Provider
from workflows.domain.holds import EVERY_SOURCE
from workflows.domain.text import folded
from workflows.wire.fields import Word
from workflows.wire.grammar import LINE

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"),
    *("EdDSA", "Ed25519"),
)
"""Signatures by a private key alone: never ``none``, and never a secret that a public key could be taken for."""

ACCESS_TOKENS = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
ID_TOKENS = frozenset({"", "jwt"})
"""The kinds (``typ``) that each may say to be. An ID token shows who signed in, and opens nothing."""

MIGHT = (Role.ADMIN, Role.OPERATOR, Role.SERVICE, Role.VIEWER)
PREFIX = "oidc:"
BY_SUBJECT = "sub="
ALL_SITES = "*"
SPACED = ("scope", "scp")  # RFC 8693, section 4.2; what Microsoft's tokens call it
MOST = 100  # sites or sources of one caller

NAME: TypeAdapter[str] = TypeAdapter(Annotated[str, StringConstraints(min_length=1, max_length=150), LINE])
WORD: TypeAdapter[str] = TypeAdapter(Word)

EXPIRED = "it has expired"
WRONG = {
    "iss": "it is of another issuer",
    "aud": "it is not for this service",
    "exp": "it says no time at which it ends",
    "nbf": "it is not valid yet",
    "iat": "it was issued in the future",
    "sub": "its subject is no text",
    "nonce": "it is the answer to another sign-in",
}


class _Signatures(JWSRegistry):
    def get_alg(self, name: str) -> JWSAlgModel:
        """The algorithm of this name, without a warning of ``EdDSA``, as RFC 8037 called it before RFC 9864."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


class OpenId:
    """Finds out who comes with a token of the provider's."""

    def __init__(
        self, settings: OpenIdSettings, provider: Provider | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings, self._clock = settings, clock
        self.provider = provider or Provider(settings.oidc_issuer)
        self.client_secret = settings.read_oidc_client_secret()
        self._registry = _Signatures(strict_check_header=False)

    @property
    def signs_in(self) -> bool:
        """Whether people sign in there."""
        return bool(self.settings.oidc_client_id)

    def sign_out_address(self, home: str) -> str:
        """Where who signed out here signs out there, too, and comes back from (RP-Initiated Logout 1.0); empty where
        there is no such place."""
        place = self.provider.metadata.get("end_session_endpoint")
        if not isinstance(place, str) or not place.startswith(("https://", "http://")):
            return ""
        query = {"client_id": self.settings.oidc_client_id, "post_logout_redirect_uri": f"{home}/sign-in"}
        return f"{place}{'&' if '?' in place else '?'}{urlencode(query)}"

    async def caller(self, text: str) -> Caller | None:
        """Who comes with an access token; None when it is not a token of that kind at all.

        Raises InvalidToken, NotAllowed for a valid one of somebody without a role, and ProviderAway.
        """
        if not self.settings.oidc_audience or text.count(".") != 2:
            return None
        return self.caller_by(await self.claims(text, self.settings.oidc_audience, ACCESS_TOKENS))

    async def claims(self, text: str, audience: str, kinds: frozenset[str], **more: str) -> Mapping[str, Any]:
        """What a token says. Every rule but the signature is looked at first: the provider is asked for no key of a
        token that is of no use anyhow. ``more``: what further claims must be. Raises InvalidToken (ExpiredToken, if the
        provider's known key signed it) and ProviderAway."""
        try:
            token = jws.extract_compact(text.strip().encode())
            header, claims = token.headers(), json.loads(token.payload or b"")
        except (JoseError, ValueError, TypeError, RecursionError):
            raise InvalidToken("JWT", "it cannot be read") from None
        if not isinstance(claims, dict):
            raise InvalidToken("JWT", "it cannot be read")
        if header.get("alg") not in ALGORITHMS:
            raise InvalidToken("alg", "it is not signed by a public algorithm that counts here")
        if str(header.get("typ") or "").lower() not in kinds:
            raise InvalidToken("typ", "it is of another kind")
        if "cnf" in claims:
            raise InvalidToken("cnf", "it is bound to a key, and comes without a proof of that key")
        try:
            self._check(claims, aud=audience, **more)
        except ExpiredToken:
            if (known := self.provider.known_key(header.get("kid"))) is None:
                raise InvalidToken("exp", EXPIRED) from None
            self._check_signature(token, known)
            raise
        self._check_signature(token, await self.provider.key(header.get("kid")))
        return claims

    def _check_signature(self, token: CompactSignature, key: Key) -> None:
        try:
            valid = jws.validate_compact(token, key, registry=self._registry)
        except (JoseError, ValueError, TypeError):
            raise InvalidToken("alg", "it is not signed as that key of the provider's signs") from None
        if not valid:
            raise InvalidToken("signature", "it is not by the provider's key")

    def caller_by(self, claims: Mapping[str, Any]) -> Caller:
        """The caller that claims, which hold, are of. Raises NotAllowed for one without a role, or a name."""
        settings, name = self.settings, self._name(claims)
        table = settings.oidc_role_table
        roles = {Role(table[value]) for value in texts_in(claims, settings.oidc_role_claim) if value in table}
        role = next((role for role in MIGHT if role in roles), None)
        if role is None:
            raise NotAllowed(
                f"Nothing was done: {name} has no role here. Have the provider put a value into the claim "
                f"{settings.oidc_role_claim} that CONNECT_OIDC_ROLES gives a role, or add the value there."
            )
        return Caller(name, role, self._sites(claims, name), self._sources(claims, name, role), openid=True)

    def _check(self, claims: dict[str, Any], **values: str) -> None:
        required = {"iss": self.settings.oidc_issuer, **values}
        options: dict[str, ClaimsOption] = {"exp": {"essential": True}, "sub": {"essential": True}}
        options |= {name: {"essential": True, "value": value} for name, value in required.items()}
        rules = JWTClaimsRegistry(int(self._clock()), self.settings.oidc_skew_seconds, **options)
        try:
            rules.validate(claims)
        except MissingClaimError as missing:
            names = [name for name in WRONG if name in (*required, "exp", "sub") and claims.get(name) is None]
            raise InvalidToken(names[0], f"it lacks {', '.join(names)}") from missing
        except ExpiredTokenError:
            raise ExpiredToken("exp", EXPIRED) from None
        except ClaimError as wrong:
            raise InvalidToken(wrong.claim, WRONG.get(wrong.claim, "it is not well-formed")) from None

    def _name(self, claims: Mapping[str, Any]) -> str:
        """What stands in the history. No two people have the same: a claim that others could choose is never taken for
        a subject."""
        claim = self.settings.oidc_name_claim
        chosen = None if claim == "email" and claims.get("email_verified") is not True else claims.get(claim)
        name = _exactly(chosen)
        if name is not None and claim != "sub" and not folded(name).startswith(BY_SUBJECT):
            return f"{PREFIX}{name}"
        subject = _exactly(claims["sub"])
        if subject is None:
            raise NotAllowed(
                f"Nothing was done: neither {claim} nor sub is a name. Have the provider put one of 1 to 150 "
                f"characters, all of which can be seen, into the claim {claim}."
            )
        return f"{PREFIX}{BY_SUBJECT}{subject}"

    def _sites(self, claims: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
        claim = self.settings.oidc_sites_claim
        sites = texts_in(claims, claim) if claim else [ALL_SITES]
        if not sites or len(sites) > MOST:
            raise NotAllowed(
                f"Nothing was done: {name} has no sites here. Have the provider put the ids of 1 to {MOST} sites, or "
                f"{ALL_SITES} for all, into the claim {claim}."
            )
        return None if ALL_SITES in sites else tuple(sites)

    def _sources(self, claims: Mapping[str, Any], name: str, role: Role) -> tuple[str, ...]:
        if role is not Role.SERVICE:
            return ()
        claim = self.settings.oidc_sources_claim
        words = [_read(WORD, source) for source in (texts_in(claims, claim) if claim else [name])]
        sources = tuple(source for source in words if source and folded(source) != EVERY_SOURCE)[:MOST]
        if not sources:
            raise NotAllowed(
                f"Nothing was done: {name} has the role service, and no source that its holds are of. Name a claim of "
                "the provider's with texts of 1 to 64 characters in CONNECT_OIDC_SOURCES_CLAIM."
            )
        return sources


def texts_in(claims: Mapping[str, Any], path: str) -> list[str]:
    """The texts of a claim: of that very name, or else of one in another (``realm_access.roles``). A list, or one text,
    which of SPACED alone is several with blanks between: elsewhere "not admins" is not "admins"."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return value.split() if path in SPACED else [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _exactly(value: object) -> str | None:
    """A name as it came: two that differ by what cannot be seen would be one otherwise."""
    name = _read(NAME, value)
    return name if name == value else None


def _read(kind: TypeAdapter[str], value: object) -> str | None:
    """A text as people write it, or None."""
    try:
        return kind.validate_python(value) if isinstance(value, str) else None
    except ValidationError:
        return None
