"""When a command is to happen, as a form says it: now, after a last day, or at an exact moment of the site."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from starter.console.forms.errors import RULES, FormErrors
from starter.console.labels import comes_twice
from starter.console.plans import last_day_before
from starter.console.rendering import Form
from workflows.domain.dates import at_site, end_of, zone
from workflows.domain.errors import InvalidField
from workflows.wire.grammar import read_day, read_instant

WHEN, LAST_DAY, AT, SECOND = "when", "last_day", "at", "second"
NOW, DAY = "now", "day"
LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")
"""A local time, as a browser's field writes it."""


@dataclass(frozen=True)
class Moment:
    """The moment that a form says, in the time of a site. What is not ``plannable`` happens now."""

    form: Form
    timezone: str
    plannable: bool = True

    @property
    def when(self) -> str:
        """Now, after a last day, or at an exact moment; a day or moment alone means that."""
        chosen = self.form.text(WHEN)
        if not self.plannable:
            return NOW
        if chosen in (NOW, DAY, AT):
            return chosen
        return DAY if self.form.text(LAST_DAY) else AT if self.form.text(AT) else NOW

    @cached_property
    def at(self) -> datetime | None:
        """When it would happen, in the time of the site; None for now, or while that cannot be read."""
        try:
            if self.when == DAY:
                return at_site(end_of(read_day(self.form.text(LAST_DAY)), self.timezone), self.timezone)
            return self._exact() if self.when == AT else None
        except (InvalidField, ValueError, OverflowError):
            return None

    @property
    def twice(self) -> list[str]:
        """What the first and the second are called, of an exact moment whose time comes twice that day."""
        if self.when != AT or self.at is None or not comes_twice(self.at):
            return []
        return [f"{self.at.replace(fold=fold):%H:%M %Z}" for fold in (0, 1)]

    @property
    def skipped(self) -> str:
        """The time that was typed, where the clocks of the site skip it on that day."""
        typed = self.form.text(AT)
        if self.when != AT or self.at is None or not LOCAL.fullmatch(typed):
            return ""
        clock = f"{datetime.fromisoformat(typed):%H:%M}"
        return clock if clock != f"{self.at:%H:%M}" else ""

    @property
    def typed(self) -> str:
        """The exact moment as a browser's field has it: of the site, without an offset."""
        return f"{self.at:%Y-%m-%dT%H:%M}" if self.when == AT and self.at else self.form.text(AT)

    def read(self, errors: FormErrors) -> dict[str, str]:
        """The moment as a command says it; nothing of now."""
        if self.when == NOW:
            return {}
        name = LAST_DAY if self.when == DAY else AT
        if not self.form.text(name):
            errors.miss(
                name, "Give the last day of service, inclusive" if name == LAST_DAY else "Give the day and time"
            )
            return {}
        if name == LAST_DAY:
            return {LAST_DAY: self.form.text(LAST_DAY)}
        try:
            return {AT: self._exact().isoformat()}
        except (ValueError, OverflowError):
            errors.refuse(AT, f"That is not a day and time. {RULES[AT]}")
            return {}

    def _exact(self) -> datetime:
        """An instant with offset, or a local time. One that comes twice (clocks go back) is the first unless the second
        is chosen; one that never comes is as long after the change."""
        typed, second = self.form.text(AT), int(bool(self.form.text(SECOND)))
        if LOCAL.fullmatch(typed):
            read_day(typed[:10])
            at = datetime.fromisoformat(typed).replace(tzinfo=zone(self.timezone), fold=second)
        else:
            at = read_instant(typed)
        return at_site(at.astimezone(UTC), self.timezone)


def fields_of(at: datetime, timezone: str) -> dict[str, str]:
    """The fields that say when a planned change happens."""
    if last_day := last_day_before(at, timezone):
        return {WHEN: DAY, LAST_DAY: str(last_day)}
    local = at.astimezone(zone(timezone))
    second = "yes" if local.fold and comes_twice(local) else ""
    return {WHEN: AT, AT: f"{local:%Y-%m-%dT%H:%M}", SECOND: second}
