"""Claims about erasing a client on its page: what goes is seen first, its name is typed, and the page says it after."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from starter.app import create_app
from starter.erasing import Eraser
from tests.starter.console.filling_in import Somebody, ann, signed_in
from tests.support.service import TOKEN, Service, serving, unique
from tests.support.service import number as a_number

__all__ = ["ann"]


@pytest_asyncio.fixture(scope="module")
async def eve(service: Service) -> AsyncIterator[Somebody]:
    """Somebody at a service that keeps nobody after the end."""
    app = create_app(service.clients, TOKEN, eraser=Eraser(service.clients, timedelta(0)))
    async with serving(app) as url, signed_in(service, url) as eve:
        yield eve


async def test_a_former_client_is_erased_once_its_name_is_typed(eve: Somebody, service: Service) -> None:
    name, line = unique("Forget Me"), a_number()
    gone = await service.closed(name=name, lines=[{"number": line, "office": "7"}], tags=["vip"])
    client_id = gone["client_id"]
    address = f"/clients/{client_id}/erase"
    assert address in (await eve.open(f"/clients/{client_id}", "/theme"))[1].links
    form, page = await eve.open(address)
    assert "billing ref, tags, notes and offices" in page.html
    page = await eve.sent(address, form | {"confirmed": "Somebody else"}, 422)
    assert "not the client" in page.texts["note-confirmed"]
    assert (await service.client(client_id))["name"] == name, "nothing was done"
    path, notice = await eve.done(address, page.forms[address] | {"confirmed": f" {name} "})
    assert (path, notice) == (
        f"/clients/{client_id}",
        f"Client {client_id} is erased: who it was is not known any more.",
    )
    for after in ("", "/history", "/erase"):
        answer = await eve.http.get(f"/clients/{client_id}{after}")
        assert (answer.status_code, name in answer.text) == (200, False), after
        assert f"Client {client_id} was erased on" in answer.text
        assert "Erased for good" in answer.text, "its history is there"
    for after in ("/edit", "/status", "/lines", "/systems/telephony", "/credentials"):
        answer = await eve.http.get(f"/clients/{client_id}{after}")
        assert (answer.status_code, "This client was erased" in answer.text) == (404, True), after
    assert (await eve.done(address, {"confirmed": ""}))[0] == f"/clients/{client_id}", "it stays so"
    listed = await eve.http.get("/clients", params={"inactive": "true", "q": client_id})
    assert "Erased client" in listed.text
    assert name not in listed.text


async def test_who_is_not_proven_off_is_said_without_a_command_line(ann: Somebody, service: Service) -> None:
    client_id = (await service.create())["client_id"]
    async with service.without(service.telephony):
        await service.post(client_id, "decommission", wait=0)
        page = (await ann.http.get(f"/clients/{client_id}/erase")).text
    assert "It is not proven yet that all of its services are off. Its page shows what each system says." in page
    assert "workflow" not in page
    assert "connect client" not in page


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("active", "The client is Active. Decommission it first."),
        ("early", "and is kept until"),
    ],
)
async def test_who_may_not_be_erased_is_said_with_the_reason(
    ann: Somebody, service: Service, what: str, why: str
) -> None:
    client = await (service.create() if what == "active" else service.closed())
    address = f"/clients/{client['client_id']}/erase"
    answer = await ann.http.get(address)
    assert (answer.status_code, why in answer.text, "Erase for good" in answer.text) == (200, True, False)
    page = await ann.sent(address, {"confirmed": "Acme Ltd"}, 409)
    assert why in page.html
    assert (await service.client(client["client_id"]))["name"] == "Acme Ltd"
