"""All that a decision asks for, side by side, in one activity."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.bounds import bounded
from workflows.domain.text import safe_text
from workflows.ports import (
    AtOnce,
    Batch,
    BatchAnswers,
    Directory,
    Ensure,
    Evidence,
    Failed,
    Publish,
    Published,
    ServiceSystem,
)

LATE = "Late"

Pace = Callable[[Ensure, Callable[[Ensure], Awaitable[Evidence]]], Awaitable[Evidence]]
"""Carries out an order on a system, or turns it away."""


class SideBySide(AtOnce):
    """The same systems and the same directory as in the worker's other activities, behind the same pace."""

    def __init__(self, systems: ServiceSystem, directory: Directory, pace: Pace) -> None:
        self._systems, self._directory, self._pace = systems, directory, pace

    @activity.defn(name="at_once")
    async def at_once(self, batch: Batch) -> BatchAnswers:
        """Carry out each order. What fails, or is late, says so, and holds up no other."""
        return BatchAnswers(await asyncio.gather(*(self._answer(order, batch.seconds) for order in batch.orders)))

    async def _answer(self, order: Ensure | Publish, seconds: float) -> Evidence | Published | Failed:
        try:
            async with asyncio.timeout(seconds):
                if isinstance(order, Publish):
                    return await self._directory.publish(order)
                return bounded(await self._pace(order, self._systems.ensure), order.subjects)
        except TimeoutError:
            return Failed(LATE, f"no answer within {seconds:g} s")
        except ApplicationError as error:
            return Failed(error.type or type(error).__name__, safe_text(error.message))
        except Exception as error:  # noqa: BLE001  # an adapter may be anybody's: whatever it raises is no trouble of the others
            return Failed(type(error).__name__, safe_text(str(error)))
