"""Who is signed in: sessions in our database, begun with the token or with a link made from it.

A cookie carries a random secret; the database has its digest, which takes the token to make: with another token no
session lives. The digest is of the scheme and the host name, too: a session begun behind TLS is nothing without it.
(Not of the User-Agent: whoever is sent the cookie is sent that along with it.) A session that was begun with an API
token is of that token's name, role and sites, and ends with it. One that was begun at an OpenID provider keeps whom the
provider vouched for, and ends soon: then the provider is asked again.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from starlette.requests import Request

from starter.contract.callers import Caller
from starter.directory.paging import DirectoryDatabase
from starter.directory.tokens import GOOD, caller_of_row

COOKIE = "connect_session"
LASTS = timedelta(hours=12)
LINK_LASTS = timedelta(hours=24)
LONGEST_NAME = 60  # characters

_BEGIN = """
WITH tidied AS (DELETE FROM console_sessions WHERE expires_at < now() - interval '2 days')
INSERT INTO console_sessions (session_digest, link_digest, caller, expires_at, token_id, role, sites, sources)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING RETURNING caller"""
_FIND = f"""
SELECT s.caller, least(s.expires_at, t.expires_at) AS expires_at, s.token_id, coalesce(t.name, s.caller) AS name,
  coalesce(t.role, s.role) AS role, coalesce(t.sites, s.sites) AS sites, coalesce(t.sources, s.sources) AS sources
FROM console_sessions s LEFT JOIN tokens t USING (token_id)
WHERE session_digest = $1 AND ended_at IS NULL AND s.expires_at > now() AND (s.token_id IS NULL OR ({GOOD}))"""  # noqa: S608  # put together from constants
_END = "UPDATE console_sessions SET ended_at = now() WHERE session_digest = $1 AND ended_at IS NULL"


def seal(key: bytes, text: str, until: datetime) -> str:
    """The text as a cookie's value or a part of an address, which whoever has the key believes until then."""
    seconds = int(until.timestamp())
    return f"{seconds}.{_signature(key, seconds, text)}.{quote(text, safe='')}"


def unseal(key: bytes, sealed: str, now: datetime) -> str:
    """The text that was sealed with this key; empty for anything else, and when its time is over."""
    until, _, rest = sealed.partition(".")
    signature, _, quoted = rest.partition(".")
    text = unquote(quoted)
    if not until.isdecimal() or not until.isascii() or len(until) > 12 or int(until) < now.timestamp():
        return ""
    return text if hmac.compare_digest(signature.encode(), _signature(key, int(until), text).encode()) else ""


def _signature(key: bytes, until: int, text: str) -> str:
    return hmac.digest(key, f"{until}\0{text}".encode(), "sha256").hex()[:32]


@dataclass(frozen=True)
class Session:
    """One signed-in browser. ``key`` seals what it keeps for us, so that nobody else can have put it there."""

    caller: Caller
    expires_at: datetime
    key: bytes


class Sessions:
    """The sessions of the console. Its methods raise DirectoryAway when the database does not answer."""

    def __init__(self, database: DirectoryDatabase, token: str) -> None:
        self._database, self._token = database, token

    async def begin(
        self,
        name: str,
        at: str,
        link: str | None = None,
        token_id: str = "",
        openid: Caller | None = None,
        lasts: timedelta = LASTS,
    ) -> str | None:
        """The cookie of a new session at an address (``address_of``); None when the link was used before.

        ``token_id``: of the API token that it is begun with. The session has its name, role and sites; it ends with it.
        ``openid``: whom an OpenID provider vouches for, which is believed for as long as the session lasts.
        """
        cookie = secrets.token_urlsafe(32)
        session, digest = self._digest(f"{at}\0{cookie}"), link and self._digest(link)
        begun = await self._database.write(
            *(_BEGIN, session, digest, name, datetime.now(UTC) + lasts, token_id or None),
            *((openid.role.value, openid.sites, openid.sources) if openid else (None, None, [])),
        )
        # a write that was sent twice, as its answer was lost, finds its own first session in the way
        begun = begun or await self._database.read(_FIND, session)
        return cookie if begun else None

    async def find(self, request: Request) -> Session | None:
        """The session that a request belongs to, while it lasts."""
        secret = _secret(request)
        if not secret:
            return None
        rows = await self._database.read(_FIND, self._digest(secret))
        if not rows:
            return None
        row = rows[0]
        caller = caller_of_row(row) if row["role"] else Caller(row["caller"])
        return Session(caller, row["expires_at"], self._digest(f"session\0{secret}"))

    async def end(self, request: Request) -> None:
        """Sign out: the cookie is worth nothing from now on."""
        await self._database.write(_END, self._digest(_secret(request)))

    def _digest(self, secret: str) -> bytes:
        """What the database knows of a secret. It takes the token to make it: with another token, no session lives."""
        return hmac.digest(self._token.encode(), secret.encode(), "sha256")


def cookie_name(request: Request, name: str = COOKIE) -> str:
    """What the session's cookie is called, or another of its kind. Behind TLS its name has browsers take it from this
    very host only, Secure and for every path (RFC 6265bis, section 4.1.3.2: the prefix __Host-)."""
    return f"__Host-{name}" if request.url.scheme == "https" else name


def address_of(request: Request) -> str:
    """What a session is bound to: ``https://connect.example``. No port: cookies know none (RFC 6265, section 8.5)."""
    return f"{request.url.scheme}://{request.url.hostname}"


def _secret(request: Request) -> str:
    """What a browser knows its session by; empty when it has none, or something that never was ours."""
    cookie = request.cookies.get(cookie_name(request), "")
    return f"{address_of(request)}\0{cookie}" if cookie and len(cookie) <= 100 else ""


def link_key(token: str, now: datetime) -> str:
    """What signs its bearer in, once, until LINK_LASTS from now: for the link that `connect up` prints."""
    return seal(_link_secret(token), secrets.token_urlsafe(6), now + LINK_LASTS)


def is_link_key(token: str, key: str, now: datetime) -> bool:
    """Whether a key was made from the token and is not too old. Whether it was used before is the database's to say."""
    return bool(unseal(_link_secret(token), key, now))


def _link_secret(token: str) -> bytes:
    return hmac.digest(token.encode(), b"console link", "sha256")


def sessions_of(request: Request) -> Sessions:
    """The sessions that the app was made with."""
    sessions: Sessions = request.app.state.sessions
    return sessions
