"""The texts of other systems are bounded in what an activity answers or fails with.

Temporal keeps every answer and error in the client's history for years, and refuses one above 2 MiB; the activity would
then never end. Our own adapters clean each text where it comes in (workflows/domain/text.py, ``safe_text``). This is
the last gate, for every adapter, an operator's own too.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from workflows.domain.text import LONGEST_FOREIGN, safe_text
from workflows.ports import Ensure, Evidence, Finding

LONGEST_SUBJECT = 100
MOST_SEEN = 20
ALL_TEXTS = 100_000
"""Characters of all texts of one evidence: the more lines or accounts, the shorter the text of each."""

SHORTEST = 60

LONGEST_ERROR = 2 * LONGEST_FOREIGN
"""Characters of an error: the text of a system and our own."""


def bounded(evidence: Evidence, subjects: Collection[str] | None = None) -> Evidence:
    """The evidence with safe texts of a bounded length; each subject once, and only ``subjects`` if there are any."""
    findings = evidence.findings
    if subjects is not None:
        findings = list({f.subject: f for f in findings if f.subject in subjects}.values())
    longest = max(SHORTEST, min(LONGEST_FOREIGN, ALL_TEXTS // max(1, len(findings))))
    findings = [_bound_finding(finding, longest) for finding in findings]
    return replace(evidence, method=safe_text(evidence.method), findings=findings)


def _bound_finding(finding: Finding, longest: int) -> Finding:
    entries = list(finding.seen.items())[:MOST_SEEN]
    fits = sum(len(value) for _, value in entries) <= longest
    each = longest if fits else max(SHORTEST // 2, longest // max(1, len(entries)))
    seen = {safe_text(name, SHORTEST): safe_text(value, each) for name, value in entries}
    return replace(
        finding, subject=safe_text(finding.subject, LONGEST_SUBJECT), seen=seen, why=safe_text(finding.why, longest)
    )


class Bounds(Interceptor):
    """Worker(interceptors=[…, Bounds()]): the innermost, so that all others see bounded texts."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name
        return _Bounded(next)


class _Bounded(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # the SDK's name
        try:
            answer = await super().execute_activity(input)
        except Exception as error:
            error.__suppress_context__ = True  # what was being handled, a driver's error say, is nobody's to keep
            if not _too_long(error):
                raise
            activity.logger.warning("error_cut", extra={"type": type(error).__name__, "characters": len(str(error))})
            failure = _shorten(error)
        else:
            return bounded(answer, _subjects(input)) if isinstance(answer, Evidence) else answer
        raise failure  # outside the handler: Temporal keeps what an error came from, with all of its words


def _too_long(error: BaseException | None) -> bool:
    """Whether the error or one of its causes is longer than we keep. (Temporal keeps causes as well.)"""
    while error is not None:
        text = error.message if isinstance(error, ApplicationError) else str(error)
        if len(text) > LONGEST_ERROR:
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)  # as Temporal's SDK does
    return False


def _shorten(error: Exception) -> ApplicationError:
    """The same failure, shortened and without its causes."""
    if not isinstance(error, ApplicationError):
        return ApplicationError(safe_text(str(error), LONGEST_ERROR), type=type(error).__name__)
    return ApplicationError(
        safe_text(error.message, LONGEST_ERROR),
        *error.details,
        type=error.type,
        non_retryable=error.non_retryable,
        next_retry_delay=error.next_retry_delay,
        category=error.category,
    )


def _subjects(work: ExecuteActivityInput) -> Collection[str] | None:
    """The subjects of an order; None when it has none."""
    order = work.args[0] if work.args else None
    return order.subjects if isinstance(order, Ensure) else None
