"""Which adapters switch the systems: a setting names a class, ``module:Class``, that implements the port.

    CONNECT_TELEPHONY_ADAPTER=activities.json_http.adapter:JsonHttpTelephony

The class is a subclass of ``ServiceSystem`` (workflows/ports.py) and has a classmethod
``of(settings, databases, evidences)`` that makes it. One that is for one system alone says so: ``system = TELEPHONY``.
"""

import importlib
import inspect
from typing import Any

from activities.database import Databases
from activities.directory.evidence import Evidences
from activities.settings import Settings
from workflows.domain.systems import BUILT_IN, System
from workflows.ports import ServiceSystem


class AdapterNotUsable(ValueError):
    """A setting names no usable adapter. The message names the setting, the reason and the remedy."""


def adapters_of(settings: Settings, databases: Databases, evidences: Evidences) -> dict[System, ServiceSystem]:
    """The adapter of each system. Raises AdapterNotUsable, or the adapter's own ValueError."""
    return {
        system: _load(system, getattr(settings, f"{system}_adapter")).of(settings, databases, evidences)
        for system in BUILT_IN
    }


def _load(system: System, name: str) -> Any:
    """The class that a setting names."""

    def unusable(why: str, remedy: str) -> AdapterNotUsable:
        return AdapterNotUsable(f"CONNECT_{system.upper()}_ADAPTER is {name!r}: {why}. {remedy}")

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
            f"{class_name} has no classmethod of", "Give it @classmethod def of(cls, settings, databases, evidences)"
        )
    return found
