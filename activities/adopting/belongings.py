"""What is to be taken on, and for whom: read from a file, or of clients that Connect has."""

import csv
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import phonenumbers
from temporalio.exceptions import ApplicationError

from activities.database import Database
from activities.errors import attempt_on
from activities.settings import Settings
from workflows.domain.systems import INTERNET, MAIN, TELEPHONY, System, SystemInstance

MOST_WRONG = 10
ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]+")  # a number as a spreadsheet writes it: 4.42E+11
"""Lines of a file that are complained of."""


class CannotAdopt(ValueError):
    """Nothing was done: a file is wrong, a client or an instance is unknown, or a database refuses. The message says
    which, and what to do."""


class Word(StrEnum):
    """What became of a line or account. Absent: the system does not have it; Connect will make it."""

    ADOPTED = "adopted"
    OURS = "is ours already"
    ABSENT = "is not there"
    REFUSED = "refused"


@dataclass(frozen=True)
class Belonging:
    """A line (a number with a plus) or an account of a client, on the instance of a system that serves it."""

    client_id: str
    system: System
    name: str
    instance: str = MAIN

    @property
    def served_by(self) -> SystemInstance:
        return SystemInstance(self.system, self.instance)


@dataclass(frozen=True)
class Seen:
    """A line or account before it is taken on: its ``owner``, what was ``found`` of it, and why it cannot be taken on;
    of a line that is not there as Connect would name it, what it is ``known_as``."""

    owner: str
    found: str = ""
    refusal: str = ""
    known_as: str = ""


@dataclass(frozen=True)
class Kind:
    """How one kind of system is looked at: ``look`` at what is to be taken on, by name, and ``survey`` of all that is
    there. ``thing`` is what our fence calls one of its subjects; ``tables`` are those that are looked at."""

    thing: str
    tables: tuple[str, ...]
    look: Callable[[Database, Settings, Sequence[Belonging]], Awaitable[dict[str, Seen]]]
    survey: Callable[[Database, Settings], Awaitable[list[str]]]


@dataclass(frozen=True)
class Adoption:
    """What became of a belonging, and what was found; of one that is refused, also what to do."""

    belonging: Belonging
    word: Word
    found: str = ""


@dataclass(frozen=True)
class Known:
    """What the directory knows: which clients there are, the version of their secrets, and who holds a number."""

    versions: dict[str, int]
    holders: dict[str, str]


def read_file(path: Path, telephony: str, internet: str) -> list[Belonging]:
    """The belongings that a CSV file lists, ``client_id,name`` a line. Raises CannotAdopt."""
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise CannotAdopt(f"{path} cannot be read: {error}. Give a CSV file in UTF-8") from None
    found, wrong = dict[tuple[System, str], Belonging](), list[str]()
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or (number == 1 and cells[0] == "client_id"):
            continue
        if len(cells) != 2 or not all(cells):
            wrong.append(f"line {number}: write client_id,name, as acme,+442079460001 or acme,acme")
            continue
        client_id, name = cells[0], cells[1].removeprefix("'")  # with which Connect's own files keep it a text
        if ROUNDED.fullmatch(name):
            wrong.append(f"line {number}: a spreadsheet has rounded {name}. Write all digits, in a cell of text")
            continue
        if name.startswith("+"):
            try:
                name = _e164(name)
            except ValueError:
                wrong.append(f"line {number}: {name[:40]} is no telephone number with a country code")
                continue
        system, instance = (TELEPHONY, telephony) if name.startswith("+") else (INTERNET, internet)
        other = found.setdefault((system, name), Belonging(client_id, system, name, instance))
        if other.client_id != client_id:
            wrong.append(f"line {number}: {name} is {other.client_id}'s already. Leave one of the two lines out")
    if wrong:
        more = f", and {len(wrong) - MOST_WRONG} more" if len(wrong) > MOST_WRONG else ""
        raise CannotAdopt(f"{path}: {'; '.join(wrong[:MOST_WRONG])}{more}. Nothing was done")
    return list(found.values())


async def of_clients(directory: Database, client_ids: Sequence[str]) -> list[Belonging]:
    """The lines and accounts of clients that Connect has. Raises CannotAdopt for one that it has not."""
    try:
        async with attempt_on(directory):
            rows = await directory.read(_CLIENTS, list(client_ids))
    except ApplicationError as error:
        raise CannotAdopt(error.message) from None
    known = {row["client_id"] for row in rows}
    if missing := [client_id for client_id in client_ids if client_id not in known]:
        raise CannotAdopt(f"There is no client {', '.join(missing)}. Name one that Connect has, or give a --file")
    found = []
    for row in rows:
        instances = row["instances"] or {}
        for system, names in ((TELEPHONY, row["lines"]), (INTERNET, [row["account"]])):
            instance = instances.get(system, MAIN)
            found += [Belonging(row["client_id"], system, name, instance) for name in names or [] if name]
    return found


async def known_of(directory: Database, belongings: Iterable[Belonging], owners: Iterable[str]) -> Known:
    """What the directory knows of the clients of these belongings, and of these owners."""
    belongings = list(belongings)
    clients = sorted({it.client_id for it in belongings} | set(owners))
    versions = await directory.read(_VERSIONS, clients)
    holders = await directory.read(_HOLDERS, [it.name for it in belongings])
    return Known(
        {row["client_id"]: row["version"] for row in versions}, {row["number"]: row["client_id"] for row in holders}
    )


def _e164(text: str) -> str:
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as wrong:
        raise ValueError from wrong
    if not phonenumbers.is_valid_number(number):
        raise ValueError
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_CLIENTS = """
SELECT c.client_id, ARRAY(SELECT jsonb_array_elements(c.document->'lines')->>'number') AS lines,
  c.document->'internet'->>'account' AS account,
  (SELECT jsonb_object_agg(s.system, s.instance) FROM client_systems s WHERE s.client_id = c.client_id) AS instances
FROM clients c WHERE c.client_id = ANY($1) ORDER BY c.client_id"""

_VERSIONS = "SELECT client_id, (document->>'secret_version')::int AS version FROM clients WHERE client_id = ANY($1)"

_HOLDERS = "SELECT number, client_id FROM numbers WHERE number = ANY($1)"
