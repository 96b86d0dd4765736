"""Services of further kinds, and the instances of a site, on the command line."""

from pathlib import Path
from typing import Any

import pytest
import typer

from starter.cli.values import filled, instance, service
from tests.support.service import TOKEN, Service, number, unique
from tests.support.terminal import Terminal


@pytest.fixture
def terminal(with_doors: Service, tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, {"CONNECT_URL": with_doors.url, "CONNECT_TOKEN": TOKEN})


@pytest.mark.parametrize(
    ("text", "name", "settings"),
    [
        ("doors:main-entrance", "main-entrance", None),
        ("doors:main-entrance:card=0472", "main-entrance", {"card": "0472"}),
        ("doors:east:wing:card=0472,pin:=12,night:=true", "east:wing", {"card": "0472", "pin": 12, "night": True}),
        ("doors:12:floor:=3", "12", {"floor": 3}),
        ("doors:a:url=http://x=1", "a", {"url": "http://x=1"}),
        ("doors:a:card=", "a", {"card": ""}),
    ],
)
def test_a_service_is_read_as_it_is_typed(text: str, name: str, settings: dict[str, Any] | None) -> None:
    assert service(text) == {"kind": "doors", "name": name, **({"settings": settings} if settings else {})}


@pytest.mark.parametrize("text", ["doors", "doors:", ":x", "doors:a:card=1,x", "doors:a:pin:=x", "doors:a: =1"])
def test_what_is_no_service_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        service(text)


@pytest.mark.parametrize("text", ["telephony", "telephony=", "=london"])
def test_what_names_no_instance_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="KIND=INSTANCE"):
        instance(text)


def test_zero_is_a_value_and_what_was_not_given_is_none() -> None:
    fields = {"after": 0, "seconds": 0.0, "name": "", "yes": True}
    assert filled(**fields, none=None, flag=False, tags=[], external_ids={}) == fields


async def test_services_are_contracted_shown_and_removed(terminal: Terminal) -> None:
    client_id, site = unique("doors"), unique("house")
    made = await terminal.connect(
        "site", "add", site, "--name", "The House", "--timezone", "Europe/London", "--system", "doors=annex"
    )
    assert made.out == f"Site {site}: The House, Europe/London, served by doors annex\n"
    added = await terminal.connect(
        "client", "add", "--name", "Acme", "--type", "residential", "--site", site, "--id", client_id,
        "--line", f"{number()}@3.12", "--internet", "100/20", "--service", "doors:main-entrance:card=0472",
    )  # fmt: skip
    assert (added.status, added.err) == (0, "")
    output = (await terminal.connect("client", "show", client_id)).out
    assert "main-entrance (card 0472)" in output
    rows = [line.split()[:4] for line in output.splitlines()]
    assert ["doors", "main-entrance", "on", "on"] in rows
    assert ["internet", client_id, "on", "on"] in rows
    preview = await terminal.connect(
        "client", "services", client_id, "--add-service", "doors:garage", "--remove-service", "doors:main-entrance",
        "--dry-run",
    )  # fmt: skip
    assert [line.split()[:2] for line in preview.out.splitlines() if "doors:" in line] == [
        ["service", "doors:main-entrance"],
        ["service", "doors:garage"],
    ]
    changed = await terminal.connect("client", "services", client_id, "--remove-service", "doors:main-entrance")
    assert changed.out.splitlines()[0] == "Services: removed doors:main-entrance"
    assert (await terminal.connect("client", "retry", client_id, "doors")).status == 0
    refused = await terminal.connect("client", "retry", client_id, "mailbox")
    assert (refused.status, "Give one of: telephony, internet, doors" in refused.err) == (1, True)


async def test_a_site_is_given_another_name_and_another_instance(terminal: Terminal) -> None:
    site = unique("house")
    await terminal.connect("site", "add", site, "--name", "The House", "--timezone", "Europe/London")
    edited = await terminal.json("site", "edit", site, "--name", "New House", "--system", "telephony=london")
    assert (edited["name"], edited["systems"]) == ("New House", {"telephony": "london"})
    listed = (await terminal.connect("site", "list")).out
    assert any(site in line and "telephony london" in line for line in listed.splitlines())
    refused = await terminal.connect("site", "edit", site, "--system", "telephony=paris")
    assert (refused.status, "There is no instance of telephony 'paris'" in refused.err) == (1, True)
