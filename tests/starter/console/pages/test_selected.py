"""Claims about what is done with the clients that were selected in the list."""

import csv
from urllib.parse import urlencode

import pytest_asyncio

from starter.console.pages.selected import MOST, PATH
from starter.sheets import CLIENT, MARK
from tests.starter.console.filling_in import Read, Somebody, ann
from tests.support.service import Service, unique

__all__ = ["ann"]
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


class Hall:
    """A site with a management client, an active one, one that billing holds, and one that has left."""

    def __init__(self, service: Service) -> None:
        self.service, self.ids = service, dict[str, str]()

    async def fill(self) -> None:
        site = await self.service.site("Selection Hall")
        for name, record in (("ours", {"management": True}), ("active", {}), ("held", {}), ("gone", {})):
            client = await self.service.create(unique(name), site=site, **record)
            self.ids[name] = client["client_id"]
        await self.service.post(self.ids["held"], "suspend", source="billing")
        await self.service.post(self.ids["gone"], "decommission")

    async def status(self, name: str) -> str:
        return str((await self.service.client(self.ids[name]))["status"])


@pytest_asyncio.fixture(scope="module")
async def hall(service: Service) -> Hall:
    hall = Hall(service)
    await hall.fill()
    return hall


async def preview_page(ann: Somebody, action: str, *ids: str, status: int = 200, **fields: str) -> tuple[Read, str]:
    """The preview of an action on these clients, and its text."""
    body = urlencode([("action", action), *fields.items(), *(("client", one) for one in ids)])
    answer = await ann.http.post(f"{PATH}/check", content=body, headers=HEADERS)
    assert answer.status_code == status, answer.text
    return Read(answer.text), " ".join(answer.text.split())


async def test_a_preview_counts_who_changes_who_stays_and_who_refuses_and_does_nothing(
    ann: Somebody, hall: Hall
) -> None:
    ids = hall.ids
    _, text = await preview_page(ann, "unsuspend", *ids.values(), "no-such-client", source="billing")
    for sentence in (
        "1 client changes",
        "2 clients stay as they are",
        "Not held by billing",
        "1 client cannot be unsuspended",
        "There is no client no-such-client",
        "Unsuspend 1 client now",
    ):
        assert sentence in text, text[text.find("<h1") :]
    assert await hall.status("held") == "suspended"


async def test_what_was_previewed_is_done_to_those_that_change_alone_and_once(
    ann: Somebody, hall: Hall, service: Service
) -> None:
    two = [(await service.create(unique("Two")))["client_id"] for _ in range(2)]
    read, _ = await preview_page(ann, "suspend", *two, hall.ids["ours"], source="security", reason="a break-in")
    form = dict(read.forms[f"{PATH}/check"])
    assert form["other"] == hall.ids["ours"]
    pairs = [*((name, value) for name, value in form.items() if name != "client"), *(("client", one) for one in two)]
    for _ in range(2):
        answer = await ann.http.post(PATH, content=urlencode(pairs), headers=HEADERS)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/clients")
    for client_id in two:
        await service.known(client_id)
        client = await service.client(client_id)
        [hold] = client["holds"]
        assert (hold["source"], hold["reason"], hold["by"]) == ("security", "a break-in", "ann")
        assert [line["kind"] for line in await service.history(client_id)].count("suspend") == 1


async def test_who_refuses_is_named_with_why_and_the_others_are_done(
    ann: Somebody, hall: Hall, service: Service
) -> None:
    other = (await service.create(unique("Other")))["client_id"]
    body = urlencode([("action", "suspend"), ("client", other), ("client", hall.ids["gone"])])
    answer = await ann.http.post(PATH, content=body, headers=HEADERS)
    assert answer.status_code == 409
    assert "1 client was suspended. 1 client was not suspended." in answer.text
    assert "decommissioned" in answer.text.lower()
    assert (await service.client(other))["status"] == "suspended"


async def test_too_many_none_and_an_unknown_action_say_what_to_do(ann: Somebody) -> None:
    cases = [
        ("suspend", [f"client-{place}" for place in range(MOST + 1)], f"Select at most {MOST}"),
        ("suspend", [], "No client is selected"),
        ("decommission", ["client-1"], "Choose what to do"),
    ]
    for action, ids, sentence in cases:
        _, text = await preview_page(ann, action, *ids, status=422)
        assert sentence in text


async def test_a_source_that_cannot_be_is_said_beside_its_field(ann: Somebody, hall: Hall) -> None:
    read, text = await preview_page(ann, "suspend", hall.ids["active"], source="x" * 65)
    assert "too long" in read.texts["note-source"]
    assert "What will happen" not in text


async def test_tags_are_added_to_many_and_removed_from_many(ann: Somebody, service: Service) -> None:
    site = await service.site()
    two = [(await service.create(unique("Two"), site=site, tags=["late"]))["client_id"] for _ in range(2)]
    _, text = await preview_page(ann, "edit", *two)
    assert "Tag 2 clients" in text
    assert "What will happen" not in text, "nothing is said yet"
    read, text = await preview_page(ann, "edit", *two, add_tags="vip, roof", remove_tags="LATE")
    assert "2 clients change" in text
    assert read.forms[f"{PATH}/check"]["add_tags"] == "vip, roof"
    body = [("action", "edit"), ("add_tags", "vip, roof"), ("remove_tags", "LATE"), *(("client", one) for one in two)]
    answer = await ann.http.post(PATH, content=urlencode(body), headers=HEADERS)
    assert answer.status_code == 303, answer.text
    assert [(await service.client(one))["tags"] for one in two] == [["vip", "roof"]] * 2


async def test_what_is_selected_is_exported_and_nothing_else(ann: Somebody, hall: Hall) -> None:
    body = urlencode([("client", hall.ids["gone"]), ("client", hall.ids["held"]), ("client", "nobody")])
    answer = await ann.http.post(f"{PATH}.csv", content=body, headers=HEADERS)
    assert answer.headers["Content-Type"].startswith("text/csv")
    heads, *rows = csv.reader(answer.text.removeprefix(MARK).splitlines())
    assert heads == [*CLIENT]
    assert {row[0]: row[3] for row in rows} == {hall.ids["gone"]: "decommissioned", hall.ids["held"]: "suspended"}
