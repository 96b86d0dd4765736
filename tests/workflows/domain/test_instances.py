"""What a client takes newly is served by the instance that serves the site at that moment; the rest stays put."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.builders import LINE, NOW, THIRD, in_directory, prove, tenant
from workflows.domain.answers import fingerprint
from workflows.domain.commands import AnyCommand, ChangeServices, Convert, MarkDone
from workflows.domain.errors import Refusal, StillServedElsewhere
from workflows.domain.services import ClientType, Internet, Service, Services
from workflows.domain.state import ClientState
from workflows.domain.systems import INTERNET, TELEPHONY

DOOR = Service("doors", "main-entrance")
OFFICE = Services(ClientType.RESIDENTIAL, rooms=("3.12",))
RATES = Internet(100, 20)
NEW = {
    TELEPHONY: ChangeServices(add_lines=(LINE,)),
    INTERNET: ChangeServices(internet=RATES),
    "doors": ChangeServices(add_services=(DOOR,)),
}
CEASED = {
    TELEPHONY: ChangeServices(remove_lines=(LINE.number,)),
    INTERNET: ChangeServices(internet="none"),
    "doors": ChangeServices(remove_services=(str(DOOR),)),
}
every_kind = pytest.mark.parametrize("system", NEW)


def client_with(services: Services = OFFICE) -> ClientState:
    """An active client whose systems do what is wanted."""
    state = in_directory(tenant(services=services))
    prove(state)
    return state


def decide(state: ClientState, command: AnyCommand, site: dict[str, str]) -> str:
    """Decide a command as the workflow does: by what the directory says of the site, where it is asked. The refusal."""
    try:
        if not state.needs_of(command):
            state.obey(command, NOW)
            return ""
        state.claim(command)
        outcome = state.won(None, NOW, site)
    except Refusal as refusal:
        return str(refusal)
    return str(outcome) if isinstance(outcome, Refusal) else ""


def instance_of(state: ClientState, system: str) -> str:
    return state.provisioning.systems[system].instance


@every_kind
def test_what_is_taken_first_is_served_by_the_instance_of_the_site_of_now(system: str) -> None:
    state = client_with()
    assert decide(state, NEW[system], {system: "york"}) == ""
    assert instance_of(state, system) == "york"
    assert {instance_of(state, other) for other in state.provisioning.systems if other != system} == {"main"}


def test_a_conversion_that_brings_internet_access_takes_it_of_the_site_of_now() -> None:
    state = client_with(Services(ClientType.VIRTUAL, (replace(LINE, office=None),)))
    convert = Convert(to=ClientType.RESIDENTIAL, lines=(LINE,), internet=RATES)
    assert decide(state, convert, {INTERNET: "york", TELEPHONY: "york"}) == ""
    assert instance_of(state, INTERNET) == "york"
    assert instance_of(state, TELEPHONY) == "main", "its lines stay where they are"


@every_kind
def test_the_directory_is_asked_for_what_is_new_and_for_every_plan(system: str) -> None:
    state, command = client_with(), NEW[system]
    planned = replace(command, at=NOW + timedelta(days=1))
    assert state.needs_of(command).systems == state.needs_of(planned).systems == (system,)
    assert state.needs_of(replace(command, instances={system: "main"})).systems == (), "whoever sent it knew"
    assert decide(state, command, {}) == ""
    prove(state)
    assert state.needs_of(command).systems == (), "what there is stays where it is"
    assert state.needs_of(planned).systems == (system,), "nothing may be left of it when the plan is due"
    assert not state.needs_of(CEASED[system])


@every_kind
def test_what_was_ceased_and_is_taken_again_is_served_by_the_instance_of_the_site_of_then(system: str) -> None:
    state = client_with()
    for step in (NEW[system], CEASED[system]):
        assert decide(state, step, {}) == ""
        prove(state)
    assert decide(state, NEW[system], {system: "york"}) == ""
    assert instance_of(state, system) == "york"


@every_kind
def test_nothing_is_promised_of_an_instance_while_another_may_still_serve_the_client(system: str) -> None:
    state = client_with()
    assert decide(state, NEW[system], {}) == ""
    prove(state)
    assert decide(state, CEASED[system], {}) == ""
    refusal = decide(state, NEW[system], {system: "york"})
    words = {TELEPHONY: "telephone lines", INTERNET: "internet access"}.get(system, "doors")
    assert f"Instance york serves the site's {words} now, but what the client had before" in refusal
    assert "is not proven off on main" in refusal
    assert f"marked as done (system {system})" in refusal
    assert decide(state, NEW[system], {}) == "", "main serves on"
    assert instance_of(state, system) == "main"


def test_marked_as_done_by_hand_it_is_free_for_the_other_instance() -> None:
    state = client_with()
    assert decide(state, NEW["doors"], {}) == ""
    prove(state)
    assert decide(state, CEASED["doors"], {}) == ""
    assert "not proven off" in decide(state, NEW["doors"], {"doors": "york"})
    state.obey(MarkDone(system="doors", reason="taken off its hinges"), NOW)
    assert decide(state, NEW["doors"], {"doors": "york"}) == ""
    assert instance_of(state, "doors") == "york"


def test_a_plan_keeps_the_instance_that_served_the_site_when_it_was_made() -> None:
    state, due = client_with(), NOW + timedelta(days=30)
    assert decide(state, replace(NEW["doors"], at=due), {"doors": "york"}) == ""
    state.advance(due)
    assert instance_of(state, "doors") == "york"


def test_a_plan_that_is_due_while_another_instance_may_still_serve_is_refused_and_recorded() -> None:
    state, due = client_with(), NOW + timedelta(days=30)
    assert decide(state, NEW["doors"], {}) == ""
    prove(state)
    assert decide(state, replace(NEW[INTERNET], at=due), {INTERNET: "york"}) == ""
    state.client.schedule.changes[0] = replace(
        state.client.schedule.changes[0], command=replace(NEW["doors"], instances={"doors": "york"})
    )
    assert decide(state, CEASED["doors"], {}) == ""
    before = state.client.services
    state.advance(due)
    line = state.journal.waiting[-1]
    assert (line.event, state.client.services) == ("refused", before)
    assert "Planned change services refused when due: Instance york serves the site's doors now" in line.text
    assert instance_of(state, "doors") == "main"


def test_a_new_client_is_served_by_the_instances_of_its_site_when_the_directory_registers_it() -> None:
    state = ClientState(tenant(services=replace(OFFICE, lines=(LINE,), further=(DOOR,))))
    state.register("B-1", NOW, {TELEPHONY: "york", INTERNET: "york"})
    assert state.client.instances == {TELEPHONY: "york"}, "only what it has is somewhere"
    assert (instance_of(state, TELEPHONY), instance_of(state, "doors")) == ("york", "main")


def test_the_same_command_is_the_same_whichever_instances_serve_the_site() -> None:
    one = ChangeServices(add_lines=(THIRD,), command_id="c1")
    other = replace(one, instances={TELEPHONY: "york"})
    assert one == other
    assert fingerprint(one) == fingerprint(other)


def test_the_refusal_has_a_name_of_its_own() -> None:
    state = client_with()
    decide(state, NEW["doors"], {})
    decide(state, CEASED["doors"], {})
    with pytest.raises(StillServedElsewhere) as refused:
        state.obey(replace(NEW["doors"], instances={"doors": "york"}), NOW)
    assert refused.value.situation.status == "active"
