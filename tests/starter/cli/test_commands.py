"""Claims about the command line (PRODUCT.md section 7.1): what it does, what it says, what status it leaves with."""

import json
import subprocess
import sys

import pytest
from fastapi import FastAPI, Request, Response

from starter.errors import StarterError, TemporalAway, TemporalRefused
from starter.telephones import phone_word
from starter.web import problems
from tests.support.service import SITE, TOKEN, Service, number, serving, unique
from tests.support.terminal import Terminal
from tests.support.waiting import free_port


async def test_a_client_from_its_first_day_to_its_last(terminal: Terminal) -> None:
    client_id, site, first, second = unique("tour"), unique("service"), number(), number()
    result = await terminal.connect("site", "add", site, "--name", "The House", "--timezone", "Europe/London")
    assert (result.status, result.err) == (0, "")
    assert site in (await terminal.connect("site", "list")).out
    created = await terminal.connect(
        "client", "add", "--name", "Acme [bold]Ltd", "--type", "residential", "--site", site, "--id", client_id,
        "--line", f"{first}@3.12", "--internet", "100/20:110", "--billing-ref", client_id, "--end-date", "2001-01-01",
    )  # fmt: skip
    assert (created.status, created.err) == (0, "")
    assert f"Created {client_id}, billing ref {client_id}" in created.out
    assert f"{client_id}: active, settled" in created.out

    output = (await terminal.connect("client", "show", client_id)).out
    for words in (
        "Acme [bold]Ltd",
        f"{phone_word(first)} in 3.12",
        "100/20 Mbit/s, VLAN 110",
        "2001-01-01",
        f"internet {client_id}",
    ):
        assert words in output
    suspended = await terminal.connect("client", "suspend", client_id, "--source", "billing", "--reason", "unpaid")
    assert (suspended.status, suspended.out) == (0, f"Suspended by billing\n{client_id}: suspended, settled\n")
    again = await terminal.connect("client", "suspend", client_id, "--source", "billing", "--reason", "unpaid")
    assert (again.status, again.out.splitlines()[0]) == (0, "No change: Already held by billing")
    assert "held by billing" in (await terminal.connect("client", "show", client_id)).out
    refused = await terminal.connect("client", "activate", client_id)
    assert (refused.status, refused.out) == (1, "")
    assert "Unsuspend it instead" in refused.err
    assert (await terminal.json("client", "unsuspend", client_id, "--source", "billing"))["status"] == "active"

    changed = await terminal.json(
        "client", "services", client_id, "--add-line", f"{second}@3.14", "--remove-line", first, "--internet", "none"
    )
    assert [line["number"] for line in changed["lines"]] == [second]
    assert (await terminal.json("client", "convert", client_id, "--to", "virtual"))["type"] == "virtual"
    back = await terminal.json(
        "client", "convert", client_id, "--to", "residential", "--line", f"{second}@5.1", "--office", "5.2"
    )
    assert back["offices"] == ["5.1", "5.2"]
    edited = await terminal.json("client", "edit", client_id, "--name", "New", "--billing-ref", "", "--end-date", "")
    assert (edited["name"], edited["end_date"]) == ("New", None)
    assert edited["billing_ref"] not in ("", client_id)
    refused = await terminal.connect("client", "edit", client_id, "--activation", "manual")
    assert refused.status == 1
    assert "Only a New client's activation can be changed" in refused.err

    planned = await terminal.connect("client", "decommission", client_id, "--last-day", "2100-02-28", "--reason", "bye")
    assert "planned decommission: 2100-03-01 00:00 Europe/London (2100-03-01T00:00:00Z): bye" in planned.out
    assert "decommission 2100-03-01 00:00" in (await terminal.connect("client", "list", "--site", site)).out
    assert (await terminal.json("client", "cancel-decommission", client_id))["planned"] == []
    await terminal.json("client", "services", client_id, "--internet", "5/5", "--at", "2100-01-01T00:00:00Z")
    assert (await terminal.json("client", "cancel-planned", client_id, "services"))["planned"] == []
    assert (await terminal.json("client", "decommission", client_id))["status"] == "decommissioned"

    nobody = (await terminal.connect("client", "list", "--site", site)).out
    assert "matches. Inactive ones are listed with --inactive." in nobody
    inactive = (await terminal.connect("client", "list", "--site", site, "--inactive")).out
    assert client_id in inactive
    assert "inactive" in inactive
    history = (await terminal.connect("client", "history", client_id)).out
    for words in ("Suspended by billing", "unpaid", "Telephone lines proven", "Unsuspend it instead", "Decommissioned"):
        assert words in history


async def test_clients_are_listed_by_what_is_asked(terminal: Terminal, service: Service) -> None:
    name = unique("Needle")
    client = await service.create(name=name, activation="manual")
    words = ("client", "list", "--status", "new", "--type", "residential", "--site", SITE, "--search", name)
    found = await terminal.json(*words)
    assert [item["client_id"] for item in found["items"]] == [client["client_id"]]


REFUSED = {
    "unknown site": ["--type", "virtual", "--site", "nowhere"],
    "number that cannot exist": ["--type", "virtual", "--site", SITE, "--line", "+441"],
    "office for a virtual client": ["--type", "virtual", "--site", SITE, "--line", "+442079469999@1"],
    "line without an office": ["--type", "residential", "--site", SITE, "--line", "+442079469999"],
    "id that does not match": ["--type", "virtual", "--site", SITE, "--id", "Not An Id"],
    "blank name": ["--type", "virtual", "--site", SITE, "--name", " "],
    "date that is none": ["--type", "virtual", "--site", SITE, "--start-date", "tomorrow"],
    "year that is not plausible": ["--type", "virtual", "--site", SITE, "--end-date", "1899-12-31"],
}
OF_THE_API = ("Value error", "/api/", "GET ", "POST ", "Idempotency-Key", "Traceback")  # nothing for people


@pytest.mark.parametrize("what", REFUSED)
async def test_a_malformed_client_is_refused_with_status_1(terminal: Terminal, what: str) -> None:
    result = await terminal.connect("client", "add", "--name", "Acme", *REFUSED[what])
    assert (result.status, result.out) == (1, "")
    assert result.err.strip()
    assert [word for word in OF_THE_API if word in result.err] == []


async def test_what_is_not_there_is_said_in_words_for_people(terminal: Terminal) -> None:
    for words in (
        ("client", "show", "nobody-here"),
        ("client", "suspend", "nobody-here"),
        ("site", "edit", "nowhere", "--name", "x"),
        ("site", "add", "x1", "--name", "x", "--timezone", "Europe/Atlantis"),
    ):
        result = await terminal.connect(*words)
        assert (result.status, result.out) == (1, ""), (words, result)
        assert [word for word in OF_THE_API if word in result.err] == [], result


async def test_what_is_taken_or_past_is_refused_with_status_1(terminal: Terminal, service: Service) -> None:
    client = await service.create(billing_ref=unique("REF"))
    new = ("client", "add", "--name", "Late", "--type", "virtual", "--site", SITE)
    for words in (
        (*new, "--line", client["lines"][0]["number"]),
        (*new, "--billing-ref", client["billing_ref"]),
        (*new, "--id", client["client_id"]),
        ("client", "suspend", client["client_id"], "--last-day", "2000-01-01"),
        ("client", "suspend", client["client_id"], "--at", "2100-01-01T00:00:00"),
        ("client", "show", "nobody-here"),
        ("client", "show", "../sites"),
        ("client", "cancel-planned", client["client_id"], "no-such-thing"),
    ):
        result = await terminal.connect(*words)
        assert (result.status, result.out) == (1, ""), (words, result)


async def test_for_machines_a_refusal_is_the_problem_document(terminal: Terminal) -> None:
    result = await terminal.connect("client", "show", "nobody-here", "--json")
    problem = json.loads(result.err)
    assert (result.status, result.out, problem["status"], problem["title"]) == (1, "", 404, "No such client")


async def test_a_history_longer_than_a_page_is_told_whole(terminal: Terminal, service: Service) -> None:
    client_id = (await service.create())["client_id"]
    async with service.directory() as connection:
        await connection.execute(
            "INSERT INTO history (client_id, event, at, kind, text) "
            "SELECT $1, 'refused', now() - n * interval '1 hour', 'suspend', 'long ago ' || n "
            "FROM generate_series(1, 1001) n",
            client_id,
        )
    history = await terminal.json("client", "history", client_id)
    assert len(history["items"]) == history["total"] > 1001
    assert history["items"][-1]["text"] == "long ago 1001"
    assert "long ago 1001" in (await terminal.connect("client", "history", client_id)).out


async def test_a_client_whose_workflow_was_terminated_is_refused_with_status_1(
    terminal: Terminal, service: Service
) -> None:
    client_id = (await service.create())["client_id"]
    await service.temporal.get_workflow_handle(f"client-{client_id}").terminate()
    result = await terminal.connect("client", "suspend", client_id)
    assert (result.status, result.out) == (1, "")
    assert "temporal workflow reset" in result.err
    assert "attention" in (await terminal.connect("client", "show", client_id)).out


@pytest.mark.parametrize(("error", "status"), [(TemporalRefused("blob too large"), 1), (TemporalAway(), 3)])
async def test_only_what_cannot_be_reached_is_status_3(terminal: Terminal, error: StarterError, status: int) -> None:
    failing = FastAPI()

    async def refuse(_: Request, error: Exception) -> Response:
        return problems.response_to(error)

    failing.add_exception_handler(StarterError, refuse)

    @failing.get("/api/v1/clients/acme")
    async def show() -> None:
        raise error

    async with serving(failing) as url:
        terminal.environment["CONNECT_URL"] = url
        result = await terminal.connect("client", "show", "acme")
    assert (result.status, result.err.strip()) == (status, str(error).replace("again shortly", "again in 5 s"))


async def test_wrong_usage_is_status_2(terminal: Terminal) -> None:
    for words in (
        ("client", "add"),
        ("client", "dance", "acme"),
        ("client", "convert", "acme", "--to", "hotel"),
        ("client", "suspend", "acme", "--wait", "-1"),
        ("client", "services", "acme", "--internet", "fast"),
        ("client", "services", "acme", "--add-line", "+442079460001@"),
    ):
        result = await terminal.connect(*words)
        assert result.status == 2, (words, result)
        assert "Usage" in result.err


async def test_a_service_that_is_not_there_is_status_3_and_says_how_to_start_it(terminal: Terminal) -> None:
    terminal.environment["CONNECT_URL"] = f"http://127.0.0.1:{free_port()}"
    result = await terminal.connect("client", "list")
    assert (result.status, result.out) == (3, "")
    assert "cannot be reached" in result.err
    machine = await terminal.connect("client", "list", "--json")
    assert "cannot be reached" in json.loads(machine.err)["detail"]


async def test_without_a_token_the_way_to_one_is_said(terminal: Terminal) -> None:
    del terminal.environment["CONNECT_TOKEN"]
    result = await terminal.connect("client", "list")
    assert result.status == 3
    assert "connect up" in result.err
    (terminal.folder / ".connect").mkdir()
    token = terminal.folder / ".connect" / "token"
    token.write_text("wrong\n", encoding="utf-8")
    assert "does not know this token" in (await terminal.connect("client", "list")).err
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    assert (await terminal.connect("client", "list")).status == 0


async def test_what_is_not_settled_in_time_is_status_4_unless_nobody_waits(
    terminal: Terminal, service: Service
) -> None:
    client_id = (await service.create())["client_id"]
    service.telephony.faults.down = True
    try:
        late = await terminal.connect("client", "suspend", client_id, "--wait", "1")
        assert late.status == 4
        assert "suspended, attention" in late.out
        assert "telephony does not answer" in late.err
        assert (await terminal.connect("client", "suspend", client_id, "--wait", "0")).status == 0
    finally:
        service.telephony.faults.down = False
    assert (await terminal.connect("client", "suspend", client_id)).status == 0


async def test_the_same_command_id_is_one_command(terminal: Terminal, service: Service) -> None:
    client_id = (await service.create())["client_id"]
    result = [await terminal.connect("client", "suspend", client_id, "--command-id", "once") for _ in range(2)]
    assert result[0].out == result[1].out
    decided = [line for line in await service.history(client_id) if line["command_id"] == "once"]
    assert len(decided) == 1


async def test_settings_that_are_missing_are_named_without_a_traceback(terminal: Terminal) -> None:
    for words in (("serve",), ("migrate",), ("systems", "prepare")):
        result = await terminal.connect(*words)
        assert result.status == 1, result
        assert "CONNECT_DIRECTORY_DSN" in result.err
        assert "Traceback" not in result.err


def test_no_driver_no_server_and_no_temporal_sdk_is_waited_for() -> None:
    heavy = {"asyncpg", "fastapi", "temporalio", "uvicorn", "sqlalchemy", "phonenumbers", "jinja2"}
    program = "import sys, starter.cli.main; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], encoding="utf-8").split()
    assert not heavy & set(loaded)


async def test_help_is_there(terminal: Terminal) -> None:
    result = await terminal.connect("--help")
    assert result.status == 0
    for name in ("up", "worker", "serve", "migrate", "systems", "site", "client"):
        assert name in result.out
