"""Logging of a process: structlog and the standard library's loggers through one formatter, to standard error.

Tracebacks never show local variables: passwords and keys are among them.
"""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio import activity, workflow


def set_up(*, json: bool) -> None:
    """Log from now on: one JSON object a line, or for reading in a terminal."""
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
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, and some end in a secret
    workflow.logger.workflow_info_on_message = workflow.logger.workflow_info_on_extra = False
    activity.logger.activity_info_on_message = activity.logger.activity_info_on_extra = False


def drop_replayed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What a replay says again was said before. (workflow.logger sees to that itself.)"""
    if workflow.in_workflow() and workflow.unsafe.is_replaying_history_events():
        raise structlog.DropEvent
    return event


def temporal_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say which workflow or activity a line comes from."""
    if workflow.in_workflow():
        told = workflow.info()
        event.update(workflow_id=told.workflow_id, run_id=told.run_id, workflow_time=workflow.now().isoformat())
        if update := workflow.current_update_info():
            event.update(update=update.name, update_id=update.id)
    elif activity.in_activity():
        info = activity.info()
        event.update(workflow_id=info.workflow_id, activity=info.activity_type, activity_id=info.activity_id)
        event.update(attempt=info.attempt)
    return event


def _json() -> list[Processor]:
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(transformer), structlog.processors.JSONRenderer()]


def _plain() -> list[Processor]:
    colors, plain = sys.stderr.isatty(), structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
