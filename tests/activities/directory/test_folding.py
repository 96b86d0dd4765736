"""References are one whatever their case; search and sorting fold case and accents the same way on both sides."""

import unicodedata

import asyncpg
import pytest

from activities.directory.folding import search_text, searchable, sort_name
from activities.directory.migrations import migrate
from starter.local.postgres import EmbeddedPostgres
from tests.activities.fixtures import World, publication
from tests.support.databases import database
from workflows.ports import Claim

DATABASES = ("directory",)

FOUND = [
    ("cafe", "Café Nero"),
    ("CAFÉ", "cafe\u0301 nero"),
    ("muller", "Müller & Co"),
    ("o'neil", "O\u2019Neil"),
    ("o\u00b4neil", "O'Neil"),
    ("strasse", "Hauptstraße 3"),
    ("STRAßE", "Hauptstrasse"),
    ("strasse", "HAUPTSTRA\u1e9eE"),
    ("istanbul", "\u0130stanbul Ltd"),
    ("diyarbakir", "Diyarbak\u0131r"),
    ("office", "O\ufb03ce Plus"),
    ("acme", "\uff21\uff23\uff2d\uff25"),
    ("lodz", "Łódź"),
    ("soren", "Søren"),
    ("aether", "Æther"),
    ("rock-n-roll", "Rock\u2011n\u2013Roll"),
]


@pytest.mark.parametrize(("word", "name"), FOUND)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_word_finds_a_name_however_both_are_written(word: str, name: str, form: str) -> None:
    typed = unicodedata.normalize(form, word)  # type: ignore[arg-type]
    stored = unicodedata.normalize(form, name)  # type: ignore[arg-type]
    assert searchable(typed) in search_text(name, "C1", "acme-1", [], [])
    assert searchable(word) in search_text(stored, "C1", "acme-1", [], [])


def test_names_are_sorted_as_in_a_dictionary() -> None:
    names = ["Zeta", "alpha", "Ärger", "Łódź", "\u0130stanbul", "mango"]
    assert sorted(names, key=sort_name) == ["alpha", "Ärger", "\u0130stanbul", "Łódź", "mango", "Zeta"]


async def refs_of(world: World) -> list[tuple[object, ...]]:
    return await world.rows("directory", "SELECT client_id, key FROM billing_refs ORDER BY client_id")


@pytest.mark.parametrize("claimed", ["ACME-1", "acme-1", "Acme-1", "A\u0301CME-1"])
async def test_a_reference_in_other_case_belongs_to_who_has_it(world: World, claimed: str) -> None:
    held = unicodedata.normalize("NFC", "a\u0301cme-1") if claimed.startswith("A\u0301") else "Acme-1"
    ours, theirs = await world.register("acme"), await world.register("bolt")
    taken = await world.directory.publish(publication("acme", 2, billing_ref=ours, claim=Claim(held, [])))
    assert taken.lost is None
    await world.directory.publish(publication("acme", 3, billing_ref=held))
    lost = await world.directory.publish(publication("bolt", 2, billing_ref=theirs, claim=Claim(claimed, [])))
    assert lost.lost is not None
    assert (lost.lost.type, lost.lost.field) == ("BillingRefTaken", "billing_ref")
    assert [client for client, _ in await refs_of(world)] == ["acme", "bolt"]


async def test_who_has_a_reference_may_write_it_otherwise_and_then_let_it_go(world: World) -> None:
    ours, theirs = await world.register("acme"), await world.register("bolt")
    for revision, ref in ((2, "Acme-1"), (4, "ACME-1")):
        won = await world.directory.publish(publication("acme", revision, billing_ref=ours, claim=Claim(ref, [])))
        assert won.lost is None
        await world.directory.publish(publication("acme", revision + 1, billing_ref=(ours := ref)))
        assert (await refs_of(world))[0] == ("acme", "acme-1")
    await world.directory.publish(publication("acme", 6, billing_ref="C9"))
    won = await world.directory.publish(publication("bolt", 2, billing_ref=theirs, claim=Claim("acme-1", [])))
    assert won.lost is None


async def test_what_there_was_before_is_folded_and_references_that_case_tells_apart_stay(
    postgres: EmbeddedPostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    async with database(postgres, "before_folding") as dsn:
        await migrate(dsn, "0011")
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("INSERT INTO sites (site_id, name, timezone) VALUES ('lon', 'London', 'UTC')")
            for client_id, name, ref in (("a", "Caf\u00e9", "Ref-1"), ("b", "Müller", "REF-1"), ("c", "Straße", "c3")):
                await connection.execute(_OLD_CLIENT, client_id, name, ref)
                await connection.execute("INSERT INTO billing_refs VALUES ($1, $2, false)", ref, client_id)
            await migrate(dsn)
            rows = await connection.fetch("SELECT search, sort_name FROM clients ORDER BY client_id")
            assert [tuple(row) for row in rows] == [
                ("cafe ref-1 a +442079460001 442079460001 3.12", "cafe"),
                ("muller ref-1 b +442079460001 442079460001 3.12", "muller"),
                ("strasse c3 c +442079460001 442079460001 3.12", "strasse"),
            ]
            keys = dict(await connection.fetch("SELECT client_id, key FROM billing_refs"))
            assert keys == {"a": "ref-1\x01a", "b": "ref-1", "c": "c3"}
            assert "Ref-1 of a" in capsys.readouterr().out
            await connection.execute("INSERT INTO billing_refs VALUES ('OLD-Worker', 'c', false)")
            assert await connection.fetchval("SELECT key FROM billing_refs WHERE billing_ref = 'OLD-Worker'")
        finally:
            await connection.close()


_OLD_CLIENT = """
INSERT INTO clients (client_id, incarnation, revision, site_id, name, sort_name, type, status, billing_ref, start_date,
  management, offices, numbers, document, search, created_at)
VALUES ($1, 'run', 1, 'lon', $2, $2, 'residential', 'active', $3, '2026-01-01', false, '{3.12}', '{+442079460001}',
  '{}', lower($2), now())"""
