"""The dry run of a command: what it would touch, before and after, and what is planned and would go."""

import copy
from datetime import timedelta

import pytest

from tests.support.builders import (
    AFTER_LAST_DAY,
    LAST_DAY,
    LIFT,
    LINE,
    NOW,
    RESIDENTIAL,
    SECOND,
    THIRD,
    dated,
    in_directory,
    leaving,
    prove,
    tenant,
)
from workflows.domain.client.client import Client
from workflows.domain.commands import (
    Activate,
    AnyCommand,
    ChangeServices,
    Convert,
    Decommission,
    Edit,
    Retry,
    RotateCredentials,
    Skip,
    Suspend,
    Unsuspend,
)
from workflows.domain.errors import IllegalTransition
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.preview import Preview, preview
from workflows.domain.services import ClientType, Services
from workflows.domain.systems import DIRECTORY, INTERNET, TELEPHONY


def effects_of(client: Client, command: AnyCommand) -> tuple[Preview, dict[str, tuple[str, str]]]:
    """The preview, having made sure that it changed nothing, and its effects by subject."""
    state = in_directory(client)
    prove(state)
    before = copy.deepcopy(state)
    foreseen = preview(state, command, NOW)
    assert state == before
    return foreseen, {f"{effect.kind} {effect.subject}": (effect.before, effect.after) for effect in foreseen.effects}


def test_what_was_skipped_is_shown_as_it_was_last_proven() -> None:
    """Not as it was decided: a person has accepted that it is otherwise."""
    state = in_directory(tenant())
    prove(state)
    state.obey(Suspend(source="billing"), NOW)
    state.provisioning.begin(TELEPHONY)
    state.failed(TELEPHONY, "no answer", NOW, 1.0)
    prove(state, INTERNET, DIRECTORY)
    state.obey(Skip(system=TELEPHONY, reason="on Monday", command_id="skip"), NOW)
    line = f"line {LINE.number}"
    for command, after in ((Unsuspend(source="all"), "in service"), (Decommission(), "ceased")):
        effects = {f"{it.kind} {it.subject}": (it.before, it.after) for it in preview(state, command, NOW).effects}
        assert effects[line][0] == "in service, skipped", command
        assert effects[line][1].startswith(after), command
    untouched = preview(state, Edit(name="Renamed Ltd"), NOW).effects
    assert [effect.subject for effect in untouched] == ["name"]


def test_of_what_was_never_proven_nothing_is_known() -> None:
    state = in_directory(tenant())
    state.provisioning.begin(TELEPHONY)
    state.failed(TELEPHONY, "no answer", NOW, 1.0)
    state.obey(Skip(system=TELEPHONY, reason="on Monday", command_id="skip"), NOW)
    effects = {it.subject: it.before for it in preview(state, Suspend(source="billing"), NOW).effects}
    assert effects[LINE.number] == "not known, skipped"


def test_a_suspension_names_every_line_and_account_and_leaves_out_what_stays() -> None:
    foreseen, effects = effects_of(tenant(), Suspend(source="billing", reason="unpaid"))
    assert (foreseen.status_before, foreseen.status_after, foreseen.at) == (Status.ACTIVE, Status.SUSPENDED, None)
    assert effects == {
        "hold billing": ("none", "unpaid"),
        f"line {LINE.number}": ("in service, office 3.12", "ceased, office 3.12"),
        f"line {SECOND.number}": ("in service, office 3.12", "ceased, office 3.12"),
        "account acme": ("on, 100/20 Mbit/s, VLAN 110", "off"),
    }


def test_a_protected_line_is_not_touched_by_a_suspension() -> None:
    services = Services(ClientType.RESIDENTIAL, (LINE, LIFT), RESIDENTIAL.internet)
    _, effects = effects_of(tenant(services=services), Suspend())
    assert f"line {LIFT.number}" not in effects
    _, effects = effects_of(tenant(services=services), Decommission())
    assert effects[f"line {LIFT.number}"] == ("in service (protected), office Lift", "ceased (protected), office Lift")


def test_a_decommission_says_what_is_planned_and_will_go() -> None:
    client = leaving()
    client.obey(Suspend(at=NOW + timedelta(days=9), command_id="later"), NOW)
    foreseen, effects = effects_of(client, Decommission())
    assert [change.change_id for change in foreseen.goes] == ["later", "leave"]
    assert foreseen.comes == ()
    assert effects["office 3.12"] == ("let", "none")


def test_a_plan_shows_what_happens_at_its_moment() -> None:
    foreseen, effects = effects_of(tenant(), dated(Decommission(last_day=LAST_DAY)))
    assert foreseen.at == AFTER_LAST_DAY
    assert [change.at for change in foreseen.comes] == [AFTER_LAST_DAY]
    assert foreseen.status_after is Status.DECOMMISSIONED
    assert effects[f"line {LINE.number}"][1] == "ceased, office 3.12"


def test_a_plan_that_replaces_another_shows_both() -> None:
    foreseen, effects = effects_of(leaving(), dated(Decommission(last_day=LAST_DAY + timedelta(days=1))))
    assert [change.at for change in foreseen.goes] == [AFTER_LAST_DAY]
    assert [change.at for change in foreseen.comes] == [AFTER_LAST_DAY + timedelta(days=1)]
    assert (foreseen.status_before, foreseen.status_after) == (Status.ACTIVE, Status.DECOMMISSIONED)
    assert effects[f"line {LINE.number}"] == ("in service, office 3.12", "ceased, office 3.12")


def test_a_planned_decommission_says_which_plans_go_then() -> None:
    client = tenant()
    client.obey(Convert(to=ClientType.VIRTUAL, at=NOW + timedelta(days=2)), NOW)
    client.obey(Suspend(at=AFTER_LAST_DAY + timedelta(days=99), command_id="later"), NOW)
    foreseen, _ = effects_of(client, dated(Decommission(last_day=LAST_DAY)))
    assert [change.change_id for change in foreseen.goes_then] == ["later"], "what comes before it is not cleared"
    assert foreseen.goes == ()
    foreseen, _ = effects_of(client, Unsuspend(at=AFTER_LAST_DAY))
    assert foreseen.goes_then == ()
    foreseen, _ = effects_of(client, Decommission())
    assert [change.kind for change in foreseen.goes] == ["convert", "suspend"]
    assert foreseen.goes_then == ()


def test_a_change_of_the_activation_says_what_is_planned_then() -> None:
    foreseen, effects = effects_of(tenant(Status.NEW), Edit(activation=Activation.MANUAL))
    assert effects == {"detail activation": ("automatic", "manual")}
    assert [change.kind for change in foreseen.goes] == ["activate"]
    client = tenant(Status.NEW, activation=Activation.MANUAL)
    foreseen, _ = effects_of(client, Edit(activation=Activation.AUTOMATIC))
    assert [change.kind for change in foreseen.comes] == ["activate"]
    assert foreseen.status_after is Status.NEW
    client.obey(dated(Edit(start_date=NOW.date())), NOW)
    foreseen, effects = effects_of(client, Edit(activation=Activation.AUTOMATIC))
    assert (foreseen.status_after, foreseen.comes) == (Status.ACTIVE, ())
    assert effects["account acme"] == ("not in service yet", "on, 100/20 Mbit/s, VLAN 110")


def test_a_plan_is_compared_with_what_would_be_then_without_it() -> None:
    client = tenant()
    client.obey(Suspend(at=NOW + timedelta(days=2)), NOW)
    foreseen, effects = effects_of(client, Convert(to=ClientType.VIRTUAL, at=NOW + timedelta(days=3)))
    assert foreseen.status_before is foreseen.status_after is Status.SUSPENDED
    assert effects[f"line {LINE.number}"] == ("ceased, office 3.12", "ceased")


def test_a_conversion_keeps_the_numbers_and_ends_offices_and_internet() -> None:
    _, effects = effects_of(tenant(), Convert(to=ClientType.VIRTUAL))
    assert effects == {
        "detail type": ("residential", "virtual"),
        "office 3.12": ("let", "none"),
        f"line {LINE.number}": ("in service, office 3.12", "in service"),
        f"line {SECOND.number}": ("in service, office 3.12", "in service"),
        "account acme": ("on, 100/20 Mbit/s, VLAN 110", "off"),
    }


def test_a_new_client_s_activation_puts_into_service_what_was_not() -> None:
    foreseen, effects = effects_of(tenant(Status.NEW), Activate())
    assert effects[f"line {LINE.number}"] == ("not in service yet, office 3.12", "in service, office 3.12")
    assert effects["account acme"] == ("not in service yet", "on, 100/20 Mbit/s, VLAN 110")
    assert [change.kind for change in foreseen.goes] == ["activate"]


@pytest.mark.parametrize(
    ("command", "effects"),
    [
        (Edit(name="Acme & Sons"), {"detail name": ("Acme Ltd", "Acme & Sons")}),
        (Edit(billing_ref=""), {"detail billing ref": ("B-1", "generated")}),
        (
            ChangeServices(add_lines=(THIRD,)),
            {"office 3.2": ("none", "let"), f"line {THIRD.number}": ("none", "in service, office 3.2")},
        ),
        (
            ChangeServices(remove_lines=(SECOND.number,)),
            {f"line {SECOND.number}": ("in service, office 3.12", "ceased")},
        ),
        (ChangeServices(internet="none"), {"account acme": ("on, 100/20 Mbit/s, VLAN 110", "off")}),
        (Unsuspend(), {}),
        (Retry(system=TELEPHONY), {}),
    ],
)
def test_every_other_command_names_what_it_touches(command: AnyCommand, effects: dict[str, tuple[str, str]]) -> None:
    assert effects_of(tenant(), command)[1] == effects


def test_what_changes_nothing_says_so() -> None:
    foreseen, effects = effects_of(tenant(), Activate())
    assert (foreseen.changed, foreseen.message, effects) == (False, "Already active", {})


def test_rotated_credentials_name_everything_that_must_be_configured_anew() -> None:
    _, effects = effects_of(tenant(), RotateCredentials())
    assert set(effects) == {f"line {LINE.number}", f"line {SECOND.number}", "account acme"}
    assert set(effects.values()) == {("its present secret", "a new secret")}


def test_a_command_that_is_refused_is_refused_in_its_preview() -> None:
    with pytest.raises(IllegalTransition, match="already decommissioned"):
        effects_of(tenant(Status.DECOMMISSIONED), Suspend())
