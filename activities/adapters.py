"""Which adapters switch the systems: a setting names a class, ``module:Class``, that implements the port.

    CONNECT_TELEPHONY_ADAPTER=activities.json_http.adapter:JsonHttpTelephony

The class is a subclass of ``ServiceSystem`` (workflows/ports.py) and has a classmethod
``of(instance, databases, evidences)`` that makes one for an instance of a system: ``instance.settings`` are those of
this one, and ``databases.of(*instance.key)`` is its database. One that is for one system alone says so:
``system = TELEPHONY``.
"""

import importlib
import inspect
from typing import Any

from activities.database import Databases
from activities.directory.evidence import Evidences
from activities.instances import Instance, Instances
from workflows.domain.systems import SystemInstance
from workflows.ports import ServiceSystem


class AdapterNotUsable(ValueError):
    """A setting names no usable adapter. The message names the setting, the reason and the remedy."""


def adapters_of(databases: Databases, evidences: Evidences) -> tuple[dict[SystemInstance, ServiceSystem], list[str]]:
    """The adapter of each instance that is served, and what is wrong with those of a file that cannot be made.

    Raises AdapterNotUsable, or the adapter's own ValueError, for an instance that the environment describes.
    """
    adapters, problems = dict[SystemInstance, ServiceSystem](), list[str]()
    for key, instance in databases.instances.served.items():
        try:
            adapters[key] = load(instance).of(instance, databases, evidences)
        except (ValueError, OSError) as error:
            if instance.in_environment:
                raise
            problems.append(_not_served(instance, error))
    return adapters, problems


def unusable(instances: Instances) -> list[str]:
    """Which instances of a file name no class that there is, and what to do: what is known before one is made."""
    problems = []
    for instance in instances.served.values():
        try:
            load(instance)
        except AdapterNotUsable as error:
            if not instance.in_environment:
                problems.append(_not_served(instance, error))
    return problems


def _not_served(instance: Instance, error: Exception) -> str:
    return f"{instance.settings.systems_file}: {instance.system}.{instance.name} is not served: {error}"


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
