"""Claims about a client's page: what one can do and what is true now come first, in plain words; nothing is endless."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from starter.console.switched import rows_of
from starter.directory.console import Seen
from tests.starter.console.filling_in import Read, Somebody, ann
from tests.support.service import Service, number, unique, with_limits
from tests.support.waiting import HANGING
from workflows.domain.provisioning.standing import Limits
from workflows.wire.views import ClientView, SubjectView, SystemView

__all__ = ["ann"]

ACTIONS = ("activate", "suspend", "unsuspend", "decommission", "convert")
MOST_BYTES = 250_000


class InSight(HTMLParser):
    """The text of a page, without what is folded."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self._folded = "", 0

    def has(self, number: str) -> bool:
        """Whether a number is to be seen, however it is written."""
        return number in self.text.replace(" ", "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._folded += tag == "details"

    def handle_endtag(self, tag: str) -> None:
        self._folded -= tag == "details"

    def handle_data(self, data: str) -> None:
        self.text += "" if self._folded else data


async def page_of(ann: Somebody, client_id: str) -> str:
    answer = await ann.http.get(f"/clients/{client_id}")
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize(
    ("record", "commands", "impossible"),
    [
        ({"start_date": "2199-01-01", "wait": 0}, (), {"unsuspend": "Nothing keeps this client suspended."}),
        ({}, (), {"activate": "Already active.", "unsuspend": "Nothing keeps this client suspended."}),
        ({}, ("suspend",), {"activate": "A suspended client cannot be asked to activate. Unsuspend it instead."}),
        (
            {"management": True},
            (),
            {
                "activate": "Already active.",
                "suspend": "The management client of a site cannot be asked to suspend.",
                "unsuspend": "Nothing keeps this client suspended.",
                "decommission": "The management client of a site cannot be asked to decommission.",
            },
        ),
    ],
    ids=["new", "active", "suspended", "management"],
)
async def test_it_begins_with_what_one_can_do_and_why_not_the_rest(
    ann: Somebody, service: Service, record: dict[str, Any], commands: tuple[str, ...], impossible: dict[str, str]
) -> None:
    client = await service.create(unique("Can"), **record)
    for command in commands:
        await service.post(client["client_id"], command)
    html = await page_of(ann, client["client_id"])
    page = Read(html)
    ways = {kind for kind in ACTIONS if f"/clients/{client['client_id']}/status?action={kind}#doing" in page.links}
    assert ways == {*ACTIONS} - impossible.keys()
    assert {kind: page.texts[f"why-{kind}"] for kind in impossible} == impossible
    assert html.index('class="can"') < html.index('data-part="services"') < html.index("Timeline")


async def test_a_former_client_offers_nothing_that_is_refused(ann: Somebody, service: Service) -> None:
    gone = await service.closed(name=unique("Gone"))
    page = Read(await page_of(ann, gone["client_id"]))
    offered = [link for link in page.links if gone["client_id"] in link]
    assert not any(word in link for link in offered for word in ("/edit", "/status", "/cancel", "/credentials"))
    assert f"/clients/{gone['client_id']}/history" in offered


async def test_a_hundred_lines_are_folded_and_those_in_trouble_come_first(ann: Somebody, service: Service) -> None:
    lines = [{"number": number(), "office": f"{n // 10}.{n % 10}"} for n in range(100)]
    client = await service.create(unique("Hundred"), lines=lines)
    for path in ("", "/edit", "/status?action=suspend", "/status?action=change_services"):
        answer = await ann.http.get(f"/clients/{client['client_id']}{path}")
        assert len(answer.content) <= MOST_BYTES, path
        in_sight = InSight()
        in_sight.feed(answer.text)
        assert 10 <= sum(in_sight.has(line["number"]) for line in client["lines"]) <= 20, path
    view = ClientView.model_validate(await service.client(client["client_id"]))
    [system] = [system for system in view.systems if system.system == "telephony"]
    last = system.subjects[-1].model_copy(update={"state": "failed", "actual": "unknown", "proven_at": None})
    system = system.model_copy(update={"subjects": [*system.subjects[:-1], last]})
    first, *_ = rows_of([system], {})["telephony"]
    assert (first.subject.subject, first.now, first.as_decided) == (last.subject, "unknown", False)


async def test_what_was_last_proven_stays_in_view_beside_what_is_wanted(ann: Somebody, service: Service) -> None:
    async with with_limits(service, Limits(attempt=HANGING, first_pause=3600, longest_pause=3600)) as patient:
        access = {"down_mbps": 10, "up_mbps": 10}
        client = await patient.create(unique("Trouble"), internet=access)
        client_id, line = client["client_id"], client["lines"][0]["number"]
        async with patient.without(patient.telephony):
            await patient.post(client_id, "suspend", wait=0)
            await patient.tried(client_id)
            html = await page_of(ann, client_id)
            rows = {
                row: words(cells) for row, cells in re.findall(r'<tr data-key="([^"]*)">(.*?)</tr>', html, re.DOTALL)
            }
            assert re.search(r"On, seen .* rings and can call to be off Attention", rows[line]), rows[line]
            assert re.search(r"Off, seen .* gets? in Off Proven", rows[client_id]), rows[client_id]
            await patient.post(client_id, "unsuspend", wait=0)
            await patient.tried(client_id)
            html = await page_of(ann, client_id)
            [row] = re.findall(rf'<tr data-key="{re.escape(line)}">(.*?)</tr>', html, re.DOTALL)
            assert re.search(r"Not known, on when it was seen .* to be on (Attention|Changing)", words(row)), words(row)


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split()).replace(" ,", ",")


DOOR = SubjectView(
    subject="door", desired="on", actual="unknown", state="changing", proven_at=None, protected=False, why=""
)
SYSTEM = SystemView(
    system="doors",
    desired={"door": "on"},
    actual={"door": "unknown"},
    proven_at=None,
    attempts=0,
    last_error="",
    next_attempt_at=None,
    subjects=[DOOR],
)
SEEN_AT = datetime(2026, 11, 28, 10, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "subject", "seen", "row"),
    [
        ("changing", "changing", {}, ("unknown", "", None, "changing")),
        (
            "changing",
            "changing",
            {("doors", "door"): Seen(False, SEEN_AT)},
            ("off", "out of service", SEEN_AT, "changing"),
        ),
        ("attention", "changing", {("doors", "door"): Seen(True, SEEN_AT)}, ("on", "in service", SEEN_AT, "attention")),
        ("attention", "failed", {("other", "door"): Seen(True, SEEN_AT)}, ("unknown", "", None, "failed")),
        (
            "skipped",
            "skipped",
            {("doors", "door"): Seen(False, SEEN_AT)},
            ("off", "out of service", SEEN_AT, "skipped"),
        ),
    ],
)
def test_what_is_true_now_is_what_was_last_seen_and_its_state_is_that_of_its_system(
    state: Any, subject: Any, seen: dict[tuple[str, str], Seen], row: tuple[Any, ...]
) -> None:
    system = SYSTEM.model_copy(
        update={"state": state, "subjects": [DOOR.model_copy(update={"state": subject})]},
    )
    [line] = rows_of([system], seen)["doors"]
    assert (line.now, line.words, line.seen_at, line.state) == row
    assert line.doubted is (line.now == DOOR.desired), "it was as it should be, and is not proven to be any more"
    assert not line.as_decided


def test_what_was_done_by_hand_is_said_and_not_doubted() -> None:
    by_hand = DOOR.model_copy(update={"state": "done_by_hand", "actual": "on", "seen": {"note": "opened"}})
    [line] = rows_of([SYSTEM.model_copy(update={"subjects": [by_hand]})], {})["doors"]
    assert (line.now, line.state, line.doubted, line.as_decided) == ("on", "done_by_hand", False, True)
