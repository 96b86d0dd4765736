"""Connect's API as the canary asks it: like any other caller, on a connection of its own in each round."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2

from activities.canary.judge import Refusal
from activities.settings import Settings
from workflows.domain.provisioning.provisioning import Provisioned

_UNFINISHED = (Provisioned.CHANGING, Provisioned.ATTENTION)
_PAUSE = 0.5  # seconds before a client that nobody waits for is looked at again
_LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


class Refused(Exception):
    """The API did not do what it was asked."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


@dataclass(frozen=True)
class Caller:
    """A caller of the API with its token. ``longest`` is for a whole round, in seconds: its requests have parts of it.

    Every method raises Refused.
    """

    url: str
    token: str = field(repr=False)
    longest: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises ValueError when there is no token."""
        return cls(settings.url.rstrip("/"), settings.read_token(), settings.canary_seconds)

    @asynccontextmanager
    async def session(self) -> AsyncIterator["Api"]:
        own = not self.url.startswith(_LOOPBACK)  # no proxy to this machine
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=None, trust_env=own) as http:
            yield Api(http, self.longest)


class Api:
    """Its requests within one round."""

    def __init__(self, http: httpx2.AsyncClient, longest: float) -> None:
        self._http, self._longest = http, longest

    async def alive(self) -> None:
        """Return when it answers at all, whatever else is away."""
        await self._request("GET", "/healthz", 0.1)

    async def get(self, path: str) -> dict[str, Any]:
        """An answer of the API, which has a fifth of the round."""
        return await self._request("GET", f"/api/v1{path}", 0.2)

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer when the effect is proven, or a fifth of the round is over."""
        clock, seconds = asyncio.get_running_loop().time, max(1, int(0.2 * self._longest))
        end, headers = clock() + seconds, {"Prefer": f"wait={seconds}"}
        view = await self._request("POST", f"/api/v1{path}", 0.5, headers=headers, json=body)
        while view["provisioning"] in _UNFINISHED and clock() < end:  # the API had no place to wait
            await asyncio.sleep(_PAUSE)
            view = await self.get(f"/clients/{view['client_id']}")
        return view

    async def _request(self, method: str, path: str, part: float, **rest: Any) -> dict[str, Any]:
        seconds = part * self._longest
        try:
            async with asyncio.timeout(seconds):
                answer = await self._http.request(method, path, **rest)
            document = answer.json()
        except TimeoutError:
            raise Refused(Refusal(0, "", f"{method} {path} was not answered within {seconds:g} s")) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            why = f"{self._http.base_url} cannot be reached ({type(error).__name__})"
            raise Refused(Refusal(0, "", why)) from error
        except ValueError:  # no JSON
            document = None
        if isinstance(document, dict) and answer.is_success:
            return document
        if isinstance(document, dict) and {"title", "detail"} <= {*document}:
            raise Refused(Refusal(answer.status_code, str(document["title"]), str(document["detail"])))
        why = f"what answers at {self._http.base_url}, with {answer.status_code}, is not Connect"
        raise Refused(Refusal(0, "", why))
