"""Sites, labels, notes and many lines at once on the command line."""

import json
from typing import Any

from tests.support.service import Service, number, unique
from tests.support.terminal import Terminal


async def answer(terminal: Terminal, *words: str) -> dict[str, Any]:
    """The answer of a command that is done, as JSON."""
    result = await terminal.connect(*words, "--json")
    assert (result.status, result.err) == (0, ""), (words, result)
    return dict(json.loads(result.out))


async def test_lines_are_a_range_or_a_list_as_people_dial_them_at_the_site(terminal: Terminal) -> None:
    site, client_id = unique("site"), unique("many")
    await answer(terminal, "site", "add", site, "--name", site, "--timezone", "Europe/London", "--country", "gb")
    one, two, three, four = (number() for _ in range(4))
    if two.endswith("00"):  # a range within a hundred
        one, two = number(), number()
    new = ("client", "add", "--id", client_id, "--name", "Many", "--type", "residential", "--site", site)
    ranged = f"0{one[3:5]} {one[5:9]} {one[9:]}-{two[-2:]}@3.12"
    client = await answer(terminal, *new, "--line", ranged, "--line", f"{three}@4.1")
    assert [(line["number"], line["office"]) for line in client["lines"]] == [
        *((one, "3.12"), (two, "3.12"), (three, "4.1"))
    ]
    changed = await answer(
        terminal, "client", "services", client_id, "--remove-line", f"{one}..{two[-2:]}", "--add-line", f"{four}\t5"
    )
    assert {line["number"] for line in changed["lines"]} == {three, four}
    wrong = await terminal.connect("client", "services", client_id, "--add-line", f"{one}@1, 020@1")
    assert (wrong.status, "Entry 2" in wrong.err) == (2, True), wrong
    await answer(terminal, "site", "edit", site, "--name", unique("Other"))
    output = (await terminal.connect("client", "show", client_id)).out
    assert f"+44 {three[3:5]} {three[5:9]} {three[9:]} in 4.1" in output


async def test_a_number_without_a_plus_needs_the_country_of_the_site(terminal: Terminal) -> None:
    site = unique("site")
    await answer(terminal, "site", "add", site, "--name", site, "--timezone", "Europe/London")
    new = ("client", "add", "--name", "Many", "--type", "virtual", "--site", site, "--line", "020 7946 0700")
    refused = await terminal.connect(*new)
    assert refused.status == 2
    assert "connect site edit ID --country GB" in " ".join(refused.err.replace("│", " ").split())


async def test_tags_external_ids_and_notes_are_given_shown_and_found(terminal: Terminal, service: Service) -> None:
    client_id, crm, tag = unique("labelled"), unique("k"), unique("tag")
    new = ("client", "add", "--id", client_id, "--name", "Acme", "--type", "virtual", "--site", "thames")
    await answer(terminal, *new, "--tag", "late", "--external-id", f"crm:{crm}")
    outcome = await terminal.connect("client", "tag", client_id, f"+{tag}", "-late", "--wait", "20")
    assert (outcome.status, outcome.out.splitlines()[0]) == (0, f"Edited: tags +{tag} -late")
    for wrong in ("vip", "+", "--vip"):
        assert (await terminal.connect("client", "tag", client_id, wrong)).status == 2, wrong
    listed = await answer(terminal, "client", "list", "--tag", tag.upper())
    assert [client["client_id"] for client in listed["items"]] == [client_id]
    await answer(terminal, "client", "edit", client_id, "--external-id", f"erp:{crm}", "--external-id", "crm:")
    await service.still(client_id)
    assert (await answer(terminal, "client", "list", "--external-id", f"ERP:{crm}"))["total"] == 1
    assert (await answer(terminal, "client", "list", "--external-id", f"crm:{crm}"))["total"] == 0
    assert (await terminal.connect("client", "note", client_id, "rang twice")).status == 0
    await service.still(client_id)
    assert "rang twice" in (await terminal.connect("client", "notes", client_id)).out
    output = (await terminal.connect("client", "show", client_id)).out
    assert tag in output
    assert "id in erp" in output


async def test_a_webhook_is_told_from_the_first_event_and_its_filter_is_emptied(terminal: Terminal) -> None:
    filters = ("--kind", "proven", "--site", "york", "--client", "acme")
    added = await answer(terminal, "webhook", "add", "https://billing.example.net/", *filters, "--after", "0")
    assert (added["position"], added["kinds"], added["sites"], added["clients"]) == (0, ["proven"], ["york"], ["acme"])
    edit = "webhook", "edit", added["webhook_id"]
    fewer = await answer(terminal, *edit, "--kind", "", "--description", "Billing")
    assert (fewer["kinds"], fewer["sites"], fewer["clients"]) == ([], ["york"], ["acme"]), "what is left out stays"
    none = await answer(terminal, *edit, "--site", "", "--client", "", "--description", "")
    assert (none["kinds"], none["sites"], none["clients"], none["description"]) == ([], [], [], "")
    await answer(terminal, "webhook", "remove", added["webhook_id"])


async def test_a_site_has_a_country_no_more(terminal: Terminal) -> None:
    site = unique("site")
    added = await answer(
        terminal, "site", "add", site, "--name", site, "--timezone", "Europe/London", "--country", "GB"
    )
    assert added["country"] == "GB"
    assert (await answer(terminal, "site", "edit", site, "--name", "New"))["country"] == "GB"
    assert (await answer(terminal, "site", "edit", site, "--country", ""))["country"] is None


async def test_a_site_is_retired_reopened_and_its_history_shown(terminal: Terminal) -> None:
    site = unique("site")
    await answer(terminal, "site", "add", site, "--name", site, "--timezone", "Europe/London")
    assert (await terminal.connect("site", "edit", site, "--retire")).out.strip().endswith("retired")
    assert f"{site} (retired)" in (await terminal.connect("site", "list")).out
    await answer(terminal, "site", "edit", site, "--reopen", "--timezone", "Asia/Tokyo")
    history = (await terminal.connect("site", "history", site)).out
    assert "Retired: it takes no new client" in history
    assert "Time zone: Asia/Tokyo, before: Europe/London; Opened again" in history
