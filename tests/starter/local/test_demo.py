"""`connect up --demo`: a dozen clients in every state; asked for again, nothing changes. And Ctrl-C ends everything."""

from pathlib import Path

import phonenumbers

from starter.local import demo
from starter.local.children import birth, processes_in
from tests.support.up import Terminal
from tests.support.waiting import eventually


async def test_the_demonstration_shows_every_state_and_is_made_once(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "data")
    terminal.start("--demo")
    try:
        await terminal.ready()
        assert await eventually(lambda: terminal.line_with("The demonstration")) == (
            "The demonstration is there: 13 clients at Riverside House"
        )
        async with terminal.api() as api:
            first = (await api.get("/clients", params={"inactive": True})).json()
            demo.seed(
                f"http://127.0.0.1:{terminal.port}", (terminal.data / "token").read_text(encoding="utf-8").strip()
            )
            assert (await api.get("/clients", params={"inactive": True})).json() == first
            answer = await api.post(
                "/clients/saffron-travel/services",
                json={"add_services": [{"kind": "doors", "name": "main-entrance", "settings": {"card": "0655"}}]},
            )
            assert answer.json()["services"][0]["kind"] == "doors"
        born = terminal.children()
        assert terminal.end() == 0
        assert [name for name, (pid, birthday) in born.items() if birth(pid) == birthday] == [], (
            "nothing is left behind"
        )
        assert processes_in(terminal.data / "postgres") == []
        assert terminal.children() == {}
    finally:
        terminal.close()
    clients = first["items"]
    assert {c["provisioning"] for c in clients} == {"settled"}
    assert {c["status"] for c in clients} == {"new", "active", "suspended", "decommissioned"}
    assert {c["type"] for c in clients} == {"residential", "virtual"}
    assert clients[0]["management"], "the management client is listed first"
    assert any(c["end_date_passed"] for c in clients)
    assert {len(c["holds"]) for c in clients} == {0, 1, 2}
    doors = {c["client_id"]: d["actual"] for c in clients for d in c["systems"] if d["system"] == "doors"}
    assert doors["harbour-legal"] == {"main-entrance": "on", "garage": "on"}
    assert doors["oakwell-interiors"] == {"main-entrance": "off"}, "the client is suspended"
    assert doors["meridian-search"] == {}, "the client is New"
    assert {p["kind"] for c in clients for p in c["planned"]} == {"activate", "decommission", "suspend", "convert"}
    numbers = [phonenumbers.parse(line["number"]) for c in clients for line in c["lines"]]
    assert all(phonenumbers.is_valid_number(number) for number in numbers)
    assert all(2079460000 <= (number.national_number or 0) <= 2079460999 for number in numbers), "set apart for drama"
