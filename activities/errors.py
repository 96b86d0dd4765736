"""What goes wrong with a database, translated once: into errors that tell the server whether to try again.

ApplicationError type   try again   what happened
SystemUnavailable       yes         refused, cut, shut down, or no answer in time
SystemBusy              yes         a lock was not free in time, or a statement took too long
SystemRejected          no          the database understood and said no: a person must look
StaleRevision           no          the system has obeyed a later revision of this client (workflows/ports.py)

An attempt that is not tried again by the server is tried again by the workflow, at its own pace. Texts are for an
on-call engineer: which system, what failed, what to do. Those that come in swarms, while a system is away or
says no, are BENIGN: the worker does not log a traceback for each, we log a line.

Texts end up in evidence, histories and logs, and PostgreSQL quotes whole rows in a DETAIL: passwords are among them. So
no text of the driver's is passed on but by ``safe_message``, and no driver error is the cause or the context of one of
ours.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.database import DRIVER_ERRORS, Database
from workflows.domain.systems import System
from workflows.domain.text import safe_text
from workflows.ports import STALE_REVISION

SYSTEM_UNAVAILABLE = "SystemUnavailable"
SYSTEM_BUSY = "SystemBusy"
SYSTEM_REJECTED = "SystemRejected"

OF_A_ROW = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.RaiseError)
"""What a CHECK, a type or a trigger has against a row: one client's trouble, and no sign that the system is in any."""

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

_VALUE = re.compile(r'".*"|: .*', re.DOTALL)
"""Where a message about data quotes them."""

LONGEST_READ = 50_000
"""Characters of a text of a system that are looked at: a trigger may raise one of many megabytes."""

_SECRET = re.compile(r"\b[0-9A-Za-z]{32,}\b")
"""What looks like an HA1 or a password of ours: a trigger may say it in its own words."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def attempt_on(database: Database, until: float = math.inf) -> AsyncIterator[None]:
    """Work on a database for no longer than an operation may take. Raises nothing of the driver's, only our errors.

    ``until`` is when all of the activity must be over, by the loop's clock. Our errors have neither a cause nor a
    context: Temporal keeps both with all of their words.
    """
    try:
        async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + database.operation)):
            yield
    except DRIVER_ERRORS as error:
        failure = translated(error, database)
        log.warning("attempt_failed", system=database.name, type=failure.type, error=failure.message)
    else:
        return
    raise failure from None  # or the driver's error would be its context: Temporal keeps that with all of its words


def translated(error: Exception, database: Database) -> ApplicationError:
    """What a driver error means."""
    if isinstance(error, BUSY):
        return ApplicationError(
            f"The {database} is busy: {safe_message(error)}. Somebody holds a lock, or it is overloaded: "
            "see pg_stat_activity",
            type=SYSTEM_BUSY,
            category=ApplicationErrorCategory.BENIGN,
        )
    if isinstance(error, UNAVAILABLE) and not isinstance(error, ValueError):
        return ApplicationError(
            f"The {database} is unavailable: {safe_message(error)}. Check that it runs and can be reached from the "
            "worker",
            type=SYSTEM_UNAVAILABLE,
            category=ApplicationErrorCategory.BENIGN,
        )
    remedies = (remedy for kind, remedy in _REMEDIES.items() if isinstance(error, kind))
    prepare = "connect migrate" if database.name == System.DIRECTORY else "connect systems prepare"
    remedy = next(remedies, "See the log of the database").format(NAME=database.name.upper(), PREPARE=prepare)
    return rejected(f"The {database} refused: {safe_message(error)}. {remedy}", row=isinstance(error, OF_A_ROW))


def rejected(why: str, *, row: bool = False) -> ApplicationError:
    """A system understood and said no; ``row``: to a row of this client. Whoever raises it logs it: the worker does
    not."""
    return ApplicationError(
        why,
        *([{"row": True}] if row else []),
        type=SYSTEM_REJECTED,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,
    )


def is_of_a_row(error: ApplicationError) -> bool:
    """Whether the system said no to a row of one client, not to us."""
    return {"row": True} in error.details


def stale_revision(where: str, client_id: str, revision: int, newest: int) -> ApplicationError:
    """A later revision was obeyed; this one changed nothing."""
    return ApplicationError(
        f"{where} has obeyed revision {newest} of {client_id}; revision {revision} is too old",
        {"newest": newest},
        type=STALE_REVISION,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,
    )


def safe_message(error: Exception) -> str:
    """A driver error in one short line: what went wrong where, without a word of what stands in the rows."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = _without_values(error) if isinstance(error, asyncpg.PostgresError) else str(error)
    if isinstance(error, ValueError):  # of the driver's own checks: they quote what was to be sent
        text = _VALUE.sub("…", text)
    return safe_text(_SECRET.sub("…", text[:LONGEST_READ] or type(error).__name__))


def _without_values(error: asyncpg.PostgresError) -> str:
    """PostgreSQL's message, and the names of what it is about that the message does not say.

    The only DETAIL that is passed on is of a key that another table lacks: it quotes that key, not the row.
    """
    text = str(error.args[0])[:LONGEST_READ] if error.args else ""
    if isinstance(error, asyncpg.ForeignKeyViolationError) and error.detail:
        return f"{text} ({error.detail})"
    if isinstance(error, asyncpg.DataError):
        text = _VALUE.sub("…", text)
    kinds = ("table", "column", "constraint")
    names = [(kind, name) for kind in kinds if (name := getattr(error, f"{kind}_name", None)) and name not in text]
    return f"{text} ({', '.join(f'{kind} {name}' for kind, name in names)})" if names else text
