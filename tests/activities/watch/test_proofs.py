"""What was proven off is watched until nothing can come of it: found alive, it is ended again and told, once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from temporalio.service import RPCError

from tests.activities.watch.one_worker import PHONES, OneWay, SeenOnce, Stumbling, Watch, suspended, watch
from tests.support.service import Service, number
from tests.support.waiting import eventually
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Proof
from workflows.ports import Ensure, Evidence, Life, Observed, Sighting, Watched

__all__ = ["watch"]

ACCESS = {"down_mbps": 100, "up_mbps": 20}


async def test_a_line_that_comes_alive_is_ended_again_by_its_client_and_told_once(watch: Watch) -> None:
    service = watch.service
    client_id, line = await suspended(service)
    assert await watch.look() == [(client_id, line)]
    service.telephony.subjects[line] = Desired(on=True)
    await watch.look()
    await eventually(lambda: service.telephony.lines[line] is False)
    await service.known(client_id)
    for _ in range(3):
        assert await watch.look() == [(client_id, line)], "it is watched further"

    async def texts() -> list[str]:
        return await watch.texts(client_id, "found alive")

    assert await eventually(texts) == [f"Telephone lines found alive again: {line}: in service again"]
    assert await watch.matters(client_id) == []


async def test_what_is_seen_once_is_not_forgotten_when_its_signal_gets_lost(watch: Watch) -> None:
    clients = [await suspended(watch.service) for _ in range(2)]
    rounds = watch.of(SeenOnce([line for _, line in clients]), temporal=Stumbling(watch.service.temporal))
    with pytest.raises(RPCError):
        await rounds.round(PHONES)
    await rounds.round(PHONES)
    for client_id, line in clients:
        alive = [f"Telephone lines found alive again: {line}: goes on"]
        await eventually(partial(watch.texts, client_id, "found alive"), equal=alive)
        await watch.service.known(client_id)


async def test_what_is_seen_once_is_not_forgotten_when_its_workflow_has_not_heard_of_the_proof_yet(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt has written its proof down, and is on its way back: until then the workflow does not know better."""
    service, recorded, comes_back = watch.service, asyncio.Event(), asyncio.Event()
    record = service.telephony.ensure

    async def slowly(order: Ensure) -> Evidence:
        evidence = await record(order)
        recorded.set()
        await comes_back.wait()
        return evidence

    client = await service.create()
    client_id, line = client["client_id"], client["lines"][0]["number"]
    monkeypatch.setattr(service.telephony, "ensure", slowly)
    await service.post(client_id, "suspend", wait=0)
    await recorded.wait()
    rounds = watch.of(SeenOnce([line]))
    await rounds.round(PHONES)
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    await handle.query("client")  # it has had the signal by then
    comes_back.set()
    await service.known(client_id)
    assert await watch.texts(client_id, "found alive") == []
    for _ in range(2):
        await rounds.round(PHONES)
    alive = [f"Telephone lines found alive again: {line}: goes on"]
    await eventually(partial(watch.texts, client_id, "found alive"), equal=alive)
    await service.known(client_id)


async def test_a_round_is_one_statement_and_one_look_however_many_are_watched(watch: Watch) -> None:
    clients = [await suspended(watch.service) for _ in range(3)]
    watch.statements.clear()
    for _ in range(2):
        assert set(await watch.look()) == set(clients)
    assert len(watch.statements) == 2
    assert [len(look) for look in watch.service.telephony.looks[-2:]] == [3, 3]


async def test_what_is_on_again_left_as_it_is_or_done_by_hand_is_not_watched(watch: Watch) -> None:
    service = watch.service
    on, left, by_hand = [(await suspended(service))[0] for _ in range(3)]
    await service.post(on, "unsuspend")
    for client_id, action, words in ((left, "skip", {"reason": "on Monday"}), (by_hand, "mark-done", {"note": "done"})):
        async with service.without(service.telephony):
            handle = service.temporal.get_workflow_handle(f"client-{client_id}")
            await handle.signal("report_drift", {"system": "telephony"})
            await eventually(partial(in_attention, service, client_id))
            answer = await service.api.post(f"/clients/{client_id}/systems/telephony/{action}", json=words)
            assert answer.is_success, answer.text
        await service.known(client_id)
    assert await watch.look() == []
    assert await watch.rows(on) == []


async def in_attention(service: Service, client_id: str) -> bool:
    telephony = (await service.client(client_id))["systems"][0]
    return bool(telephony["state"] == "attention")


async def test_what_a_client_has_given_up_is_ended_without_its_workflow_and_is_nobody_elses_trouble(
    watch: Watch,
) -> None:
    service, gone = watch.service, number()
    lines = [{"number": n, "office": "1"} for n in (number(), gone)]
    client_id = (await service.create(lines=lines))["client_id"]
    await service.post(client_id, "services", remove_lines=[gone])
    await service.known(client_id)
    assert await watch.look() == [(client_id, gone)]
    await service.post(client_id, "services", add_lines=[{"number": number(), "office": "1"}])
    await service.known(client_id)
    assert await watch.look() == [(client_id, gone)], "a later decision is none about it"
    service.telephony.subjects[gone] = Desired(on=True)
    await watch.look()
    assert service.telephony.lines[gone] is False
    assert service.telephony.orders[-1].subjects == {gone: Desired(on=False)}
    assert await watch.texts(client_id, "alive") == [
        f"Telephone lines found alive again, and ended: {gone}: in service again"
    ]
    view = await service.client(client_id)
    assert (view["provisioning"], gone in view["systems"][0]["desired"]) == ("settled", False)


async def test_what_comes_alive_of_a_closed_client_is_ended_told_and_from_the_second_time_on_a_matter(
    watch: Watch,
) -> None:
    service = watch.service
    client = await service.closed(internet=ACCESS)
    client_id, line = client["client_id"], client["lines"][0]["number"]
    for _ in range(4):
        service.telephony.subjects[line] = Desired(on=True)
        await watch.look()
        assert service.telephony.lines[line] is False
    assert (
        await watch.texts(client_id, "alive")
        == [f"Telephone lines found alive again, and ended: {line}: in service again"] * 2
    )
    [matter] = await watch.matters(client_id)
    assert (matter["matter"], matter["kind"], matter["system"]) == ("alive:telephony", "alive_again", "telephony")
    assert matter["text"].startswith("Telephone lines found alive again, and ended")
    assert "Find out what switches it on" in matter["remedies"][0]["text"]
    view = await service.client(client_id)
    assert (view["status"], [it["kind"] for it in view["matters"]]) == ("decommissioned", ["alive_again"])
    assert view["provisioning"] == "settled"
    waiting = (await service.api.get("/attention", params={"system": "telephony", "limit": 500})).json()["items"]
    assert [(it["state"], it["last_error"]) for it in waiting if it["client_id"] == client_id] == [
        ("attention", matter["text"])
    ]
    service.telephony.over = {line: ""}
    await watch.look()
    assert await watch.matters(client_id) == []
    assert [row[:2] for row in await watch.rows(client_id)] == [("internet", client_id)]


async def test_a_closed_client_that_cannot_be_ended_is_a_matter_that_says_why(watch: Watch) -> None:
    service = watch.service
    client = await service.closed()
    client_id, line = client["client_id"], client["lines"][0]["number"]
    service.telephony.subjects[line] = Desired(on=True)
    service.telephony.fence.newest[client_id] = 1000
    await watch.look()
    assert ("telephony", line, 0) in await watch.rows(client_id), "a later decision is respected, and nothing is told"
    service.telephony.fence.newest[client_id] = 0
    service.telephony.doubts[line] = (Proof.FAILED, "the exchange keeps it")
    for _ in range(2):
        await watch.look()
    [matter] = await watch.matters(client_id)
    assert f"not ended yet ({line}: the exchange keeps it)" in matter["text"]


async def test_what_went_silent_is_watched_no_longer_and_told(watch: Watch) -> None:
    client_id, line = await suspended(watch.service)
    watch.service.telephony.over = {line: "session s1 went silent, without a Stop"}
    for _ in range(2):
        await watch.look()
    assert await watch.rows(client_id) == []
    assert await watch.texts(client_id, "watched no longer") == [
        f"Telephone lines watched no longer: {line}: session s1 went silent, without a Stop"
    ]


async def test_what_is_proven_anew_while_somebody_looks_is_watched_further(watch: Watch) -> None:
    client_id, line = await suspended(watch.service)

    class Slow(OneWay):
        async def observe(self, watched: Sequence[Watched]) -> Observed:
            await watch.directory.execute("UPDATE watched SET since = now()")
            return Observed([Sighting(it, Life.OVER) for it in watched])

    await watch.of(Slow()).round(PHONES)
    assert await watch.rows(client_id) == [("telephony", line, 0)]


async def test_a_system_that_nobody_can_look_at_for_long_is_one_matter_without_a_client_until_somebody_can(
    watch: Watch,
) -> None:
    service = watch.service
    clients = [await suspended(service) for _ in range(2)]
    looks = len(service.telephony.looks)
    watch.fails = True
    await watch.look()
    assert len(service.telephony.looks) == looks, "a system that fails for many is not asked"
    watch.fails = False
    async with service.without(service.telephony):
        await watch.look()
        assert await watch.matters("") == [], "not yet"
        await watch.directory.execute("UPDATE watch_rounds SET blind_since = now() - interval '11 minutes'")
        for _ in range(2):
            await watch.look()
        [matter] = await watch.matters("")
        assert (matter["matter"], matter["kind"], matter["system"]) == (
            *("watch:telephony:main", "cannot_look", "telephony"),
        )
        assert "(2 watched). telephony does not answer" in matter["text"]
        assert await watch.errors() == {"telephony": "telephony does not answer", "internet": ""}
        assert matter["remedies"] == [
            {"text": "See how the workers find it, and mend it", "command": "connect systems"}
        ]
    assert len(await watch.look()) == len(clients)
    assert await watch.matters("") == []
    assert set((await watch.errors()).values()) == {""}


async def test_one_worker_at_a_time_has_the_turn(watch: Watch) -> None:
    await suspended(watch.service)
    other = watch.of(watch.service.telephony, every=60)
    looks = len(watch.service.telephony.looks)
    await watch.look()
    for _ in range(2):
        await other.round(PHONES)
    assert len(watch.service.telephony.looks) == looks + 1, "the pause has not passed since"


async def test_an_adapter_without_such_a_question_watches_nothing_and_one_that_fails_is_its_own_trouble(
    watch: Watch,
) -> None:
    class Mute(OneWay): ...

    class Broken(OneWay):
        async def observe(self, watched: Sequence[Watched]) -> Observed:
            raise KeyError("of its own")

    client_id, _ = await suspended(watch.service)
    for adapter, rows in ((Broken(), 1), (Mute(), 0)):
        await watch.of(adapter).round(PHONES)
        assert len(await watch.rows(client_id)) == rows


async def test_what_nobody_was_asked_about_or_can_say_changes_nothing(watch: Watch) -> None:
    client_id, line = await suspended(watch.service)

    class Talkative(OneWay):
        async def observe(self, watched: Sequence[Watched]) -> Observed:
            stranger = Watched("nobody", "+441", watched[0].since)
            return Observed([Sighting(stranger, Life.ALIVE, "rings"), Sighting(watched[0], Life.UNSEEN, "dark")])

    await watch.of(Talkative()).round(PHONES)
    assert await watch.rows(client_id) == [("telephony", line, 0)]
    assert await watch.texts(client_id, "alive") == []


async def test_what_is_on_and_otherwise_is_put_right_by_its_client_and_told_once_as_long_as_it_lasts(
    watch: Watch,
) -> None:
    client = await watch.service.create()
    client_id, line = client["client_id"], client["lines"][0]["number"]
    hows = ["rings wrongly"]

    class Otherwise(OneWay):
        async def observe(self, watched: Sequence[Watched]) -> Observed:
            at = datetime.now(UTC)
            return Observed([Sighting(Watched(client_id, line, at), Life.OTHERWISE, how) for how in hows])

    async def lines() -> int:
        return len(await watch.texts(client_id, f"Drift of telephone lines reported: {line}: rings wrongly"))

    rounds = watch.of(Otherwise())
    orders = len(watch.service.telephony.orders)
    for _ in range(3):
        await rounds.round(PHONES)
    await eventually(lines, equal=1)
    await watch.service.known(client_id)
    assert len(watch.service.telephony.orders) == orders + 1
    hows.clear()
    await rounds.round(PHONES)
    hows.append("rings wrongly")
    await rounds.round(PHONES)
    await eventually(lines, equal=2)


async def test_ten_thousand_are_watched_by_one_statement_and_one_look(watch: Watch) -> None:
    await watch.directory.execute(
        """INSERT INTO clients (client_id, incarnation, revision, site_id, name, sort_name, type, status, billing_ref,
          start_date, management, offices, numbers, document, search, created_at)
        SELECT 'm' || n, '', 1, 'thames', 'M', 'm', 'virtual', 'suspended', 'M' || n, now(), false, '{}', '{}', '{}',
          'm', now() FROM generate_series(1, 10000) n"""
    )
    await watch.directory.execute(
        "INSERT INTO client_systems (client_id, system, wanted, proven) SELECT 'm' || n, 'telephony', 2, 2 "
        "FROM generate_series(1, 10000) n"
    )
    await watch.directory.execute(
        "INSERT INTO watched (system, client_id, subject, instance, revision, since) SELECT 'telephony', 'm' || n, "
        "'+1' || n, 'main', 2, now() FROM generate_series(1, 10000) n"
    )
    watch.statements.clear()
    assert len(await watch.look()) == 10_000
    assert len(watch.statements) == 1
    await watch.directory.execute("DELETE FROM client_systems WHERE client_id LIKE 'm%' AND wanted = 2")
    await watch.directory.execute("DELETE FROM clients WHERE name = 'M'")
