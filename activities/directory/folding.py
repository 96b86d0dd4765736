"""How names are searched and sorted: without case, accents and ways of writing, in the directory and in what is looked
for alike. Nothing that a client decides hangs on it, so it goes by the newest Unicode there is.

After a change here, a new version of the schema calls ``refold``, for the rows that there are.
"""

import unicodedata
from collections.abc import Iterable, Sequence

import asyncpg

from workflows.domain.client.rules import LONGEST_NAME
from workflows.domain.text import folded

BATCH = 2000
DOUBLE = "\x01"
"""What follows the key of a billing reference that another client has, too, in other case: from before 0014."""

# What is a letter or a mark of its own, and is looked for by another one.
_ALIKE = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u02b9\u2032\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        "\u0131": "i",
        "\u00f8": "o",
        "\u0111": "d",
        "\u0142": "l",
        "\u0127": "h",
        "\u0167": "t",
        "\u0140": "l",
        "\u00e6": "ae",
        "\u0153": "oe",
        "\u00f0": "d",
        "\u00fe": "th",
        "\u0138": "k",
        "\u014b": "n",
    }
)


def searchable(text: str) -> str:
    """The text as it is looked for: ``Café``, in either normal form, is ``cafe``, and every apostrophe is ``'``."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text.translate(_ALIKE)).casefold())
    return "".join(mark for mark in plain if not unicodedata.combining(mark)).translate(_ALIKE)


def search_text(name: str, billing_ref: str, client_id: str, numbers: Sequence[str], words: Iterable[str]) -> str:
    """The text that a search reads: name, reference, id, numbers with and without plus; offices, tags, external ids."""
    bare = (number.removeprefix("+") for number in numbers)
    return searchable(" ".join([name, billing_ref, client_id, *numbers, *bare, *words]))


def sort_name(name: str) -> str:
    """The sort key of a name, so that Ärger is between alpha and Zeta.

    One character can become many, so the key is cut to the length that an index can hold.
    """
    return searchable(name).strip()[:LONGEST_NAME]


_CLIENTS = """
SELECT name, billing_ref, client_id, numbers, offices
  || ARRAY(SELECT jsonb_array_elements_text(document->'tags'))
  || ARRAY(SELECT key || ':' || value FROM jsonb_each_text(document->'external_ids')) AS words
FROM clients WHERE client_id > $1 ORDER BY client_id LIMIT $2"""

_REFOLD = """
UPDATE clients c SET search = n.search, sort_name = n.sort_name
FROM unnest($1::text[], $2::text[], $3::text[]) AS n(client_id, search, sort_name)
WHERE c.client_id = n.client_id AND (c.search <> n.search OR c.sort_name <> n.sort_name)"""

_KEYS = """
UPDATE billing_refs b SET key = n.key FROM unnest($1::text[], $2::text[]) AS n(billing_ref, key)
WHERE b.billing_ref = n.billing_ref"""


async def refold(connection: asyncpg.Connection) -> None:
    """Bring what is searched and sorted of every client to these rules."""
    last = ""
    while rows := await connection.fetch(_CLIENTS, last, BATCH):
        last = rows[-1]["client_id"]
        found = [(row["client_id"], search_text(*row), sort_name(row["name"])) for row in rows]
        await connection.execute(_REFOLD, *map(list, zip(*found, strict=True)))


async def fold_references(connection: asyncpg.Connection) -> list[str]:
    """Give every billing reference its key. Those that differ in case alone stay with their clients; all but
    the first are marked ``DOUBLE``. Returns these, each with its client."""
    keys: dict[str, str] = {}
    taken: set[str] = set()
    double: list[str] = []
    for row in await connection.fetch("SELECT billing_ref, client_id FROM billing_refs ORDER BY billing_ref"):
        key = folded(row["billing_ref"])
        if key in taken:
            key = f"{key}{DOUBLE}{row['client_id']}"
            double.append(f"{row['billing_ref']} of {row['client_id']}")
        taken.add(key)
        keys[row["billing_ref"]] = key
    await connection.execute(_KEYS, list(keys), list(keys.values()))
    return double
