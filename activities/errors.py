"""What goes wrong with a database, translated once: into errors that tell the server whether to try again.

ApplicationError type   try again   what happened
SystemUnavailable       yes         refused, cut, shut down, or no answer in time
SystemBusy              yes         a lock was not free in time, or a statement took too long
SystemRejected          no          the database understood and said no: a person must look
StaleRevision           no          the system has obeyed a later revision of this client (workflows/ports.py)

An attempt that is not tried again by the server is tried again by the workflow, at its own pace. Texts are for an
on-call engineer: which system, what failed, what to do. Those that come in swarms, while a system is away or
says no, are BENIGN: the worker does not log a traceback for each, we log a line.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.database import DRIVER_ERRORS, Database
from workflows.domain.systems import System
from workflows.ports import STALE_REVISION

SYSTEM_UNAVAILABLE = "SystemUnavailable"
SYSTEM_BUSY = "SystemBusy"
SYSTEM_REJECTED = "SystemRejected"

UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, for as long as a failover takes
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""The database is away. (InterfaceError: the connection closed under our hands.)"""

BUSY = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.TransactionRollbackError)

_REMEDIES: dict[type[Exception], str] = {
    asyncpg.UndefinedTableError: "Run `{PREPARE}`",
    asyncpg.UndefinedColumnError: "Run `{PREPARE}`",
    asyncpg.InsufficientPrivilegeError: "Grant the role what deploy/ lists for it",
    asyncpg.InvalidAuthorizationSpecificationError: "Correct the user or password in CONNECT_{NAME}_DSN",
    asyncpg.InvalidCatalogNameError: "Create the database, or correct CONNECT_{NAME}_DSN",
    asyncpg.ClientConfigurationError: "Correct CONNECT_{NAME}_DSN",
}

log = structlog.get_logger(__name__)


@asynccontextmanager
async def attempt_on(database: Database) -> AsyncIterator[None]:
    """Work on a database for no longer than an operation may take. Raises nothing of the driver's, only our errors."""
    try:
        async with asyncio.timeout(database.operation):
            yield
    except DRIVER_ERRORS as error:
        failure = translated(error, database)
        log.warning("attempt_failed", system=database.name, type=failure.type, error=failure.message)
        raise failure from error


def translated(error: Exception, database: Database) -> ApplicationError:
    """What a driver error means."""
    if isinstance(error, BUSY):
        return ApplicationError(
            f"The {database} is busy: {told(error)}. Somebody holds a lock, or it is overloaded: see pg_stat_activity",
            type=SYSTEM_BUSY,
            category=ApplicationErrorCategory.BENIGN,
        )
    if isinstance(error, UNAVAILABLE) and not isinstance(error, ValueError):
        return ApplicationError(
            f"The {database} is unavailable: {told(error)}. Check that it runs and can be reached from the worker",
            type=SYSTEM_UNAVAILABLE,
            category=ApplicationErrorCategory.BENIGN,
        )
    remedies = (remedy for kind, remedy in _REMEDIES.items() if isinstance(error, kind))
    prepare = "connect migrate" if database.name == System.DIRECTORY else "connect systems prepare"
    remedy = next(remedies, "See the log of the database").format(NAME=database.name.upper(), PREPARE=prepare)
    return rejected(f"The {database} refused: {told(error)}. {remedy}")


def rejected(why: str) -> ApplicationError:
    """A system understood and said no. Whoever raises it logs it: the worker does not."""
    return ApplicationError(why, type=SYSTEM_REJECTED, non_retryable=True, category=ApplicationErrorCategory.BENIGN)


def stale_revision(where: str, client_id: str, revision: int, newest: int) -> ApplicationError:
    """A later revision was obeyed; this one changed nothing."""
    return ApplicationError(
        f"{where} has obeyed revision {newest} of {client_id}; revision {revision} is too old",
        {"newest": newest},
        type=STALE_REVISION,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,
    )


def told(error: Exception) -> str:
    """A driver error in one line."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    detail = getattr(error, "detail", None)
    text = str(error) or type(error).__name__
    return " ".join((f"{text} ({detail})" if detail and detail not in text else text).split())
