"""Who sends a request: the token of the settings, compared in memory, an API token, looked up in the directory, or a
token of the OpenID provider, whose signature is checked."""

import asyncio
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from starlette.datastructures import Headers

from starter.contract.callers import Caller
from starter.contract.tokens import digest_of_token, is_token
from starter.directory.tokens import Tokens
from starter.errors import DirectoryAway, StarterError
from starter.web.openid import OpenId

log = structlog.get_logger(__name__)

REMEMBERED = 5.0
"""Seconds that a token counts as valid without another look: for so long one that was revoked may go on elsewhere."""

MOST_REMEMBERED = 10_000
MINUTE = 60.0
ADMIN = "api"
"""Who comes with the token of the settings, in the history."""


class Callers:
    """Finds out who calls. The token of the settings costs no look at the database."""

    def __init__(
        self,
        tokens: Tokens,
        token: str,
        clock: Callable[[], float] = time.monotonic,
        openid: OpenId | None = None,
    ) -> None:
        self._tokens, self._token, self._clock, self._openid = tokens, token, clock, openid
        self._known: dict[bytes, tuple[float, Caller, datetime | None]] = {}
        self._used: dict[str, float] = {}
        self._noting: set[asyncio.Task[None]] = set()

    def is_admin(self, token: str) -> bool:
        """Whether this is the token of the settings."""
        return hmac.compare_digest(token.strip().encode(errors="replace"), self._token.encode())

    async def of(self, headers: Headers) -> Caller | None:
        """The caller by the header Authorization; None without a valid token. Raises DirectoryAway when it takes the
        directory to tell, and of a token of the OpenID provider InvalidToken, NotAllowed, ProviderAway."""
        scheme, _, sent = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        caller = await self.with_token(sent)
        return await self._openid.caller(sent) if caller is None and self._openid else caller

    async def knows(self, headers: Headers) -> bool:
        """Whether somebody still comes with a valid token, for what lasts; not while that cannot be told."""
        try:
            return await self.of(headers) is not None
        except StarterError:
            return False

    async def with_token(self, sent: str) -> Caller | None:
        """Whose token of ours this is; None for one that is not valid. Raises DirectoryAway."""
        if self.is_admin(sent):
            return Caller(ADMIN)
        text = sent.strip()
        if not is_token(text):
            return None
        digest, now = digest_of_token(text), self._clock()
        until, caller, expires_at = self._known.get(digest, (0.0, None, None))
        if caller is None or until <= now:
            found = await self._tokens.caller(text)
            if found is None:
                self._known.pop(digest, None)
                return None
            caller, expires_at = found
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[digest] = (now + REMEMBERED, caller, expires_at)
        if expires_at is not None and expires_at <= datetime.now(UTC):
            return None
        self._note_use(caller.token_id, now)
        return caller

    def forget(self, token_id: str) -> None:
        """Look at a token anew: it was revoked just now."""
        self._known = {digest: it for digest, it in self._known.items() if it[1].token_id != token_id}

    def _note_use(self, token_id: str, now: float) -> None:
        """Have its last use written down, at most once a minute, while the answer goes on."""
        if now - self._used.get(token_id, -MINUTE) < MINUTE:
            return
        self._used[token_id] = now
        task = asyncio.get_running_loop().create_task(self._write_use(token_id))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _write_use(self, token_id: str) -> None:
        try:
            await self._tokens.note_use(token_id)
        except DirectoryAway as away:
            log.warning("token_use_not_noted", token_id=token_id, error=str(away))
