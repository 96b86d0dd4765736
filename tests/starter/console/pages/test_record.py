"""Claims about sites, notes, tags, many lines at once and a new client like another, as plain forms without scripts."""

from typing import Any

import pytest

from starter.telephones import phone_word
from tests.starter.console.filling_in import Somebody, ann
from tests.support.service import Service, number, unique

__all__ = ["ann"]


# -- sites -----------------------------------------------------------------------------------------------------------


async def test_a_site_is_edited_and_its_page_says_who_changed_what(ann: Somebody, service: Service) -> None:
    site, name = await service.site(unique("Old")), unique("New")
    form, _ = await ann.open(f"/sites/{site}", f"/sites/{site}")
    path, notice = await ann.done(f"/sites/{site}", form | {"name": name, "country": "GB"})
    assert (path, notice) == (f"/sites/{site}", f"Saved {name}.")
    _, page = await ann.open(f"/sites/{site}", f"/sites/{site}")
    assert f"Name: {name}, before: Old" in page.html
    assert ", by ann" in page.html
    form, _ = await ann.open(f"/sites/{site}", f"/sites/{site}")
    assert (form["name"], form["country"]) == (name, "GB")
    await ann.done(f"/sites/{site}", form | {"retired": "yes"})
    listed = (await service.api.get("/sites")).json()["items"]
    assert [(it["country"], it["retired"]) for it in listed if it["site_id"] == site] == [("GB", True)]
    new = await ann.http.get("/clients/new")
    assert f'value="{site}"' not in new.text
    assert name in (await ann.http.get("/sites")).text


async def test_what_a_site_cannot_be_is_said_beside_the_field(ann: Somebody, service: Service) -> None:
    site, other = await service.site(), await service.site()
    await service.create(site=site, type="virtual")
    form, _ = await ann.open(f"/sites/{site}", f"/sites/{site}")
    page = await ann.sent(f"/sites/{site}", form | {"timezone": "Asia/Tokyo"}, 409)
    assert "living client" in page.texts["note-timezone"]
    page = await ann.sent(f"/sites/{site}", form | {"retired": "yes"}, 409)
    assert "living client" in page.texts["note-retired"]
    page = await ann.sent(f"/sites/{site}", form | {"name": other}, 422)
    assert "There is a site of this name" in page.texts["note-name"]
    assert (await ann.http.get("/sites/nowhere-at-all")).status_code == 404


# -- notes and tags --------------------------------------------------------------------------------------------------


async def test_a_note_and_tags_are_added_on_the_page_of_the_client(ann: Somebody, service: Service) -> None:
    client_id = (await service.create(tags=["late"]))["client_id"]
    notes, tags = f"/clients/{client_id}/notes", f"/clients/{client_id}/tags"
    form, _ = await ann.open(f"/clients/{client_id}", notes)
    assert await ann.done(notes, form | {"text": "rang\ntwice"}) == (f"/clients/{client_id}", "Noted.")
    path, notice = await ann.done(tags, {"add": "vip, roof"})
    assert (path, notice) == (f"/clients/{client_id}", "Edited: tags +vip +roof.")
    await ann.done(tags, {"remove": "late"})
    _, page = await ann.open(f"/clients/{client_id}", notes)
    assert "rang\ntwice" in page.html
    assert (await service.client(client_id))["tags"] == ["vip", "roof"]
    for address, fields in ((notes, {"text": " "}), (tags, {"add": ""}), (tags, {"add": "a\u202eb"})):
        refused = await ann.sent(address, fields, 422)
        assert "That cannot be done" in refused.html


async def test_labels_in_the_form_leave_alone_what_others_did_meanwhile(ann: Somebody, service: Service) -> None:
    client_id = (await service.create(tags=["a", "b"], external_ids={"crm": unique("k")}))["client_id"]
    edit, erp = f"/clients/{client_id}/edit", unique("e")
    form, _ = await ann.open(edit, edit)
    await service.api.patch(f"/clients/{client_id}", json={"add_tags": ["theirs"]})
    typed = form | {"tags": "b, ours", "external_ids": f"erp:{erp}"}
    await ann.done(edit, typed)
    client = await service.client(client_id)
    assert (client["tags"], client["external_ids"]) == (["b", "theirs", "ours"], {"erp": erp})
    form, _ = await ann.open(edit, edit)
    page = await ann.sent(edit, form | {"external_ids": "4711"}, 422)
    assert "crm:4711" in page.texts["note-external_ids"]
    page = await ann.sent(edit, form | {"tags": ", ".join(f"t{n}" for n in range(30))}, 422)
    assert "Give at most 20" in page.texts["note-tags"]


# -- many lines at once ----------------------------------------------------------------------------------------------


async def test_a_range_and_a_list_become_lines_and_national_numbers_are_understood(
    ann: Somebody, service: Service
) -> None:
    site = await service.site(country="GB")
    first, second, last, listed, typed = (number() for _ in range(5))
    form, _ = await ann.open(f"/clients/new?site={site}")
    pasted = f"0{first[3:]}-{last[-4:]}\t3.12\n{listed}\t4.1"
    name = unique("Pasted")
    fields = form | {"name": name, "pasted": pasted, "number-0": f"0{typed[3:5]} {typed[5:]}", "office-0": "5"}
    looked = (await ann.sent("/clients/new", fields | {"more": "pasted"}, 200)).forms["/clients/new"]
    assert looked["pasted"] == ""
    rows = [value for name, value in looked.items() if name.startswith("number-")]
    assert rows == [typed, first, second, last, listed]
    path, _ = await ann.done("/clients/new", fields)
    client = await service.client(path.removeprefix("/clients/"))
    assert {line["number"]: line["office"] for line in client["lines"]} == {
        typed: "5",
        first: "3.12",
        second: "3.12",
        last: "3.12",
        listed: "4.1",
    }


async def test_a_list_with_a_wrong_entry_changes_nothing_and_names_it(ann: Somebody, service: Service) -> None:
    client = await service.create()
    address = f"/clients/{client['client_id']}/edit/services"
    form, _ = await ann.open(f"/clients/{client['client_id']}/edit", address)
    page = await ann.sent(address, form | {"pasted": f"{number()}\t3.12\n+44\t3.12"}, 422)
    assert "Entry 2" in page.texts["note-pasted"]
    page = await ann.sent(address, form | {"pasted": "020 7946 0001\t3.12"}, 422)
    assert "give the site a country" in page.texts["note-pasted"]
    assert len((await service.client(client["client_id"]))["lines"]) == 1


async def test_of_very_many_offices_and_numbers_the_first_are_named(ann: Somebody, service: Service) -> None:
    site = await service.site()
    lines = [{"number": number(), "office": f"4.{n}"} for n in range(25)]
    client = await service.create(site=site, lines=lines)
    path = f"/clients/{client['client_id']}"
    listed = (await ann.http.get(f"/clients?site={site}")).text
    assert "4.8, 4.9 and 15 more" in listed
    assert "4.24" not in listed
    assert "<summary>15 more</summary>4.10, 4.11" in (await ann.http.get(path)).text
    assert "4.8, 4.9 and 15 more" in (await ann.http.get(f"{path}/edit")).text
    copied = (await ann.http.get(f"/clients/new?from={client['client_id']}")).text
    assert f"{phone_word(lines[9]['number'])} and 15 more are still its own" in copied


# -- one like another ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", [True, False])
async def test_a_new_client_like_another_says_what_is_taken_over_and_what_is_not_free(
    ann: Somebody, service: Service, ended: bool
) -> None:
    crm, name = unique("k"), unique("Again")
    lines: list[dict[str, Any]] = [
        {"number": number(), "office": "3.12", "protected": True},
        {"number": number(), "office": "3.13"},
    ]
    record: dict[str, Any] = {
        "name": name,
        "lines": lines,
        "tags": ["vip"],
        "external_ids": {"crm": crm},
        "offices": ["9.1"],
    }
    record |= {"internet": {"down_mbps": 100, "up_mbps": 20}, "start_date": "2001-01-01"}
    old = await (service.closed(**record) if ended else service.create(**record))
    other = await service.create(lines=[{**lines[1]}]) if ended else old
    form, page = await ann.open(f"/clients/new?from={old['client_id']}")
    expected = {"name": name, "tags": "vip", "down": "100", "up": "20", "rooms": "9.1", "billing_ref": ""}
    expected |= {"start_date": "", "external_ids": "", "client_id": ""}
    assert {field: form[field] for field in expected} == expected
    assert (form["number-0"], form.get("office-0", "")) == ((lines[0]["number"], "3.12") if ended else ("", ""))
    assert (form.get("protected-0") == "yes") is ended
    assert f"crm:{crm} is still its own" in page.html
    assert (other["client_id"] in page.html) or not ended
    if ended:
        path, notice = await ann.done("/clients/new", form)
        assert notice.startswith(f"Created {name}. A former client of the site has this name")
        assert [line["number"] for line in (await service.client(path[9:]))["lines"]] == [lines[0]["number"]]
