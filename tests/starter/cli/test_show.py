"""Claims about the tables of the command line: they are right at every width (PRODUCT.md section 7.1)."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from starter.api.examples import ANSWERS, CLIENT
from starter.cli.show import clients as render
from starter.cli.show import sites, tables
from starter.cli.show import systems as render_systems
from starter.telephones import phone_word

ATTENTION, SYSTEM = ANSWERS["Attention"], ANSWERS["SystemState"]
IDS = ["riverside-management", "acme", "a-client-whose-id-is-rather-long"]


def clients() -> list[dict[str, Any]]:
    made = []
    for client_id in IDS:
        client: dict[str, Any] = deepcopy(CLIENT)
        client |= {"client_id": client_id, "name": f"The Company of {client_id}", "end_date": "2026-01-31"}
        client["planned"][0] |= {"kind": "decommission", "local_time": "2099-04-01 00:00 Europe/London"}
        made.append(client)
    return made


@pytest.fixture
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    columns = int(request.param)
    monkeypatch.setattr(tables, "console", Console(highlight=False, soft_wrap=True, width=columns))
    return columns


def check(output: str, width: int) -> list[str]:
    lines = output.splitlines()
    assert [line for line in lines if len(line) > width] == []
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in output
    return lines


@pytest.mark.parametrize("width", [80, 100, 140, 200], indirect=True)
def test_a_list_has_one_line_for_each_client_at_any_width(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    render.clients(clients(), total=7)
    lines = check(capsys.readouterr().out, width)
    assert [line.split()[0] for line in lines[1 : len(IDS) + 1]] == IDS, "ids are neither broken nor cut"
    assert all("suspended" in line for line in lines[1 : len(IDS) + 1])
    assert lines[0].split()[:3] == ["client", "name", "status"]
    assert "3 of 7 clients" in " ".join(lines)


@pytest.mark.parametrize("width", [200], indirect=True)
def test_a_wide_list_shows_everything_and_says_the_zone_once(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    late = clients()
    late[0]["end_date_passed"] = True
    render.clients(late, total=3)
    output = capsys.readouterr().out
    lines = check(output, width)
    assert lines[0].split()[-4:] == ["billing", "ref", "start", "end"]
    assert "decommission 2099-04-01 00:00  " in lines[1]
    assert output.count("Europe/London") == 1
    assert lines[1].endswith("2026-01-31 !")
    assert "1 past the end date (!)" in output
    assert lines[2].endswith("2026-01-31")


@pytest.mark.parametrize("width", [120], indirect=True)
def test_a_plan_that_cannot_happen_says_why_and_an_answer_warns(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    client, why = clients()[0], "A residential client has at least one office. Give each line its office."
    client["planned"][0] |= {"blocked_by": why, "status_after": None}
    render.clients([client], total=1)
    assert "(cannot happen)" in capsys.readouterr().out
    render.client(client)
    assert f"cannot happen: {why}" in " ".join(capsys.readouterr().out.split())
    text = f"The planned decommission cannot happen. {why}"
    render.answer(client | {"message": "Services: added", "warnings": [{"code": "plan_blocked", "text": text}]})
    output = capsys.readouterr().out
    check(output, width)
    assert f"warning: {text}" in " ".join(output.split())


@pytest.mark.parametrize("width", [120], indirect=True)
def test_a_line_of_a_plan_that_was_late_says_for_when_it_was_planned(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {
        "at": "2026-03-12T13:00:00Z",
        "event": "decided",
        "by": "olga",
        "text": "Suspended by billing",
        "reason": "",
    }
    due = {"planned": "true", "planned_for": "2026-03-12T10:00:00+00:00"}
    prompt = {"planned": "true", "planned_for": "2026-03-12T12:59:30+00:00"}
    ahead = {"planned_for": "2026-04-01T00:00:00+00:00"}
    render.history({"items": [line | {"facts": facts} for facts in (due, prompt, ahead, {})], "total": 4})
    output = " ".join(capsys.readouterr().out.split())
    assert output.count("Suspended by billing; planned for 2026-03-12 10:00:00, done 3 h late") == 1
    assert output.count("planned for") == 1


@pytest.mark.parametrize("width", [200], indirect=True)
def test_a_planned_change_says_what_it_does(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    several = clients()
    several[0]["planned"][0] |= {"kind": "convert", "details": {"to": "virtual"}}
    several[1]["planned"][0] |= {"kind": "suspend", "details": {"source": "billing"}}
    several[2]["planned"][0] |= {"kind": "unsuspend", "details": {"source": "operator"}}
    render.clients(several, total=3)
    output = capsys.readouterr().out
    check(output, width)
    assert "convert to virtual 2099-04-01" in output
    assert "suspend (billing) 2099-04-01" in output
    assert "unsuspend 2099-04-01" in output


@pytest.mark.parametrize("width", [160], indirect=True)
def test_several_zones_are_said_with_each_change(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    several = clients()
    several[1]["timezone"] = "Asia/Tokyo"
    several[1]["planned"][0]["local_time"] = "2099-04-01 00:00 Asia/Tokyo"
    render.clients(several, total=3)
    output = capsys.readouterr().out
    check(output, width)
    assert "decommission 2099-04-01 00:00 Asia/Tokyo" in output
    assert "decommission 2099-04-01 00:00 Europe/London" in output


@pytest.mark.parametrize("width", [80, 140], indirect=True)
def test_a_history_wraps_its_last_column_alone(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {
        "event": "refused",
        "at": "2026-11-20T10:30:00+01:00",
        "by": "a-very-long-name-of-a-service",
        "text": "No. " * 50,
    }
    render.history({"items": [{**entry, "reason": "a\x1b[31mb"}], "total": 1, "next": None})
    first, second, *_ = lines = check(capsys.readouterr().out, width)
    assert first.split() == ["time", "(UTC)", "event", "by", "what"]
    assert second.startswith("2026-11-20 09:30:00  refused  ")
    assert all(line.startswith(" " * first.index("what")) for line in lines[2:-2])
    assert "a\N{REPLACEMENT CHARACTER}[31mb" in "".join(lines), "no text from outside commands the terminal"
    assert lines[-1] == "1 of 1 line, newest first"


@pytest.mark.parametrize("width", [80], indirect=True)
def test_a_new_clients_lines_are_shown_before_they_are_wanted(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    client: dict[str, Any] = deepcopy(CLIENT)
    for system in client["systems"]:
        system |= {"desired": {}, "actual": {}, "proven_at": None, "subjects": []}
    render.client(client)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["internet", client["internet"]["account"], "-", "-", "-"] for line in lines)
    assert any(line.startswith(phone_word(client["lines"][0]["number"])) and line.endswith("-") for line in lines)


@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("width", [160], indirect=True)
def test_what_stands_in_the_way_is_shown_with_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    client: dict[str, Any] = deepcopy(CLIENT)
    telephony, internet = client["systems"]
    line = telephony["subjects"][0]
    dark = {**line, "subject": "+442079460002", "state": "not_proven", "actual": "unknown", "proven_at": None}
    bad = {**dark, "subject": "+442079460003", "state": "failed", "why": "the exchange keeps it"}
    lift = {**line, "subject": "+442079460004", "desired": "on", "actual": "on", "protected": True}
    telephony["subjects"] = [line, dark | {"why": "Kamailio is silent"}, bad, lift]
    telephony["desired"] = {subject["subject"]: subject["desired"] for subject in telephony["subjects"]}
    telephony |= {"state": "attention", "attempts": 3, "last_error": "not done"}
    telephony |= {"attention_since": "2026-11-20T10:30:01Z", "next_attempt_at": "2026-11-20T10:38:00Z"}
    skipped = {"reason": "on Monday", "by": "ada", "at": "2026-11-20T10:30:01Z"}
    internet |= {"state": "skipped", "skipped": skipped}
    internet["subjects"][0] |= {"state": "skipped", "actual": "unknown"}
    render.client(client)
    output = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for words in (
        "+44 20 7946 0001 in 3.12 off off 2026-11-20 10:30:01",
        "+44 20 7946 0002 off not proven - Kamailio is silent",
        "+44 20 7946 0003 off failed - the exchange keeps it",
        "+44 20 7946 0004 on on 2026-11-20 10:30:01 protected: left in service",
        "internet acme off skipped 2026-11-20 10:30:01",
        "telephony attention since 2026-11-20 10:30:01 UTC, 3 attempts, next attempt 2026-11-20 10:38:00 UTC: not done",
        "internet skipped by ada at 2026-11-20 10:30:01 UTC: on Monday",
    ):
        assert words in output, output
    client["status"] = "active"
    internet |= {"state": "done_by_hand", "skipped": None, "method": "by hand", "by": "ada"}
    internet["subjects"][0] |= {"state": "done_by_hand", "actual": "off", "seen": {"note": "port pulled"}}
    render.client(client)
    output = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "+44 20 7946 0004 on on 2026-11-20 10:30:01 protected" in output
    assert "internet by hand by ada at 2026-11-20 10:30:01 UTC" in output
    assert any(line.startswith("internet acme off off by hand") for line in output), output
    client["provisioning"] = "settled"
    render.client(client)
    assert "done by hand" in capsys.readouterr().out


NOW = datetime(2026, 11, 20, 13, 42, 1, tzinfo=UTC)


@pytest.mark.parametrize("width", [80, 120, 200], indirect=True)
def test_who_waits_is_told_under_its_system_with_its_age(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    skipped = {"reason": "on Monday", "by": "ada", "at": "2026-11-20T13:41:00Z"}
    items: list[dict[str, Any]] = [
        {**ATTENTION, "next_attempt_at": "2026-11-20T13:50:00Z"},
        {**ATTENTION, "client_id": "b", "state": "not_proven", "since": "2026-11-20T13:41:30Z"},
        {
            **ATTENTION,
            "system": "internet",
            "title": "Internet access",
            "state": "skipped",
            "skipped": skipped,
            "next_attempt_at": None,
        },
    ]
    render_systems.attention(items, NOW)
    output = capsys.readouterr().out
    lines = check(output, width)
    assert [line for line in lines if line.endswith(("client", "clients"))] == [
        "Telephone lines (telephony): 2 clients",
        "Internet access (internet): 1 client",
    ]
    first, second = (line for line in lines if line.startswith(("acme  ", "b  ")) and "skipped" not in line)
    assert "3 h 12 min  in 7 min" in first
    assert "not proven" in second
    assert "31 s" in second
    assert "due" in second
    assert "skipped by ada" in output
    assert "connect client retry | skip | mark-done" in output
    assert ("Acme Ltd" in output) == (width > 80), "a narrow terminal keeps what matters"


@pytest.mark.parametrize("width", [80, 120, 200], indirect=True)
def test_the_systems_have_a_line_each_and_a_remedy(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    silent: dict[str, Any] = {
        "system": "internet",
        "title": "Internet access",
        "instance": "main",
        "state": "unknown",
        "since": None,
        "last_error": "",
        "last_success_at": None,
    }
    silent |= {"workers": 0, "clients_in_attention": 0, "oldest_attention_at": None, "clients_changing": 0}
    silent |= {"watch_error": "It did not answer in time"}
    render_systems.systems([SYSTEM, silent], NOW)
    output = capsys.readouterr().out
    lines = check(output, width)
    assert lines[1].split()[:5] == ["telephony", "failing", "3", "h", "12"]
    assert next(line for line in lines if line.startswith("internet ")).split()[:2] == ["internet", "unknown"]
    assert "Is one running? connect worker" in " ".join(output.split())
    assert "connect attention" in output
    assert "what was switched off is not watched: It did not answer in time" in " ".join(output.split())
    assert "does not answer" in " ".join(output.split())
    for finds, state in (("all_fail", "failing"), ("some_fail", "fails")):
        render_systems.systems([{**SYSTEM, "state": "working", "attempts_find": finds}], NOW)
        output = capsys.readouterr().out
        assert output.splitlines()[1].split()[1] == state
        assert "does not answer" in " ".join(output.split())
    calm = {"clients_in_attention": 0, "attempts_find": "", "attempts_error": ""}
    render_systems.systems([{**SYSTEM, "state": "working", **calm}], NOW)
    well = capsys.readouterr().out
    check(well, width)
    assert "does not answer" not in well, "that is over"


def test_an_age_is_never_negative() -> None:
    assert tables.age((NOW - timedelta(hours=3, minutes=12)).isoformat(), NOW) == "3 h 12 min"
    assert tables.age((NOW + timedelta(seconds=5)).isoformat(), NOW) == "0 s"


@pytest.mark.parametrize("width", [80], indirect=True)
def test_what_is_empty_says_what_to_do(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    render.clients([], total=0)
    assert "connect client add" in capsys.readouterr().out
    render.clients([], total=2)
    assert "--inactive" in capsys.readouterr().out
    render_systems.attention([], NOW, where=" at thames on internet")
    words = " ".join(capsys.readouterr().out.split())
    assert words == "No client needs attention at thames on internet. What is skipped is listed with --skipped."
    render_systems.attention([], NOW, skipped=True)
    assert capsys.readouterr().out == "No client needs attention.\n"
    sites.sites({"items": []})
    assert "connect site add" in capsys.readouterr().out


def test_what_is_piped_is_whole_whatever_the_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "97")
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert tables.terminal_width() == tables.PIPED
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert tables.terminal_width() is None, "rich asks the terminal, and COLUMNS"


@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("width", [tables.PIPED], indirect=True)
def test_in_a_pipe_nothing_is_cut_or_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    long = clients()
    long[0]["name"] = "The Company " * 20
    render.clients(long, total=3)
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[-4:] == ["billing", "ref", "start", "end"]
    assert " ".join(long[0]["name"].split()) in first
    entry: dict[str, Any] = {
        "event": "refused",
        "at": "2026-11-20T10:30:00Z",
        "by": "x" * 200,
        "text": "No. " * 500,
        "reason": None,
    }
    render.history({"items": [entry], "total": 1, "next": None})
    line = capsys.readouterr().out.splitlines()[1]
    assert entry["by"] in line
    assert line.count("No.") == 500


@pytest.mark.parametrize("width", [80], indirect=True)
def test_no_text_from_outside_begins_a_line(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    broken = clients()
    broken[0]["name"] = "two\nlines"
    render.clients(broken, total=3)
    lines = check(capsys.readouterr().out, width)
    assert [line.split()[0] for line in lines[1 : len(IDS) + 1]] == IDS
