"""Takes on lines and accounts that were there before Connect: they keep their secrets, and nobody gets a twin.

What it writes is one row of our fence for each: who owns it, and that its secret is its own. No row of a system is
changed, so no telephone or router notices. Doing it again does nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict

from temporalio.exceptions import ApplicationError

from activities.adopting.belongings import Adoption, Belonging, CannotAdopt, Known, Seen, Word, known_of
from activities.adopting.kinds import KINDS
from activities.database import Database, Databases
from activities.errors import attempt_on
from activities.fence import OWN_SECRET
from workflows.domain.systems import SystemInstance
from workflows.ports import Finding

# An owner that Connect does not know is of an earlier list with another client in it.
_OWN = """
INSERT INTO connect_fence AS f (system, subject, client_id, revision, secret_version, secret_derived)
SELECT $1, w.subject, w.client_id, 0, w.version, false
FROM unnest($2::text[], $3::text[], $4::int[]) AS w(subject, client_id, version) ORDER BY w.subject
ON CONFLICT (system, subject) DO UPDATE SET client_id = excluded.client_id, secret_version = excluded.secret_version,
  changed_at = now()
WHERE f.client_id = ANY($5) AND NOT f.secret_derived
RETURNING subject"""


# The first evidence of these, until a change sees more: the API then knows that it does not know their secrets.
_RECORD = """
WITH proof AS (
  INSERT INTO proofs AS p (client_id, system, revision, at, method, findings, kind)
  VALUES ($1, $2, 0, now(), 'taken on as it was there', $3, 'part')
  ON CONFLICT (client_id, system, revision, kind) DO UPDATE SET at = excluded.at, findings = excluded.findings ||
    coalesce((SELECT jsonb_agg(f) FROM jsonb_array_elements(p.findings) f WHERE f->>'subject' <> ALL($4)), '[]'))
INSERT INTO history (client_id, event, at, kind, text, by, facts)
VALUES ($1, 'proven', now(), $2, $5, 'connect systems adopt', '{}')"""


async def adopt(databases: Databases, belongings: Sequence[Belonging], *, dry: bool = False) -> list[Adoption]:
    """Take these on; with ``dry`` only say what would become of each. Raises CannotAdopt."""
    try:
        return await _adopt_all(databases, belongings, dry=dry)
    except ApplicationError as error:
        raise CannotAdopt(error.message) from None


async def _adopt_all(databases: Databases, belongings: Sequence[Belonging], *, dry: bool) -> list[Adoption]:
    groups = defaultdict[SystemInstance, list[Belonging]](list)
    for it in belongings:
        groups[it.served_by].append(it)
    for key in groups:
        instance = databases.instances.served.get(key)
        if instance is None or not instance.ours:
            raise CannotAdopt(f"{key} is no instance that our own adapters switch. Check its name")
    adoptions = []
    for key, group in groups.items():
        adoptions += await _adopt(databases, key, group, dry=dry)
    order = {it: n for n, it in enumerate(belongings)}
    return sorted(adoptions, key=lambda it: order[it.belonging])


async def _adopt(databases: Databases, key: SystemInstance, group: Sequence[Belonging], *, dry: bool) -> list[Adoption]:
    """Those of one instance."""
    kind, system = KINDS[key.system], databases.of(*key)
    async with attempt_on(system):
        seen = await kind.look(system, databases.instances.served[key].settings, group)
        owners = {it.owner for it in seen.values() if it.owner}
    async with attempt_on(databases.directory):
        known = await known_of(databases.directory, group, owners)
    adoptions = [_judge(it, seen[it.name], known) for it in group]
    ready = [it.belonging for it in adoptions if it.word is Word.ADOPTED]
    if dry or not ready:
        return adoptions
    lost = owners - known.versions.keys()
    async with attempt_on(system):
        owned = await _own(system, kind.thing, ready, known.versions, lost)
    async with attempt_on(databases.directory):
        for client_id in sorted({it.client_id for it in ready} & known.versions.keys()):
            names = {it.name: seen[it.name] for it in ready if it.client_id == client_id and it.name in owned}
            await databases.directory.write(_RECORD, client_id, key.system, *_record(names))
    return [
        it if it.belonging not in ready or it.belonging.name in owned else _too_late(it.belonging) for it in adoptions
    ]


def _judge(belonging: Belonging, seen: Seen, known: Known) -> Adoption:
    """What becomes of one, by what was seen of it and what the directory knows."""
    if seen.owner == belonging.client_id:
        return Adoption(belonging, Word.OURS, seen.found)
    if seen.owner and seen.owner in known.versions:
        why = f"it is, or was, {seen.owner}'s. When Connect gives it to {belonging.client_id}, it gets a new secret"
        return Adoption(belonging, Word.REFUSED, why)
    holder = known.holders.get(belonging.name, belonging.client_id)
    if holder != belonging.client_id:
        return Adoption(belonging, Word.REFUSED, f"{holder} holds the number. Have it ceased there first")
    if seen.refusal:
        return Adoption(belonging, Word.REFUSED, seen.refusal)
    return Adoption(belonging, Word.ADOPTED if seen.found else Word.ABSENT, seen.found)


def _record(seen: Mapping[str, Seen]) -> tuple[list[dict[str, object]], list[str], str]:
    """The evidence that these were there, their names, and the line of history that says so."""
    findings = [
        Finding(name, True, {"secret": OWN_SECRET} | ({"known_as": it.known_as} if it.known_as else {}))
        for name, it in seen.items()
    ]
    text = f"Taken on with the secret from before: {', '.join(sorted(seen))}"
    return [asdict(finding) for finding in findings], list(seen), text


def _too_late(belonging: Belonging) -> Adoption:
    return Adoption(belonging, Word.REFUSED, "another client took it meanwhile. Run this again")


async def _own(
    system: Database, thing: str, ready: Sequence[Belonging], versions: Mapping[str, int], lost: Collection[str]
) -> set[str]:
    """Record who owns these, unless somebody was faster. Returns the names."""
    subjects = [f"{thing}:{it.name}" for it in ready]
    clients = [it.client_id for it in ready]
    rows = await system.write(
        _OWN, ready[0].system, subjects, clients, [versions.get(it, 1) for it in clients], sorted({*lost, *clients})
    )
    return {row["subject"].removeprefix(f"{thing}:") for row in rows}


def count_refused(adoptions: Iterable[Adoption]) -> int:
    """How many could not be taken on."""
    return sum(it.word is Word.REFUSED for it in adoptions)
