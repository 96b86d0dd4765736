"""Signals that 0.1.0 did not know: a run that refused one refuses it in every replay, and takes it once renewed."""

from typing import Any

import pytest

from tests.support.waiting import eventually
from tests.support.workflows import Service, replay
from workflows.ports import Claim

ADDED: list[tuple[str, dict[str, Any]]] = [
    ("note", {"text": "rang"}),
    ("edit", {"add_tags": ["vip"]}),
    ("edit", {"tags": ["vip"]}),
    ("edit", {"external_ids": {"crm": "4711"}}),
]

TAKEN = {"noted: rang", "decided: Edited: tags +vip", "decided: Edited: external ids +crm:4711"}


def refusals_of(service: Service, client_id: str) -> list[str]:
    return [text for text in service.directory.texts_of(client_id) if text.startswith("refused")]


@pytest.mark.parametrize(("name", "body"), ADDED)
async def test_what_an_older_version_refused_is_refused_in_a_replay_and_taken_after_a_renewal(
    service: Service, monkeypatch: pytest.MonkeyPatch, name: str, body: dict[str, Any]
) -> None:
    handle = await service.start()
    client_id = (await service.view(handle)).client_id
    with monkeypatch.context() as older:
        older.setattr("workflows.inbox.workflow.patched", lambda rule: False)
        await service.signal(handle, name, body)
        await eventually(lambda: bool(refusals_of(service, client_id)))
    await replay(await service.histories())
    await service.renew(handle)
    await service.signal(service.latest(handle), name, body)
    await eventually(lambda: bool(TAKEN & {*service.directory.texts_of(client_id)}))
    assert len(refusals_of(service, client_id)) == 1
    await replay(await service.histories())


async def test_an_external_id_that_another_client_has_is_refused_by_signal_too(service: Service) -> None:
    other, handle = await service.start("other"), await service.start(services=service.virtual("+442079460100"))
    await service.command(other, "edit", external_ids={"crm": "4711"})
    await service.signal(handle, "edit", {"external_ids": {"CRM": "4711", "erp": "1"}})
    view = await service.settled(handle)
    assert view.external_ids == {}
    assert [text for text in service.directory.texts_of(view.client_id) if "4711 is in use" in text]
    claims = [order.claim for order in service.directory.orders if order.claim and not order.register]
    assert claims[-1] == Claim(external_ids=["CRM:4711", "erp:1"])
    assert service.directory.external_ids == {"crm:4711": "other"}
