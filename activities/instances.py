"""Which systems there are: the kinds of services, and the instances of the system of each.

Telephony and internet access are there without any file; the environment's settings describe their instance ``main``.
``CONNECT_SYSTEMS_FILE`` names further instances and further kinds (TOML):

    [telephony.london]              # another instance: what differs between instances has its default again
    dsn = "postgresql://connect@pbx.london.example/kamailio"
    sip_domain = "london.example"

    [doors]                         # a further kind
    title = "Doors"
    in_building = true              # for residential clients alone: a conversion to virtual ends it
    [doors.main]
    url = "https://doors.example/v1"
    token_file = "/run/secrets/doors"
    [parking.main]
    adapter = "our_barrier:Barrier" # a class of one's own
    [parking.main.options]          # what it needs: Connect hands it over as it stands
    folder = "/srv/barrier"

What a file says wrongly is a problem that names the place, the rule and the remedy; everything else holds.
``CONNECT_SERVES`` leaves instances to other workers.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from activities.given_secrets import read_secret
from activities.settings import FREERADIUS, KAMAILIO, Settings
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.systems import (
    BUILT_IN,
    INTERNET,
    MAIN,
    NAME,
    NO_KINDS,
    TELEPHONY,
    System,
    SystemInstance,
    heading,
)
from workflows.domain.text import hidden_in, written
from workflows.wire.grammar import sentence
from workflows.wire.start import queue_of

OURS = {TELEPHONY: KAMAILIO, INTERNET: FREERADIUS}
"""Our own adapters. Their databases have what `connect systems prepare` adds."""

JSON = {
    TELEPHONY: "activities.json_http.adapter:JsonHttpTelephony",
    INTERNET: "activities.json_http.adapter:JsonHttpInternet",
}
JSON_FURTHER = "activities.json_http.adapter:JsonHttpServices"

TITLES = {system: heading(system) for system in BUILT_IN}
LONGEST_TITLE = 40

RESERVED = {
    "statuses of clients": {*Status, "inactive"},
    "where provisioning stands": {*Provisioned, "not_proven", "cannot_run", "failed", "proven", "unknown"},
    "commands": {*Kind, "create", "report_drift", "roll", "erase"},
    "open matters": {"end_date_passed", "start_reached", "plan_blocked", "plan_refused", "unserved", "done_by_hand"},
    "what is no system": {*NO_KINDS, "temporal", "connect"},
    "addresses, forms and filters": {
        *("all", "any", "none", "client", "clients", "service", "services", "system", "systems", "site", "sites"),
        *("line", "lines", "account", "accounts", "office", "offices", "hold", "holds", "detail", "planned"),
        *("residential", "virtual", "type", "instance", "instances", "kind", "kinds", MAIN),
    },
}
"""What no further kind may be called, by why: its name stands beside these words in keys, filters and histories."""

_NAMING = "Name it with 1 to 31 small letters, digits, - and _, beginning with a letter"
_ABOUT = ("title", "in_building")
_OTHER = "Give it another name"

_SHARED = (
    *("connect_seconds", "lock_seconds", "statement_seconds", "operation_seconds", "pool_size", "probe_seconds"),
    "watch_seconds",
)
_OWN = {
    TELEPHONY: (
        *("sip_domain", "sip_country", "sip_server", "sip_rpc_urls", "sip_rpc_secret", "sip_rpc_secret_file"),
        *("calls_in_progress", "probe_lines"),
    ),
    INTERNET: (
        *("radius_server", "radius_secret", "radius_secret_file", "nas", "nas_file", "disconnect_seconds"),
        *("disconnect_pause_seconds", "probe_accounts", "radius_message_authenticator"),
    ),
}
"""Settings of one instance; those of ``main`` are not another's."""

_OF_ALL = ("adapter", "dsn", "url", "token", "token_file")
_OPTIONS = "options"


@dataclass(frozen=True)
class KindSettings:
    """What settings say of a kind of service. One that is ``in_building`` is for residential clients alone."""

    system: System
    title: str
    in_building: bool = False


@dataclass(frozen=True)
class Instance:
    """One real installation of a system. ``settings`` are the worker's, but for what is said of this one. ``options``
    are for an adapter that is none of ours: it alone knows what they may be."""

    system: System
    name: str
    settings: Settings = field(repr=False)
    adapter: str
    url: str = ""
    token: SecretStr | None = None
    token_file: Path | None = None
    dsn: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> SystemInstance:
        return SystemInstance(self.system, self.name)

    @property
    def in_environment(self) -> bool:
        """Whether the environment describes it, rather than a file."""
        return self.system in BUILT_IN and self.name == MAIN

    @property
    def ours(self) -> bool:
        """Whether one of our own adapters switches it."""
        return self.adapter == OURS.get(self.system)

    def setting(self, name: str) -> str:
        """Where its ``adapter``, ``dsn``, ``url`` or ``token`` is set."""
        if not self.in_environment:
            return f"{name} of [{self.system}.{self.name}] in {self.settings.systems_file}"
        json = "JSON_" if name in ("url", "token", "token_file") else ""
        return f"CONNECT_{json}{self.system.upper()}_{name.upper()}"

    def read_token(self) -> str:
        """The bearer token that its API asks for. Raises ValueError when none is set."""
        ours = f"{self.setting('token')} or {self.setting('token_file')}"
        names = ours if self.in_environment else self.setting("token or token_file")
        return read_secret(self.token, self.token_file, names)

    def check_dsn(self) -> None:
        """Raises ValueError when our own adapter switches it and the address of its database is missing or wrong."""
        dsn, adapter = self.setting("dsn"), self.setting("adapter")
        if self.ours and not self.dsn:
            raise ValueError(f"Set {dsn} to the PostgreSQL URL of its database, or {adapter} to another")
        if self.ours and not self.dsn.startswith(("postgresql://", "postgres://")):
            raise ValueError(f"{dsn} is no PostgreSQL URL. Write postgresql://USER@HOST/DATABASE")

    def in_its_words(self, text: str) -> str:
        """What is said of settings, in the names that they have in a file where one describes it."""
        if self.in_environment:
            return text
        return re.sub(r"CONNECT_([A-Z_]+)", lambda found: _in_the_file(self.system, found), text)


@dataclass(frozen=True)
class Instances:
    """All kinds and all instances that the settings name, and what is wrong with the rest of what they say."""

    kinds: Mapping[System, KindSettings]
    instances: Mapping[SystemInstance, Instance]
    served: Mapping[SystemInstance, Instance]
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> "Instances":
        """As the environment and the file say. Raises nothing: see ``problems``."""
        return _Reader(settings).read()

    def check_environment(self) -> None:
        """Raises ValueError when the address of a main instance's database is missing or wrong."""
        for instance in self.served.values():
            if instance.in_environment:
                instance.check_dsn()

    def names_of(self, system: System) -> list[str]:
        """The instances of a system, the main one first."""
        names = [name for kind, name in self.instances if kind == system]
        return sorted(names, key=lambda name: (name != MAIN, name))


def _in_the_file(system: System, found: re.Match[str]) -> str:
    name = found[1].lower()
    return name if name in (*_OF_ALL, *_OWN.get(system, ()), *_SHARED) else found[0]


def _but_for_case(name: str, names: Iterable[str]) -> str:
    """Whether a name is another's in other letters, for the message."""
    same = next((other for other in names if other.lower() == name.lower()), None)
    return f", and differs from {same} in capital letters alone" if same else ""


class _Reader:
    """Reads one file, and goes on where something in it is wrong."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._file = settings, settings.systems_file
        self._problems: list[str] = []
        self._kinds = {system: KindSettings(system, title) for system, title in TITLES.items()}
        self._instances = {SystemInstance(system): self._main(system) for system in BUILT_IN}

    def read(self) -> Instances:
        for system, table in self._tables():
            if isinstance(table, dict):
                self._read_kind(system, table)
            else:
                self._wrong(system, "is no table", f"Write [{system}.{MAIN}] and what it needs below")
        return Instances(self._kinds, self._instances, self._of_this_worker(), tuple(self._problems))

    def _of_this_worker(self) -> dict[SystemInstance, Instance]:
        """Those that CONNECT_SERVES leaves to this worker."""
        entries = [entry.strip() for entry in self._settings.serves.split(",") if entry.strip()]
        instances = set[SystemInstance]()
        for entry in entries:
            system, _, name = entry.partition(":")
            found = {key for key in self._instances if key.system == system and name in (key.name, "*")}
            if not found:
                named = ", ".join(f"{key.system}:{key.name}" for key in self._instances)
                self._problems.append(f"CONNECT_SERVES: {entry!r} is no instance. Name some of {named}")
            instances |= found
        return {key: it for key, it in self._instances.items() if not entries or key in instances}

    def _main(self, system: System) -> Instance:
        """What the environment says of the system."""
        settings = self._settings
        return Instance(
            system,
            MAIN,
            settings,
            getattr(settings, f"{system}_adapter"),
            getattr(settings, f"json_{system}_url"),
            getattr(settings, f"json_{system}_token"),
            getattr(settings, f"json_{system}_token_file"),
            getattr(settings, f"{system}_dsn").get_secret_value(),
        )

    def _tables(self) -> Iterator[tuple[str, Any]]:
        if self._file is None:
            return
        try:
            yield from tomllib.loads(self._file.read_text(encoding="utf-8-sig")).items()
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as trouble:
            error = getattr(trouble, "strerror", "") or trouble
            remedy = "Correct the file, or CONNECT_SYSTEMS_FILE; until then only telephony and internet are served"
            self._problems.append(f"{self._file} cannot be read: {error}. {remedy}")

    def _read_kind(self, system: str, table: dict[str, Any]) -> None:
        if not NAME.fullmatch(system):
            self._wrong(system, f"cannot be the name of a kind{_but_for_case(system, self._kinds)}", _NAMING)
            return
        plain = system.replace("-", "_")
        if why := next((why for why, words in RESERVED.items() if plain in words), None):
            self._wrong(system, f"cannot be the name of a kind: Connect needs the word for {why}", _OTHER)
            return
        if like := next((kind for kind in self._kinds if kind != system and kind.replace("-", "_") == plain), None):
            self._wrong(system, f"differs from {like} in - and _ alone, so that people take one for the other", _OTHER)
            return
        instances = {name: value for name, value in table.items() if isinstance(value, dict)}
        about = {name: value for name, value in table.items() if name not in instances}
        if system in BUILT_IN:
            for name in about:
                self._wrong(f"{system}.{name}", "does not belong to a kind that Connect has", "Leave it out")
        elif not instances:
            self._wrong(system, "names no instance", f"Add [{system}.{MAIN}] with its url and token_file")
            return
        elif not self._read_about(system, about):
            return
        for name, values in instances.items():
            self._read_instance(system, name, values)
        usable = [key.name for key in self._instances if key.system == system]
        if not usable:
            del self._kinds[system]
        elif MAIN not in (*usable, *instances):
            remedy = f"Add [{system}.{MAIN}], or have each site name one: connect site edit SITE --system {system}={{}}"
            self._wrong(system, f"has no {MAIN}, which serves every site that names none", remedy.format(usable[0]))

    def _read_about(self, system: System, about: dict[str, Any]) -> bool:
        title, in_building = about.pop("title", heading(system)), about.pop("in_building", False)
        for name in about:
            self._wrong(f"{system}.{name}", "is not known", "A kind has title and in_building, beside its instances")
        if why := self._why_no_title(title):
            self._wrong(f"{system}.title", why, f"Until then it is called {heading(system)}")
            title = heading(system)
        if not isinstance(in_building, bool):
            self._wrong(f"{system}.in_building", "is neither true nor false", "Write true or false, without quotes")
            return False
        self._kinds[system] = KindSettings(system, title.strip(), in_building)
        return True

    def _why_no_title(self, title: object) -> str:
        """What is wrong with the title of a kind, and the remedy; empty: nothing."""
        if not isinstance(title, str) or not written(title.strip(), LONGEST_TITLE) or hidden_in(title.strip()):
            return f"is no title: give a text of 1 to {LONGEST_TITLE} characters on one line"
        same = next((kind.system for kind in self._kinds.values() if kind.title.lower() == title.strip().lower()), None)
        return f"is the title of {same}, too: give each kind its own" if same else ""

    def _read_instance(self, system: System, name: str, values: dict[str, Any]) -> None:
        where, known = f"{system}.{name}", (*_OF_ALL, _OPTIONS, *_OWN.get(system, ()), *_SHARED)
        if not NAME.fullmatch(name):
            names = [key.name for key in self._instances if key.system == system]
            self._wrong(where, f"cannot be the name of an instance{_but_for_case(name, names)}", _NAMING)
        elif name in _ABOUT:
            self._wrong(where, f"cannot be the name of an instance: {name} is a setting of the kind", _OTHER)
        elif system in BUILT_IN and name == MAIN:
            remedy = f"Leave [{where}] out, or give it another name"
            self._wrong(where, "is what CONNECT_… of the environment describe", remedy)
        elif unknown := sorted(values.keys() - {*known}):
            self._wrong(f"{where}.{unknown[0]}", "is not known", f"It can have {', '.join(known)}")
        elif wrong := next((key for key in _OF_ALL if not isinstance(values.get(key, ""), str)), None):
            self._wrong(f"{where}.{wrong}", "is no text", "Write it in quotes")
        elif not isinstance(values.get(_OPTIONS, {}), dict):
            self._wrong(
                f"{where}.{_OPTIONS}", "is no table", f"Write [{where}.{_OPTIONS}] and what its adapter needs below"
            )
        elif other := next((key for key in self._instances if queue_of(*key) == queue_of(system, name)), None):
            self._wrong(where, f"has the task queue of [{other.system}.{other.name}]", _OTHER)
        else:
            try:
                self._instances[SystemInstance(system, name)] = self._instance(system, name, values)
            except ValidationError as error:
                first = error.errors(include_input=False, include_url=False)[0]
                key = ".".join(str(part) for part in first["loc"])
                if first["type"] == "value_error":
                    why = str(first["ctx"]["error"])
                    what = f"is wrong: {re.sub(r'CONNECT_([A-Z_]+)', partial(_in_the_file, system), why)}"
                    remedy = "Correct it"
                else:
                    what, _, remedy = sentence("", first).strip().partition(". ")
                self._wrong(f"{where}.{key}" if key else where, what, remedy)
            except ValueError as error:
                self._wrong(where, *error.args)

    def _instance(self, system: System, name: str, values: dict[str, Any]) -> Instance:
        """Raises ValidationError or ValueError for what is wrong with it or missing."""
        for one, other in (("url", "dsn"), ("token", "token_file")):
            if values.get(one) and values.get(other) and (one == "token" or not values.get("adapter")):
                raise ValueError(f"has both {one} and {other}", "Leave one of them out")
        own = dict(values)
        options = own.pop(_OPTIONS, {})
        url, token, token_file = own.pop("url", ""), own.pop("token", None), own.pop("token_file", None)
        adapter = own.pop("adapter", None) or (JSON.get(system, JSON_FURTHER) if url or system not in BUILT_IN else "")
        dsn, adapter = own.pop("dsn", ""), adapter or OURS[system]
        needed = {OURS.get(system): ("dsn", dsn), JSON.get(system, JSON_FURTHER): ("url", url)}
        what, value = needed.get(adapter, ("", "its own"))
        if not value:
            raise ValueError(f"has no {what}", "Add it")
        if options and adapter in needed:
            raise ValueError("has options, which are for an adapter of your own", "Leave them out, or name the adapter")
        usual = {key: type(self._settings).model_fields[key].get_default() for key in _OWN.get(system, ())}
        present = {key: getattr(self._settings, key) for key in self._settings.model_fields_set}
        settings = type(self._settings).model_validate(present | usual | own)
        secret = SecretStr(token) if token else None
        file = Path(token_file) if token_file else None
        return Instance(system, name, settings, adapter, url, secret, file, dsn, options)

    def _wrong(self, where: str, what: str, remedy: str) -> None:
        self._problems.append(f"{self._file}: {where} {what}. {remedy}")
