"""What a client's decisions are carried out on: a system for each kind of service, and the directory.

A system is known by the name of the kind that it switches, in every order, state and page. Telephony and internet
access come with Connect; settings name further kinds (PRODUCT.md section 5, "Any number of systems").
"""

import re
from typing import Final, NamedTuple, TypeAlias

System: TypeAlias = str

TELEPHONY: Final = "telephony"
INTERNET: Final = "internet"
DIRECTORY: Final = "directory"
"""The directory is one more system: unpublished is drift. It is never switched."""

BUILT_IN: Final = (TELEPHONY, INTERNET)
NO_KINDS: Final = (DIRECTORY, "workflow")
"""Names that stand beside those of systems in keys and lists, and are none: so is the matter of a client's workflow."""

MAIN: Final = "main"
"""The instance of a system that serves a site which names no other."""

NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
"""What a kind, and an instance, may be called: they stand in ids and in names of task queues."""


_SPOKEN = {TELEPHONY: "telephone lines", INTERNET: "internet access"}


def spoken(system: System) -> str:
    """What a system switches, as it is said within a sentence: one, many or a mass, so no verb goes with it.

    A further kind may have a title in the settings. It takes the place of this where a person reads the sentence
    (starter/contract/catalogue.py).
    """
    return _SPOKEN.get(system) or system.replace("_", " ").replace("-", " ").strip()


def heading(system: System) -> str:
    """The same at the beginning of a sentence."""
    words = spoken(system)
    return words[:1].upper() + words[1:]


class SystemInstance(NamedTuple):
    """One real installation of a system: the phone system of London. Nothing of one concerns another."""

    system: System
    name: str = MAIN

    def __str__(self) -> str:
        return self.system if self.name == MAIN else f"{self.system} {self.name}"
