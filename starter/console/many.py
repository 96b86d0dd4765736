"""One command to many clients: what it would do to each, and doing it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from starter.clients import ClientService
from starter.errors import Away, NoSuchClient, StarterError
from workflows.domain.errors import Refusal
from workflows.wire.messages import AnyMessage

AT_ONCE = 8  # clients asked at the same time


@dataclass
class ManyAnswers:
    """What became of a command: who changed, who had no need to, with why, and who refused, with why."""

    changed: list[str] = field(default_factory=list)
    unchanged: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def sentences(self, done: str) -> str:
        """How many there are of each: ``3 clients were suspended. 1 client stays as it is.``"""
        counts = (
            (self.changed, f"was {done}", f"were {done}"),
            (self.unchanged, "stays as it is", "stay as they are"),
            (self.refused, f"was not {done}", f"were not {done}"),
        )
        return " ".join(
            f"1 client {one}." if len(who) == 1 else f"{len(who)} clients {several}."
            for who, one, several in counts
            if who
        )


async def command_many(clients: ClientService, client_ids: Iterable[str], message: AnyMessage) -> ManyAnswers:
    """Give each of these clients the command. Once something is away, the others are not asked any more."""
    answers, gate, away = ManyAnswers(), asyncio.Semaphore(AT_ONCE), ""

    async def one(client_id: str) -> None:
        nonlocal away
        async with gate:
            if away:
                answers.refused.append((client_id, away))
                return
            try:
                answer = await clients.command(client_id, message)
                if answer.changed:
                    answers.changed.append(client_id)
                else:
                    answers.unchanged.append((client_id, answer.message))
            except NoSuchClient:
                answers.refused.append((client_id, "There is no such client."))
            except (StarterError, Refusal) as refused:
                answers.refused.append((client_id, str(refused)))
                away = str(refused) if isinstance(refused, Away) else away

    await asyncio.gather(*map(one, client_ids))
    return answers
