"""The zone rules of this worker, as a port of the clients' workflows."""

from temporalio import activity

from workflows.domain.dates import NamedDay, ResolvedDay, resolve
from workflows.domain.errors import InvalidField
from workflows.ports import Calendar, ResolveDays, ResolvedDays


class ZoneRules(Calendar):
    """Resolves days by the rules of the pinned tzdata package."""

    @activity.defn(name="resolve_days")
    async def resolve_days(self, order: ResolveDays) -> ResolvedDays:
        """At which instant each day counts at the site, by the zone rules of this worker."""
        return ResolvedDays([_resolve(day, order.timezone) for day in order.days])


def _resolve(day: NamedDay, timezone: str) -> ResolvedDay | None:
    try:
        return resolve(day, timezone)
    except InvalidField:
        return None
