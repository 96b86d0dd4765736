"""API tokens in the directory: only their digests are kept there."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starter.contract.callers import Caller, Role
from starter.contract.tokens import NewToken, Token, TokenGiven, TokenPage, digest_of_token, new_token
from starter.directory.paging import DirectoryDatabase
from starter.errors import NoSuchToken, TokenNameTaken
from workflows.domain.dates import first_instant
from workflows.domain.errors import InvalidField
from workflows.domain.text import folded

COLUMNS = "token_id, name, role, sites, sources, created_at, created_by, expires_at, last_used_at, revoked_at"
GOOD = "t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())"

_ADD = f"""
INSERT INTO tokens (token_id, name, key, role, sources, sites, digest, created_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"""  # noqa: S608  # column names
_GOOD = f"SELECT token_id, name, role, sites, sources, expires_at FROM tokens t WHERE {GOOD}"  # noqa: S608  # see above
_FIND, _LIVING = f"{_GOOD} AND digest = $1", f"{_GOOD} AND token_id = $1"
_LIST = f"SELECT {COLUMNS} FROM tokens WHERE revoked_at IS NULL ORDER BY key, token_id"  # noqa: S608  # see above
_ONE = f"SELECT {COLUMNS} FROM tokens WHERE token_id = $1"  # noqa: S608  # see above
_REVOKE = f"""
UPDATE tokens SET revoked_at = coalesce(revoked_at, now()), revoked_by = CASE WHEN revoked_at IS NULL THEN $2
  ELSE revoked_by END
WHERE token_id = $1 RETURNING {COLUMNS}"""  # noqa: S608  # see above
_USED = """
UPDATE tokens SET last_used_at = date_trunc('minute', now())
WHERE token_id = $1 AND (last_used_at IS NULL OR last_used_at < date_trunc('minute', now()))"""


class Tokens:
    """The tokens. Its methods raise DirectoryAway when the database does not answer."""

    def __init__(self, database: DirectoryDatabase) -> None:
        self._database = database

    async def create(self, token: TokenGiven, by: str, longest: timedelta | None = None) -> NewToken:
        """A new token, with its secret, which nobody sees again. ``longest``: how long it may be valid; None: for ever.
        Raises TokenNameTaken, InvalidField."""
        now, ends = datetime.now(UTC), token.expires_at
        if ends is not None and not isinstance(ends, datetime):
            ends = first_instant(ends + timedelta(days=1), "UTC")
        if ends is not None and ends <= now:
            raise InvalidField("A token must expire in the future", "Give a later one", field="expires_at")
        if longest is not None and (ends is None or ends > now + longest):
            last = (now + longest).date() - timedelta(days=1)
            raise InvalidField(
                f"Who signs in at an OpenID provider makes tokens that are valid for {longest.days} days at most",
                f"Give a day up to {last}",
                field="expires_at",
            )
        await self._check_sites(token.sites)
        sources = token.sources or ([token.name] if token.role is Role.SERVICE else [])
        token_id, text = new_token()
        rows = await self._database.write(
            _ADD,
            *(token_id, token.name, folded(token.name), token.role.value, sources, token.sites),
            *(digest_of_token(text), by, ends),
        )
        # a write that was sent twice, as its answer was lost, finds its own first row in the way
        rows = rows or await self._database.read(_ONE, token_id)
        if not rows:
            raise TokenNameTaken(
                f"There is a token {token.name} already", "Choose another name, or revoke that one first", field="name"
            )
        return NewToken(**dict(rows[0]), token=text)

    async def every(self) -> TokenPage:
        """Those that are not revoked, by name; expired ones too."""
        items = [Token(**row) for row in await self._database.read(_LIST)]
        return TokenPage(items=items, next=None, total=len(items))

    async def one(self, token_id: str) -> Token:
        """A token, revoked or not. Raises NoSuchToken."""
        return _only(await self._database.read(_ONE, token_id), token_id)

    async def revoke(self, token_id: str, by: str) -> Token:
        """Revoke a token. One that is revoked stays as it is. Raises NoSuchToken."""
        return _only(await self._database.write(_REVOKE, token_id, by), token_id)

    async def caller(self, text: str) -> tuple[Caller, datetime | None] | None:
        """Whose token this is, and until when it is valid; None for one that is unknown, expired or revoked."""
        rows = await self._database.read(_FIND, digest_of_token(text))
        return (caller_of_row(rows[0]), rows[0]["expires_at"]) if rows else None

    async def living(self, token_id: str) -> Caller | None:
        """Whose token has this id; None for one that is unknown, expired or revoked."""
        rows = await self._database.read(_LIVING, token_id)
        return caller_of_row(rows[0]) if rows else None

    async def note_use(self, token_id: str) -> None:
        """Write down that a token was used in this minute."""
        await self._database.write(_USED, token_id)

    async def _check_sites(self, sites: list[str] | None) -> None:
        rows = await self._database.read("SELECT site_id FROM sites WHERE site_id = ANY($1)", sites or [])
        known = {row["site_id"] for row in rows}
        if missing := [site for site in sites or () if site not in known]:
            raise InvalidField(f"There is no site {missing[0]!r}", "Give existing sites", field="sites")


def caller_of_row(row: Mapping[str, Any]) -> Caller:
    """The caller whose token a row is, or, without one, whose session that an OpenID provider vouches for."""
    sites, token_id = None if row["sites"] is None else tuple(row["sites"]), row["token_id"] or ""
    return Caller(row["name"], Role(row["role"]), sites, tuple(row["sources"]), token_id, openid=not token_id)


def _only(rows: list[Any], token_id: str) -> Token:
    if not rows:
        raise NoSuchToken(token_id)
    return Token(**rows[0])
