"""Claims about Edit client as plain forms, without scripts: the details, and the contracted services."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from starter.telephones import phone_word
from tests.starter.console.filling_in import Read, Somebody, ann, at
from tests.support.service import Service, number, unique
from tests.support.waiting import eventually

TODAY = datetime.now(UTC).date()
SOON, LATER = ((TODAY + timedelta(days)).isoformat() for days in (40, 90))
PAST = (TODAY - timedelta(3)).isoformat()

__all__ = ["ann"]

# -- details ---------------------------------------------------------------------------------------------------------


async def test_only_what_was_changed_is_sent(ann: Somebody, service: Service) -> None:
    client = await service.create(unique("Before"), billing_ref=unique("E"))
    form, _ = await ann.open(at(client))
    assert (form["name"], form["billing_ref"]) == (client["name"], client["billing_ref"])
    other = unique("Meanwhile")
    answer = await service.api.patch(f"/clients/{client['client_id']}", json={"name": other})
    assert answer.status_code in (200, 202)
    path, notice = await ann.done(at(client), form | {"end_date": LATER, "reason": "moves out"})
    assert (path, notice) == (f"/clients/{client['client_id']}", "Edited: end date.")
    after = await service.client(client["client_id"])
    assert (after["name"], after["end_date"]) == (other, LATER)
    [line] = await lines_of(service, client, text="Edited: end date")
    assert (line["by"], line["reason"]) == ("ann", "moves out")


async def test_what_somebody_else_changed_meanwhile_is_not_undone_unseen(ann: Somebody, service: Service) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client))
    await service.api.patch(f"/clients/{client['client_id']}", json={"name": "Theirs"})
    page = await ann.sent(at(client), form | {"name": "Mine"}, 409)
    assert "changed to “Theirs” meanwhile" in page.texts["note-name"]
    assert (await service.client(client["client_id"]))["name"] == "Theirs"
    await ann.done(at(client), page.forms[at(client)])
    assert (await service.client(client["client_id"]))["name"] == "Mine"


async def test_what_somebody_else_changed_and_nobody_typed_stays_theirs_when_it_is_saved_again(
    ann: Somebody, service: Service
) -> None:
    client = await service.create(billing_ref=unique("O"))
    form, _ = await ann.open(at(client))
    theirs = {"name": "Theirs", "billing_ref": unique("T")}
    await service.api.patch(f"/clients/{client['client_id']}", json=theirs)
    page = await ann.sent(at(client), form | {"name": "Mine"}, 409)
    await ann.done(at(client), page.forms[at(client)])
    after = await service.client(client["client_id"])
    assert (after["name"], after["billing_ref"]) == ("Mine", theirs["billing_ref"])


async def test_an_edit_that_is_sent_twice_is_one(ann: Somebody, service: Service) -> None:
    client = await service.create(billing_ref=unique("T"))
    form, _ = await ann.open(at(client))
    typed = form | {"billing_ref": "", "name": unique("Edited")}
    first = await ann.done(at(client), typed)
    assert await ann.done(at(client), typed) == first
    after = await service.client(client["client_id"])
    assert after["billing_ref"] not in ("", client["billing_ref"])
    assert len(await lines_of(service, client, kind="edit")) == 1


async def lines_of(service: Service, client: dict[str, Any], **fields: str) -> list[dict[str, Any]]:
    """The lines of the history that have these fields, once there are some and the client is settled."""
    await service.known(client["client_id"])

    async def found() -> list[dict[str, Any]]:
        lines = await service.history(client["client_id"])
        return [line for line in lines if all(line[name] == value for name, value in fields.items())]

    return await eventually(found)


async def test_an_edit_of_nothing_says_so(ann: Somebody, service: Service) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client))
    _, notice = await ann.done(at(client), form)
    assert notice.startswith("Nothing was changed")
    assert (await service.client(client["client_id"]))["revision"] == client["revision"]


@pytest.mark.parametrize(
    ("typed", "where", "why"),
    [
        ({"name": ""}, "name", "The name is missing"),
        ({"start_date": ""}, "start_date", "The start date is missing"),
        ({"start_date": "1066-10-14"}, "start_date", "1900 to 2199"),
        ({"end_date": "soon"}, "end_date", "cannot be “soon”"),
        ({"billing_ref": "x" * 65}, "billing_ref", "too long"),
        ({"name": "Other", "reason": "x" * 501}, "reason", "too long"),
    ],
)
async def test_a_wrong_detail_is_told_at_its_field_and_changes_nothing(
    ann: Somebody, service: Service, typed: dict[str, str], where: str, why: str
) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client))
    page = await ann.sent(at(client), form | typed, 422)
    assert why in page.texts[f"note-{where}"]
    assert page.forms[at(client)][where] == typed[where]
    assert "autofocus" in page.tags[where]
    assert (await service.client(client["client_id"]))["revision"] == client["revision"]


async def test_a_taken_billing_ref_is_told_at_its_field(ann: Somebody, service: Service) -> None:
    theirs, client = await service.create(billing_ref=unique("B")), await service.create()
    form, _ = await ann.open(at(client))
    page = await ann.sent(at(client, "/check"), form | {"billing_ref": theirs["billing_ref"]}, 200)
    assert f"taken by client {theirs['client_id']}" in page.texts["note-billing_ref"]
    page = await ann.sent(at(client), form | {"billing_ref": theirs["billing_ref"]}, 409)
    assert page.tags["billing_ref"]["aria-invalid"] == "true"
    await ann.done(at(client), page.forms[at(client)] | {"billing_ref": unique("B")})


async def test_a_start_date_after_the_planned_decommission_is_refused_at_its_field(
    ann: Somebody, service: Service
) -> None:
    client = await service.create(start_date=SOON, wait=0)
    assert (await service.post(client["client_id"], "decommission", last_day=LATER)).status_code in (200, 202)
    form, _ = await ann.open(at(client))
    late = form | {"start_date": (TODAY + timedelta(200)).isoformat()}
    for path, status in ((at(client, "/check"), 200), (at(client), 422)):
        page = await ann.sent(path, late, status)
        assert "A decommission is planned before" in page.texts["note-start_date"]
    assert (await service.client(client["client_id"]))["start_date"] == SOON


async def test_the_check_tells_what_a_start_date_does(ann: Somebody, service: Service) -> None:
    new, active = await service.create(start_date=SOON, wait=0), await service.create()
    form, page = await ann.open(at(new))
    assert "moves its activation" in page.texts["help-start_date"]
    page = await ann.sent(at(new, "/check"), form | {"start_date": "2199-07-01"}, 200)
    assert page.texts["note-start_date"] == "Activates on 1 Jul 2199, 00:00 Europe/London."
    form, page = await ann.open(at(active))
    assert "information only" in page.texts["help-start_date"]
    page = await ann.sent(at(active, "/check"), form | {"start_date": "2199-07-01"}, 200)
    assert "nothing is switched" in page.texts["note-start_date"]


async def test_a_new_client_s_activation_is_changed_there_and_back(ann: Somebody, service: Service) -> None:
    client = await service.create(start_date="2199-07-01")
    form, _ = await ann.open(at(client))
    page = await ann.sent(at(client, "/check"), form | {"activation": "manual"}, 200)
    assert page.texts["note-activation"] == "The client then stays New until somebody activates it."
    _, notice = await ann.done(at(client), form | {"activation": "manual"})
    assert "waits until somebody activates it" in notice
    assert (await service.client(client["client_id"]))["planned"] == []
    form, page = await ann.open(at(client))
    assert form["activation"] == "manual"
    assert "waits to be activated by hand" in page.texts["help-start_date"]
    page = await ann.sent(at(client, "/check"), form | {"activation": "automatic"}, 200)
    assert page.texts["note-activation"] == "Activates on 1 Jul 2199, 00:00 Europe/London."
    await ann.done(at(client), form | {"activation": "automatic"})
    assert [plan["kind"] for plan in (await service.client(client["client_id"]))["planned"]] == ["activate"]


async def test_a_client_that_was_activated_meanwhile_keeps_its_activation_and_says_why(
    ann: Somebody, service: Service
) -> None:
    client = await service.create(start_date="2199-07-01")
    form, _ = await ann.open(at(client))
    await service.post(client["client_id"], "activate")
    page = await ann.sent(at(client), form | {"activation": "manual"}, 409)
    assert "Only a New client" in page.html
    again, _ = await ann.open(at(client))
    assert "activation" not in again, "there is nothing to choose any more"


async def test_the_way_to_plan_a_decommission_follows_the_end_date(ann: Somebody, service: Service) -> None:
    client = await service.create()
    form, page = await ann.open(at(client))
    plan = f"/clients/{client['client_id']}/status?action=decommission&when=day"
    assert plan in page.links
    page = await ann.sent(at(client, "/check"), form | {"end_date": "2199-02-28"}, 200)
    assert f"{plan}&last_day=2199-02-28" in page.links
    management = await service.create(management=True)
    _, page = await ann.open(at(management))
    assert not any("action=decommission" in link for link in page.links)


async def test_a_decommissioned_client_is_shown_and_not_edited(ann: Somebody, service: Service) -> None:
    client = await service.create(unique("Gone"))
    form, _ = await ann.open(at(client))
    services, _ = await ann.open(at(client), at(client, "/services"))
    await service.post(client["client_id"], "decommission")
    answer = await ann.http.get(at(client))
    assert "That is final" in answer.text
    assert at(client) not in Read(answer.text).forms
    page = await ann.sent(at(client), form | {"name": "Risen"}, 409)
    assert "already decommissioned" in page.html
    page = await ann.sent(at(client, "/services"), services | {"number-1": number(), "office-1": "1"}, 409)
    assert "already decommissioned" in page.html
    assert (await service.client(client["client_id"]))["name"] == client["name"]


async def test_there_is_no_page_to_edit_nobody(ann: Somebody) -> None:
    assert (await ann.http.get("/clients/nobody-there/edit")).status_code == 404


# -- services --------------------------------------------------------------------------------------------------------


def lines(client: dict[str, Any]) -> Iterable[tuple[str, str | None, bool]]:
    return [(line["number"], line["office"], line["protected"]) for line in client["lines"]]


async def test_lines_are_added_moved_protected_and_removed_once_that_was_previewed(
    ann: Somebody, service: Service
) -> None:
    one, two, three, four = number(), number(), number(), number()
    client = await service.create(lines=[{"number": n, "office": "1"} for n in (one, two, three)])
    form, _ = await ann.open(at(client), at(client, "/services"))
    typed = form | {"office-0": "2", "remove-1": "yes", "protected-2": "yes", "number-3": four, "office-3": "4"}
    page = await ann.sent(at(client, "/services/check"), typed, 200)
    assert f"{two}" in page.html
    assert "What will happen" in page.html
    assert (await service.client(client["client_id"]))["revision"] == client["revision"]
    path, notice = await ann.confirmed(at(client, "/services"), typed, times=2)
    assert path == f"/clients/{client['client_id']}"
    assert notice.startswith("Services: added")
    after = await service.client(client["client_id"])
    assert lines(after) == [(one, "2", False), (three, "1", True), (four, "4", False)]
    assert len(await lines_of(service, client, kind="change_services")) == 1


async def test_many_lines_are_removed_by_a_list_or_all_of_them_once_that_was_previewed(
    ann: Somebody, service: Service
) -> None:
    one, two, three, four = number(), number(), number(), number()
    client = await service.create(lines=[{"number": n, "office": "1"} for n in (one, two, three, four)])
    form, page = await ann.open(at(client), at(client, "/services"))
    assert "All 4 lines" in page.html
    listed = form | {"unwanted": f"{one}\n{phone_word(two)}; 1"}
    page = await ann.sent(at(client, "/services/check"), listed, 200)
    assert f"2 lines, from {phone_word(one)} to {phone_word(two)}." in page.texts["note-unwanted"]
    _, notice = await ann.confirmed(at(client, "/services"), listed, times=2)
    assert notice == f"Services: removed {one}, removed {two}."
    assert lines(await service.client(client["client_id"])) == [(three, "1", False), (four, "1", False)]
    form, _ = await ann.open(at(client), at(client, "/services"))
    page = await ann.sent(at(client, "/services/check"), form | {"unwanted": number()}, 200)
    assert "The client has no line" in page.texts["note-unwanted"]
    mistyped = await ann.sent(at(client, "/services"), form | {"unwanted": "12345"}, 422)
    assert "neither a number that can exist nor a range" in mistyped.texts["note-unwanted"]
    client = await service.create(lines=[{"number": number(), "office": "1"} for _ in range(12)])
    form, _ = await ann.open(at(client), at(client, "/services"))
    page = await ann.sent(at(client, "/services/check"), form | {"remove-all": "yes"}, 200)
    assert "<summary>3 more</summary>" in page.html, "twelve lines and the office"
    await ann.confirmed(at(client, "/services"), form | {"remove-all": "yes"}, times=2)
    assert (await service.client(client["client_id"]))["lines"] == []
    assert len(await lines_of(service, client, kind="change_services")) == 1


async def test_internet_is_set_and_ended(ann: Somebody, service: Service) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client), at(client, "/services"))
    await ann.confirmed(at(client, "/services"), form | {"down": "50", "up": "10"})
    assert (await service.client(client["client_id"]))["internet"]["down_mbps"] == 50
    form, _ = await ann.open(at(client), at(client, "/services"))
    page = await ann.sent(at(client, "/services"), form | {"down": "", "up": ""}, 422)
    assert "End internet access" in page.texts["note-down"]
    await ann.confirmed(at(client, "/services"), form | {"end-internet": "yes"})
    assert (await service.client(client["client_id"]))["internet"] is None


async def test_wrong_lines_are_told_at_their_row_and_change_nothing(ann: Somebody, service: Service) -> None:
    theirs, client = await service.create(), await service.create()
    form, _ = await ann.open(at(client), at(client, "/services"))
    path = at(client, "/services")
    for typed, status, where, why in (
        ({"number-1": "+4420", "office-1": "1"}, 422, "number-1", "can exist"),
        ({"number-1": client["lines"][0]["number"], "office-1": "1"}, 422, "number-1", "given twice"),
        (
            {"number-1": theirs["lines"][0]["number"], "office-1": "1"},
            409,
            "number-1",
            "belongs to another client. Choose another",
        ),
        ({"office-0": ""}, 422, "office-0", "The office is missing"),
        ({"down": "1"}, 422, "up", "missing"),
    ):
        page = await ann.sent(path, form | typed, status)
        assert why in page.texts[f"note-{where}"], typed
        assert "autofocus" in page.tags[where], typed
    page = await ann.sent(path, form, 422)
    assert "Change one first" in page.html
    assert (await service.client(client["client_id"]))["lines"] == client["lines"]


async def test_a_line_that_somebody_else_changed_meanwhile_is_not_undone_unseen(
    ann: Somebody, service: Service
) -> None:
    one, two = number(), number()
    client = await service.create(lines=[{"number": n, "office": "1"} for n in (one, two)])
    form, _ = await ann.open(at(client), at(client, "/services"))
    theirs: dict[str, Any] = {"add_lines": [{"number": one, "office": "9"}], "remove_lines": [two]}
    await service.post(client["client_id"], "services", **theirs)
    path = at(client, "/services")
    page = await ann.sent(path, form | {"office-0": "2", "office-1": "2"}, 409)
    assert "changed meanwhile: in 9" in page.texts["note-office-0"]
    assert "removed meanwhile" in page.texts["note-office-1"]
    await ann.confirmed(path, page.forms[path] | {"office-1": "1"})
    assert lines(await service.client(client["client_id"])) == [(one, "2", False)]


# -- in one place ----------------------------------------------------------------------------------------------------


async def test_status_type_and_office_stand_beside_the_details(ann: Somebody, service: Service) -> None:
    client, virtual = await service.create(end_date=PAST), await service.create(type="virtual")
    status = f"/clients/{client['client_id']}/status"
    _, page = await ann.open(at(client))
    assert {status, f"{status}?action=convert#doing"} <= {*page.links}
    assert "Convert to virtual" in page.html
    assert "past" in str(page.tags["end_date"].get("class"))
    _, page = await ann.open(at(virtual))
    assert "Virtual Client" in page.html
    assert "Convert to residential" in page.html
    form, _ = await ann.open(at(client))
    page = await ann.sent(at(client, "/check"), form | {"end_date": LATER}, 200)
    assert "class" not in page.tags["end_date"]


@pytest.mark.parametrize(
    "typed",
    [
        {"remove-0": "yes"},
        {"office-0": "2"},
        {"protected-0": "yes"},
        {"number-1": "", "down": "50", "up": "10"},
    ],
    ids=["a line is removed", "a line moves", "a line is protected", "internet access comes"],
)
async def test_no_change_of_services_is_done_before_it_was_seen(
    ann: Somebody, service: Service, typed: dict[str, str]
) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client), at(client, "/services"))
    page = await ann.sent(at(client, "/services"), form | typed, 200)
    assert "What will happen" in page.html
    assert "Change services now" in page.html
    assert (await service.client(client["client_id"]))["revision"] == client["revision"]
    await service.post(client["client_id"], "suspend")  # what would come of it is otherwise now
    page = await ann.sent(at(client, "/services"), page.forms[at(client, "/services")], 409)
    assert "not what was shown before" in page.html
    assert (await service.client(client["client_id"]))["lines"] == client["lines"]
    await ann.done(at(client, "/services"), page.forms[at(client, "/services")])


async def test_a_start_date_that_activates_at_once_is_seen_before_it_is_saved(ann: Somebody, service: Service) -> None:
    client = await service.create(start_date=SOON, wait=0)
    form, _ = await ann.open(at(client))
    page = await ann.sent(at(client), form | {"start_date": TODAY.isoformat()}, 200)
    assert "What will happen" in page.html
    assert (await service.client(client["client_id"]))["status"] == "new"
    await ann.done(at(client), page.forms[at(client)])
    assert (await service.client(client["client_id"]))["status"] == "active"


async def test_what_was_typed_in_the_other_form_comes_back(ann: Somebody, service: Service) -> None:
    client = await service.create()
    details, page = await ann.open(at(client))
    services = page.forms[at(client, "/services")] | {"office-0": "9"}
    name = unique("Named")
    answer = await ann.send(at(client), details | {"name": name, "beside": urlencode(services)})
    assert answer.status_code == 200
    assert "Edited: name. The services below are not changed yet." in answer.text
    page = Read(answer.text)
    assert page.forms[at(client, "/services")]["office-0"] == "9"
    assert page.forms[at(client)]["name"] == name
    wrong = page.forms[at(client)] | {"name": "", "beside": urlencode(page.forms[at(client, "/services")])}
    page = await ann.sent(at(client), wrong, 422)
    assert page.forms[at(client, "/services")]["office-0"] == "9"
    unchanged = page.forms[at(client)] | {"name": name, "beside": urlencode(services)}
    page = await ann.sent(at(client), unchanged, 422)
    assert "The details are as they were." in page.html
    assert page.forms[at(client, "/services")]["office-0"] == "9"
    beside = urlencode(page.forms[at(client)] | {"end_date": LATER})
    preview = await ann.sent(at(client, "/services"), services | {"beside": beside}, 200)
    assert preview.forms[at(client)]["end_date"] == LATER
    done = await ann.send(at(client, "/services"), preview.forms[at(client, "/services")] | {"beside": beside})
    assert "The details below are not saved yet." in done.text
    assert Read(done.text).forms[at(client)]["end_date"] == LATER
    after = await service.client(client["client_id"])
    assert (after["name"], after["lines"][0]["office"], after["end_date"]) == (name, "9", None)
