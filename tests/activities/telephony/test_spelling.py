"""A line is every login that spells its number: none is missed, none is made twice, nobody else's is taken."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from activities.secrets import ha1, sip_password
from activities.telephony import sql
from activities.telephony.observation import DOUBTFUL
from activities.telephony.spelling import PLAIN, forms_of, plain, spellings
from tests.activities.fixtures import DOMAIN, MASTER_KEY, ONE, TWO, World, lines, settings_for
from tests.support.exchange import TALKING, Exchange
from tests.support.orders import line_order
from workflows.domain.provisioning.standing import Proof
from workflows.ports import Finding, Life, Watched

DATABASES = ("telephony",)
NOTHING_SEEN: Mapping[str, str] = {}
GB, US = {"sip_country": "GB"}, {"sip_country": "US"}

SAME = [
    *("+442079460001", "00442079460001", "011442079460001", "+44 20 7946 0001", "44-20-7946.0001", "+44(0)2079460001"),
    *("4402079460001", "sip:+442079460001", "tel:+44-20-7946-0001", "442079460001@sip.test", "SIP:442079460001@x"),
]
NATIONAL = ["02079460001", "020 7946 0001", "(020)79460001", "2079460001"]
OTHER_NAMES = ["442079460002", "4420794600011", "12079460001", "reception", "442079460001-old", "x442079460001"]


async def subscriber(world: World, username: str, domain: str = DOMAIN) -> None:
    """Somebody's login from before Connect."""
    sql = "INSERT INTO subscriber (username, domain, ha1) VALUES ($1, $2, 'handmade')"
    await world.execute("telephony", sql, username, domain)


async def registered(world: World, username: str, domain: str | None = DOMAIN) -> None:
    sql = "INSERT INTO location (ruid, username, domain) VALUES ($1 || coalesce($2, ''), $1, $2)"
    await world.execute("telephony", sql, username, domain)


async def script(world: World, statements: str) -> None:
    """Change the phone system's database behind everybody's back."""
    await (await world.admin("telephony")).execute(statements)


async def logins(world: World) -> dict[str, tuple[int, str]]:
    """in_service and ha1 of every login."""
    rows = await world.rows("telephony", "SELECT username || '@' || domain, in_service, ha1 FROM subscriber")
    return {name: (on, digest) for name, on, digest in rows}


async def finding_of(world: World, revision: int, *, on: bool, number: str = ONE) -> Finding:
    (finding,) = (await world.telephony.ensure(line_order("acme", revision, {number: on}))).findings
    return finding


async def with_few_rights(world: World) -> None:
    """Connect, as a role that owns nothing."""
    await script(
        world,
        """DO $$ BEGIN IF to_regrole('limited') IS NULL THEN CREATE ROLE limited; END IF; END $$;
        GRANT SELECT, INSERT, UPDATE, DELETE ON subscriber, location, connect_fence TO limited;
        GRANT USAGE ON SEQUENCE subscriber_id_seq TO limited""",
    )
    dsn = world.dsns["telephony"]
    await world.open({"telephony": f"{dsn}{'&' if '?' in dsn else '?'}role=limited"})


@pytest.mark.parametrize("country", ["", "GB", "US"])
@pytest.mark.parametrize("username", SAME)
async def test_a_line_that_is_there_otherwise_spelt_is_taken_on_and_never_made_again(
    world: World, username: str, country: str
) -> None:
    await world.open(limits={"sip_country": country})
    await subscriber(world, username)
    await registered(world, username)
    on = await finding_of(world, 1, on=True)
    assert (on.proof, on.in_service, on.seen["secret"]) == (Proof.PROVEN, True, "its own")
    assert (on.seen["known_as"], on.seen["registrations"]) == (f"{username}@{DOMAIN}", "1"), "it stays registered"
    off = await finding_of(world, 2, on=False)
    assert (off.proof, off.in_service, off.seen["registrations"]) == (Proof.PROVEN, False, "0")
    assert await logins(world) == {f"{username}@{DOMAIN}": (0, "handmade")}
    await finding_of(world, 3, on=True)
    assert await logins(world) == {f"{username}@{DOMAIN}": (1, "handmade")}


@pytest.mark.parametrize("domain", ["", "second.test", "SIP.TEST"])
async def test_a_line_is_the_same_in_any_domain(world: World, domain: str) -> None:
    await subscriber(world, "442079460001", domain)
    await registered(world, "442079460001", domain)
    assert (await finding_of(world, 1, on=True)).proof is Proof.PROVEN
    off = await finding_of(world, 2, on=False)
    assert (off.proof, off.seen["registrations"]) == (Proof.PROVEN, "0")
    assert await logins(world) == {f"442079460001@{domain}": (0, "handmade")}


async def test_twins_from_before_go_off_and_on_together(world: World) -> None:
    for username in ("442079460001", "+442079460001"):
        await subscriber(world, username)
        await registered(world, username)
    await registered(world, "00442079460001", None)
    await subscriber(world, "442079460001", "second.test")
    off = await finding_of(world, 1, on=False)
    assert (off.proof, off.seen["in_service"], off.seen["registrations"]) == (Proof.PROVEN, "0 of 3", "0")
    assert {on for on, _ in (await logins(world)).values()} == {0}
    assert (await finding_of(world, 2, on=True)).seen["in_service"] == "3 of 3"
    await world.execute("telephony", "UPDATE subscriber SET in_service = 0 WHERE domain = 'second.test'")
    await finding_of(world, 3, on=False)
    await world.execute("telephony", "UPDATE subscriber SET in_service = 1 WHERE domain = 'second.test'")
    assert await alive(world, ONE) == {ONE: "in service as 442079460001@second.test"}


@pytest.mark.parametrize("username", NATIONAL)
async def test_a_national_spelling_is_the_line_where_settings_name_the_country(world: World, username: str) -> None:
    await world.open(limits=GB)
    await subscriber(world, username)
    await registered(world, username)
    assert (await finding_of(world, 1, on=True)).seen["known_as"] == f"{username}@{DOMAIN}"
    assert (await finding_of(world, 2, on=False)).proof is Proof.PROVEN
    assert await logins(world) == {f"{username}@{DOMAIN}": (0, "handmade")}


@pytest.mark.parametrize("username", NATIONAL)
async def test_a_national_spelling_without_a_country_gets_no_twin_and_says_what_to_do(
    world: World, username: str
) -> None:
    await subscriber(world, username)
    on = await finding_of(world, 1, on=True)
    assert (on.proof, on.in_service) == (Proof.FAILED, False)
    assert f"not created: subscriber has {username}@{DOMAIN}, which may be this line. Set CONNECT_SIP_COUNTRY" in on.why
    off = await finding_of(world, 2, on=False)
    assert (off.proof, await logins(world)) == (Proof.FAILED, {f"{username}@{DOMAIN}": (1, "handmade")})
    assert f"subscriber has {username}@{DOMAIN} in service, which may be this line" in off.why
    await world.open(limits=US)
    assert (await finding_of(world, 3, on=False)).proof is Proof.PROVEN, "a number of another country"


async def test_a_registration_under_a_doubtful_spelling_is_failed(world: World) -> None:
    await finding_of(world, 1, on=True)
    await registered(world, "02079460001")
    off = await finding_of(world, 2, on=False)
    assert off.proof is Proof.FAILED
    assert f"02079460001@{DOMAIN} is registered, which may be this line" in off.why


@pytest.mark.parametrize("username", OTHER_NAMES)
@pytest.mark.parametrize("settings", [{}, GB, US])
async def test_what_only_looks_like_the_number_is_left_alone(
    world: World, username: str, settings: Mapping[str, str]
) -> None:
    await world.open(limits=settings)
    await subscriber(world, username)
    await registered(world, username)
    await finding_of(world, 1, on=True)
    assert (await finding_of(world, 2, on=False)).proof is Proof.PROVEN
    assert (await logins(world))[f"{username}@{DOMAIN}"] == (1, "handmade")
    assert len(await world.rows("telephony", "SELECT FROM location")) == 1


async def test_a_spelling_that_is_the_number_of_another_line_of_ours_is_that_lines(world: World) -> None:
    """+1 207 946 0001 in national form is +20 79460001 without its plus."""
    await world.open(limits=US)
    american, egyptian = "+12079460001", "+2079460001"
    await world.telephony.ensure(line_order("bolt", 1, {egyptian: True}))
    await registered(world, "2079460001")
    assert (await finding_of(world, 1, on=True, number=american)).proof is Proof.PROVEN
    assert (await finding_of(world, 2, on=False, number=american)).proof is Proof.PROVEN
    assert {name: on for name, (on, _) in (await logins(world)).items()} == {
        f"2079460001@{DOMAIN}": 1,
        f"12079460001@{DOMAIN}": 0,
    }
    assert len(await world.rows("telephony", "SELECT FROM location")) == 1


async def test_rotating_gives_every_spelling_the_new_secret_of_its_own_name(world: World) -> None:
    for username in ("442079460001", "+442079460001"):
        await subscriber(world, username)
    await finding_of(world, 1, on=True)
    await world.telephony.ensure(line_order("acme", 2, {ONE: True}, secret_version=2))
    password = sip_password(MASTER_KEY, "acme", ONE, 2)
    assert await logins(world) == {
        f"{username}@{DOMAIN}": (1, ha1(username, DOMAIN, password)) for username in ("442079460001", "+442079460001")
    }


async def test_a_number_let_again_leaves_no_old_secret_in_any_spelling(world: World) -> None:
    await subscriber(world, "+442079460001")
    await subscriber(world, "00442079460001", "second.test")
    await finding_of(world, 1, on=True)
    await world.telephony.ensure(lines("bolt", 1, one=True))
    assert "handmade" not in {digest for _, digest in (await logins(world)).values()}


ALIASES = """
CREATE TABLE dbaliases (alias_username text, alias_domain text, username text, domain text);
CREATE TABLE uri (username text, domain text, uri_user text);
GRANT SELECT ON dbaliases, uri TO PUBLIC"""
ALIASED = [
    "INSERT INTO dbaliases VALUES ('442079460001', 'sip.test', 'reception', 'sip.test')",
    "INSERT INTO dbaliases VALUES ('+44 20 79460001', '', 'reception', '')",
    "INSERT INTO dbaliases VALUES ('02079460001', 'sip.test', 'reception', 'sip.test')",
    "INSERT INTO uri VALUES ('reception', 'sip.test', '+442079460001')",
]


@pytest.mark.parametrize("alias", ALIASED)
async def test_another_login_by_which_the_number_is_reached_is_failed_while_it_is_in_service(
    world: World, alias: str
) -> None:
    await finding_of(world, 1, on=True)
    await script(world, ALIASES)
    await world.execute("telephony", alias)
    assert (await finding_of(world, 2, on=False)).proof is Proof.PROVEN, "nobody is behind it"
    await subscriber(world, "reception")
    off = await finding_of(world, 3, on=False)
    assert off.proof is Proof.FAILED
    assert "to reception@sip.test, which is in service. Delete the row" in off.why
    assert (await finding_of(world, 4, on=True)).proof is Proof.PROVEN
    await world.execute("telephony", "UPDATE subscriber SET in_service = 0 WHERE username = 'reception'")
    assert (await finding_of(world, 5, on=False)).proof is Proof.PROVEN


@pytest.mark.parametrize("alias", ALIASED)
async def test_a_line_that_is_there_under_another_name_gets_no_twin(world: World, alias: str) -> None:
    await script(world, ALIASES)
    await world.execute("telephony", alias)
    await subscriber(world, "reception")
    on = await finding_of(world, 1, on=True)
    assert (on.proof, set(await logins(world))) == (Proof.FAILED, {"reception@sip.test"})
    assert "not created: " in on.why


async def test_an_alias_of_the_line_itself_lets_nobody_in(world: World) -> None:
    await script(world, ALIASES)
    await world.execute("telephony", "INSERT INTO dbaliases VALUES ('101', '', '442079460001', 'sip.test')")
    await world.execute("telephony", "INSERT INTO dbaliases VALUES ('+442079460001', '', '442079460001', 'sip.test')")
    await finding_of(world, 1, on=True)
    assert (await finding_of(world, 2, on=False)).proof is Proof.PROVEN


async def test_other_names_that_cannot_be_read_are_not_proven(world: World) -> None:
    await finding_of(world, 1, on=True)
    await script(world, ALIASES)
    await world.execute("telephony", "REVOKE ALL ON dbaliases FROM PUBLIC")
    await with_few_rights(world)
    off = await finding_of(world, 2, on=False)
    assert off.proof is Proof.NOT_PROVEN
    assert off.why == "dbaliases cannot be read, and may let it in. GRANT SELECT ON dbaliases to our role"
    assert (await finding_of(world, 3, on=True)).proof is Proof.PROVEN


async def test_memory_is_searched_in_every_spelling_and_domain(world: World) -> None:
    aors = {f"+442079460001@{DOMAIN}", f"00442079460001@{DOMAIN}", "442079460001@second.test"}
    async with Exchange() as exchange:
        await world.open(limits={"sip_rpc_urls": exchange.url})
        await subscriber(world, "442079460001", "second.test")
        exchange.registered = {*aors, f"442079460002@{DOMAIN}"}
        exchange.calls = {1: ("00442079460001", "101", TALKING), 2: ("101", "+442079460001", TALKING)}
        off = await finding_of(world, 1, on=False)
        assert (off.proof, exchange.registered) == (Proof.PROVEN, {f"442079460002@{DOMAIN}"})
        assert (off.seen["registrations_by_rpc"], off.seen["calls"], exchange.calls) == ("0", "0", {})


async def test_what_was_registered_in_the_table_alone_is_searched_for_in_memory(world: World) -> None:
    """A login that somebody has deleted, in a domain that we do not know of."""
    async with Exchange(registered={"442079460001@third.test"}) as exchange:
        await world.open(limits={"sip_rpc_urls": exchange.url})
        await registered(world, "442079460001", "third.test")
        assert (await finding_of(world, 1, on=False)).proof is Proof.PROVEN
        assert exchange.registered == set()


async def alive(world: World, *numbers: str, seen: Mapping[str, str] = NOTHING_SEEN) -> dict[str, str]:
    """What is found to live of these lines of acme, which are off, and how."""
    off = [Watched("acme", number, datetime.now(UTC), seen) for number in numbers]
    found = (await world.telephony.observe(off)).sightings
    return {it.watched.subject: it.how for it in found if it.life is Life.ALIVE}


async def test_many_lines_are_watched_by_every_name_in_one_statement(world: World) -> None:
    numbers = [f"+4420794600{n:02}" for n in range(50)]
    await world.telephony.ensure(line_order("acme", 1, dict.fromkeys(numbers, True)))
    await world.telephony.ensure(line_order("acme", 2, dict.fromkeys(numbers, False)))
    await world.telephony.ensure(line_order("bolt", 1, {TWO: True}))
    await world.execute("telephony", "UPDATE subscriber SET in_service = 1 WHERE username = '442079460007'")
    await registered(world, "+442079460008")
    await subscriber(world, "02079460009")
    await subscriber(world, "+442079460010", "second.test")
    world.statements.clear()
    found = await alive(world, *numbers)
    assert world.took() == 1
    assert found == {
        "+442079460007": "in service",
        "+442079460008": "registered (1)",
        "+442079460009": f"subscriber has 02079460009@{DOMAIN} in service, which may be this line. {DOUBTFUL}",
        "+442079460010": "in service as +442079460010@second.test",
    }, "and not the one that another client has by now"


async def test_a_name_by_which_a_watched_line_is_reached_is_found(world: World) -> None:
    await finding_of(world, 1, on=True)
    await finding_of(world, 2, on=False)
    await script(world, ALIASES)
    await world.execute("telephony", ALIASED[0])
    assert await alive(world, ONE, TWO) == {}
    await subscriber(world, "reception")
    assert set(await alive(world, ONE, TWO)) == {ONE}


async def test_memory_is_watched_by_the_names_that_the_evidence_has(world: World) -> None:
    async with Exchange() as exchange:
        await world.open(limits={"sip_rpc_urls": exchange.url})
        await subscriber(world, "442079460001", "second.test")
        off = await finding_of(world, 1, on=False)
        exchange.registered = {"442079460001@second.test"}
        assert await alive(world, ONE) == {}
        how = "registered in the memory of a server (1)"
        assert await alive(world, ONE, seen=off.seen) == {ONE: how}
        exchange.registered = {f"00442079460001@{DOMAIN}"}
        assert await alive(world, ONE) == {ONE: how}


async def test_rows_that_row_level_security_hides_are_an_error_and_no_absence(world: World) -> None:
    await subscriber(world, "+442079460001")
    await script(
        world,
        "ALTER TABLE subscriber ENABLE ROW LEVEL SECURITY; CREATE POLICY ours ON subscriber USING (username !~ '^[+]')",
    )
    await with_few_rights(world)
    with pytest.raises(Exception, match="row-level security"):
        await finding_of(world, 1, on=False)


async def test_the_index_serves_what_is_looked_for(world: World) -> None:
    connection = await world.admin("telephony")
    await connection.execute("SET enable_seqscan = off")
    plan = await connection.fetch(f"EXPLAIN {sql.READ}", [ONE], ["acme"], *forms_of([ONE], ""))
    text = "\n".join(row[0] for row in plan)
    assert "connect_spelling" in text
    assert "connect_registered" in text


async def test_sql_and_python_read_a_username_alike(world: World) -> None:
    for username in [*SAME, *NATIONAL, *OTHER_NAMES, "", "@", "(0)", "+44 (0) 20", "tel:+44;ext=5", "4\n4", "\u200b44"]:
        ((by_sql,),) = await world.rows("telephony", f"SELECT {PLAIN.format('$1::text')}", username)
        assert by_sql == plain(username)


@pytest.mark.parametrize(
    ("number", "country", "certain", "doubtful"),
    [
        ("+12125550123", "", {"12125550123"}, {"2125550123"}),
        ("+12125550123", "CA", {"12125550123", "2125550123"}, set()),
        ("+390212345678", "IT", {"390212345678", "0212345678"}, set()),
        ("+4930123456", "", {"4930123456", "49030123456"}, {"030123456", "30123456"}),
        ("+420212345678", "SK", {"420212345678"}, set()),
    ],
)
def test_spellings_of_other_countries(number: str, country: str, certain: set[str], doubtful: set[str]) -> None:
    known = spellings(number, country)
    digits = number.removeprefix("+")
    assert {*known.certain} == certain | {f"00{digits}", f"011{digits}"}
    assert {*known.doubtful} == doubtful


def test_a_country_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="two letters of a country"):
        settings_for(dict.fromkeys(("directory", "telephony", "internet"), "postgresql://x"), {"sip_country": "UK"})
