"""Which adapters switch the systems: a setting names a class, ``module:Class``, that implements the port.

    CONNECT_TELEPHONY_ADAPTER=activities.json_http.adapter:JsonHttpTelephony

The class is a subclass of ``ServiceSystem`` (workflows/ports.py) and has a classmethod
``of(instance, databases, evidences)`` that makes one for an instance of a system: ``instance.settings`` are those of
this one, ``instance.options`` what the file says for it alone, and ``databases.of(*instance.key)`` is its database. It
raises ValueError for what is wrong in them. One that is for one system alone says so: ``system = TELEPHONY``.
"""

import importlib
import inspect
from typing import Any

from pydantic import ValidationError
from structlog.testing import capture_logs

from activities.database import DRIVER_ERRORS, Databases, open_databases
from activities.directory.evidence import Evidences
from activities.instances import Instance
from activities.settings import Settings
from workflows.domain.systems import SystemInstance
from workflows.ports import ServiceSystem
from workflows.wire.grammar import sentence

_NAMED = """
WITH known AS (SELECT * FROM unnest($1::text[], $2::text[]) AS k(system, instance)),
named AS (
  SELECT format('Site %s names', site_id) AS who, key AS system, value AS instance,
    format(', or give the site another: connect site edit %s --system %s=…', site_id, key) AS otherwise
  FROM sites, jsonb_each_text(systems)
  UNION ALL
  SELECT format('%s living client(s) have services of', count(*)), s.system, s.instance, ''
  FROM client_systems s JOIN clients c USING (client_id)
  WHERE (s.system, s.instance) NOT IN (SELECT * FROM known) AND c.status <> 'decommissioned'
    AND EXISTS (SELECT FROM jsonb_array_elements(c.document->'systems') e
      WHERE e->>'system' = s.system AND e->'desired' <> '{}')
  GROUP BY s.system, s.instance)
SELECT * FROM named WHERE (system, instance) NOT IN (SELECT * FROM known) ORDER BY who DESC, system, instance"""


class AdapterNotUsable(ValueError):
    """A setting names no usable adapter. The message names the setting, the reason and the remedy."""


def adapters_of(databases: Databases, evidences: Evidences) -> tuple[dict[SystemInstance, ServiceSystem], list[str]]:
    """The adapter of each instance that is served, and what is wrong with those of a file that cannot be made.

    Raises AdapterNotUsable, or the adapter's own ValueError, for an instance that the environment describes.
    """
    adapters, problems = dict[SystemInstance, ServiceSystem](), list[str]()
    for key, instance in databases.instances.served.items():
        try:
            instance.check_dsn()
            adapters[key] = load(instance).of(instance, databases, evidences)
        except (ValueError, OSError) as error:
            if instance.in_environment:
                raise
            problems.append(_not_served(instance, error))
    return adapters, problems


async def problems_of(settings: Settings) -> list[str]:
    """What a worker with these settings cannot serve of the systems that they name, of what sites name, and of what
    clients have, and what to do. No system is asked."""
    async with open_databases(settings) as databases:
        problems = [*databases.instances.problems]
        try:
            with capture_logs():  # whoever serves them logs it
                problems += adapters_of(databases, Evidences(databases.directory, settings.record_seconds))[1]
        except (ValueError, OSError) as error:
            problems.append(str(error))
        return [*problems, *await check_named(databases)]


async def check_named(databases: Databases) -> list[str]:
    """Which instances the sites name, or living clients have, and the settings do not, and what to do. Nothing while
    the directory is away."""
    known = [*databases.instances.instances]
    try:
        rows = await databases.directory.read(_NAMED, [key.system for key in known], [key.name for key in known])
    except DRIVER_ERRORS:
        return []
    return [
        "{who} {system}:{instance}, which no setting names. Name [{system}.{instance}] in CONNECT_SYSTEMS_FILE"
        "{otherwise}".format(**row)
        for row in rows
    ]


def _not_served(instance: Instance, error: Exception) -> str:
    file, why = str(instance.settings.systems_file), instance.in_its_words(str(error))
    if isinstance(error, ValidationError):  # of a model of the adapter's own: nothing of what it was given is said
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(map(str, ("options", *first["loc"])))
        why = str(first["ctx"]["error"]) if first["type"] == "value_error" else sentence(name, first)
    if isinstance(error, OSError) and error.filename:
        why = (
            f"{error.filename} cannot be read ({error.strerror}). Correct its path, or let the worker's account read it"
        )
    return f"{'' if file in why else f'{file}: '}{instance.system}.{instance.name} is not served: {why}"


def load(instance: Instance) -> Any:
    """The class of an instance's adapter. Raises AdapterNotUsable."""
    system, name = instance.system, instance.adapter

    def unusable(why: str, remedy: str) -> AdapterNotUsable:
        return AdapterNotUsable(f"{instance.setting('adapter')} is {name!r}: {why}. {remedy}")

    module, colon, class_name = name.partition(":")
    if not (module and colon and class_name):
        raise unusable("it names no class", "Write module:Class, as in activities.json_http.adapter:JsonHttpTelephony")
    try:
        found = getattr(importlib.import_module(module), class_name, None)
    except (ImportError, SyntaxError) as error:
        remedy = "Install what is missing, or put the file where the worker's Python finds it (PYTHONPATH)"
        raise unusable(f"module {module} cannot be imported ({error})", remedy) from error
    if found is None:
        raise unusable(f"module {module} has no {class_name}", "Correct the name of the class")
    if not inspect.isclass(found) or ServiceSystem not in found.__mro__:
        raise unusable(f"{class_name} does not implement ServiceSystem", "Derive it from workflows.ports.ServiceSystem")
    if (own := getattr(found, "system", system)) != system:
        raise unusable(f"{class_name} switches {own}", f"Name a class that switches {system}")
    if not inspect.ismethod(getattr(found, "of", None)):
        raise unusable(
            f"{class_name} has no classmethod of", "Give it @classmethod def of(cls, instance, databases, evidences)"
        )
    return found
