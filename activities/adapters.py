"""Which adapters switch the systems: a setting names a class, ``module:Class``, that implements the port.

    CONNECT_TELEPHONY_ADAPTER=activities.json_http.adapter:JsonHttpTelephony

The class is a subclass of ``Telephony`` or ``Internet`` (workflows/ports.py) and has a classmethod
``of(settings, databases, evidences)`` that makes it.
"""

import importlib
import inspect
from typing import Any

from activities.database import Databases
from activities.directory.evidence import Evidences
from activities.settings import Settings
from workflows.ports import Internet, Telephony


class AdapterNotUsable(ValueError):
    """A setting names no usable adapter. The message names the setting, the reason and the remedy."""


def telephony_of(settings: Settings, databases: Databases, evidences: Evidences) -> Telephony:
    """The adapter of the telephone system. Raises AdapterNotUsable, or the adapter's own ValueError."""
    adapter = _load("CONNECT_TELEPHONY_ADAPTER", settings.telephony_adapter, Telephony)
    made: Telephony = adapter.of(settings, databases, evidences)
    return made


def internet_of(settings: Settings, databases: Databases, evidences: Evidences) -> Internet:
    """The adapter of the network. Raises AdapterNotUsable, or the adapter's own ValueError."""
    adapter = _load("CONNECT_INTERNET_ADAPTER", settings.internet_adapter, Internet)
    made: Internet = adapter.of(settings, databases, evidences)
    return made


def _load(setting: str, name: str, port: type[Any]) -> Any:
    """The class that a setting names."""

    def unusable(why: str, remedy: str) -> AdapterNotUsable:
        return AdapterNotUsable(f"{setting} is {name!r}: {why}. {remedy}")

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
    if not inspect.isclass(found) or port not in found.__mro__:
        raise unusable(
            f"{class_name} does not implement {port.__name__}", f"Derive it from workflows.ports.{port.__name__}"
        )
    if not inspect.ismethod(getattr(found, "of", None)):
        raise unusable(
            f"{class_name} has no classmethod of", "Give it @classmethod def of(cls, settings, databases, evidences)"
        )
    return found
