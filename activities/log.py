"""Logging of a process: structlog and the standard library's loggers through one formatter, to standard error.

Tracebacks never show local variables: passwords and keys are among them. Nor does any line show what pydantic, FastAPI
or PostgreSQL quote of the input they refuse.
"""

import logging
import re
import sys
from io import StringIO
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger
from temporalio import activity, workflow

QUOTED = re.compile(
    r"^([\s|]*).*\[type=(\w+), input_value=.*$"  # pydantic's ValidationError, a line for each error
    r"|^([\s|]*)\{'type': '(\w+)', 'loc': .*$"  # FastAPI's
    r"|^([\s|]*DETAIL:) .*$",  # asyncpg's
    re.MULTILINE,
)


def set_up(*, json: bool) -> None:
    """Set up logging: one JSON object a line, or text for a terminal."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        temporal_context,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            drop_replayed,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *(_json() if json else _plain())],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs whole addresses, and some end in a secret
    workflow.logger.workflow_info_on_message = workflow.logger.workflow_info_on_extra = False
    activity.logger.activity_info_on_message = activity.logger.activity_info_on_extra = False


def drop_replayed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop lines of a replay, which were logged before. (workflow.logger does so itself.)"""
    if workflow.in_workflow() and workflow.unsafe.is_replaying_history_events():
        raise structlog.DropEvent
    return event


def temporal_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the workflow or activity that a line comes from."""
    if workflow.in_workflow():
        run = workflow.info()
        event.update(workflow_id=run.workflow_id, run_id=run.run_id, workflow_time=workflow.now().isoformat())
        if update := workflow.current_update_info():
            event.update(update=update.name, update_id=update.id)
    elif activity.in_activity():
        info = activity.info()
        event.update(workflow_id=info.workflow_id, activity=info.activity_type, activity_id=info.activity_id)
        event.update(attempt=info.attempt)
    return event


def without_input(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace error messages that quote input by the type of the error."""
    return {name: _without_input(value) for name, value in event.items()}


def _without_input(value: Any) -> Any:
    match value:
        case str():
            return QUOTED.sub(_type_of_error, value)
        case dict():
            return {name: _without_input(part) for name, part in value.items()}
        case list():
            return [_without_input(part) for part in value]
    return value


def _type_of_error(found: re.Match[str]) -> str:
    ours, kind, theirs, its_kind, detail = found.groups()
    return f"{detail} …" if detail else f"{ours or theirs or ''}[type={kind or its_kind}]"


def _json() -> list[Processor]:
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(transformer), without_input, structlog.processors.JSONRenderer()]


def _plain() -> list[Processor]:
    return [
        without_input,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_plain_traceback),
    ]


def _plain_traceback(to: TextIO, exc_info: ExcInfo) -> None:
    text = StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    to.write(QUOTED.sub(_type_of_error, text.getvalue()))
