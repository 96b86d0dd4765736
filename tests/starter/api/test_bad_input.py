"""Claims about what is malformed: each answers with the field and the remedy, and nothing changes (PRODUCT.md 7.2)."""

from typing import Any

import httpx2
import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from starter.web.security import BodyLimit
from tests.support.service import TOKEN, Service, number, unique
from tests.support.wire import answer_to

VIRTUAL = {"name": "Acme Ltd", "type": "virtual", "site": "thames"}
RESIDENTIAL = {**VIRTUAL, "type": "residential"}
LINE = {"number": "+442079469999"}
ACCESS = {"down_mbps": 100, "up_mbps": 20}

NEW: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown site": ({**VIRTUAL, "site": "nowhere"}, "site", "thames"),
    "number that cannot exist": ({**VIRTUAL, "lines": [{"number": "+441"}]}, "lines.0.number", "E.164"),
    "number without a country": ({**VIRTUAL, "lines": [{"number": "02079460001"}]}, "lines.0.number", "country code"),
    "number that is none": ({**VIRTUAL, "lines": [{"number": "reception"}]}, "lines.0.number", "E.164"),
    "number with an extension": ({**VIRTUAL, "lines": [{"number": "+442079460001;ext=5"}]}, "lines.0.number", "E.164"),
    "number that is a number": ({**VIRTUAL, "lines": [{"number": 442079460001}]}, "lines.0.number", "in quotes"),
    "number given twice": ({**VIRTUAL, "lines": [LINE, LINE]}, "lines", "once"),
    "office for a virtual client": ({**VIRTUAL, "lines": [{**LINE, "office": "1"}]}, "lines", "Leave the office out"),
    "room for a virtual client": ({**VIRTUAL, "offices": ["1"]}, "offices", "Leave offices out"),
    "internet for a virtual client": ({**VIRTUAL, "internet": ACCESS}, "internet", "convert"),
    "line without an office": ({**RESIDENTIAL, "lines": [LINE]}, "lines", "Give it an office"),
    "blank office": ({**RESIDENTIAL, "lines": [{**LINE, "office": ""}]}, "lines.0.office", "blank"),
    "spaces for an office": ({**RESIDENTIAL, "lines": [{**LINE, "office": "  "}]}, "lines.0.office", "blank"),
    "blank name": ({**VIRTUAL, "name": ""}, "name", "blank"),
    "name of spaces": ({**VIRTUAL, "name": "   "}, "name", "visible"),
    "name of 201 characters": ({**VIRTUAL, "name": "x" * 201}, "name", "200"),
    "name with a NUL": ({**VIRTUAL, "name": "a\0b"}, "name", "NUL"),
    "no name": ({"type": "virtual", "site": "thames"}, "name", "missing"),
    "id that does not match": ({**VIRTUAL, "client_id": "Acme Ltd"}, "client_id", "small letters"),
    "id of one character": ({**VIRTUAL, "client_id": "a"}, "client_id", "2 to 63"),
    "unknown field": ({**VIRTUAL, "colour": "blue"}, "colour", "Leave it out"),
    "unknown field of a line": ({**VIRTUAL, "lines": [{**LINE, "colour": "x"}]}, "lines.0.colour", "Leave it out"),
    "unknown type": ({**VIRTUAL, "type": "hotel"}, "type", "'residential' or 'virtual'"),
    "date that is none": ({**VIRTUAL, "start_date": "2027-02-30"}, "start_date", "start_date"),
    "date that is a number": ({**VIRTUAL, "start_date": 0}, "start_date", "2027-02-28"),
    "date in the year 1": ({**VIRTUAL, "start_date": "0001-01-01"}, "start_date", "1900"),
    "date in the year 9999": ({**VIRTUAL, "end_date": "9999-12-31"}, "end_date", "2199"),
    "rate that is a text": (
        {**RESIDENTIAL, "internet": {**ACCESS, "up_mbps": "20"}},
        "internet.up_mbps",
        "without quotes",
    ),
    "rate of nothing": ({**RESIDENTIAL, "internet": {**ACCESS, "up_mbps": 0}}, "internet.up_mbps", "1 or more"),
    "VLAN that does not exist": ({**RESIDENTIAL, "internet": {**ACCESS, "vlan": 4095}}, "internet.vlan", "4094"),
    "truth that is a text": ({**VIRTUAL, "management": "yes"}, "management", "true nor false"),
    "billing reference of 65 characters": ({**VIRTUAL, "billing_ref": "x" * 65}, "billing_ref", "64"),
}

COMMANDS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "last day in the past": ("suspend", {"last_day": "2020-01-01"}, "last_day", "later"),
    "instant in the past": ("decommission", {"at": "2020-01-01T00:00:00Z"}, "at", "later"),
    "both last day and instant": (
        "decommission",
        {"last_day": "2100-01-01", "at": "2100-01-02T00:00:00Z"},
        "at",
        "one of them",
    ),
    "instant without offset": ("suspend", {"at": "2100-01-01T00:00:00"}, "at", "offset"),
    "instant in the year 9999": ("suspend", {"at": "9999-12-31T23:59:59-12:00"}, "at", "2199"),
    "instant that is a number": ("suspend", {"at": 4102444800}, "at", "text"),
    "unknown field": ("suspend", {"until": "2100-01-01"}, "until", "Leave it out"),
    "blank source": ("suspend", {"source": " "}, "source", "blank"),
    "reason of 501 characters": ("suspend", {"reason": "x" * 501}, "reason", "500"),
    "reason with a NUL": ("suspend", {"reason": "\0"}, "reason", "NUL"),
    "residential without an office": ("convert", {"to": "residential"}, "lines", "office"),
    "conversion to nothing": ("convert", {}, "to", "missing"),
    "line for another's number": (
        "convert",
        {"to": "residential", "lines": [{"number": "+442079468888", "office": "1"}]},
        "lines",
        "Add it first",
    ),
    "new number that cannot exist": ("services", {"add_lines": [{"number": "+44"}]}, "add_lines.0.number", "E.164"),
    "line that is not there": ("services", {"remove_lines": ["+442079468888"]}, "remove_lines", "Its lines"),
    "no change of services": ("services", {}, "add_lines", "Give"),
    "internet that is neither": ("services", {"internet": "off"}, "internet", "internet"),
}


@pytest.mark.parametrize("what", NEW)
async def test_a_malformed_client_is_not_created(api: httpx2.AsyncClient, what: str) -> None:
    body, field, words = NEW[what]
    answer = await api.post("/clients", json={"client_id": (client_id := unique("bad")), **body})
    _is_refused(answer, field, words)
    assert (await api.get(f"/clients/{client_id}")).status_code == 404


@pytest.fixture
async def victim(service: Service) -> dict[str, Any]:
    made = await service.create(type="virtual", activation="manual", start_date="2100-01-01")
    return await service.client(made["client_id"])


@pytest.mark.parametrize("what", COMMANDS)
async def test_a_malformed_command_changes_nothing(
    service: Service, api: httpx2.AsyncClient, victim: dict[str, Any], what: str
) -> None:
    command, body, field, words = COMMANDS[what]
    path = f"/clients/{victim['client_id']}"
    _is_refused(await api.post(f"{path}/{command}", json=body), field, words)
    assert (await api.get(path)).json() == victim


async def test_a_decommission_is_not_before_the_start(api: httpx2.AsyncClient, victim: dict[str, Any]) -> None:
    answer = await api.post(f"/clients/{victim['client_id']}/decommission", json={"last_day": "2099-12-01"})
    _is_refused(answer, "last_day", "decommission now")


async def test_an_edit_is_checked_as_a_creation_is(api: httpx2.AsyncClient, victim: dict[str, Any]) -> None:
    path = f"/clients/{victim['client_id']}"
    for body, field, words in (
        ({"name": " "}, "name", "visible"),
        ({"name": "x" * 201}, "name", "200"),
        ({"status": "active"}, "status", "Leave it out"),
        ({"start_date": True}, "start_date", "text"),
        ({"name": None}, "name", "Leave it out"),
        ({"start_date": None}, "start_date", "Leave it out"),
    ):
        _is_refused(await api.patch(path, json=body), field, words)


async def test_a_site_is_checked(api: httpx2.AsyncClient) -> None:
    site = {"site_id": "new-site", "name": "New", "timezone": "Europe/London"}
    for change, field, words in (
        ({"timezone": "Mars/Olympus"}, "timezone", "Europe/London"),
        ({"timezone": "../../etc/passwd"}, "timezone", "Europe/London"),
        ({"timezone": "localtime"}, "timezone", "Europe/London"),
        ({"timezone": "Factory"}, "timezone", "Europe/London"),
        ({"timezone": "posix/Europe/London"}, "timezone", "Europe/London"),
        ({"timezone": "europe/london"}, "timezone", "Europe/London"),
        ({"site_id": "New Site"}, "site_id", "small letters"),
        ({"name": " "}, "name", "visible"),
    ):
        _is_refused(await api.post("/sites", json={**site, **change}), field, words)
    taken = await api.post("/sites", json={**site, "site_id": "thames"})
    assert (taken.status_code, taken.json()["field"]) == (409, "site_id")


async def test_every_wrong_field_is_named(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/clients", json={"name": "", "type": "hotel"})
    assert [wrong["field"] for wrong in answer.json()["errors"]] == ["name", "type", "site"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"", "missing"),
        (b"\xff\xfe", "not JSON"),
        (b'{"name": "\\ud800"}', "U+D800"),
        (b'{"\\ud800": 1}', ""),
        (b'{"a": ' * 5000, ""),
        (b'{"management": ' + b"9" * 5000 + b"}", ""),
        (b'{"name": NaN}', "name"),
    ],
)
async def test_what_is_not_a_json_object_is_malformed(api: httpx2.AsyncClient, content: bytes, words: str) -> None:
    answer = await api.post("/clients", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]


async def test_a_form_is_not_json(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/clients", data={"name": "x"})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_64_kib_is_malformed_and_the_next_request_is_answered(
    service: Service, chunked: bool
) -> None:
    content = b'{"reason": "' + b"x" * 100_000 + b'"}'

    async def pieces() -> Any:
        for start in range(0, len(content), 8192):
            yield content[start : start + 8192]

    answer = await service.api.post(
        "/clients", content=pieces() if chunked else content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert "64 KiB" in answer.json()["detail"]
    assert (await service.api.get("/sites")).status_code == 200


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: abc"],
        ["Content-Length: -1"],
        ["Content-Length: +2"],
        ["Content-Length: 1_0"],
        ["Content-Length: 2", "Content-Length: 3"],
        ["Content-Length: 9999999999999999999999999999"],
        ["Content-Length: 2", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked, gzip"],
    ],
    ids=str,
)
async def test_a_length_that_makes_no_sense_is_malformed(service: Service, lines: list[str]) -> None:
    head = ["POST /api/v1/clients HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}"]
    status, answer = await answer_to(service.url, *head, "Content-Type: application/json", *lines, body="0\r\n\r\n")
    assert status in (400, 422, 501), answer


@pytest.mark.parametrize("length", ["abc", "-1", "+2", "1_0", "\u00b2", ""])
async def test_such_a_length_is_malformed_also_where_a_server_lets_it_through(length: str) -> None:
    """uvicorn's other parser is not as strict."""

    async def reads(_: Scope, receive: Receive, __: Send) -> None:
        await receive()

    async def nothing() -> Message:
        raise AssertionError("nothing of the body is asked for")

    async def nowhere(_: Message) -> None:
        raise AssertionError("nothing is answered here")

    scope = {"type": "http", "headers": [(b"content-length", length.encode("latin-1"))]}
    with pytest.raises(HTTPException) as refused:
        await BodyLimit(reads)(scope, nothing, nowhere)
    assert refused.value.status_code == 400


async def test_however_many_fields_are_wrong_the_answer_is_short(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/clients", json={f"f{n}": 1 for n in range(6000)})
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert len(errors) == 21
    assert errors[-1]["detail"] == "There are 5,983 more errors. Correct these first"  # name, type and site are missing
    long = await api.post("/clients", json={f"{n}{'x' * 6000}": "y" * 1000 for n in range(8)})
    assert long.status_code == 422
    assert max(len(answer.content), len(long.content)) < 10_000


async def test_a_key_is_plain_text_of_at_most_200_characters(api: httpx2.AsyncClient) -> None:
    for key in (b"x" * 201, "ключ".encode()):
        body = {**VIRTUAL, "lines": [{"number": number()}]}
        answer = await api.post("/clients", json=body, headers={b"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key"), answer.text


async def test_a_parameter_that_is_too_long_is_said_to_be_a_text(api: httpx2.AsyncClient) -> None:
    for path, name, most in (("clients", "q", 200), ("clients", "site", 63), ("events", "client", 200)):
        answer = await api.get(f"/{path}", params={name: "x" * (most + 1)})
        assert answer.json()["detail"] == f"{name} is longer than {most} characters. Shorten it."


def _is_refused(answer: httpx2.Response, field: str, words: str) -> None:
    problem = answer.json()
    assert answer.status_code in (409, 422), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    assert problem["field"] == field, problem
    assert words in problem["detail"], problem
