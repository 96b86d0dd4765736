"""Logging of a process: structlog and the standard library's loggers through one formatter, to standard error."""

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
    renderers: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if json:
        renderers += [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    else:
        renderers += [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=renderers))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    workflow.logger.workflow_info_on_message = workflow.logger.workflow_info_on_extra = False
    activity.logger.activity_info_on_message = activity.logger.activity_info_on_extra = False


def temporal_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say which workflow or activity a line comes from. What a replay logs again is dropped."""
    if workflow.in_workflow():
        if workflow.unsafe.is_replaying_history_events():
            raise structlog.DropEvent
        told = workflow.info()
        event.update(workflow_id=told.workflow_id, run_id=told.run_id, workflow_time=workflow.now().isoformat())
        if update := workflow.current_update_info():
            event.update(update=update.name, update_id=update.id)
    elif activity.in_activity():
        info = activity.info()
        event.update(workflow_id=info.workflow_id, activity=info.activity_type, activity_id=info.activity_id)
        event.update(attempt=info.attempt)
    return event
