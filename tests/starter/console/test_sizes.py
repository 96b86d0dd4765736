"""No page grows with its client: the largest client that there can be has pages that open on any connection; what they
do not show can be found, and no form loses it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from urllib.parse import parse_qsl

import pytest
import pytest_asyncio

from activities.instances import ServiceKind
from starter.app import create_app
from starter.clients import ClientService
from starter.console.parts import SHOWN, part_of
from starter.console.rendering import Form, templates
from starter.contract.answers import ClientNote, Credentials, HistoryEntry, HistoryPage, NotePage
from starter.contract.catalogue import ONLY_BUILT_IN, Catalogue
from starter.erasing import Eraser
from starter.errors import NotErasable
from starter.web.roles import TABLE
from tests.starter.console.filling_in import Read, Somebody, ann, at, signed_in
from tests.support.builders import LONDON, dated, tenant
from tests.support.service import KEYRING, LIMITS, SITE, TOKEN, Service, number, serving
from workflows.domain.client.planning import named_day
from workflows.domain.commands import ChangeServices, Suspend
from workflows.domain.dates import resolve
from workflows.domain.errors import Refusal
from workflows.domain.preview import preview
from workflows.domain.services import MOST_LINES, MOST_SERVICES, ClientType, Internet, Line, Services
from workflows.domain.services import Service as Further
from workflows.domain.state import ClientState
from workflows.wire.messages import AnyMessage, DatedMessage
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView, SubjectView, SystemView

__all__ = ["ann"]

LARGEST = 250_000  # bytes of a page
NOW = datetime.now(UTC)
OFFICE = "Third floor, east wing, room %04d behind the old lift and stairs"
SEEN = {
    "password": "set by Connect",
    "registrations": "none",
    "calls": "none",
    "login": "401 Unauthorized",
    "rows": "1",
}
LATER = date(NOW.year + 1, 6, 30)


def numbers(first: int, many: int) -> list[str]:
    return [f"+4420794{place:05d}" for place in range(first, first + many)]


@cache
def largest(kind: ClientType) -> ClientState:
    """A client with as much of everything as there can be."""
    virtual = kind is ClientType.VIRTUAL
    lines = [Line(number, None if virtual else OFFICE % n) for n, number in enumerate(numbers(0, MOST_LINES))]
    rooms = [] if virtual else [f"Room {n}, {'x' * 54}"[:64] for n in range(MOST_LINES)]
    further = [Further("doors", f"door-{n}", {"card": "7" * 100, "zones": "8" * 200}) for n in range(MOST_SERVICES)]
    internet = None if virtual else Internet(100, 20, 110)
    services = Services(kind, tuple(lines), internet, tuple(rooms), () if virtual else tuple(further))
    client = tenant(client_id=f"largest-{kind}", services=services)
    client.tags = [f"{n} {'t' * 55}" for n in range(20)]
    client.external_ids = {f"system-{n}": "i" * 60 for n in range(20)}
    state = ClientState(client, LIMITS)
    for n in range(100):
        client.obey(Suspend(source=f"source {n} {'s' * 50}", reason=f"reason {n} {'r' * 480}"), NOW)
    added = tuple(Line(number, None if virtual else OFFICE % 1) for number in numbers(0, 500))
    client.obey(dated(ChangeServices(add_lines=added, last_day=LATER, command_id="plan", reason="q" * 500)), NOW)
    state.provisioning.follow(client)
    return state


def state_of(client_id: str) -> ClientState:
    return largest(ClientType(client_id.removeprefix("largest-")))


def seen(system: str, subjects: list[str], *, wrong: int = 0) -> SystemView:
    """A system whose last subjects are not as decided."""
    views = [
        SubjectView(
            subject=name,
            desired="off",
            actual="unknown" if n < wrong else "off",
            state="failed" if n < wrong else "proven",
            proven_at=None if n < wrong else NOW,
            protected=False,
            why="It did not answer. " * 10 if n < wrong else "",
            seen={} if n < wrong else SEEN,
        )
        for n, name in enumerate(reversed(subjects))
    ]
    return SystemView(
        system=system,
        desired=dict.fromkeys(subjects, "off"),
        actual=dict.fromkeys(subjects, "off"),
        proven_at=None,
        attempts=3,
        last_error="e" * 500,
        next_attempt_at=NOW,
        subjects=views,
        state="attention",
    )


class OfTheLargest(ClientService):
    """The service, for which there are the largest clients, too: no workflow runs them."""

    async def client(self, client_id: str) -> ClientView:
        if not client_id.startswith("largest-"):
            return await super().client(client_id)
        view = ClientView.of(state_of(client_id), NOW).with_actions()
        doors = [f"door-{n}" for n in range(MOST_SERVICES)] if view.services else ["door"]
        systems = [
            seen("telephony", [line.number for line in view.lines], wrong=300),
            seen("internet", [client_id]),
            seen("doors", doors),
        ]
        return view.model_copy(update={"systems": systems, "temporal_ui_url": "http://127.0.0.1/"})

    async def preview(self, client_id: str, message: AnyMessage) -> PreviewView:
        state = state_of(client_id)
        if isinstance(message, DatedMessage) and (day := named_day(message.command())) is not None:
            message = message.dated(resolve(day, LONDON))
        try:
            return PreviewView.of(preview(state, message.command(), NOW), LONDON)
        except Refusal as refusal:
            return PreviewView.refused(refusal)

    async def history(self, client_id: str, limit: int, cursor: str | None, event: str = "") -> HistoryPage:
        line = HistoryEntry(
            history_id=1,
            event="decided",
            at=NOW,
            kind="suspend",
            text="t" * 500,
            by="b" * 200,
            source="s" * 64,
            reason="r" * 500,
            command_id="",
            revision=1,
            facts={},
        )
        return HistoryPage(items=[line] * limit, next="more", total=10_000)

    async def notes(self, client_id: str, limit: int, cursor: str | None) -> NotePage:
        note = ClientNote(note_id=1, at=NOW, by="b" * 200, text="t" * 1000)
        return NotePage(items=[note] * limit, next="more", total=10_000)

    async def credentials(self, client_id: str, by: str) -> Credentials:
        return self.keyring.credentials(await self.client(client_id), {})


class ErasesNobody(Eraser):
    async def check(self, client_id: str) -> None:
        raise NotErasable(f"Client {client_id} is kept", "Keep it")


@dataclass
class Desk:
    """Somebody at a service that has the largest clients."""

    ann: Somebody
    clients: OfTheLargest


@pytest_asyncio.fixture(scope="module")
async def desk(service: Service) -> AsyncIterator[Desk]:
    same = service.clients
    doors = Catalogue(
        ONLY_BUILT_IN.kinds | {"doors": ServiceKind("doors", "Doors", in_building=True)}, {"doors": ["main"]}
    )
    clients = OfTheLargest(same.gateway, same.directory, same.watch, LIMITS, KEYRING, doors)
    app = create_app(clients, TOKEN, eraser=ErasesNobody(clients))
    async with serving(app) as url, signed_in(service, url) as somebody:
        yield Desk(somebody, clients)


ONE = "/clients/{client_id}"
ACTIONS = ("activate", "suspend", "unsuspend", "decommission", "rotate_credentials", "convert", "change_services")
NO_PAGES = {"/", "/clients.csv", "/clients.xlsx", "/live", "/docs.css"}
PAGES: dict[str, tuple[str, ...]] = {
    ONE: (ONE,),
    f"{ONE}/history": (f"{ONE}/history",),
    f"{ONE}/lines": (f"{ONE}/lines", f"{ONE}/lines?part-lines=20", f"{ONE}/lines?find-lines=0000"),
    f"{ONE}/offices": (f"{ONE}/offices",),
    f"{ONE}/systems/{{system}}": (f"{ONE}/systems/telephony", f"{ONE}/systems/doors"),
    f"{ONE}/edit": (f"{ONE}/edit",),
    f"{ONE}/status": (
        f"{ONE}/status",
        *(f"{ONE}/status?action={kind}" for kind in ACTIONS),
        f"{ONE}/status?action=convert&every-office=3.12",
        f"{ONE}/status?action=change_services&remove-all=yes",
        f"{ONE}/status?action=change_services&plan={{plan}}",
    ),
    f"{ONE}/status/check": (f"{ONE}/status/check?action=suspend&when=day&last_day={LATER}",),
    f"{ONE}/planned/{{change:path}}/cancel": (f"{ONE}/planned/change_services/cancel",),
    f"{ONE}/credentials": (f"{ONE}/credentials",),
    f"{ONE}/erase": (f"{ONE}/erase",),
    "/clients/new": ("/clients/new", "/clients/new?from={client_id}"),
    "/clients/selected": ("/clients/selected?action=suspend&client=nobody",),
    "/clients/selected/check": ("/clients/selected/check?action=suspend&client=nobody",),
    "/clients": ("/clients", "/clients?inactive=true"),
    "/sites": ("/sites",),
    "/sites/new": ("/sites/new",),
    "/sites/{site_id}": (f"/sites/{SITE}",),
    "/upcoming": ("/upcoming",),
    "/attention": ("/attention",),
    "/attention/retry": ("/attention/retry",),
    "/matters": ("/matters",),
    "/tokens": ("/tokens",),
    "/tokens/{token_id}/revoke": ("/tokens/1/revoke",),
    "/webhooks": ("/webhooks",),
    "/webhooks/{webhook_id}": ("/webhooks/1",),
    "/webhooks/{webhook_id}/remove": ("/webhooks/1/remove",),
    "/docs": ("/docs",),
}
"""Each page, with addresses at which it is as large as it can be."""


def test_each_page_is_held() -> None:
    pages = {route.removeprefix("GET ") for route in TABLE if route.startswith("GET /") and "/api/" not in route}
    assert pages - NO_PAGES == PAGES.keys(), "say below at which address a new page is largest"


@pytest.mark.parametrize("kind", ClientType)
async def test_no_page_of_the_largest_client_is_larger_than_any_connection_bears(desk: Desk, kind: ClientType) -> None:
    client_id = f"largest-{kind}"
    [plan] = (await desk.clients.client(client_id)).planned
    sizes: dict[str, int] = {}
    for address in [address for addresses in PAGES.values() for address in addresses]:
        path = address.format(client_id=client_id, plan=plan.change_id)
        if kind is ClientType.RESIDENTIAL or client_id in path:
            answer = await desk.ann.http.get(path)
            assert answer.status_code == 200 or client_id not in path, (path, answer.text)
            sizes[path] = len(answer.content)
    for path in ("edit/services/check", "status/check", "credentials"):
        every = {"action": "change_services", "remove-all": "yes", "find-lines": "", "part-lines": "3"}
        answer = await desk.ann.send(f"/clients/{client_id}/{path}", every)
        assert answer.status_code == 200, (path, answer.text)
        sizes[path] = len(answer.content)
    large = {path: size for path, size in sizes.items() if size > LARGEST}
    assert not large, large


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
        shown = (await desk.ann.http.get(address)).text
        assert "All 1000 lines" not in shown, "more than one change may remove"
        assert "One change removes at most 500 lines" in shown
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
    carried = dict(parse_qsl(page.forms["/clients/new"]["carried"]))
    assert {carried["number-0"], carried["number-449"]} == {numbers(0, 1)[0], numbers(449, 1)[0]}


async def test_the_same_form_sent_twice_is_the_same_command_also_for_lines_it_did_not_show(
    ann: Somebody, service: Service
) -> None:
    lines = [{"number": number(), "office": "1"} for _ in range(SHOWN + 2)]
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
    asked = {"find-lines": "1", "part-lines": "2"}
    for before, first in (("", 1), ("1", 51)):
        part = part_of("lines", items, Form(asked | {"found-lines": before}), lambda item: [str(item)])
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
    ("asked", "shown"), [("", 1), ("2", 11), ("3", 21), ("0", 1), ("99", 21), ("-1", 1), ("x", 1), ("9" * 400, 1)]
)
def test_no_address_asks_for_a_part_that_is_not(asked: str, shown: int) -> None:
    part = part_of("lines", [*range(25)], Form({"part-lines": asked}), lambda _: (), size=10)
    assert part.first == shown
    assert sorted([*part.items, *part.others]) == [*range(25)]


@pytest.mark.parametrize(
    ("count", "find", "said"),
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
def test_how_much_of_a_list_is_shown_is_said(count: int, find: str, said: str) -> None:
    part = part_of("lines", ["x"] * count, Form({"find-lines": find}), lambda item: [item])
    assert str(templates.get_template("parts.html").module.said(part, "lines")) == said  # type: ignore[attr-defined]  # its macro
