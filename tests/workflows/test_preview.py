"""The dry run of a command, asked of a running client: it leaves no trace."""

from datetime import UTC, datetime
from typing import Any

from tests.support.workflows import OFFICE_LINE, Handle, Service
from workflows.wire.previews import PreviewAsked, PreviewView
from workflows.wire.update import Message


async def preview(handle: Handle, kind: str, **fields: Any) -> PreviewView:
    question = PreviewAsked(command=Message.model_validate({"kind": kind, **fields}), now=datetime.now(UTC))
    answer: PreviewView = await handle.query("preview", question, result_type=PreviewView)
    return answer


async def test_a_preview_shows_each_effect_and_costs_no_event(service: Service) -> None:
    handle = await service.start()
    before = await service.events(handle)
    view = await preview(handle, "suspend", source="billing")
    assert (view.changed, view.status_after) == (True, "suspended")
    lines = {effect.subject: effect.after for effect in view.effects if effect.kind == "line"}
    assert lines[OFFICE_LINE.number] == "ceased, office 3.12"
    assert await service.events(handle) == before
    assert (await service.view(handle)).status == "active"


async def test_the_preview_of_a_plan_says_the_exact_instant_at_the_site(service: Service) -> None:
    handle = await service.start()
    view = await preview(handle, "decommission", last_day="2099-03-31")
    assert view.local_time == "2099-04-01 00:00 Europe/London"
    assert view.at is not None
    assert view.at.isoformat() == "2099-04-01T00:00:00+01:00"
    assert [plan.kind for plan in view.comes] == ["decommission"]


async def test_the_preview_of_what_is_refused_is_the_refusal_with_its_facts(service: Service) -> None:
    handle = await service.start()
    view = await preview(handle, "convert", to="virtual", offices=["3.12"])
    assert view.refusal is not None
    assert (view.refusal["type"], view.refusal["field"]) == ("InvalidField", "offices")
    assert view.refusal["client_status"] == "active"
    assert "Leave them out" in view.message
