"""Random commands, clock jumps, attempts and outages against one client; the invariants hold after every step."""

import copy
import dataclasses
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from pydantic import TypeAdapter

from tests.support.builders import account, on_off
from tests.workflows.domain.choices import CHOICES, DOORS, IDS, SYSTEMS
from tests.workflows.domain.machine import World
from workflows.domain.commands import ChangeServices, Convert
from workflows.domain.dates import local_day
from workflows.domain.lifecycle import Activation, Kind, Status
from workflows.domain.provisioning.standing import FLAPPING, Proof
from workflows.domain.services import ClientType
from workflows.domain.state import ClientState
from workflows.domain.systems import INTERNET, TELEPHONY

SHAPE = TypeAdapter(ClientState)
CHANCES = settings(max_examples=50, stateful_step_count=15, derandomize=True, deadline=None, database=None)


class Lifecycle(World):
    """The world driven at random, and what always holds in it."""

    @rule(seed=st.integers(0, 2**32))
    def live(self, seed: int) -> None:
        """Many steps at once, chosen evenly: left to itself, hypothesis repeats a few rules and few commands."""
        chance = random.Random(seed)
        for _ in range(25):
            steps: list[Callable[[], None]] = [
                *[lambda: self.send_any(chance)] * 8,
                lambda: self.let_time_pass(chance.choice((1, 24, 24 * 9))),
                self.wait_for_the_next_moment,
                lambda: self.begin(chance.choice(SYSTEMS), chance.randrange(32)),
                lambda: self.begin(chance.choice(SYSTEMS), chance.randrange(32)),
                lambda: self.report_success(chance.random() < 0.5),
                lambda: self.report_failure("no answer", chance.random()),
                lambda: self.report_doubts(chance.choice(list(Proof)), chance.randrange(31), chance.random()),
                lambda: self.switch_on_by_hand(chance.randrange(32)),
                lambda: self.look(chance.choice(SYSTEMS), late=chance.random() < 0.2),
                lambda: self.publish(chance.random() < 0.8),
                lambda: self.do_all_there_is_to_do_now(chance.choice(SYSTEMS)),
                lambda: self.repeat(chance.randrange(1000)),
            ]
            chance.choice(steps)()
            for always in self.invariants:
                always.function(self)

    def send_any(self, chance: random.Random) -> None:
        choice = chance.choice(CHOICES)
        kind, client = choice.kind, self.state.client
        fields = {name: chance.choice(choices) for name, choices in choice.fields.items()}
        fields |= self.at(chance.choice(choice.moments)) | {"command_id": self.named(chance.choice(IDS))}
        if "start_in" in fields:
            start_in = fields.pop("start_in")
            fields["start_date"] = None if start_in is None else self.now.date() + timedelta(days=start_in)
        if kind is Convert and not fields["lines"] and client.services.type is ClientType.RESIDENTIAL:
            fields |= {"to": ClientType.VIRTUAL, "offices": (), "internet": None}  # mostly such that it is not refused
        if kind is ChangeServices and fields.pop("fit"):
            virtual = client.services.type is ClientType.VIRTUAL
            added = fields["add_lines"]
            added = tuple(dataclasses.replace(x, office=None if virtual else x.office or "9") for x in added)
            removed = tuple(n for n in client.services.numbers if n in fields["remove_lines"])
            fields |= {"add_lines": added, "remove_lines": tuple(set(removed) - {x.number for x in added})}
            doors = tuple(x for x in fields["add_services"] if not (virtual and x.in_building))
            gone = {str(x) for x in client.services.further} - {str(x) for x in doors}
            fields |= {"add_services": doors, "remove_services": tuple(gone & {*fields["remove_services"]})}
        self.send(kind(**fields))

    def named(self, command_id: str) -> str:
        if command_id == "new":
            return f"c{self.count}"
        if command_id == "old":
            return self.commands_sent[-1].command_id if self.commands_sent else "c1"
        return command_id

    def at(self, moment: dict[str, int]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if "last_day" in moment:
            fields["last_day"] = local_day(self.now, self.state.client.timezone) + timedelta(days=moment["last_day"])
        if "at" in moment:
            fields["at"] = self.now + timedelta(hours=moment["at"])
        return fields

    # -- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def services_are_wanted_on_exactly_while_active_and_contracted(self) -> None:
        self.state.advance(self.now)
        self.keep_in_mind()
        client, provisioning = self.state.client, self.state.provisioning
        wanted = {n for n, on in on_off(provisioning.systems[TELEPHONY].wanted).items() if on}
        assert wanted == {x.number for x in client.services.lines if self.should_be_on(x)}
        admitted = [access for access in provisioning.systems[INTERNET].wanted.values() if access.on]
        internet = client.services.internet
        if client.status is Status.ACTIVE and internet is not None:
            assert admitted == [account(True, internet.down_mbps, internet.up_mbps, internet.vlan)]
        else:
            assert admitted == []
        active = client.status is Status.ACTIVE
        opened = {name: x.settings for name, x in self.ledger(DOORS).wanted.items() if x.on}
        doors = {x.name: x.settings for x in client.services.further if x.kind == DOORS}
        assert opened == (doors if active else {})

    @invariant()
    def status_and_holds_agree(self) -> None:
        client = self.state.client
        match client.status:
            case Status.SUSPENDED:
                assert client.holds
            case Status.ACTIVE | Status.DECOMMISSIONED:
                assert not client.holds
        assert all(source == hold.source != "all" for source, hold in client.holds.items())

    @invariant()
    def decommissioned_is_final(self) -> None:
        client = self.state.client
        self.ended = self.ended or client.status is Status.DECOMMISSIONED
        if self.ended:
            assert client.status is Status.DECOMMISSIONED
            assert client.decommissioned_at is not None
            assert not client.schedule.changes
            assert not client.numbers_held
            assert client.situation().allowed == ()

    @invariant()
    def plans_are_in_the_future_in_order_and_one_per_kind(self) -> None:
        changes = self.state.client.schedule.changes
        kinds = [change.kind for change in changes]
        assert len(kinds) == len(set(kinds))
        assert [change.at for change in changes] == sorted(change.at for change in changes)
        if self.state.registered:
            assert all(change.at > self.now for change in changes)
        if Kind.ACTIVATE in kinds:
            assert self.state.client.status is Status.NEW
            assert self.state.client.activation is Activation.AUTOMATIC

    @invariant()
    def the_management_client_is_neither_suspended_nor_decommissioned(self) -> None:
        if self.state.client.management:
            assert self.state.client.status in (Status.NEW, Status.ACTIVE)
            assert not {c.kind for c in self.state.client.schedule} & {Kind.SUSPEND, Kind.DECOMMISSION}

    @invariant()
    def the_revision_never_falls_and_grows_with_every_change(self) -> None:
        client, seen = self.state.client, self.seen
        assert client.revision >= seen.revision
        if {**vars(client), "revision": 0} != {**vars(seen), "revision": 0}:
            assert client.revision > seen.revision
        self.seen = copy.deepcopy(client)

    @invariant()
    def what_is_proven_is_true(self) -> None:
        for system, ledger in self.state.provisioning.systems.items():
            known = on_off(ledger.proven)
            assert all(self.real[system].get(s, False) is on for s, on in known.items() if s not in self.by_hand)
            assert set(ledger.proven) <= set(ledger.wanted)

    @invariant()
    def a_number_is_held_while_it_is_contracted_planned_or_not_proven_off(self) -> None:
        state = self.state
        assert {
            number for number, on in self.real[TELEPHONY].items() if on and number not in self.by_hand
        } <= state.numbers
        if state.client.status is not Status.DECOMMISSIONED:
            assert set(state.client.services.numbers) <= state.numbers

    @invariant()
    def unknown_is_drift_and_drift_is_attempted_or_waited_for(self) -> None:
        state, provisioning = self.state, self.state.provisioning
        for system, ledger in provisioning.systems.items():
            standing = ledger.standing
            assert set(ledger.proven) == set(ledger.wanted) or not state.registered or ledger.drifts or standing.skipped
            if state.drifts(system) and system != INTERNET and system not in self.under_way:
                retry = standing.retry_at
                assert state.may_attempt(system, self.now) or (retry is not None and retry > self.now)
            if standing.attention and standing.revived < FLAPPING:
                assert state.drifts(system), "attention ends with a proof"
        if state.settled:
            assert provisioning.published >= state.client.revision

    @invariant()
    def the_directory_can_tell_settled_by_comparing_revisions(self) -> None:
        for system in SYSTEMS:
            standing = self.ledger(system).standing
            if self.state.registered and self.ledger(system).drifts:
                assert standing.proven_revision < standing.wanted_since

    @invariant()
    def the_state_survives_a_renewal(self) -> None:
        assert SHAPE.validate_json(SHAPE.dump_json(self.state)) == self.state


Lifecycle.TestCase.settings = CHANCES
TestLifecycle = Lifecycle.TestCase


@pytest.mark.parametrize("seed", range(60))
def test_a_long_life_keeps_every_invariant(seed: int) -> None:
    """The same machine at random, without shrinking: far more steps for the time."""
    chance, machine = random.Random(seed), Lifecycle()
    machine.create(
        timezone=chance.choice(("Europe/London", "America/St_Johns", "Pacific/Apia")),
        starts_in=chance.randint(-10, 20),
        activation=chance.choice((Activation.AUTOMATIC, Activation.AUTOMATIC, Activation.MANUAL)),
        virtual=chance.random() < 0.4,
        management=chance.random() < 0.1,
        protected=chance.random() < 0.5,
        registered=chance.random() < 0.8,
    )
    for part in range(4):
        machine.live(1000 * seed + part)
    machine.let_everything_be_done()
