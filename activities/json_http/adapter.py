"""Systems that have an API instead of a database: both ports over the protocol of ``protocol.py``, an example adapter.

    CONNECT_TELEPHONY_ADAPTER=activities.json_http.adapter:JsonHttpTelephony   CONNECT_JSON_TELEPHONY_URL=https://pbx.example/v1
    CONNECT_INTERNET_ADAPTER=activities.json_http.adapter:JsonHttpInternet     CONNECT_JSON_INTERNET_URL=https://aaa.example/v1

Their bearer tokens: CONNECT_JSON_TELEPHONY_TOKEN_FILE, CONNECT_JSON_INTERNET_TOKEN_FILE.
"""

from abc import abstractmethod
from datetime import UTC, datetime
from typing import ClassVar, Self

import structlog

from activities.database import Databases
from activities.directory.evidence import Evidences
from activities.json_http.client import Api, Wanted
from activities.json_http.protocol import PLAN, Item
from activities.secrets import radius_password, sip_password, sip_username
from activities.settings import Settings
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import INTERNET, TELEPHONY, System
from workflows.ports import Ensure, Evidence, Finding, Observe, ServiceSystem

METHOD = "JSON HTTP, read back in a request of its own"

log = structlog.get_logger(__name__)


class _JsonHttp(ServiceSystem):
    """What both systems have in common. ``_things`` is what the system switches, as its addresses call it."""

    system: ClassVar[System]
    _things: ClassVar[str]

    def __init__(self, api: Api, evidences: Evidences, master_key: bytes) -> None:
        self._api, self._evidences, self._master_key = api, evidences, master_key

    @classmethod
    def of(cls, settings: Settings, databases: Databases, evidences: Evidences) -> Self:
        """As the settings say. Raises ValueError for one that is not set."""
        return cls(Api.of(settings, cls.system, cls._things), evidences, settings.read_master_key())

    @abstractmethod
    def _wanted(self, order: Ensure) -> Wanted:
        """The order, as the protocol describes it."""

    async def ensure(self, order: Ensure) -> Evidence:
        """Have everything as ordered, see that it is so, and tell the directory."""
        wanted = self._wanted(order)
        refused = await self._api.change(wanted)
        items = await self._api.look(sorted(wanted.things))
        findings = [_finding(wanted, name, items.get(name), refused.get(name, "")) for name in sorted(wanted.things)]
        evidence = Evidence(self._api.system, wanted.revision, datetime.now(UTC), METHOD, findings)
        doubts = sum(finding.proof is not Proof.PROVEN for finding in findings)
        log.info(f"{self._api.things}_ensured", client_id=wanted.client_id, revision=wanted.revision, doubts=doubts)
        return await self._evidences.record(wanted.client_id, evidence, order.release)

    async def observe(self, order: Observe) -> Evidence:
        """Look whether what is off is in service, or in use, again."""
        names = sorted(order.subjects)
        items = await self._api.look(names)
        findings = [_second_finding(order.client_id, name, items.get(name)) for name in names]
        evidence = Evidence(self._api.system, order.revision, datetime.now(UTC), METHOD, findings, look=True)
        return await self._evidences.record(order.client_id, evidence)


class JsonHttpTelephony(_JsonHttp):
    """Telephone lines of a system with an API."""

    system, _things = TELEPHONY, "lines"

    def _wanted(self, order: Ensure) -> Wanted:
        def secret_of(number: str) -> dict[str, str]:
            password = sip_password(self._master_key, order.client_id, number, order.secret_version)
            return {"username": sip_username(number), "password": password}

        lines = {n: {"in_service": x.on, "protected": n in order.protected} for n, x in order.subjects.items()}
        marks = {number: {"protected": "left in service"} for number in order.protected}
        return Wanted(order.client_id, order.revision, order.secret_version, lines, secret_of, marks)


class JsonHttpInternet(_JsonHttp):
    """Internet accounts of a network with an API."""

    system, _things = INTERNET, "accounts"

    def _wanted(self, order: Ensure) -> Wanted:
        def secret_of(account: str) -> dict[str, str]:
            password = radius_password(self._master_key, order.client_id, account, order.secret_version)
            return {"username": account, "password": password}

        accounts = {account: {"in_service": x.on, **x.settings} for account, x in order.subjects.items()}
        return Wanted(order.client_id, order.revision, order.secret_version, accounts, secret_of)


def _finding(wanted: Wanted, name: str, item: Item | None, refused: str) -> Finding:
    """What was read back of one, and whether that is what was wanted."""
    thing, seen = wanted.things[name], _seen(wanted.client_id, item)
    on = _in_service(wanted.client_id, item)
    if refused:
        return Finding(name, on, seen, Proof.FAILED, f"the system refused: {refused}")
    if not thing["in_service"]:
        why = _life(wanted.client_id, item)
        return Finding(name, on, seen, Proof.NOT_PROVEN if why else Proof.PROVEN, why)
    if not on or item is None:
        state = ", ".join(f"{key} {value}" for key, value in seen.items())
        return Finding(name, on, seen, Proof.NOT_PROVEN, f"should be in service and reads back as {state}")
    if item.secret_version is not None and item.secret_version < wanted.secret_version:
        why = f"reads back with the secret of version {item.secret_version} instead of {wanted.secret_version}"
        return Finding(name, on, seen, Proof.NOT_PROVEN, why)
    if different := [key for key, value in thing.items() if key in PLAN and getattr(item, key) != value]:
        differences = ", ".join(f"{key} {getattr(item, key)} instead of {thing[key]}" for key in different)
        return Finding(name, on, seen, Proof.NOT_PROVEN, f"reads back with {differences}")
    return Finding(name, on, seen | wanted.marks.get(name, {}))


def _second_finding(client_id: str, name: str, item: Item | None) -> Finding:
    """Of what is looked at again because it is off: is it alive? What the system cannot say is not seen."""
    why, unseen = _life(client_id, item), item is None or (not item.in_service and item.alive is None)
    proof = Proof.PROVEN if not why else Proof.NOT_PROVEN if unseen else Proof.FAILED
    return Finding(name, _in_service(client_id, item), _seen(client_id, item), proof, why)


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


def _in_service(client_id: str, item: Item | None) -> bool:
    return item is not None and item.in_service and not _elsewhere(client_id, item)


def _elsewhere(client_id: str, item: Item) -> bool:
    return item.client_id is not None and item.client_id != client_id


def _seen(client_id: str, item: Item | None) -> dict[str, str]:
    """In plain words. Nothing of another client's."""
    if item is None:
        return {"in_service": "unknown"}
    if not item.known:
        return {"in_service": "absent"}
    if _elsewhere(client_id, item):
        return {"owner": "another client"}
    alive = "unknown" if item.alive is None else str(item.alive)
    secret = "its own" if item.secret_version is None else f"derived, version {item.secret_version}"
    plan = {key: str(getattr(item, key)) for key in PLAN if getattr(item, key) is not None}
    return {"in_service": "1" if item.in_service else "0", "alive": alive, "secret": secret, **plan}
