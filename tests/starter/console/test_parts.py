"""What a page does not show of a long list can be found, and no form loses it."""

import re
from urllib.parse import parse_qsl

import pytest

from starter.console.parts import PART_SIZE, part_of
from starter.console.rendering import Form, templates
from tests.starter.console.filling_in import Read, Somebody, ann, at
from tests.starter.console.largest import Desk, desk, numbers
from tests.support.service import SITE, Service, number
from workflows.domain.services import MOST_LINES

__all__ = ["ann", "desk"]


async def test_a_list_is_looked_through_for_what_it_has(desk: Desk) -> None:
    for what, word in (
        ("lines", "Find a number or an office"),
        ("offices", "Find an office"),
        ("systems/telephony", "Find a number or an office"),
        ("systems/doors", "Find"),
    ):
        page = await desk.ann.http.get(f"/clients/largest-residential/{what}")
        assert f'<label for="find">{word}</label>' in page.text


async def test_lines_that_are_not_shown_are_found_changed_and_not_lost(desk: Desk) -> None:
    """Without scripts: from one part to another, what was typed goes along; what nobody touched is no part of it."""
    edit, services = (f"/clients/largest-residential/edit{what}" for what in ("", "/services"))
    form, page = await desk.ann.open(edit, services)
    first, last = numbers(0, MOST_LINES)[0], numbers(0, MOST_LINES)[-1]
    assert "Lines 1 to 50 of 1000" in page.html
    for address in (edit, "/clients/largest-residential/status?action=change_services"):
        html = (await desk.ann.http.get(address)).text
        assert "All 1000 lines" not in html, "more than one change may remove"
        assert "One change removes at most 500 lines" in html
    assert sum(name.startswith("line-") for name in form) == 50
    page = await desk.ann.sent(services, form | {"office-0": "R1", "remove-1": "yes", "more": "part-lines-20"}, 200)
    form = page.forms[services]
    assert "Lines 951 to 1000 of 1000" in page.html
    assert {form[name].split()[0] for name in form if name.startswith("line-")} >= {first, last}
    assert form["office-0"] == "R1"
    assert form["remove-1"] == "yes"
    [place] = [name.partition("-")[2] for name in form if name.startswith("line-") and form[name].startswith(last)]
    found = {f"protected-{place}": "yes", "find-lines": "0794 00002", "more": "part-lines-1"}
    page = await desk.ann.sent(services, form | found, 200)
    assert "Line 1 of 1 in which “0794 00002” was found" in page.html, (
        "what is found is shown, and what was typed is looked at"
    )
    assert "3 more" not in page.html
    happens = re.findall(r'<b class="number">(.*?)</b>: (.*?)</li>', page.html)
    touched = {number.replace(" ", "") for number, _ in happens}
    assert touched >= {first, numbers(0, 2)[1], last}
    assert numbers(0, 3)[2] not in touched


async def test_what_is_wrong_among_very_many_lines_is_shown_first(desk: Desk) -> None:
    services = "/clients/largest-residential/edit/services"
    form, _ = await desk.ann.open("/clients/largest-residential/edit", services)
    page = await desk.ann.sent(services, form | {"office-3": "x" * 65, "more": "part-lines-9"}, 200)
    assert "office-3" not in page.tags, "another part is shown"
    page = await desk.ann.sent(services, {**page.forms[services], "more": ""}, 422)
    assert page.tags["office-3"]["aria-invalid"] == "true"
    assert "#office-3" in page.links


async def test_ticks_and_offices_of_edit_status_go_along_from_part_to_part(desk: Desk) -> None:
    def form_of(page: Read) -> dict[str, str]:
        return page.forms[f"{address}/check"]

    address = "/clients/largest-residential/status"
    _, page = await desk.ann.open(f"{address}?action=change_services", f"{address}/check")
    first = numbers(0, 1)[0]
    typed = form_of(page) | {"remove": first, "more": "part-lines-2"}
    page = await desk.ann.sent(f"{address}/check", typed, 200)
    assert "Lines 51 to 100 of 1000" in page.html
    assert form_of(page)["remove"] == first
    address = "/clients/largest-virtual/status"
    _, page = await desk.ann.open(f"{address}?action=convert", f"{address}/check")
    typed = form_of(page) | {f"office-{first}": "R7", "more": "part-lines-20"}
    page = await desk.ann.sent(f"{address}/check", typed, 200)
    assert "Lines 951 to 1000 of 1000" in page.html
    assert form_of(page)[f"office-{first}"] == "R7"


async def test_a_client_like_one_with_very_many_lines_gets_as_many_as_one_change_may_add(desk: Desk) -> None:
    _, page = await desk.ann.open("/clients/new?from=largest-virtual", "/clients/new")
    assert "500 more lines: add them once there is the client" in page.html
    buttons = re.findall(r"<button[^>]*>", page.html.partition('action="/clients/new"')[2])
    assert 'name="more" value="part-"' in buttons[0], "Enter presses the first one, and only looks"
    assert "Lines 1 to 50 of 500" in page.html
    page = await desk.ann.sent("/clients/new/check", page.forms["/clients/new"] | {"more": "part-lines-10"}, 200)
    assert "Lines 451 to 500 of 500" in page.html
    fields = dict(parse_qsl(page.forms["/clients/new"]["packed"]))
    assert {fields["number-0"], fields["number-449"]} == {numbers(0, 1)[0], numbers(449, 1)[0]}


async def test_the_same_form_sent_twice_is_the_same_command_also_for_lines_it_did_not_show(
    ann: Somebody, service: Service
) -> None:
    lines = [{"number": number(), "office": "1"} for _ in range(PART_SIZE + 2)]
    client = await service.create(lines=lines)
    form, _ = await ann.open(at(client), at(client, "/services"))
    await ann.confirmed(at(client, "/services"), form | {"remove-all": "yes"}, times=2)
    assert (await service.client(client["client_id"]))["lines"] == []


@pytest.mark.parametrize(
    ("find", "found"),
    [("0207 946", 3), ("+44 20 7946 0002", 1), ("LIFT", 1), ("café", 1), ("nobody", 0), ("", 3), ("0", 3), (".12", 1)],
)
def test_a_list_is_looked_through_as_people_write(find: str, found: int) -> None:
    items = [("+442079460001", "Lift"), ("+442079460002", "Cafe\u0301"), ("+442079460003", "3.12")]
    part = part_of("lines", items, Form({"find-lines": find}), lambda item: item)
    assert (part.found, len(part.items), part.last) == (found, found, 1)


def test_what_is_found_begins_with_the_first_of_it() -> None:
    items = [*range(100, 200)]
    requested = {"find-lines": "1", "part-lines": "2"}
    for before, first in (("", 1), ("1", 51)):
        part = part_of("lines", items, Form(requested | {"found-lines": before}), lambda item: [str(item)])
        assert (part.first, part.found) == (first, 100)


@pytest.mark.parametrize("part", ["1", "20"])
async def test_a_line_that_is_added_to_very_many_stays_in_sight(desk: Desk, part: str) -> None:
    services = "/clients/largest-residential/edit/services"
    form, _ = await desk.ann.open("/clients/largest-residential/edit", services)
    new = max(int(name.partition("-")[2]) for name in form if name.startswith("number-"))
    typed = form | {f"number-{new}": "+4420", "typing": f"number-{new}", "part-lines": part}
    page = await desk.ann.sent(f"{services}/check", typed, 200)
    assert page.forms[services][f"number-{new}"] == "+4420"
    assert f"Lines {50 * int(part) - 49} to {50 * int(part)} of 1000" in page.html
    many = {f"number-{new + n}": number for n, number in enumerate(numbers(5000, 60))}
    page = await desk.ann.sent(f"{services}/check", form | many | {"typing": f"number-{new + 59}"}, 200)
    assert page.forms[services][f"number-{new + 59}"] == numbers(5059, 1)[0], "also the last of very many"


async def test_as_many_lines_as_one_change_may_have_fit_into_a_form(desk: Desk) -> None:
    each = numbers(6000, 500)
    lines = {f"number-{n}": number for n, number in enumerate(each)}
    lines |= {f"office-{n}": "€" * 64 for n in range(500)} | {f"protected-{n}": "yes" for n in range(500)}
    page = await desk.ann.sent("/clients/new/check", {"type": "residential", "site": SITE, **lines}, 200)
    page = await desk.ann.sent("/clients/new/check", page.forms["/clients/new"] | {"more": "part-lines-10"}, 200)
    assert "Lines 451 to 500 of 500" in page.html
    answer = await desk.ann.http.post("/clients/new/check", content=b"x" * (512 * 1024 + 1))
    assert (answer.status_code, "more than a page may send at once" in answer.text) == (413, True)


@pytest.mark.parametrize(
    ("requested", "first"), [("", 1), ("2", 11), ("3", 21), ("0", 1), ("99", 21), ("-1", 1), ("x", 1), ("9" * 400, 1)]
)
def test_no_address_asks_for_a_part_that_is_not(requested: str, first: int) -> None:
    part = part_of("lines", [*range(25)], Form({"part-lines": requested}), lambda _: (), size=10)
    assert part.first == first
    assert sorted([*part.items, *part.hidden]) == [*range(25)]


@pytest.mark.parametrize(
    ("count", "find", "sentence"),
    [
        (0, "", "No lines"),
        (0, "7", "No lines"),
        (1, "", "Line 1 of 1"),
        (1, "7", "“7” was not found in the only line"),
        (2, "7", "In none of 2 lines “7” was found"),
        (2, "", "Lines 1 to 2 of 2"),
        (51, "", "Lines 1 to 50 of 51"),
    ],
)
def test_how_much_of_a_list_is_shown_is_said(count: int, find: str, sentence: str) -> None:
    part = part_of("lines", ["x"] * count, Form({"find-lines": find}), lambda item: [item])
    assert str(templates.get_template("parts.html").module.position(part, "lines")) == sentence  # type: ignore[attr-defined]  # its macro
