"""Systems that have an API instead of a database: the port over the protocol of ``protocol.py``, an example adapter.

    CONNECT_TELEPHONY_ADAPTER=activities.json_http.adapter:JsonHttpTelephony   CONNECT_JSON_TELEPHONY_URL=https://pbx.example/v1
    CONNECT_INTERNET_ADAPTER=activities.json_http.adapter:JsonHttpInternet     CONNECT_JSON_INTERNET_URL=https://aaa.example/v1

Their bearer tokens: CONNECT_JSON_TELEPHONY_TOKEN_FILE, CONNECT_JSON_INTERNET_TOKEN_FILE. CONNECT_SYSTEMS_FILE names
further instances, and further kinds, which ``JsonHttpServices`` switches.
"""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Self

import structlog

from activities.database import Databases
from activities.directory.evidence import Evidences
from activities.fence import OWN_SECRET
from activities.instances import Instance
from activities.json_http.client import Api, Things
from activities.json_http.protocol import MOST_NAMES, PLAN, Item
from activities.secrets import radius_password, service_password, sip_password, sip_username
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import BUILT_IN, INTERNET, TELEPHONY
from workflows.ports import Ensure, Evidence, Finding, Life, Observed, ServiceSystem, Sighting, Watched

METHOD = "JSON HTTP, read back in a request of its own"

MOST_REQUESTS = 50
"""Requests in one look at what is off."""

log = structlog.get_logger(__name__)


class _JsonHttp(ServiceSystem):
    """What all systems have in common. ``_things`` is what the system switches, as its addresses call it; what is
    ``_shared`` has names that each client uses for its own."""

    _things: ClassVar[str]
    _shared: ClassVar[bool] = False

    def __init__(self, api: Api, evidences: Evidences, master_key: bytes, watch_seconds: float = 1800.0) -> None:
        self._api, self._evidences, self._master_key = api, evidences, master_key
        self._watch, self._next_part = timedelta(seconds=watch_seconds), 0

    @classmethod
    def of(cls, instance: Instance, databases: Databases, evidences: Evidences) -> Self:
        """As its settings say. Raises ValueError for one that is not set."""
        settings = instance.settings
        return cls(Api.of(instance, cls._things), evidences, settings.read_master_key(), settings.watch_seconds)

    @abstractmethod
    def _login(self, order: Ensure, name: str) -> dict[str, str]:
        """The username and derived password of a line or account."""

    @abstractmethod
    def _describe(self, order: Ensure) -> Things:
        """What is ordered, as the protocol describes it."""

    async def ensure(self, order: Ensure) -> Evidence:
        """Have everything as ordered, read back, and record the evidence."""
        things = self._describe(order)
        refused = await self._api.change(order, things, partial(self._login, order))
        items = await self._look(order.client_id, sorted(things))
        findings = [_finding(order, n, things[n], items.get(n), refused.get(n, "")) for n in sorted(things)]
        evidence = Evidence(order.system, order.revision, datetime.now(UTC), METHOD, findings)
        doubts = sum(finding.proof is not Proof.PROVEN for finding in findings)
        log.info(f"{self._things}_ensured", client_id=order.client_id, revision=order.revision, doubts=doubts)
        return await self._evidences.record(order.client_id, evidence, order.release)

    async def observe(self, watched: Sequence[Watched]) -> Observed:
        """Whether what is off is in service, or in use, again: watched for as long as settings say. It takes a request
        for 50 names, or for each client where names are each client's own: a look asks about a part, and the next one
        goes on."""
        now, owners = datetime.now(UTC), defaultdict[str, list[Watched]](list)
        for it in watched:
            owners[it.client_id if self._shared else ""].append(it)
        parts = [
            (owner, its[n : n + MOST_NAMES]) for owner, its in owners.items() for n in range(0, len(its), MOST_NAMES)
        ]
        first = self._next_part % max(1, len(parts))
        self._next_part = first + MOST_REQUESTS
        sightings = []
        for client_id, some in (parts[first:] + parts[:first])[:MOST_REQUESTS]:
            items = await self._api.look(sorted({it.subject for it in some}), client_id)
            sightings += [_sighting(it, items.get(it.subject), now - it.since > self._watch) for it in some]
        unseen = [it.how for it in sightings if it is not None and it.life is Life.UNSEEN]
        return Observed([it for it in sightings if it is not None], now, next(iter(unseen), ""))

    async def _look(self, client_id: str, names: list[str]) -> dict[str, Item]:
        return await self._api.look(names, client_id if self._shared else "")


class JsonHttpTelephony(_JsonHttp):
    """Telephone lines of a system with an API."""

    system, _things = TELEPHONY, "lines"

    def _describe(self, order: Ensure) -> Things:
        return {n: {"in_service": it.on, "protected": n in order.protected} for n, it in order.subjects.items()}

    def _login(self, order: Ensure, name: str) -> dict[str, str]:
        password = sip_password(self._master_key, order.client_id, name, order.secret_version)
        return {"username": sip_username(name), "password": password}


class JsonHttpInternet(_JsonHttp):
    """Internet accounts of a network with an API."""

    system, _things = INTERNET, "accounts"

    def _describe(self, order: Ensure) -> Things:
        return {account: {"in_service": it.on, **it.settings} for account, it in order.subjects.items()}

    def _login(self, order: Ensure, name: str) -> dict[str, str]:
        password = radius_password(self._master_key, order.client_id, name, order.secret_version)
        return {"username": name, "password": password}


class JsonHttpServices(_JsonHttp):
    """Services of a further kind, one that settings name."""

    _things, _shared = "services", True

    def _describe(self, order: Ensure) -> Things:
        return {name: {"in_service": it.on, "settings": dict(it.settings)} for name, it in order.subjects.items()}

    def _login(self, order: Ensure, name: str) -> dict[str, str]:
        password = service_password(self._master_key, order.system, order.client_id, name, order.secret_version)
        return {"username": name, "password": password}


def _finding(order: Ensure, name: str, thing: Mapping[str, Any], item: Item | None, refused: str) -> Finding:
    """What was read back of one, and whether that is what was ordered."""
    on, seen = _in_service(order.client_id, item), _state_of(order, item)
    plan = _plan(item.model_dump()) if item else {}
    proof, why = Proof.NOT_PROVEN, ""
    if refused:
        proof, why = Proof.FAILED, f"the system refused: {refused}"
    elif not thing["in_service"]:
        why = _life(order.client_id, item)
    elif not on or item is None:
        why = "should be in service and reads back as " + ", ".join(f"{key} {value}" for key, value in seen.items())
    elif item.secret_version is not None and item.secret_version < order.secret_version:
        why = f"reads back with the secret of version {item.secret_version} instead of {order.secret_version}"
    elif different := {key: (plan.get(key), value) for key, value in _plan(thing).items() if plan.get(key) != value}:
        differences = ", ".join(f"{key} {found} instead of {expected}" for key, (found, expected) in different.items())
        why = f"reads back with {differences}"
    elif thing.get("protected"):
        seen |= {"protected": "left in service"}
    return Finding(name, on, seen, proof if why else Proof.PROVEN, why)


def _sighting(watched: Watched, item: Item | None, long_ago: bool) -> Sighting | None:
    """Of what is off: is it alive? None: it is not, and may still be. What the system cannot say is not seen."""
    if how := _life(watched.client_id, item):
        unseen = item is None or (not item.in_service and item.alive is None)
        return Sighting(watched, Life.UNSEEN if unseen else Life.ALIVE, how)
    elsewhere = item is not None and _elsewhere(watched.client_id, item)
    return Sighting(watched, Life.OVER) if long_ago or elsewhere else None


def _life(client_id: str, item: Item | None) -> str:
    """Why it is not proven off; empty when it is."""
    if item is None:
        return "the system's answer does not mention it"
    if not item.known or _elsewhere(client_id, item):
        return ""
    if item.in_service:
        return "it is in service"
    if item.alive is None:
        return "the system cannot say whether it is still in use"
    return f"it is off, but {item.alive} registrations, calls or sessions of it go on" if item.alive else ""


def _plan(thing: Mapping[str, Any]) -> dict[str, Any]:
    """The rates and settings that something is ordered with, or reads back with."""
    return {key: thing[key] for key in PLAN if key in thing} | dict(thing.get("settings", {}))


def _in_service(client_id: str, item: Item | None) -> bool:
    return item is not None and item.in_service and not _elsewhere(client_id, item)


def _elsewhere(client_id: str, item: Item) -> bool:
    return item.client_id is not None and item.client_id != client_id


def _state_of(order: Ensure, item: Item | None) -> dict[str, str]:
    """In plain words. Nothing of another client's."""
    if item is None:
        return {"in_service": "unknown"}
    if not item.known:
        return {"in_service": "absent"}
    if _elsewhere(order.client_id, item):
        return {"owner": "another client"}
    alive = "unknown" if item.alive is None else str(item.alive)
    facts = {"in_service": "1" if item.in_service else "0", "alive": alive}
    if item.secret_version is not None:
        facts["secret"] = f"derived, version {item.secret_version}"
    elif order.system in BUILT_IN:  # what a further kind has may need none
        facts["secret"] = OWN_SECRET
    plan = {key: str(value) for key, value in _plan(item.model_dump()).items() if value is not None}
    return {**facts, **plan, **facts}
