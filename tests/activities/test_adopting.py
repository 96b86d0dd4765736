"""Lines and accounts from before are taken on as they are, once, by whom they belong to; a dry run changes nothing."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from activities.adopting.adopt import adopt
from activities.adopting.belongings import Adoption, Belonging, CannotAdopt, Word, of_clients, read_file
from activities.adopting.survey import UNSEEN, Report, survey
from tests.activities.fixtures import DOMAIN, ONE, TWO, World, access, lines
from tests.support.orders import line_order
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import INTERNET, MAIN, TELEPHONY

SCHEMES = ("Cleartext-Password", "NT-Password", "Crypt-Password", "SHA2-Password", "MD5-Password")


async def subscriber(world: World, username: str, domain: str = DOMAIN, in_service: int = 1) -> None:
    sql = "INSERT INTO subscriber (username, domain, ha1, in_service) VALUES ($1, $2, 'handmade', $3)"
    await world.execute("telephony", sql, username, domain, in_service)


async def check(world: World, username: str, attribute: str, value: str) -> None:
    sql = "INSERT INTO radcheck (username, attribute, op, value) VALUES ($1, $2, ':=', $3)"
    await world.execute("internet", sql, username, attribute, value)


async def everything(world: World) -> dict[str, list[Any]]:
    """All that the systems hold, and our fence."""
    tables = {"telephony": ("subscriber", "location", "connect_fence"), "internet": ("radcheck", "connect_fence")}
    return {
        f"{name}.{table}": await world.rows(name, f"SELECT to_jsonb(t) - 'changed_at' FROM {table} t ORDER BY 1")  # noqa: S608
        for name, names in tables.items()
        for table in names
    }


async def adopt_all(world: World, *pairs: tuple[str, str], dry: bool = False) -> dict[str, Adoption]:
    belongings = [Belonging(c, TELEPHONY if n.startswith("+") else INTERNET, n) for c, n in pairs]
    return {it.belonging.name: it for it in await adopt(world.databases, belongings, dry=dry)}


def words(found: Mapping[str, Adoption]) -> dict[str, Word]:
    return {name: it.word for name, it in found.items()}


async def test_lines_and_accounts_are_taken_on_and_keep_their_secrets(world: World) -> None:
    await subscriber(world, "+442079460001")
    await check(world, "acme", "NT-Password", "0xabc")
    before = await everything(world)
    found = await adopt_all(world, ("acme", ONE), ("acme", "acme"), ("acme", TWO))
    assert words(found) == {ONE: Word.ADOPTED, "acme": Word.ADOPTED, TWO: Word.ABSENT}
    assert found[ONE].found == f"+442079460001@{DOMAIN} in service"
    assert found["acme"].found == "radcheck with NT-Password"
    after = await everything(world)
    assert {name for name in before if before[name] != after[name]} == {
        "telephony.connect_fence",
        "internet.connect_fence",
    }
    for revision, on in ((1, True), (2, False), (3, True)):
        (line,) = (await world.telephony.ensure(lines("acme", revision, one=on))).findings
        (account,) = (await world.internet.ensure(access("acme", revision, on=on))).findings
        assert (line.seen["secret"], account.seen["secret"], line.proof) == ("its own", "its own", Proof.PROVEN)
    assert await world.rows("telephony", "SELECT username, ha1 FROM subscriber") == [("+442079460001", "handmade")]
    assert await world.rows("internet", "SELECT attribute, value FROM radcheck") == [("NT-Password", "0xabc")]


async def test_doing_it_again_does_nothing_and_says_so(world: World) -> None:
    await subscriber(world, "442079460001")
    await check(world, "acme", "Cleartext-Password", "secret")
    await adopt_all(world, ("acme", ONE), ("acme", "acme"))
    before = await everything(world)
    again = await adopt_all(world, ("acme", ONE), ("acme", "acme"))
    assert set(words(again).values()) == {Word.OURS}
    assert await everything(world) == before


async def test_a_dry_run_says_the_same_and_changes_nothing(world: World) -> None:
    await world.register("acme", ONE)
    await subscriber(world, "442079460001")
    await subscriber(world, "02079460002")
    await check(world, "ACME", "Cleartext-Password", "secret")
    pairs = [("acme", ONE), ("acme", TWO), ("acme", "acme"), ("acme", "+442079460003")]
    before, histories = await everything(world), await world.rows("directory", "SELECT * FROM history")
    dry = await adopt_all(world, *pairs, dry=True)
    assert await everything(world) == before
    assert await world.rows("directory", "SELECT * FROM history") == histories
    assert words(dry) == {
        ONE: Word.ADOPTED,
        TWO: Word.REFUSED,
        "acme": Word.REFUSED,
        "+442079460003": Word.ABSENT,
    }
    assert await adopt_all(world, *pairs) == dry


async def test_an_account_has_the_id_of_its_client(world: World) -> None:
    await check(world, "acme-router", "Cleartext-Password", "x")
    found = (await adopt_all(world, ("acme", "acme-router")))["acme-router"]
    assert (found.word, "with the id acme-router" in found.found) == (Word.REFUSED, True)


async def test_two_at_once_are_one(world: World) -> None:
    await subscriber(world, "442079460001")
    one, two = await asyncio.gather(adopt_all(world, ("acme", ONE)), adopt_all(world, ("bolt", ONE)))
    owners = await world.rows("telephony", "SELECT client_id FROM connect_fence WHERE subject LIKE 'line:%'")
    assert sorted([one[ONE].word, two[ONE].word]) in ([Word.ADOPTED, Word.REFUSED], [Word.ADOPTED, Word.ADOPTED])
    assert len(owners) == 1


async def test_what_another_client_owns_is_refused(world: World) -> None:
    await world.register("bolt", TWO)
    await subscriber(world, "442079460001")
    await subscriber(world, "442079460002")
    await world.register("corp")
    await world.telephony.ensure(lines("corp", 1, one=True))
    found = await adopt_all(world, ("acme", ONE), ("acme", TWO))
    assert found[ONE].found == "it is, or was, corp's. When Connect gives it to acme, it gets a new secret"
    assert found[TWO].found == "bolt holds the number. Have it ceased there first"
    assert set(words(found).values()) == {Word.REFUSED}


async def test_a_list_that_named_a_client_who_never_was_can_be_put_right(world: World) -> None:
    await subscriber(world, "442079460001")
    assert words(await adopt_all(world, ("amce", ONE))) == {ONE: Word.ADOPTED}
    assert words(await adopt_all(world, ("acme", ONE))) == {ONE: Word.ADOPTED}
    (line,) = (await world.telephony.ensure(lines("acme", 1, one=True))).findings
    assert line.seen["secret"] == "its own"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("ACME", "Cleartext-Password", "x")], "radcheck has ACME instead"),
        ([("acme@isp.test", "Cleartext-Password", "x")], "radcheck has acme@isp.test instead"),
        ([("acme", "NT-Password", "x"), ("Acme", "NT-Password", "x")], "radcheck has Acme, too"),
        ([("acme", "Cleartext-Password", "x"), ("acme", "Auth-Type", "LDAP")], "it logs in by Auth-Type LDAP"),
        ([("acme", "Auth-Type", "Accept")], "it logs in by Auth-Type Accept"),
        ([("acme", "Calling-Station-Id", "aa-bb")], "it has no password in radcheck"),
    ],
)
async def test_an_account_that_could_not_be_kept_as_it_is_is_refused(
    world: World, rows: list[tuple[str, str, str]], why: str
) -> None:
    for row in rows:
        await check(world, *row)
    found = (await adopt_all(world, ("acme", "acme")))["acme"]
    assert found.word is Word.REFUSED
    assert why in found.found


@pytest.mark.parametrize("attribute", SCHEMES)
async def test_every_scheme_of_a_password_is_kept(world: World, attribute: str) -> None:
    await check(world, "acme", attribute, "kept")
    assert words(await adopt_all(world, ("acme", "acme"))) == {"acme": Word.ADOPTED}
    for revision, on in ((1, True), (2, False), (3, True)):
        await world.internet.ensure(access("acme", revision, on=on))
    assert await world.rows("internet", "SELECT attribute, value FROM radcheck") == [(attribute, "kept")]


async def test_twins_are_taken_on_together_and_a_doubtful_spelling_is_not(world: World) -> None:
    for username in ("442079460001", "+442079460001", "02079460002"):
        await subscriber(world, username)
    found = await adopt_all(world, ("acme", ONE), ("acme", TWO))
    assert found[ONE].found == f"+442079460001@{DOMAIN} in service, 442079460001@{DOMAIN} in service"
    assert "Set CONNECT_SIP_COUNTRY" in found[TWO].found
    await world.open(limits={"sip_country": "GB"})
    assert words(await adopt_all(world, ("acme", TWO))) == {TWO: Word.ADOPTED}


async def test_a_client_that_connect_has_is_told_of_it_until_a_change_sees_more(world: World) -> None:
    await world.register("acme", ONE)
    await subscriber(world, "+442079460001")
    assert await of_clients(world.databases.directory, ["acme"]) == [Belonging("acme", TELEPHONY, ONE, MAIN)]
    await adopt_all(world, ("acme", ONE))
    await subscriber(world, "+442079460002")
    await adopt_all(world, ("acme", TWO))
    ((evidence,),) = await world.rows("directory", "SELECT findings::text FROM proofs WHERE revision = 0")
    assert all(it in evidence for it in (ONE, TWO, "its own", "known_as"))
    texts = await world.rows("directory", "SELECT text FROM history WHERE by = 'connect systems adopt' ORDER BY text")
    assert texts == [(f"Taken on with the secret from before: {it}",) for it in (ONE, TWO)]


async def test_a_rotation_of_what_was_taken_on_gives_it_a_derived_secret(world: World) -> None:
    await subscriber(world, "+442079460001")
    await adopt_all(world, ("acme", ONE))
    (line,) = (await world.telephony.ensure(line_order("acme", 1, {ONE: True}, secret_version=2))).findings
    assert line.seen["secret"] == "derived, version 2"


async def test_an_unknown_client_or_instance_is_refused_and_nothing_is_done(world: World) -> None:
    with pytest.raises(CannotAdopt, match="no client nobody"):
        await of_clients(world.databases.directory, ["nobody"])
    with pytest.raises(CannotAdopt, match="telephony york is no instance"):
        await adopt(world.databases, [Belonging("acme", TELEPHONY, ONE, "york")])


def test_a_list_is_read_as_people_write_it(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        "\ufeffclient_id,name\r\n# the ground floor\r\nacme, +44 20 7946 0001\r\n"
        "\r\nacme,acme-router\r\nbolt,'+442079460002\r\n",
        encoding="utf-8",
    )
    assert read_file(file, "york", MAIN) == [
        Belonging("acme", TELEPHONY, ONE, "york"),
        Belonging("acme", INTERNET, "acme-router", MAIN),
        Belonging("bolt", TELEPHONY, "+442079460002", "york"),  # as Connect writes it for spreadsheets
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("acme", "line 2: write client_id,name"),
        ("acme,", "line 2: write client_id,name"),
        ("acme,+44,x", "line 2: write client_id,name"),
        ("acme,+4420", r"line 2: \+4420 is no telephone number"),
        ("bolt,4.42E+11", r"line 2: a spreadsheet has rounded 4.42E\+11"),
        ("bolt,+442079460001", r"line 2: \+442079460001 is acme's already"),
    ],
)
def test_a_wrong_line_of_a_list_is_named_and_nothing_is_done(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"acme,+442079460001\n{line}\n", encoding="utf-8")
    with pytest.raises(CannotAdopt, match=f"{why}.*Nothing was done"):
        read_file(file, MAIN, MAIN)
    with pytest.raises(CannotAdopt, match=r"Give a CSV file"):
        read_file(tmp_path / "none.csv", MAIN, MAIN)


async def surveyed(world: World) -> dict[str, Report]:
    return {report.title.split()[0]: report for report in await survey(world.settings)}


async def test_a_survey_of_empty_systems_has_nothing_to_mend(world: World) -> None:
    reports = await surveyed(world)
    assert [report.problems for report in reports.values()] == [[], []]
    assert reports["telephony"].notes == ["calls, and registrations in memory, are not seen: set CONNECT_SIP_RPC_URLS"]
    assert reports["internet"].lines == []


async def test_a_survey_names_twins_foreign_spellings_and_national_numbers(world: World) -> None:
    await world.execute(
        "telephony",
        "CREATE TABLE dbaliases (alias_username text, alias_domain text, username text, domain text)",
    )
    await world.execute("telephony", "INSERT INTO dbaliases VALUES ('+442079460003', '', '101', '')")
    for username in ("442079460001", "+442079460001", "00442079460002", "02079460004", "101", "442079460003"):
        await subscriber(world, username)
    notes = "\n".join((await surveyed(world))["telephony"].notes)
    assert f"+442079460001@{DOMAIN}, 442079460001@{DOMAIN} are all {ONE}" in notes
    assert f"00442079460002@{DOMAIN} is {TWO}" in notes
    assert f"02079460004@{DOMAIN}" in notes
    assert "1 in national form? Set CONNECT_SIP_COUNTRY" in notes
    assert f"+442079460003: dbaliases gives +442079460003 to 101@{DOMAIN}, which is in service" in notes
    await world.open(limits={"sip_country": "GB"})
    notes = "\n".join((await surveyed(world))["telephony"].notes)
    assert f"02079460004@{DOMAIN} is +442079460004" in notes
    assert "national form" not in notes


async def test_a_survey_names_auth_types_groups_and_twins_of_accounts(world: World) -> None:
    await check(world, "acme", "Cleartext-Password", "x")
    await check(world, "Acme", "Cleartext-Password", "x")
    await check(world, "bolt", "Auth-Type", "LDAP")
    await check(world, "corp", "Auth-Type", "Reject")
    await world.execute("internet", "INSERT INTO radusergroup (username, groupname) VALUES ('acme', 'all')")
    await world.execute(
        "internet",
        "INSERT INTO radgroupcheck (groupname, attribute, op, value) VALUES ('all', 'Auth-Type', ':=', 'Accept')",
    )
    notes = "\n".join((await surveyed(world))["internet"].notes)
    assert "acme are one name" in notes.lower().replace("acme, acme", "acme")
    assert "bolt: LDAP" in notes
    assert "corp" not in notes
    assert "all: Auth-Type := Accept, of 1 accounts" in notes


async def test_a_survey_that_cannot_see_all_rows_says_so(world: World) -> None:
    telephony = await world.admin("telephony")
    await telephony.execute(
        """DO $$ BEGIN IF to_regrole('limited') IS NULL THEN CREATE ROLE limited; END IF; END $$;
        CREATE TABLE uri (username text, domain text, uri_user text);
        GRANT SELECT ON subscriber, location, connect_fence TO limited;
        ALTER TABLE location ENABLE ROW LEVEL SECURITY"""
    )
    dsn = world.dsns["telephony"]
    await world.open({"telephony": f"{dsn}{'&' if '?' in dsn else '?'}role=limited"})
    report = (await surveyed(world))["telephony"]
    assert (report.problems, report.notes) == ([f"2 {UNSEEN}", "  location", "  uri"], [])


async def test_a_survey_of_no_such_system_says_what_to_run(world: World) -> None:
    await world.execute("telephony", "DROP TABLE subscriber")
    (problem,) = (await surveyed(world))["telephony"].problems
    assert "connect systems prepare" in problem
