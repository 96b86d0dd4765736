"""Errors of a database, translated into errors that tell Temporal whether to try again.

ApplicationError type   try again   what happened
SystemUnavailable       yes         refused, cut, shut down, or no answer in time
SystemBusy              yes         a lock was not free in time, or a statement took too long
SystemRejected          no          the database understood and refused: a person must look
StaleRevision           no          the system has obeyed a later revision of this client (workflows/ports.py)

An attempt that Temporal does not repeat is repeated by the workflow, at its own pace. Messages are for an on-call
engineer: which system, what failed, what to do. Errors that come in large numbers, while a system is away or refuses,
are BENIGN: the worker logs no traceback for them, and we log one line.

Messages end up in evidence, histories and logs, and PostgreSQL quotes whole rows in a DETAIL, with passwords. So only
``safe_message`` passes the driver's text on, and no driver error is the cause or context of one of ours.
"""

import asyncio
import math
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import asyncpg
import structlog
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.database import DRIVER_ERRORS, Database, LimitsNotKept
from workflows.domain.systems import DIRECTORY
from workflows.domain.text import safe_text
from workflows.ports import STALE_REVISION

SYSTEM_UNAVAILABLE = "SystemUnavailable"
SYSTEM_BUSY = "SystemBusy"
SYSTEM_REJECTED = "SystemRejected"

OF_A_ROW = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.RaiseError)
"""A CHECK, a type or a trigger refuses a row: trouble of one client, not of the system."""

UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.InvalidTransactionStateError,  # a standby, for as long as a failover takes; a transaction that was ended
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""The database is away. (InterfaceError: the connection was closed while in use.)"""

BUSY = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.TransactionRollbackError)

_POOLER = (
    "Connect to PostgreSQL itself; of pgbouncer, only with pool_mode = session, and without them in "
    "ignore_startup_parameters"
)
_REACH = "Check that it runs and can be reached from the worker"
READ_ONLY = (
    "It is a standby, or default_transaction_read_only is on for it, this database or this role: see to that, or have "
    "{SETTING} name the primary"
)

TLS = (
    "See to sslmode, sslrootcert, sslcert and sslkey in {SETTING}: which authority signed the certificate of the "
    "server, for which name, and which one signs those that it takes (docs/operating.md, TLS)"
)
_MAYBE_TLS = ("connection was closed in the middle of operation", "rejected SSL upgrade")
"""How it shows that a server takes no certificate of ours, or speaks no TLS: it may have another reason, too."""

_REMEDIES: dict[type[Exception], str] = {
    asyncpg.UndefinedTableError: "Run `{PREPARE}`",
    asyncpg.UndefinedColumnError: "Run `{PREPARE}`",
    asyncpg.InsufficientPrivilegeError: "Grant the role what deploy/ lists for it",
    asyncpg.InvalidAuthorizationSpecificationError: "Correct the user or password in {SETTING}",
    asyncpg.InvalidCatalogNameError: "Create the database, or correct {SETTING}",
    LimitsNotKept: _POOLER,
    asyncpg.ProtocolViolationError: _POOLER,  # pgbouncer, of a parameter that it does not know
    asyncpg.ClientConfigurationError: "Correct {SETTING}",
}

_VALUE = re.compile(r'".*"|: .*', re.DOTALL)
"""The part of a message that quotes data."""

LONGEST_READ = 50_000
"""Characters of a system's message that are read: a trigger may raise one of many megabytes."""

_SECRET = re.compile(r"\b[0-9A-Za-z]{32,}\b")
"""Text that looks like an HA1 or a password of ours, which a trigger may quote."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def attempt_on(database: Database, until: float = math.inf) -> AsyncIterator[None]:
    """Limits work on a database to the time of an operation, and raises our errors instead of the driver's.

    ``until`` is the end of the whole activity, by the loop's clock. Our errors have neither cause nor context, because
    Temporal keeps the text of both.
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


benign = partial(ApplicationError, category=ApplicationErrorCategory.BENIGN)
"""An error that the worker logs no traceback for."""


def translated(error: Exception, database: Database) -> ApplicationError:
    """The error of ours for a driver's error."""
    if isinstance(error, BUSY):
        why = "Somebody holds a lock, or it is overloaded: see pg_stat_activity"
        return busy(f"The {database} is busy: {safe_message(error)}. {why}")
    if remedy := tls_remedy(error, database):
        return unavailable(f"The {database} is unavailable: {safe_message(error)}. {remedy}")
    if isinstance(error, UNAVAILABLE) and not isinstance(error, ValueError | asyncpg.ProtocolViolationError):
        read_only = isinstance(error, asyncpg.ReadOnlySQLTransactionError)
        why = READ_ONLY.format(SETTING=database.setting) if read_only else _REACH
        return unavailable(f"The {database} is unavailable: {safe_message(error)}. {why}")
    remedies = (remedy for kind, remedy in _REMEDIES.items() if isinstance(error, kind))
    prepare = "connect migrate" if database.name == DIRECTORY else "connect systems prepare"
    remedy = next(remedies, "See the log of the database").format(SETTING=database.setting, PREPARE=prepare)
    return rejected(f"The {database} refused: {safe_message(error)}. {remedy}", row=isinstance(error, OF_A_ROW))


def tls_remedy(error: Exception, database: Database) -> str:
    """What to do where TLS to a database does not come about; empty for any other error."""
    if not database.tls:
        return ""
    if isinstance(error, ssl.SSLError | FileNotFoundError):  # a file that the URL names
        return TLS.format(SETTING=database.setting)
    maybe = any(words in str(error) for words in _MAYBE_TLS)
    return f"{_REACH}. {TLS.format(SETTING=database.setting)}" if maybe else ""


def unavailable(why: str) -> ApplicationError:
    """A system is away: refused, cut off, or no answer in time. The caller logs it: the worker does not."""
    return benign(why, type=SYSTEM_UNAVAILABLE)


def busy(why: str) -> ApplicationError:
    """A system is there, and too busy to do it in time. The caller logs it: the worker does not."""
    return benign(why, type=SYSTEM_BUSY)


def rejected(why: str, *, row: bool = False) -> ApplicationError:
    """A system understood and refused; with ``row``, it refused a row of this client. The caller logs it: the worker
    does not."""
    return benign(why, *([{"row": True}] if row else []), type=SYSTEM_REJECTED, non_retryable=True)


def is_of_a_row(error: ApplicationError) -> bool:
    """Whether the system refused a row of one client, not us."""
    return {"row": True} in error.details


def stale_revision(where: str, client_id: str, revision: int, newest: int) -> ApplicationError:
    """A later revision was carried out; this one changed nothing."""
    why = f"{where} has obeyed revision {newest} of {client_id}; revision {revision} is too old"
    return benign(why, {"newest": newest}, type=STALE_REVISION, non_retryable=True)


def safe_message(error: Exception) -> str:
    """A driver error in one short line: what went wrong and where, without any content of the rows."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = _without_values(error) if isinstance(error, asyncpg.PostgresError) else str(error)
    if isinstance(error, ValueError) and not isinstance(error, ssl.SSLError):
        # it is of the driver's own checks: they quote what was to be sent
        text = _VALUE.sub("…", text)
    return safe_text(_SECRET.sub("…", text[:LONGEST_READ] or type(error).__name__))


def _without_values(error: asyncpg.PostgresError) -> str:
    """PostgreSQL's message without values, with the names of table, column and constraint that it leaves out.

    Only the DETAIL of a missing foreign key is passed on: it quotes that key, not the row.
    """
    text = str(error.args[0])[:LONGEST_READ] if error.args else ""
    if isinstance(error, asyncpg.ForeignKeyViolationError) and error.detail:
        return f"{text} ({error.detail})"
    if isinstance(error, asyncpg.DataError):
        text = _VALUE.sub("…", text)
    kinds = ("table", "column", "constraint")
    names = [(kind, name) for kind in kinds if (name := getattr(error, f"{kind}_name", None)) and name not in text]
    return f"{text} ({', '.join(f'{kind} {name}' for kind, name in names)})" if names else text
