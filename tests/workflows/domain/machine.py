"""A client as the workflow's loop drives it, and a small world beside it, of what the systems really do.

The machine obeys, lets the directory decide on claims, begins attempts, abandons outdated ones, and hears reports.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from temporalio.contrib.pydantic import pydantic_data_converter

from tests.support.builders import dated, desired_lines, lines_proven, on_off, starting
from tests.workflows.domain.choices import DOORS, FRONT, NUMBERS, SYSTEMS
from workflows.domain.client.client import Client
from workflows.domain.commands import (
    AnyCommand,
    CancelPlanned,
    CancelScheduledDecommission,
    Decommission,
    Edit,
    MarkDone,
    Retry,
    Skip,
)
from workflows.domain.dates import local_day
from workflows.domain.errors import NumberTaken, Refusal
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.provisioning.ledger import Desired, Ledger
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.provisioning.standing import FLAPPING, Doubt, Found, Limits, Proof
from workflows.domain.services import ClientType, Internet, Line, Services
from workflows.domain.state import ClientState
from workflows.domain.systems import DIRECTORY, INTERNET, TELEPHONY, System

START = datetime(2026, 3, 2, 10, tzinfo=UTC)


def why(act: Callable[[], object]) -> Refusal | None:
    """Why it was refused, if it was."""
    try:
        act()
    except Refusal as refusal:
        return refusal
    return None


@dataclass
class Order:
    """An attempt under way, with what it asks for."""

    revision: int
    subjects: dict[str, Desired]


class World(RuleBasedStateMachine):
    """One client, its workflow's state, and the systems."""

    @initialize(
        timezone=st.sampled_from(["Europe/London", "America/St_Johns", "Pacific/Apia"]),
        starts_in=st.integers(-10, 20),
        activation=st.sampled_from(list(Activation)),
        virtual=st.booleans(),
        management=st.sampled_from([False, False, False, False, False, True]),
        protected=st.booleans(),
        registered=st.sampled_from([True, True, False]),
    )
    def create(
        self,
        timezone: str,
        starts_in: int,
        activation: Activation,
        virtual: bool,
        management: bool,
        protected: bool,
        registered: bool,
    ) -> None:
        office = None if virtual else "3.12"
        lines = (Line(NUMBERS[0], office), Line(NUMBERS[1], office, protected))
        kind = ClientType.VIRTUAL if virtual else ClientType.RESIDENTIAL
        services = Services(kind, lines, None if virtual else Internet(100, 20), (), (FRONT,))
        day = local_day(START, timezone) + timedelta(days=starts_in)
        client = Client("acme", "Acme Ltd", "thames", timezone, services, starting(day, timezone), START, "B-1")
        client.activation, client.management = activation, management
        self.now, self.commands_sent, self.count = START, list[AnyCommand](), 0
        self.state = ClientState.of_new(client, Limits(recent=1000), "c0")
        self.staying = set[str]()  # lines that stay on through a suspension, where they are protected
        self.accepted = set[str]()  # of these, what a person has said to leave as it is
        self.by_hand = set[str]()  # lines and accounts that somebody has switched on behind our back
        self.under_way = dict[System, Order]()
        self.real = {system: dict[str, bool]() for system in SYSTEMS}  # what the systems really do
        self.state.register("B-1", self.now) if registered else None
        self.seen = copy.deepcopy(client)
        self.ended = False

    # -- commands -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.count > 60)
    @rule()
    def decommission(self) -> None:
        self.send(Decommission())

    @rule(end_in=st.none() | st.integers(-30, 30))
    def edit_the_end_date(self, end_in: int | None) -> None:
        self.state.advance(self.now)
        before = copy.deepcopy(self.state)
        end = None if end_in is None else self.now.date() + timedelta(days=end_in)
        self.send(Edit(end_date=end, clear_end_date=end is None))
        client = self.state.client
        if client.status is not Status.DECOMMISSIONED:
            assert client.end_date == end
            before.client.end_date, before.client.revision = end, client.revision
            assert client == before.client, "an end date changes nothing but itself"
            ledgers = before.provisioning.systems  # none yet of a further kind, before the client was followed first
            for system, ledger in self.state.provisioning.systems.items():
                assert ledger.wanted == (ledgers[system].wanted if system in ledgers else {})

    @rule(which=st.integers(0, 1000))
    def repeat(self, which: int) -> None:
        if not self.commands_sent:
            return
        command = self.commands_sent[which % len(self.commands_sent)]
        self.state.advance(self.now)
        before = copy.deepcopy(self.state)
        answer = next(a for a in before.recent if a.command_id == command.command_id)
        self.state.check(command, self.now)
        assert self.state.obey(command, self.now) == answer
        assert self.state == before, "the same command twice changes nothing"

    def send(self, command: AnyCommand) -> None:
        """Ask as the workflow's handlers do; what needs the directory's decision waits for it."""
        self.count += 1
        command = dated(command, self.state.client.timezone)
        self.state.advance(self.now)
        self.keep_in_mind()
        before = copy.deepcopy(self.state)
        foretold = why(lambda: self.state.check(command, self.now))
        if isinstance(command, MarkDone | Skip) and foretold is None:
            self.accepted |= {*self.ledger(command.system).wanted} & self.by_hand
        if isinstance(command, MarkDone) and foretold is None and self.state.answered(command) is None:
            self.do_by_hand(command.system)
        if foretold is None and self.state.answered(command) is None and self.state.needs_of(command):
            self.state.claim(command)
            return
        known = foretold is None and self.state.answered(command) is not None
        refusal = why(lambda: self.state.obey(command, self.now))
        assert str(refusal) == str(foretold), "check and obey agree"
        if refusal is not None:
            assert self.state == before, "a refusal, like a check, leaves everything as it was"
            assert refusal.situation.status == before.client.status
        else:
            self.answered(command, before, known=known)

    def answered(self, command: AnyCommand, before: ClientState, *, known: bool = False) -> None:
        after, client = self.state, self.state.client
        if known:
            assert after == before, "the same command twice changes nothing"
        else:
            changed = after.recent[-1].changed if command.command_id else client != before.client
            assert changed is (client != before.client) is (client.revision > before.client.revision)
        if isinstance(command, CancelScheduledDecommission | CancelPlanned):
            assert after.client.status is before.client.status, "cancelling never changes the status"
        if command.command_id and command not in self.commands_sent:
            self.commands_sent.append(command)

    # -- time and renewal ---------------------------------------------------------------------------------------------

    @rule(hours=st.integers(0, 24 * 30))
    def let_time_pass(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.state.advance(self.now)

    @rule()
    def wait_for_the_next_moment(self) -> None:
        self.now = max(self.now, self.state.next_moment() or self.now)
        self.state.advance(self.now)

    @rule()
    def renew(self) -> None:
        converter = pydantic_data_converter.payload_converter
        self.state = converter.from_payload(converter.to_payload(self.state), ClientState)

    # -- the systems --------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.state.registered)
    @rule(billing_ref=st.sampled_from([None, "B-1", "B-7"]))
    def register(self, billing_ref: str | None) -> None:
        """The reference that the directory allots is part of the revision it shows."""
        self.seen.billing_ref = billing_ref or self.seen.billing_ref
        self.state.register(billing_ref, self.now)

    @rule(system=st.sampled_from(SYSTEMS), done=st.integers(0, 31))
    def begin(self, system: System, done: int) -> None:
        """Begin an attempt as the loop does; part of it is done at once, whatever becomes of it."""
        self.loop()
        known = system in self.state.provisioning
        if system in self.under_way or not known or not self.state.may_attempt(system, self.now):
            return
        ledger = self.state.provisioning.systems[system]
        order = Order(self.state.client.revision, dict(ledger.wanted))
        self.state.provisioning.begin(system)
        self.under_way[system] = order
        self.take_place(system, order, done)

    @rule(first=st.booleans())
    def report_success(self, first: bool) -> None:
        if self.under_way:
            self.report(sorted(self.under_way)[0 if first else -1])

    def report(self, system: System) -> None:
        order, state = self.under_way.pop(system), self.state
        self.take_place(system, order, -1)
        state.found(system, order.subjects, Found(order.revision, self.now), 0)
        standing = state.provisioning.standing[system]
        assert not standing.attention or standing.revived >= FLAPPING

    @rule(error=st.sampled_from(["no answer", "refused", "x" * 900]), chance=st.floats(0, 1))
    def report_failure(self, error: str, chance: float) -> None:
        self.loop()  # what was decided since abandons an attempt before anybody hears of it
        if not self.under_way:
            return
        system, _ = self.under_way.popitem()
        self.state.failed(system, error, self.now, chance)
        standing = self.state.provisioning.standing[system]
        assert standing.attention
        assert standing.retry_at is not None
        assert self.now < standing.retry_at <= self.now + timedelta(seconds=self.state.limits.longest_pause)
        assert not self.state.may_attempt(system, self.now)
        assert self.state.provisioned is Provisioned.ATTENTION

    @rule(proof=st.sampled_from(list(Proof)), seen=st.integers(0, 30), chance=st.floats(0, 1))
    def report_doubts(self, proof: Proof, seen: int, chance: float) -> None:
        """Some lines are proven, others are not."""
        if TELEPHONY not in self.under_way or proof is Proof.PROVEN:
            return
        order, state = self.under_way.pop(TELEPHONY), self.state
        names = sorted(order.subjects)
        proven = {name for i, name in enumerate(names) if seen >> i & 1}
        doubts = {name: Doubt(proof, "no answer") for name in names if name not in proven}
        self.take_place(TELEPHONY, order, seen)
        before = state.provisioning.standing[TELEPHONY].short_since or self.now
        state.found(TELEPHONY, order.subjects, Found(order.revision, self.now, doubts=doubts), chance)
        standing = state.provisioning.standing[TELEPHONY]
        assert not any(name in lines_proven(state) for name in doubts), "what is in doubt is unknown"
        assert set(doubts) <= set(desired_lines(state)), "and is attempted again"
        if doubts:
            patient = self.now - before < timedelta(seconds=state.limits.attempt)
            assert standing.attention or (proof is Proof.NOT_PROVEN and patient)
            assert not state.may_attempt(TELEPHONY, self.now)

    @rule(which=st.integers(0, 31))
    def switch_on_by_hand(self, which: int) -> None:
        """Somebody switches on what was proven off."""
        systems = self.state.provisioning.systems
        if self.under_way or any(self.state.drifts(system) for system in systems):
            return
        off = ((system, name) for system, it in systems.items() for name, x in it.proven.items() if not x.on)
        for i, (system, name) in enumerate(off):
            if which >> i & 1:
                self.real[system][name] = True
                self.by_hand.add(name)

    @rule(system=st.sampled_from(SYSTEMS), late=st.booleans())
    def look(self, system: System, late: bool = False) -> None:
        """The watch looks at all that it knows to be proven off, and reports what is alive. It may come late."""
        self.loop()
        state = self.state
        if system not in state.provisioning:
            return
        ledger = self.ledger(system)
        alive = {name: "in use" for name, on in self.real[system].items() if on}
        news = {*alive} & {name for name, known in ledger.proven.items() if not known.on and not ledger.wanted[name].on}
        before = copy.deepcopy(state)
        seen_at = min(ledger.standing.proofs.values(), default=self.now) if late else None
        state.found_alive(system, alive, seen_at, self.now, "connect", 0.5)
        if not news or late:
            assert state == before
        else:
            assert not news & {*ledger.proven}
            assert ledger.differs

    def do_by_hand(self, system: System) -> None:
        wanted = self.state.provisioning.systems[system].wanted
        self.real[system] |= on_off(wanted)
        self.by_hand -= {*wanted}

    @rule(system=st.sampled_from(SYSTEMS))
    def report_drift(self, system: System) -> None:
        if system in self.state.provisioning:
            self.state.doubted(system, "somebody looked", self.now, "monitoring")

    @rule(granted=st.sampled_from([True, True, False]))
    def publish(self, granted: bool) -> None:
        """The directory takes all there is to tell, and decides on the oldest claim."""
        self.loop()
        state = self.state
        if not state.may_attempt(DIRECTORY, self.now):
            return
        if not state.registered:
            self.register("B-1")
        state.journal.published(state.journal.written)
        state.provisioning.published = state.client.revision
        state.provisioning.standing[DIRECTORY].succeed(state.client.revision, self.now)
        if not state.claims:
            return
        command, before = state.claims[0], copy.deepcopy(state)
        if granted:
            outcome = state.won("B-9" if state.needs.billing_ref == "" else state.needs.billing_ref, self.now)
            if not isinstance(outcome, Refusal):
                self.answered(command, before)
                return
        else:
            state.lost(command, NumberTaken("taken", "another", "add_lines"), self.now)
        assert state.client.revision > before.client.revision
        assert state.client.services == before.client.services or state.client.status is not before.client.status

    @rule(system=st.sampled_from(SYSTEMS))
    def do_all_there_is_to_do_now(self, system: System) -> None:
        for each in (system, *SYSTEMS):
            self.begin_and_report(each)
        self.publish(granted=True)

    @precondition(lambda self: self.count > 3)
    @rule()
    def let_everything_be_done(self) -> None:
        """When everything wanted is proven and published, the client is settled, and the world is as decided."""
        for system in SYSTEMS:
            if self.ledger(system).standing.skipped:
                self.send(Retry(system=system))
        for _ in range(6):
            self.loop()
            for system in SYSTEMS:
                self.look(system)
                self.now = max([self.now, *filter(None, [self.ledger(system).standing.retry_at])])
                self.begin_and_report(system)
            self.now = max(
                [self.now, *(x for s in SYSTEMS if (x := self.ledger(s).standing.calm_at(self.state.limits)))]
            )
            for _ in range(len(self.state.claims) + 1):
                self.publish(granted=True)
        client = self.state.client
        assert self.state.settled
        assert self.state.provisioned is Provisioned.SETTLED
        assert self.state.finished is (client.status is Status.DECOMMISSIONED)
        on = {s: {n for n, on in real.items() if on and n not in self.accepted} for s, real in self.real.items()}
        assert on[TELEPHONY] == {x.number for x in client.services.lines if self.should_be_on(x)}
        assert on[INTERNET] == ({"acme"} if client.services.internet and client.status is Status.ACTIVE else set())
        doors = {x.name for x in client.services.further if x.kind == DOORS}
        assert on[DOORS] == (doors if client.status is Status.ACTIVE else set())
        if client.status is Status.DECOMMISSIONED:
            assert not self.state.numbers, "all numbers of a finished client are free"
            assert self.state.next_moment() is None

    def ledger(self, system: System) -> Ledger:
        """Of a further kind there is none before anything is wanted."""
        return self.state.provisioning.systems.get(system) or Ledger()

    def begin_and_report(self, system: System) -> None:
        self.begin(system, -1)
        if system in self.under_way:
            self.report(system)

    def take_place(self, system: System, order: Order, done: int) -> None:
        """Some of an order, or with -1 all of it, is really done now."""
        really = {n: x.on for i, (n, x) in enumerate(sorted(order.subjects.items())) if done >> i & 1}
        self.real[system] |= really
        self.by_hand -= {*really}
        self.accepted -= {*really}

    def loop(self) -> None:
        """One pass of the workflow's loop, up to where attempts begin."""
        self.state.advance(self.now)
        self.keep_in_mind()
        for system, order in list(self.under_way.items()):
            if order.revision < self.state.provisioning.standing[system].wanted_since:
                del self.under_way[system]
                self.take_place(system, order, self.count)  # it may still do some of it

    # -- what should be on --------------------------------------------------------------------------------------------

    def should_be_on(self, line: Line) -> bool:
        """While active; protected lines that were then in service stay so while suspended."""
        status = self.state.client.status
        return status is Status.ACTIVE or (
            status is Status.SUSPENDED and line.protected and line.number in self.staying
        )

    def keep_in_mind(self) -> None:
        """Which lines were in service when the client was last active, and are protected since."""
        client = self.state.client
        numbers = {line.number for line in client.services.lines}
        protected = {line.number for line in client.services.lines if line.protected}
        if client.status is Status.ACTIVE:
            self.staying = numbers
        else:
            self.staying &= protected if client.status is Status.SUSPENDED else set()
