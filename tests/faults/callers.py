"""Callers who write down what they ask and what they hear, and ask again until there is a verdict."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.faults.workload import Request
from tests.support.waiting import eventually

PATIENCE = 300.0  # seconds for one verdict, all restarts included
LONGEST_STANDSTILL = 300.0  # seconds between two kills
QUICKLY = 0.003  # seconds between two looks
PAUSE = 0.1  # seconds before a request is sent again


@dataclass(frozen=True)
class Verdict:
    """What a command was answered for good: done (2xx) or refused (4xx)."""

    status: int
    detail: str
    changed: bool | None = None
    client_id: str = ""

    @classmethod
    def of(cls, answer: httpx2.Response) -> "Verdict | None":
        """None for an answer that leaves it open (5xx)."""
        if answer.is_server_error:
            return None
        document = answer.json()
        if answer.is_success:
            return cls(200, document.get("message", ""), document.get("changed"), document["client_id"])
        return cls(answer.status_code, f"{document['title']}: {document['detail']}")

    @property
    def accepted(self) -> bool:
        return self.status == httpx2.codes.OK


@dataclass
class CallersLog:
    """Everything that was sent and counts, in order, in a file too, and how many requests were begun and answered."""

    file: Path
    started: float = field(default_factory=time.monotonic)
    begun: int = 0
    answered: int = 0
    verdicts: dict[Request, list[Verdict]] = field(default_factory=lambda: defaultdict(list))
    otherwise: dict[Request, Verdict] = field(default_factory=dict)
    """What was answered to another request under the key of one that had its verdict."""
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, what: str, request: Request | None = None, **facts: Any) -> None:
        """Write down one line."""
        self.counts[what] += 1
        line = {
            "at": round(time.monotonic() - self.started, 3),
            "what": what,
            **({"key": request.key} if request else {}),
            **facts,
        }
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def verdict(self, request: Request, verdict: Verdict) -> None:
        self.answered += 1
        self.verdicts[request].append(verdict)
        self.note(
            "accepted" if verdict.accepted else "refused", request, detail=verdict.detail, changed=verdict.changed
        )

    @property
    def accepted(self) -> list[Request]:
        """What was accepted the first time that it was answered."""
        return [request for request, verdicts in self.verdicts.items() if verdicts[0].accepted]

    @property
    def refused(self) -> list[Request]:
        return [request for request, verdicts in self.verdicts.items() if not verdicts[0].accepted]


class Callers:
    """Several callers at once, each asking one thing after another. ``allowed`` is how many they may begin by now;
    ``others`` ask with tokens of these names, and ``api`` with that of the settings."""

    def __init__(
        self, api: httpx2.AsyncClient, log: CallersLog, others: Mapping[str, httpx2.AsyncClient] | None = None
    ) -> None:
        self._api, self._log, self._others = api, log, others or {}
        self.allowed = 0.0

    async def work(self, turns: list[list[Request]]) -> None:
        """Have every caller ask all of its requests."""
        async with asyncio.TaskGroup() as group:
            for requests in turns:
                group.create_task(self._send_all(requests))

    async def _send_all(self, requests: list[Request]) -> None:
        for request in requests:
            await eventually(lambda: self._log.begun < self.allowed, LONGEST_STANDSTILL, QUICKLY)
            self._log.begun += 1
            self._log.verdict(request, await self.verdict_on(request))
            if len(self._log.verdicts[request]) > 1:  # its caller is one that asks again
                self._log.otherwise[request] = await self.verdict_on(request.otherwise)

    async def in_the_middle(self, begun: int, answered: int) -> None:
        """Let the callers begin so many requests, and wait until they have, and so many are answered."""
        self.allowed = begun
        await eventually(
            lambda: self._log.begun >= begun and self._log.answered >= answered, LONGEST_STANDSTILL, QUICKLY
        )

    async def verdict_on(self, request: Request) -> Verdict:
        """Send a request until it has a verdict, always with the same key and body."""

        async def answered() -> Verdict | None:
            headers = {"Idempotency-Key": request.key}
            self._log.note("sent", request, method=request.method, path=request.path, body=request.body)
            try:
                caller = self._others.get(request.by, self._api)
                answer = await caller.request(request.method, request.path, json=request.body, headers=headers)
            except httpx2.TransportError as lost:
                self._log.note("lost", request, why=type(lost).__name__)
                return None
            if (verdict := Verdict.of(answer)) is None:
                self._log.note(f"answered {answer.status_code}", request, detail=answer.text)
            return verdict

        verdict = await eventually(answered, PATIENCE, PAUSE, f"no verdict on {request}")
        assert verdict is not None
        return verdict
