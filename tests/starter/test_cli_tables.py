"""Claims about the tables of the command line: they are right at every width (PRODUCT.md section 7.1)."""

from copy import deepcopy
from typing import Any

import pytest
from rich.console import Console

from starter import render
from starter.examples import CLIENT

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
    monkeypatch.setattr(render, "_console", Console(highlight=False, soft_wrap=True, width=columns))
    return columns


def check(said: str, width: int) -> list[str]:
    lines = said.splitlines()
    assert [line for line in lines if len(line) > width] == []
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in said
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
    said = capsys.readouterr().out
    lines = check(said, width)
    assert lines[0].split()[-4:] == ["billing", "ref", "start", "end"]
    assert "decommission 2099-04-01 00:00  " in lines[1]
    assert said.count("Europe/London") == 1
    assert lines[1].endswith("2026-01-31 !")
    assert "1 past the end date (!)" in said
    assert lines[2].endswith("2026-01-31")


@pytest.mark.parametrize("width", [160], indirect=True)
def test_several_zones_are_said_with_each_change(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    several = clients()
    several[1]["timezone"] = "Asia/Tokyo"
    several[1]["planned"][0]["local_time"] = "2099-04-01 00:00 Asia/Tokyo"
    render.clients(several, total=3)
    said = capsys.readouterr().out
    check(said, width)
    assert "decommission 2099-04-01 00:00 Asia/Tokyo" in said
    assert "decommission 2099-04-01 00:00 Europe/London" in said


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
        system |= {"desired": {}, "actual": {}, "proven_at": None}
    render.client(client)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["internet", client["internet"]["account"], "-", "-", "-"] for line in lines)
    assert any(line.startswith(client["lines"][0]["number"]) and line.endswith("-") for line in lines)


@pytest.mark.parametrize("width", [80], indirect=True)
def test_what_is_empty_says_what_to_do(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    render.clients([], total=0)
    assert "connect client add" in capsys.readouterr().out
    render.clients([], total=2)
    assert "--inactive" in capsys.readouterr().out
    render.sites([])
    assert "connect site add" in capsys.readouterr().out


def test_what_is_piped_is_as_wide_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "97")
    assert render._width() == 97
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert render._width() == render.PIPED
