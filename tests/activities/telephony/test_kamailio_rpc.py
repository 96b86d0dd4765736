"""Calls and registrations in a server's memory: ended, counted, and unknown when a server does not say."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError
from temporalio.exceptions import ApplicationError

from activities.telephony import kamailio_rpc
from activities.telephony.kamailio_rpc import Servers
from tests.activities.fixtures import DOMAIN, ONE, THREE, TWO, World, lines, settings_for
from tests.support.exchange import RINGING, TALKING, Exchange
from tests.support.orders import line_order, watched
from tests.support.waiting import HANGING, free_port
from workflows.domain.provisioning.standing import Proof
from workflows.domain.text import LONGEST_FOREIGN, hidden_in
from workflows.ports import Finding, Observed

DATABASES = ("telephony",)
NUMBER_ONE, NUMBER_TWO = ONE.removeprefix("+"), TWO.removeprefix("+")
AOR_ONE, AOR_TWO = f"{NUMBER_ONE}@{DOMAIN}", f"{NUMBER_TWO}@{DOMAIN}"
SOMEBODY = "4930123456"


@pytest_asyncio.fixture
async def exchange(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Exchange]:
    """A server that the world's telephony asks, and that may take its time to answer."""
    monkeypatch.setattr(kamailio_rpc, "ANSWER", HANGING)
    monkeypatch.setattr(kamailio_rpc, "HANG_UP", 0.2)
    async with Exchange() as exchange:
        await world.open(limits={"sip_rpc_urls": exchange.url})
        await world.telephony.ensure(lines("acme", 1, one=True, two=True))
        yield exchange


async def cease(world: World) -> Finding:
    """What is found of line ONE when it goes off. TWO stays in service, and needs no server."""
    one, two = (await world.telephony.ensure(lines("acme", 2, one=False, two=True))).findings
    assert two.proof is Proof.PROVEN
    assert two.in_service
    assert (await world.subscriber(ONE) or (1,))[0] == 0, "it is denied, whatever the servers say"
    return one


async def look(world: World) -> Observed:
    return await world.telephony.observe(watched("acme", [ONE], datetime.now(UTC)))


async def test_lines_that_go_on_ask_no_server(world: World, exchange: Exchange) -> None:
    await world.telephony.ensure(lines("acme", 2, one=True, two=True, three=True))
    assert exchange.requests == []


async def test_a_line_that_goes_off_loses_its_calls_and_registrations_and_others_keep_theirs(
    world: World, exchange: Exchange
) -> None:
    exchange.registered = {AOR_ONE, AOR_TWO}
    exchange.calls = {
        1: (NUMBER_ONE, SOMEBODY, TALKING),
        2: (SOMEBODY, NUMBER_ONE, TALKING),
        3: (SOMEBODY, NUMBER_TWO, TALKING),
    }
    found = await cease(world)
    assert (found.proof, found.seen["calls"], found.seen["registrations_by_rpc"]) == (Proof.PROVEN, "0", "0")
    assert exchange.registered == {AOR_TWO}
    assert set(exchange.calls) == {3}


async def test_every_server_is_asked(world: World, exchange: Exchange) -> None:
    async with Exchange(registered={AOR_ONE}) as other:
        await world.open(limits={"sip_rpc_urls": f"{exchange.url}, {other.url}"})
        exchange.calls = {1: (NUMBER_ONE, SOMEBODY, TALKING)}
        assert (await cease(world)).proof is Proof.PROVEN
        assert (other.registered, exchange.calls) == (set(), {})


async def test_calls_may_finish_and_are_counted(world: World, exchange: Exchange) -> None:
    await world.open(limits={"sip_rpc_urls": exchange.url, "calls_in_progress": "finish"})
    exchange.calls = {1: (NUMBER_ONE, SOMEBODY, TALKING), 2: (SOMEBODY, NUMBER_ONE, RINGING)}
    found = await cease(world)
    assert found.proof is Proof.PROVEN
    assert (found.seen["calls"], found.seen["ringing"]) == ("1", "1")
    assert (await look(world)).sightings == []
    assert "dlg.end_dlg" not in exchange.methods


async def test_a_call_counts_for_the_line_that_it_is_routed_to_whatever_it_says(
    world: World, exchange: Exchange
) -> None:
    await world.open(limits={"sip_rpc_urls": exchange.url, "calls_in_progress": "finish"})
    exchange.calls, exchange.disguised = {1: (SOMEBODY, NUMBER_ONE, TALKING)}, {1}
    findings = (await world.telephony.ensure(lines("acme", 2, one=False, two=False))).findings
    assert [finding.seen["calls"] for finding in findings] == ["1", "0"]


async def test_a_call_that_does_not_end_is_not_proven_and_its_end_is_asked_for_once(
    world: World, exchange: Exchange
) -> None:
    exchange.calls, exchange.stubborn = {1: (NUMBER_ONE, SOMEBODY, TALKING)}, True
    found = await cease(world)
    assert found.proof is Proof.NOT_PROVEN
    assert "in a call (1)" in found.why
    assert exchange.requests.count(("dlg.end_dlg", [7, 1])) == 1


async def test_a_server_that_is_slow_to_say_which_calls_there_are_is_told_to_end_them(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kamailio_rpc, "HANG_UP", 0.0)
    exchange.calls = {1: (NUMBER_ONE, SOMEBODY, TALKING)}
    assert (await cease(world)).proof is Proof.PROVEN
    assert exchange.calls == {}


async def test_a_call_that_still_rings_is_not_proven(world: World, exchange: Exchange) -> None:
    exchange.calls = {1: (SOMEBODY, NUMBER_ONE, RINGING)}
    found = await cease(world)
    assert (found.proof, found.seen["ringing"]) == (Proof.NOT_PROVEN, "1")
    assert "still rings" in found.why


def silent(exchange: Exchange) -> None:
    exchange.silent = True


def garbled(exchange: Exchange) -> None:
    exchange.reply_body = b"<html>busy</html>"


def foreign(exchange: Exchange) -> None:
    exchange.reply_body = b'["hello"]'


def odd(exchange: Exchange) -> None:
    exchange.reply_body = b'{"jsonrpc": "2.0", "id": 1, "result": [7]}'


def refusing(exchange: Exchange) -> None:
    exchange.reply_body, exchange.status = b"no", 404


def without_dialog(exchange: Exchange) -> None:
    exchange.lacks = ("dlg.list_match",)


def endless(exchange: Exchange) -> None:
    exchange.reply_body = b'{"jsonrpc": "2.0", "id": 1, "result": "' + b"x" * 9_000_000 + b'"}'


def nested(exchange: Exchange) -> None:
    exchange.reply_body = b'{"jsonrpc": "2.0", "id": 1, "result": ' + b"[" * 100_000


def shouting(exchange: Exchange) -> None:
    exchange.reply_body = json.dumps({"error": {"message": "\x1b[2J\u202e" + "x" * 1_000_000}}).encode()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (endless, "its answer is larger than 8192 KiB"),
        (nested, "with something else than JSON"),
        (shouting, "refused ul.lookup: [2Jxxx"),
        (silent, "did not answer"),
        (garbled, "with something else than JSON"),
        (foreign, "with something else than JSON-RPC"),
        (odd, "with something that we do not understand"),
        (without_dialog, "refused dlg.list_match: Method Not Found. Load the module of dlg.list_match there"),
    ],
)
async def test_a_server_that_does_not_say_leaves_the_line_not_proven(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Exchange], None], words: str
) -> None:
    fault(exchange)
    if fault is silent:
        monkeypatch.setattr(kamailio_rpc, "ANSWER", 0.3)
    found = await cease(world)
    assert found.proof is Proof.NOT_PROVEN
    assert found.why.startswith(f"calls and registrations unknown: {exchange.name} ")
    assert found.seen["calls"] == "unknown"
    trouble = (await look(world)).trouble
    assert trouble.startswith(f"{exchange.name} ")
    for text in (found.why, trouble):
        assert words in text
        assert len(text) <= LONGEST_FOREIGN
        assert hidden_in(text) is None


async def test_an_address_where_nobody_listens_is_a_server_that_did_not_answer(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True, two=True))
    await world.open(limits={"sip_rpc_urls": f"http://127.0.0.1:{free_port()}/RPC"})
    assert (await cease(world)).why.endswith("did not answer")


async def test_a_silent_server_is_not_waited_for_line_by_line(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [f"+4420794610{i:02}" for i in range(40)]
    await world.telephony.ensure(line_order("acme", 2, dict.fromkeys(numbers, True)))
    exchange.silent, exchange.taken = True, 0
    monkeypatch.setattr(kamailio_rpc, "ANSWER", 0.3)
    order = line_order("acme", 3, {**dict.fromkeys(numbers, False), THREE: True})
    findings = (await world.telephony.ensure(order)).findings
    assert {finding.subject for finding in findings if finding.proof is Proof.PROVEN} == {THREE}
    assert exchange.taken < len(numbers) / 2, "those that are under way at once, and no more"


async def test_a_line_that_the_system_does_not_know_needs_no_server(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.silent = True
    monkeypatch.setattr(kamailio_rpc, "ANSWER", 0.3)
    (found,) = (await world.telephony.ensure(lines("acme", 2, three=False))).findings
    assert (found.subject, found.proof, found.seen["in_service"]) == (THREE, Proof.PROVEN, "absent")


async def test_a_new_secret_ends_registrations_in_memory_and_lets_calls_go_on(world: World, exchange: Exchange) -> None:
    exchange.registered, exchange.calls = {AOR_ONE}, {1: (NUMBER_ONE, SOMEBODY, TALKING)}
    evidence = await world.telephony.ensure(lines("acme", 2, version=2, one=True))
    assert evidence.complete
    assert (exchange.registered, set(exchange.calls)) == (set(), {1})


async def test_a_new_secret_is_proven_only_when_every_server_has_forgotten_the_old_telephone(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.registered, exchange.silent = {AOR_ONE}, True
    order = lines("acme", 2, version=2, one=True)
    with monkeypatch.context() as impatient:
        impatient.setattr(kamailio_rpc, "ANSWER", 0.3)
        for _ in range(2):
            (found,) = (await world.telephony.ensure(order)).findings
            assert found.proof is Proof.NOT_PROVEN
    exchange.silent = False
    assert (await world.telephony.ensure(order)).complete
    assert exchange.registered == set()
    exchange.registered = {AOR_ONE}
    assert (await world.telephony.ensure(order)).complete
    assert exchange.registered == {AOR_ONE}, "a telephone that has the new secret stays"


class Stall:
    """Holds up whoever asks the servers, until it may go on."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        end = world.telephony.servers.end

        async def late(*values: Any, **named: Any) -> Any:
            self.reached.set()
            await self.go_on.wait()
            return await end(*values, **named)

        monkeypatch.setattr(world.telephony.servers, "end", late)


@pytest.mark.parametrize("version", [1, 2], ids=["off", "rotated"])
async def test_an_order_that_stalls_cuts_nothing_that_a_later_one_switched_on_again(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    stall = Stall(world, monkeypatch)
    late = asyncio.create_task(world.telephony.ensure(lines("acme", 2, version=version, one=version == 2)))
    await stall.reached.wait()
    await world.open(limits={"sip_rpc_urls": exchange.url})
    assert (await world.telephony.ensure(lines("acme", 3, version=version, one=True))).complete
    exchange.registered, exchange.calls = {AOR_ONE}, {1: (NUMBER_ONE, SOMEBODY, TALKING)}
    stall.go_on.set()
    with pytest.raises(ApplicationError, match="has obeyed revision 3"):
        await late
    assert (exchange.registered, set(exchange.calls)) == ({AOR_ONE}, {1})


async def test_an_order_that_stalls_leaves_what_another_client_took_over(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall = Stall(world, monkeypatch)
    late = asyncio.create_task(world.telephony.ensure(lines("acme", 2, one=False)))
    await stall.reached.wait()
    await world.open(limits={"sip_rpc_urls": exchange.url})
    await world.telephony.ensure(lines("bolt", 1, one=True))
    exchange.registered, exchange.calls = {AOR_ONE}, {1: (NUMBER_ONE, SOMEBODY, TALKING)}
    stall.go_on.set()
    (found,) = (await late).findings
    assert (found.proof, found.seen) == (Proof.PROVEN, {"owner": "another client"})
    assert (exchange.registered, set(exchange.calls)) == ({AOR_ONE}, {1})


@pytest.mark.parametrize("later", [2, 3], ids=["the same order", "a later one"])
async def test_a_rotation_that_was_cut_off_after_its_commit_still_ends_the_old_registration(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    exchange.registered = {AOR_ONE}
    stall = Stall(world, monkeypatch)
    killed = asyncio.create_task(world.telephony.ensure(lines("acme", 2, version=2, one=True)))
    await stall.reached.wait()
    killed.cancel()
    await asyncio.wait([killed])
    await world.open(limits={"sip_rpc_urls": exchange.url})
    (found,) = (await world.telephony.ensure(lines("acme", later, version=2, one=True))).findings
    assert (found.proof, found.seen["secret"]) == (Proof.PROVEN, "derived, version 2")
    assert exchange.registered == set()
    exchange.registered = {AOR_ONE}
    await world.telephony.ensure(lines("acme", later, version=2, one=True))
    assert exchange.registered == {AOR_ONE}, "a telephone that has the new secret stays"


async def test_servers_that_take_longer_than_an_activity_may_leave_the_line_not_proven(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kamailio_rpc, "ANSWER", 3600.0)
    exchange.silent = True
    end, ends = world.telephony.servers.end, list[float]()

    async def soon(lines: Any, ceased: Any, still: Any, until: float, *, end_calls: bool) -> Any:
        """Hardly any of the activity's time is left when the servers are asked."""
        ends.append(until)
        return await end(lines, ceased, still, asyncio.get_running_loop().time() + 0.2, end_calls=end_calls)

    begun = asyncio.get_running_loop().time()
    monkeypatch.setattr(world.telephony.servers, "end", soon)
    found = await cease(world)
    [until] = ends
    assert begun < until <= asyncio.get_running_loop().time() + world.settings.activity_seconds
    assert found.proof is Proof.NOT_PROVEN
    assert found.why.endswith("did not answer everything in time")


async def test_that_nobody_ends_calls_is_said_at_start(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    await world.open()
    assert "calls_in_progress_are_not_ended" in capsys.readouterr().out
    await world.open(limits={"calls_in_progress": "finish"})
    await world.open(limits={"sip_rpc_urls": "http://127.0.0.1:1/RPC"})
    assert "calls_in_progress_are_not_ended" not in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["operation_seconds", "probe_seconds"])
def test_a_limit_that_no_activity_can_keep_is_refused_by_name(setting: str) -> None:
    dsns = dict.fromkeys(("directory", "telephony", "internet"), "postgresql://h/d")
    settings_for(dsns, {"attempt_seconds": 40, setting: 3.3})
    with pytest.raises(ValidationError, match=rf"CONNECT_{setting.upper()} .* CONNECT_ATTEMPT_SECONDS \(10 s\)"):
        settings_for(dsns, {"attempt_seconds": 40, setting: 10.1})


@pytest.mark.parametrize("wrong", ["10.0.0.1:8090/hush", "ftp://10.0.0.1/hush", "http:///hush", "http://h:port/hush"])
def test_an_address_that_is_none_is_refused_and_names_the_setting(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"CONNECT_SIP_RPC_URLS: address 2 of 2 is no address") as refused:
        Servers.named(f"http://10.0.0.2:8090/RPC,{wrong}")
    assert "hush" not in str(refused.value), "there may be a secret in it"


@pytest.mark.parametrize(
    "wrong", ["short", "with a blank in it or two", "with/a/slash/or/more", "../../../../../../etc"]
)
def test_a_secret_that_cannot_end_an_address_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(ValueError, match="CONNECT_SIP_RPC_SECRET must be 16 letters") as refused:
        Servers.named("http://10.0.0.2:8090/RPC", wrong)
    assert wrong not in str(refused.value)


async def test_the_path_of_a_server_is_in_no_text_of_ours(
    world: World, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends in the secret that lets whoever knows it end every call."""
    await cease(world)
    exchange.paths, secret = set(), "s3cret-" * 5
    for settings in ({"sip_rpc_secret": secret}, {"sip_rpc_urls": f"http://user:{secret}@{exchange.url[7:]}/{secret}"}):
        limits = {"sip_rpc_urls": exchange.url, **settings}
        assert secret not in repr(settings_for(world.dsns, limits))
        await world.open(limits=limits)
        for fault in (silent, garbled, foreign, odd, without_dialog, refusing):
            exchange.silent, exchange.reply_body, exchange.lacks, exchange.status = False, b"", (), 200
            fault(exchange)
            with monkeypatch.context() as impatient:
                if fault is silent:
                    impatient.setattr(kamailio_rpc, "ANSWER", 0.3)
                observed = await look(world)
            assert observed.trouble
            assert secret not in str(observed)
        exchange.silent, exchange.reply_body, exchange.lacks, exchange.status = False, b"", (), 200
        assert secret not in str(await look(world))
    assert exchange.paths == {f"/RPC/{secret}"}
    assert secret not in "".join(capfd.readouterr())


async def test_a_server_that_does_not_take_our_path_is_told_with_what_to_check(
    world: World, exchange: Exchange
) -> None:
    refusing(exchange)
    why = (await cease(world)).why
    assert f"{exchange.name} does not take ul.lookup from us (HTTP 404)" in why
    assert "CONNECT_SIP_RPC_SECRET" in why


def test_no_address_is_no_server() -> None:
    assert not Servers.named(" , ")
