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

What a file says wrongly is a problem that names the place, the rule and the remedy; everything else holds.
``CONNECT_SERVES`` leaves instances to other workers.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from activities.settings import FREERADIUS, KAMAILIO, Settings, read_secret
from workflows.domain.systems import BUILT_IN, DIRECTORY, INTERNET, MAIN, NAME, TELEPHONY, System, SystemInstance
from workflows.wire.start import queue_of

OURS = {TELEPHONY: KAMAILIO, INTERNET: FREERADIUS}
"""Our own adapters. Their databases have what `connect systems prepare` adds."""

JSON = {
    TELEPHONY: "activities.json_http.adapter:JsonHttpTelephony",
    INTERNET: "activities.json_http.adapter:JsonHttpInternet",
}
JSON_FURTHER = "activities.json_http.adapter:JsonHttpServices"

TITLES = {TELEPHONY: "Telephone lines", INTERNET: "Internet access"}
LONGEST_TITLE = 40

_SHARED = (
    *("connect_seconds", "lock_seconds", "statement_seconds", "operation_seconds", "pool_size", "probe_seconds"),
    "watch_seconds",
)
_OWN = {
    TELEPHONY: (
        *("sip_domain", "sip_server", "sip_rpc_urls", "sip_rpc_secret", "sip_rpc_secret_file"),
        *("calls_in_progress", "probe_lines"),
    ),
    INTERNET: (
        *("radius_server", "radius_secret", "radius_secret_file", "nas", "nas_file", "disconnect_seconds"),
        *("disconnect_pause_seconds", "probe_accounts", "radius_message_authenticator"),
    ),
}
"""Settings of one instance; those of ``main`` are not another's."""

_OF_ALL = ("adapter", "dsn", "url", "token", "token_file")


@dataclass(frozen=True)
class ServiceKind:
    """A kind of service that clients can contract. One that is ``in_building`` is for residential clients alone."""

    system: System
    title: str
    in_building: bool = False


@dataclass(frozen=True)
class Instance:
    """One real installation of a system. ``settings`` are the worker's, but for what is said of this one."""

    system: System
    name: str
    settings: Settings = field(repr=False)
    adapter: str
    url: str = ""
    token: SecretStr | None = None
    token_file: Path | None = None
    dsn: str = field(default="", repr=False)

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
        return read_secret(self.token, self.token_file, f"{self.setting('token')} or {self.setting('token_file')}")


@dataclass(frozen=True)
class Instances:
    """All kinds and all instances that the settings name, and what is wrong with the rest of what they say."""

    kinds: Mapping[System, ServiceKind]
    instances: Mapping[SystemInstance, Instance]
    served: Mapping[SystemInstance, Instance]
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> "Instances":
        """As the environment and the file say. Raises nothing: see ``problems``."""
        return _Reader(settings).read()

    def check_environment(self) -> None:
        """Raises ValueError when the address of a main instance's database is missing."""
        for instance in self.served.values():
            if instance.in_environment and instance.ours and not instance.dsn:
                dsn, adapter = instance.setting("dsn"), instance.setting("adapter")
                raise ValueError(f"Set {dsn} to the PostgreSQL URL of its database, or {adapter} to another")

    def names_of(self, system: System) -> list[str]:
        """The instances of a system, the main one first."""
        names = [name for kind, name in self.instances if kind == system]
        return sorted(names, key=lambda name: (name != MAIN, name))


class _Reader:
    """Reads one file, and goes on where something in it is wrong."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._file = settings, settings.systems_file
        self._problems: list[str] = []
        self._kinds = {system: ServiceKind(system, title) for system, title in TITLES.items()}
        self._instances = {SystemInstance(system): self._main(system) for system in BUILT_IN}

    def read(self) -> Instances:
        for system, table in self._tables():
            if isinstance(table, dict):
                self._read_kind(system, table)
            else:
                self._wrong(system, "is no table", f"Write [{system}.{MAIN}] and what it needs below")
        return Instances(self._kinds, self._instances, self._served(), tuple(self._problems))

    def _served(self) -> dict[SystemInstance, Instance]:
        """Those that CONNECT_SERVES leaves to this worker."""
        entries = [entry.strip() for entry in self._settings.serves.split(",") if entry.strip()]
        chosen = set[SystemInstance]()
        for entry in entries:
            system, _, name = entry.partition(":")
            found = {key for key in self._instances if key.system == system and name in (key.name, "*")}
            if not found:
                named = ", ".join(f"{key.system}:{key.name}" for key in self._instances)
                self._problems.append(f"CONNECT_SERVES: {entry!r} is no instance. Name some of {named}")
            chosen |= found
        return {key: it for key, it in self._instances.items() if not entries or key in chosen}

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
            yield from tomllib.loads(self._file.read_text(encoding="utf-8")).items()
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            remedy = "Correct the file, or CONNECT_SYSTEMS_FILE; until then only telephony and internet are served"
            self._problems.append(f"{self._file} cannot be read: {error}. {remedy}")

    def _read_kind(self, system: str, table: dict[str, Any]) -> None:
        if system == DIRECTORY or not NAME.fullmatch(system):
            remedy = "Name it with 1 to 31 small letters, digits, - and _, beginning with a letter"
            self._wrong(system, "cannot be the name of a kind", remedy)
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

    def _read_about(self, system: System, about: dict[str, Any]) -> bool:
        title, in_building = about.pop("title", system.capitalize()), about.pop("in_building", False)
        for name in about:
            self._wrong(f"{system}.{name}", "is not known", "A kind has title and in_building, beside its instances")
        if not isinstance(title, str) or not title.strip() or len(title) > LONGEST_TITLE:
            self._wrong(f"{system}.title", "is no title", f"Give a text of 1 to {LONGEST_TITLE} characters")
            return False
        if not isinstance(in_building, bool):
            self._wrong(f"{system}.in_building", "is neither true nor false", "Write true or false, without quotes")
            return False
        self._kinds[system] = ServiceKind(system, title.strip(), in_building)
        return True

    def _read_instance(self, system: System, name: str, values: dict[str, Any]) -> None:
        where, known = f"{system}.{name}", (*_OF_ALL, *_OWN.get(system, ()), *_SHARED)
        if not NAME.fullmatch(name):
            remedy = "Name it with 1 to 31 small letters, digits, - and _, beginning with a letter"
            self._wrong(where, "cannot be the name of an instance", remedy)
        elif system in BUILT_IN and name == MAIN:
            remedy = f"Leave [{where}] out, or give it another name"
            self._wrong(where, "is what CONNECT_… of the environment describe", remedy)
        elif unknown := sorted(values.keys() - {*known}):
            self._wrong(f"{where}.{unknown[0]}", "is not known", f"It can have {', '.join(known)}")
        elif wrong := next((key for key in _OF_ALL if not isinstance(values.get(key, ""), str)), None):
            self._wrong(f"{where}.{wrong}", "is no text", "Write it in quotes")
        elif other := next((key for key in self._instances if queue_of(*key) == queue_of(system, name)), None):
            self._wrong(where, f"has the task queue of [{other.system}.{other.name}]", "Give it another name")
        else:
            try:
                self._instances[SystemInstance(system, name)] = self._instance(system, name, values)
            except ValidationError as error:
                first = error.errors(include_input=False, include_url=False)[0]
                key = ".".join(str(part) for part in first["loc"])
                self._wrong(f"{where}.{key}" if key else where, f"is wrong: {first['msg']}", "Correct it")
            except ValueError as error:
                self._wrong(where, str(error), "Add it")

    def _instance(self, system: System, name: str, values: dict[str, Any]) -> Instance:
        """Raises ValidationError or ValueError for what is wrong with it or missing."""
        own = dict(values)
        url, token, token_file = own.pop("url", ""), own.pop("token", None), own.pop("token_file", None)
        adapter = own.pop("adapter", None) or (JSON.get(system, JSON_FURTHER) if url or system not in BUILT_IN else "")
        dsn, adapter = own.pop("dsn", ""), adapter or OURS[system]
        needed = {OURS.get(system): ("dsn", dsn), JSON.get(system, JSON_FURTHER): ("url", url)}
        what, value = needed.get(adapter, ("", "its own"))
        if not value:
            raise ValueError(f"has no {what}")
        usual = {key: type(self._settings).model_fields[key].get_default() for key in _OWN.get(system, ())}
        present = {key: getattr(self._settings, key) for key in self._settings.model_fields_set}
        settings = type(self._settings).model_validate(present | usual | own)
        secret = SecretStr(token) if token else None
        return Instance(system, name, settings, adapter, url, secret, Path(token_file) if token_file else None, dsn)

    def _wrong(self, where: str, what: str, remedy: str) -> None:
        self._problems.append(f"{self._file}: {where} {what}. {remedy}")
