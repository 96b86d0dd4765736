"""Looks at systems that were there before, without changing them: `connect systems prepare --check`."""

from dataclasses import dataclass, field

from temporalio.exceptions import ApplicationError

from activities.adopting.kinds import KINDS
from activities.adopting.report import first_lines
from activities.database import Database, open_databases
from activities.errors import attempt_on
from activities.instances import Instance
from activities.settings import Settings

_UNSEEN = """
SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL
  AND (NOT has_table_privilege(to_regclass(name), 'SELECT') OR row_security_active(to_regclass(name)::oid))"""


UNSEEN = "tables whose rows we cannot all see: GRANT SELECT, or ALTER ROLE … BYPASSRLS where a policy hides some"


@dataclass
class Report:
    """What was found of one instance: ``problems`` keep us from seeing its customers, ``notes`` are of them."""

    title: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        found = [*self.problems, *self.notes]
        return [f"{self.title}:", *(f"  {line}" for line in found)] if found else []


async def survey(settings: Settings) -> list[Report]:
    """A report on each instance that our own adapters switch, seen with the rights of the role in its address."""
    async with open_databases(settings) as databases:
        databases.instances.check_environment()
        ours = [it for it in databases.instances.served.values() if it.ours]
        return [await _survey(instance, databases.of(*instance.key)) for instance in ours]


async def _survey(instance: Instance, database: Database) -> Report:
    report, kind = Report(str(database)), KINDS[instance.system]
    try:
        async with attempt_on(database):
            unseen = [row["name"] for row in await database.read(_UNSEEN, list(kind.tables))]
            report.problems += first_lines(UNSEEN, unseen)
            if not unseen:
                report.notes += await kind.survey(database, instance.settings)
    except ApplicationError as error:
        report.problems.append(error.message)
    return report
