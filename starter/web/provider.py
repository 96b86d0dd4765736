"""The OpenID provider: its addresses and its keys, looked at again and again, and at once for a key that is new.

While it is away, what it published last counts. A look is one for all who wait for it, is over within LONGEST_LOOK, and
comes no sooner than PAUSE after the one before: whoever sends tokens with made-up keys neither keeps the provider busy
nor anybody waiting whose key is known.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import httpx2
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from starter.errors import InvalidToken, ProviderAway

FRESH = 300.0  # seconds between two looks: so long counts a key that the provider has withdrawn
PAUSE = 10.0
LONGEST_LOOK = 5.0
DISCOVERY = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
FURTHER = ("userinfo_endpoint",)  # which not every provider has
PUBLIC_KEYS = (RSAKey, ECKey, OKPKey)

Key: TypeAlias = RSAKey | ECKey | OKPKey

log = structlog.get_logger(__name__)


class Provider:
    """What the provider of this issuer publishes (OpenID Connect Discovery 1.0)."""

    def __init__(
        self,
        issuer: str,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        longest_look: float = LONGEST_LOOK,
    ) -> None:
        self.issuer, self.transport, self._clock, self._longest_look = issuer, transport, clock, longest_look
        self._scheme = issuer.partition("//")[0]
        self.metadata: Mapping[str, Any] = {}
        self._keys: list[Key] = []
        self._problem, self._next_look = "it was not asked yet", 0.0
        self._look: asyncio.Task[None] | None = None

    async def key(self, kid: object) -> Key:
        """The key that a token names. Raises InvalidToken, and ProviderAway when nobody can tell."""
        found = self._keys_named(kid)
        if not found:
            await self.look()
            found = self._keys_named(kid)
        if len(found) == 1:
            return found[0]
        if self._problem:
            raise ProviderAway(self._problem)
        raise InvalidToken("kid", "it names no key that the provider publishes")

    def known_key(self, kid: object) -> Key | None:
        """The key that a token names, if it is known: the provider is not asked."""
        found = self._keys_named(kid)
        return found[0] if len(found) == 1 else None

    async def endpoint(self, name: str) -> str:
        """An address of the provider's. Raises ProviderAway while it was never heard of."""
        if not self.metadata:
            await self.look()
        if not self.metadata:
            raise ProviderAway(self._problem)
        return str(self.metadata[name])

    async def keep_looking(self) -> None:
        """Look for ever, that keys which were withdrawn do not go on to count."""
        while True:
            await self.look()
            await asyncio.sleep(PAUSE if self._problem else FRESH)

    async def look(self) -> None:
        """Return when a look is over that was due, or is under way; at once when the last one was just now."""
        if self._look is None:
            if self._clock() < self._next_look:
                return
            self._look = asyncio.create_task(self._fetch())
        await asyncio.shield(self._look)  # whoever hangs up does not end it for the others

    def _keys_named(self, kid: object) -> list[Key]:
        """The keys of that name; without one, the only key there is."""
        return self._keys if kid is None and len(self._keys) == 1 else [key for key in self._keys if key.kid == kid]

    async def _fetch(self) -> None:
        problem = ""
        try:
            async with asyncio.timeout(self._longest_look), httpx2.AsyncClient(transport=self.transport) as http:
                metadata = await _get(http, self.issuer.rstrip("/") + DISCOVERY)
                if metadata.get("issuer") != self.issuer:
                    raise ValueError("its issuer is not the one in CONNECT_OIDC_ISSUER. Write it exactly as it does")
                used = [*ENDPOINTS, *(name for name in FURTHER if metadata.get(name) is not None)]
                if missing := [name for name in used if not isinstance(metadata.get(name), str)]:
                    raise ValueError(f"its configuration lacks {', '.join(missing)}")
                if plain := [name for name in used if not metadata[name].startswith(("https://", self._scheme))]:
                    raise ValueError(f"its configuration has {', '.join(plain)} without TLS")
                keys = _keys_of(await _get(http, metadata["jwks_uri"]))
        except TimeoutError:
            problem = f"no answer within {self._longest_look:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RecursionError) as error:
            problem = f"{error}"[:200] or type(error).__name__
        else:
            self.metadata, self._keys = metadata, keys
        finally:
            self._next_look, self._look = self._clock() + PAUSE, None
        if problem != self._problem and problem:
            log.warning("openid_provider_away", problem=problem, keys_known=len(self._keys))
        self._problem = problem


async def _get(http: httpx2.AsyncClient, address: str) -> Mapping[str, Any]:
    """A JSON object of the provider's. Raises HTTPError, ValueError."""
    answer = await http.get(address, headers={"Accept": "application/json"})
    answer.raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError(f"{address} holds no JSON object")
    return found


def _keys_of(published: Mapping[str, Any]) -> list[Key]:
    """The public keys that we can use. Raises ValueError when there is none."""
    keys = []
    found = published.get("keys")
    for key in found if isinstance(found, list) else []:
        if not isinstance(key, dict):
            continue
        try:
            read = JWKRegistry.import_key(key)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue  # of a kind that is newer than we are (RFC 7517, section 5)
        if isinstance(read, PUBLIC_KEYS):
            keys.append(read)
    if not keys:
        raise ValueError("it publishes no key that can be used")
    return keys
