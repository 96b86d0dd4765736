"""What a process does beside its own work: begun with it, begun anew when it fails, ended with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
from temporalio.client import RPCTimeoutOrCancelledError
from temporalio.service import RPCError

from activities.database import DRIVER_ERRORS
from activities.errors import safe_message

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before work that failed is begun anew

log = structlog.get_logger(__name__)


@asynccontextmanager
async def background(*works: Callable[[], Awaitable[None]], pause: float = FIRST_PAUSE) -> AsyncIterator[None]:
    """Run each of these while the block runs. One that returns is done; one that fails is reported and begun anew."""
    tasks = [asyncio.create_task(_supervise(work, pause)) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def log_failure(event: str, **fields: str) -> Iterator[None]:
    """Log an error of one round as this event, with these fields, and go on: the next round may go well."""
    try:
        yield
    except DRIVER_ERRORS as error:
        log.warning(event, **fields, error=safe_message(error))
    except (RPCError, RPCTimeoutOrCancelledError) as error:
        log.warning(event, **fields, error=f"{type(error).__name__}: {error}"[:300])
    except Exception as error:  # ours to mend
        log.error(event, **fields, error=type(error).__name__, exc_info=error)


async def _supervise(work: Callable[[], Awaitable[None]], first_pause: float) -> None:
    """The pause doubles while it fails again and again, and is short again for work that ran well for a while."""
    clock, pause = asyncio.get_running_loop().time, first_pause
    while True:
        began = clock()
        try:
            return await work()
        except Exception as error:  # whatever it is, the process lives on, and says so
            if clock() - began > LONGEST_PAUSE:
                pause = first_pause
            log.error("background_work_failed", work=work.__qualname__, again_in_seconds=pause, exc_info=error)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
