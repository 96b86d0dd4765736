"""The example adapter: a system that speaks JSON over HTTP is switched and proven like any other."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from fastapi import Response
from fastapi.responses import JSONResponse, StreamingResponse
from temporalio.exceptions import ApplicationError

from activities.directory.evidence import Evidences
from activities.errors import SYSTEM_BUSY, SYSTEM_REJECTED, SYSTEM_UNAVAILABLE
from activities.instances import Instance, Instances
from activities.json_http.adapter import JsonHttpInternet, JsonHttpTelephony
from activities.secrets import radius_password, sip_password
from activities.settings import Settings
from tests.activities.fixtures import AT, MASTER_KEY, ONE, THREE, TWO, World, access, lines, settings_for
from tests.support.json_system import TOKEN, JsonSystem, Thing, json_system
from tests.support.orders import watched
from tests.support.waiting import HANGING, free_port
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import INTERNET, MAIN, TELEPHONY, SystemInstance
from workflows.domain.text import hidden_in
from workflows.ports import STALE_REVISION, Ensure, Evidence, Life, Observed

DATABASES = ("directory",)


@pytest_asyncio.fixture
async def system() -> AsyncIterator[JsonSystem]:
    async with json_system() as system:
        yield system


@pytest.fixture
def telephony(world: World, system: JsonSystem) -> JsonHttpTelephony:
    return telephony_at(world, system.url)


@pytest.fixture
def internet(world: World, system: JsonSystem) -> JsonHttpInternet:
    instance = instance_of(settings_at(world, system.url), INTERNET)
    return JsonHttpInternet.of(instance, world.databases, Evidences(world.databases.directory, HANGING))


async def failure(telephony: JsonHttpTelephony, system: JsonSystem, answer: Response) -> ApplicationError:
    """What an attempt fails with that is answered so; the next one is carried out."""
    system.answers.append(answer)
    with pytest.raises(ApplicationError) as failed:
        await telephony.ensure(lines("acme", 1, one=True))
    assert (await telephony.ensure(lines("acme", 1, one=True))).complete
    return failed.value


def telephony_at(world: World, url: str, **changes: object) -> JsonHttpTelephony:
    instance = instance_of(settings_at(world, url).model_copy(update=changes), TELEPHONY)
    return JsonHttpTelephony.of(instance, world.databases, Evidences(world.databases.directory, HANGING))


def instance_of(settings: Settings, system: str, name: str = MAIN) -> Instance:
    return Instances.of(settings).instances[SystemInstance(system, name)]


def settings_at(world: World, url: str) -> Settings:
    addresses = {"json_telephony_url": url, "json_internet_url": url, "master_key": MASTER_KEY.decode()}
    tokens = {"json_telephony_token": TOKEN, "json_internet_token": TOKEN}
    settings = settings_for(world.dsns, {})
    return Settings.model_validate(settings.model_dump() | addresses | tokens)


def proofs(evidence: Evidence) -> list[tuple[str, bool, Proof]]:
    return [(finding.subject, finding.in_service, finding.proof) for finding in evidence.findings]


async def test_lines_are_switched_proven_and_recorded(world: World, telephony: JsonHttpTelephony) -> None:
    await world.register("acme", ONE, TWO)
    evidence = await telephony.ensure(lines("acme", 2, one=True, two=False))
    assert proofs(evidence) == [(ONE, True, Proof.PROVEN), (TWO, False, Proof.PROVEN)]
    assert evidence.findings[0].seen == {"in_service": "1", "alive": "0", "secret": "derived, version 1"}
    assert evidence.findings[1].seen == {"in_service": "absent"}
    assert evidence.recorded
    assert await world.rows("directory", "SELECT client_id, revision, kind FROM proofs") == [("acme", 2, "change")]


async def test_numbers_proven_off_are_free(world: World, telephony: JsonHttpTelephony) -> None:
    await world.register("acme", ONE)
    await telephony.ensure(lines("acme", 2, release=(ONE,), one=False))
    assert await world.rows("directory", "SELECT number FROM numbers") == []


async def test_secrets_travel_only_for_new_and_rotated_lines(telephony: JsonHttpTelephony, system: JsonSystem) -> None:
    await telephony.ensure(lines("acme", 1, one=True))
    assert [body["secrets"].keys() for body in system.bodies] == [set(), {ONE}]
    password = sip_password(MASTER_KEY, "acme", ONE, 1)
    assert system.things[ONE].secret == {"username": ONE[1:], "password": password}
    await telephony.ensure(lines("acme", 2, one=False))
    await telephony.ensure(lines("acme", 3, one=True))
    assert [body["secrets"] for body in system.bodies[2:]] == [{}, {}]
    evidence = await telephony.ensure(lines("acme", 4, version=2, one=True))
    assert evidence.findings[0].seen["secret"] == "derived, version 2"
    assert system.things[ONE].secret == {"username": ONE[1:], "password": sip_password(MASTER_KEY, "acme", ONE, 2)}


async def test_a_line_from_before_connect_keeps_its_secret(telephony: JsonHttpTelephony, system: JsonSystem) -> None:
    system.things[ONE] = Thing(None, in_service=True)
    evidence = await telephony.ensure(lines("acme", 1, one=True))
    assert evidence.findings[0].seen["secret"] == "its own"
    assert evidence.complete
    assert system.things[ONE].secret is None


async def test_a_protected_line_is_told_and_its_evidence_says_so(
    telephony: JsonHttpTelephony, system: JsonSystem
) -> None:
    evidence = await telephony.ensure(replace(lines("acme", 1, one=True, two=False), protected=[ONE]))
    assert evidence.findings[0].seen["protected"] == "left in service"
    assert system.bodies[0]["lines"] == {
        ONE: {"in_service": True, "protected": True},
        TWO: {"in_service": False, "protected": False},
    }


async def test_a_refused_line_is_a_finding_and_the_others_are_switched(
    telephony: JsonHttpTelephony, system: JsonSystem
) -> None:
    system.refused[TWO] = "its port is in use elsewhere"
    evidence = await telephony.ensure(lines("acme", 1, one=True, two=True))
    assert proofs(evidence) == [(ONE, True, Proof.PROVEN), (TWO, False, Proof.FAILED)]
    assert evidence.findings[1].why == "the system refused: its port is in use elsewhere"


async def test_a_yes_is_not_a_proof(telephony: JsonHttpTelephony, system: JsonSystem) -> None:
    system.things[TWO] = Thing("acme", in_service=True, secret_version=1)
    system.deaf = True
    evidence = await telephony.ensure(lines("acme", 1, one=True, two=False))
    assert proofs(evidence) == [(ONE, False, Proof.NOT_PROVEN), (TWO, True, Proof.NOT_PROVEN)]
    assert [finding.why for finding in evidence.findings] == [
        "should be in service and reads back as in_service absent",
        "it is in service",
    ]


async def test_a_line_that_is_off_but_still_in_use_or_not_seen_is_not_proven(
    telephony: JsonHttpTelephony, system: JsonSystem
) -> None:
    system.deaf = True
    for alive, why in ((2, "2 registrations"), (None, "cannot say")):
        system.things[ONE] = Thing("acme", alive=alive)
        (finding,) = (await telephony.ensure(lines("acme", 1, one=False))).findings
        assert finding.proof is Proof.NOT_PROVEN
        assert why in finding.why


async def test_what_an_answer_does_not_mention_is_not_proven(telephony: JsonHttpTelephony, system: JsonSystem) -> None:
    system.forgetful = True
    evidence = await telephony.ensure(lines("acme", 1, one=False, two=False))
    assert [finding.proof for finding in evidence.findings] == [Proof.PROVEN, Proof.NOT_PROVEN]
    assert "does not mention it" in evidence.findings[1].why


async def test_a_line_of_another_client_is_left_alone_and_nothing_of_it_is_told(
    telephony: JsonHttpTelephony, system: JsonSystem
) -> None:
    system.things[ONE] = Thing("bolt", in_service=True, secret_version=1, alive=3)
    evidence = await telephony.ensure(lines("acme", 1, one=False))
    assert proofs(evidence) == [(ONE, False, Proof.PROVEN)]
    assert evidence.findings[0].seen == {"owner": "another client"}
    assert system.things[ONE].in_service


async def test_a_late_attempt_of_an_older_revision_is_refused(telephony: JsonHttpTelephony, system: JsonSystem) -> None:
    await telephony.ensure(lines("acme", 8, one=False))
    with pytest.raises(ApplicationError) as refused:
        await telephony.ensure(lines("acme", 7, one=True))
    assert refused.value.type == STALE_REVISION
    assert refused.value.details == ({"newest": 8},)
    assert refused.value.non_retryable
    assert ONE not in system.things


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (JSONResponse({"why": "disk full"}, 500), SYSTEM_UNAVAILABLE, "500 Internal Server Error: disk full"),
        (Response("<h1>Bad gateway</h1>", 502), SYSTEM_UNAVAILABLE, "502 Bad Gateway. See its own log"),
        (Response("<html>Sign in to the Wi-Fi", 200), SYSTEM_UNAVAILABLE, "not of the protocol"),
        (JSONResponse({"needs_secret": "all"}), SYSTEM_UNAVAILABLE, "needs_secret"),
        (JSONResponse({"latest": 8}, 409), SYSTEM_UNAVAILABLE, "newest"),
        (JSONResponse({}, 429), SYSTEM_BUSY, "more often than it allows"),
        (JSONResponse({}, 403), SYSTEM_REJECTED, "Correct CONNECT_JSON_TELEPHONY_TOKEN"),
        (JSONResponse({"why": ["odd"]}, 404), SYSTEM_REJECTED, "Correct CONNECT_JSON_TELEPHONY_URL"),
        (Response(status_code=307, headers={"Location": "/elsewhere"}), SYSTEM_REJECTED, "307"),
    ],
    ids=["500", "502", "html", "shape", "409", "429", "403", "404", "307"],
)
async def test_trouble_of_the_system_says_what_it_is_and_what_to_do(
    telephony: JsonHttpTelephony, system: JsonSystem, answer: Response, kind: str, words: str
) -> None:
    error = await failure(telephony, system, answer)
    assert error.type == kind
    assert words in error.message
    assert error.non_retryable is (kind == SYSTEM_REJECTED)


def fifty_megabytes() -> Iterator[bytes]:
    for _ in range(800):
        yield b" " * 65536


HOSTILE = "\x1b]0;owned\x07\u202e" + "x" * 1_000_000
NESTED = b'{"items": ' + b"[" * 200_000
PACKED = gzip.compress(b" " * 20_000_000)
ENDLESS = JSONResponse({"newest": 10**400}, 409)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (StreamingResponse(fifty_megabytes()), SYSTEM_UNAVAILABLE, "its answer is larger than 1024 KiB"),
        (StreamingResponse(fifty_megabytes(), 503), SYSTEM_UNAVAILABLE, "its answer is larger than 1024 KiB"),
        (Response(PACKED, headers={"Content-Encoding": "gzip"}), SYSTEM_UNAVAILABLE, "its answer is packed"),
        (Response(NESTED), SYSTEM_UNAVAILABLE, "not of the protocol"),
        (Response(NESTED, 400), SYSTEM_REJECTED, "got 400 Bad Request"),
        (JSONResponse({"why": HOSTILE[:900_000]}, 500), SYSTEM_UNAVAILABLE, "]0;owned"),
        (JSONResponse({"why": HOSTILE[:900_000]}, 422), SYSTEM_REJECTED, "]0;owned"),
        (JSONResponse({"refused": {HOSTILE[:900_000]: 1}}), SYSTEM_UNAVAILABLE, "not of the protocol"),
        (ENDLESS, SYSTEM_UNAVAILABLE, "newest"),
    ],
    ids=["50 MB", "50 MB of an error", "packed", "nested", "nested error", "1 MB", "1 MB refusal", "key", "revision"],
)
async def test_a_hostile_answer_fails_the_attempt_with_a_short_clean_text(
    telephony: JsonHttpTelephony, system: JsonSystem, answer: Response, kind: str, words: str
) -> None:
    error = await failure(telephony, system, answer)
    assert error.type == kind
    assert words in error.message
    assert len(error.message) < 1000
    assert hidden_in(error.message) is None
    assert error.__suppress_context__ or error.__context__ is None, "Temporal keeps that, too"


async def test_a_hostile_refusal_is_a_short_clean_finding_and_what_was_not_asked_is_not_kept(
    world: World, telephony: JsonHttpTelephony, system: JsonSystem
) -> None:
    await world.register("acme", ONE)
    system.refused[ONE] = HOSTILE[:400_000]
    crowd = [{"name": f"+1555{n:07}"} for n in range(20_000)]
    looked: list[Response | None] = [None, JSONResponse({"items": [*crowd, {"name": ONE, "client_id": "acme"}]})]
    system.answers = looked  # type: ignore[assignment]  # None: as usual
    evidence = await telephony.ensure(lines("acme", 1, one=True))
    ((subject, _, proof),) = proofs(evidence)
    assert (subject, proof) == (ONE, Proof.FAILED)
    assert len(evidence.findings[0].why) < 400
    assert hidden_in(evidence.findings[0].why) is None
    assert evidence.recorded


async def test_a_redirect_is_not_followed(telephony: JsonHttpTelephony, system: JsonSystem) -> None:
    async with json_system() as other:
        system.answers.append(Response(status_code=307, headers={"Location": f"{other.url}/clients/acme/lines"}))
        with pytest.raises(ApplicationError, match="got 307"):
            await telephony.ensure(lines("acme", 1, one=True))
        assert other.requests == []


@pytest.mark.parametrize("limit", ["statement_seconds", "operation_seconds"])
async def test_a_silent_system_is_unavailable_in_time(world: World, system: JsonSystem, limit: str) -> None:
    telephony = telephony_at(world, system.url, **{limit: 0.4})
    system.silent = asyncio.Event()
    with pytest.raises(ApplicationError, match="no answer in time") as failed:
        await telephony.ensure(lines("acme", 1, one=True))
    assert failed.value.type == SYSTEM_UNAVAILABLE


async def test_a_system_that_is_not_there_is_unavailable(world: World) -> None:
    telephony = telephony_at(world, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ApplicationError, match=r"telephony system at 127\.0\.0\.1:\d+ is unavailable") as failed:
        await telephony.observe(watched("acme", [ONE], AT))
    assert failed.value.type == SYSTEM_UNAVAILABLE


async def test_neither_token_nor_secrets_are_told(
    world: World, system: JsonSystem, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    telephony = telephony_at(world, system.url)
    evidence = await telephony.ensure(lines("acme", 1, one=True))
    system.down = True
    with pytest.raises(ApplicationError) as failed:
        await telephony.ensure(lines("acme", 2, version=2, one=True))
    text = f"{caplog.text} {evidence} {failed.value} {vars(telephony)}"
    for secret in (TOKEN, *(sip_password(MASTER_KEY, "acme", ONE, version) for version in (1, 2))):
        assert secret not in text


async def test_a_look_changes_nothing_and_finds_what_is_alive_unseen_or_over(
    telephony: JsonHttpTelephony, system: JsonSystem
) -> None:
    lately, long_ago = datetime.now(UTC), datetime.now(UTC) - timedelta(days=1)
    system.things |= {ONE: Thing("acme"), TWO: Thing("acme"), THREE: Thing("bolt", in_service=True)}
    off = [*watched("acme", [ONE, TWO], lately), *watched("acme", [THREE], lately)]
    observed = await telephony.observe(off)
    assert lives(observed) == {THREE: Life.OVER}, "it is another client's by now"
    assert lives(await telephony.observe(watched("acme", [ONE], long_ago))) == {ONE: Life.OVER}
    system.things[ONE].in_service, system.things[TWO].alive = True, None
    observed = await telephony.observe(watched("acme", [ONE, TWO], long_ago))
    assert lives(observed) == {ONE: Life.ALIVE, TWO: Life.UNSEEN}
    assert observed.trouble == "the system cannot say whether it is still in use"
    assert system.bodies == []


def lives(observed: Observed) -> dict[str, Life]:
    return {it.watched.subject: it.life for it in observed.sightings}


async def test_lines_of_many_clients_are_looked_at_in_few_requests(
    telephony: JsonHttpTelephony, system: JsonSystem
) -> None:
    off = [it for n in range(120) for it in watched(f"c{n}", [f"+4420794{n:05}"], datetime.now(UTC))]
    assert (await telephony.observe(off)).trouble == ""
    assert system.requests == ["GET /v1/lines"] * 3


async def test_what_was_given_up_is_ended_without_its_rates(internet: JsonHttpInternet, system: JsonSystem) -> None:
    await internet.ensure(access("acme", 1, on=True))
    assert (await internet.ensure(Ensure(INTERNET, "acme", 2, {"acme": Desired(on=False)}))).complete
    assert system.bodies[-1]["accounts"] == {"acme": {"in_service": False}}


async def test_internet_access_has_its_rates_and_its_vlan(internet: JsonHttpInternet, system: JsonSystem) -> None:
    evidence = await internet.ensure(access("acme", 1, on=True))
    assert proofs(evidence) == [("acme", True, Proof.PROVEN)]
    assert system.things["acme"].plan == {"down_mbps": 100, "up_mbps": 20, "vlan": 110}
    password = radius_password(MASTER_KEY, "acme", "acme", 1)
    assert system.things["acme"].secret == {"username": "acme", "password": password}
    system.deaf = True
    (finding,) = (await internet.ensure(access("acme", 2, on=True, vlan=None))).findings
    assert (finding.proof, finding.why) == (Proof.NOT_PROVEN, "reads back with vlan 110 instead of None")
    system.deaf = False
    assert (await internet.ensure(access("acme", 3, on=False))).complete
    assert (await internet.observe(watched("acme", ["acme"], datetime.now(UTC)))).sightings == []


async def test_settings_that_are_missing_are_named(world: World) -> None:
    with pytest.raises(ValueError, match="Set CONNECT_JSON_TELEPHONY_URL"):
        telephony_at(world, "pbx.example")
    with pytest.raises(ValueError, match="Set CONNECT_JSON_TELEPHONY_TOKEN or CONNECT_JSON_TELEPHONY_TOKEN_FILE"):
        telephony_at(world, "https://pbx.example", json_telephony_token=None)
