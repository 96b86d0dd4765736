"""Claims about the command line's ways out, and its views of attention and of the systems (issue 3, point 4)."""

import re
from collections.abc import Awaitable, Callable

import pytest

from activities.watch.executions import Executions
from activities.watch.watch import WorkflowWatch
from tests.support.remedies import carry_out
from tests.support.service import Service, number
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

ACCESS = {"down_mbps": 100, "up_mbps": 20}
REASON = "the line card is replaced on Monday"


async def stuck(slow: Service, site: str) -> str:
    """A suspended client of which neither system could be switched; the next attempt is an hour away."""
    lines = [{"number": number(), "office": "1"}, {"number": number(), "office": "Lift", "protected": True}]
    client_id = str((await slow.create(site=site, lines=lines, internet=ACCESS))["client_id"])
    async with slow.without(slow.telephony, slow.internet):
        await slow.post(client_id, "suspend", wait=0)

        async def listed() -> bool:
            page = (await slow.api.get("/attention", params={"site": site})).json()
            return [item["client_id"] for item in page["items"]].count(client_id) == 2

        await eventually(listed)
    return client_id


async def test_a_client_in_attention_is_found_and_helped(terminal: Terminal, slow: Service) -> None:
    site = await slow.site()
    client_id = await stuck(slow, site)
    found = await terminal.connect("attention", "--site", site)
    assert (found.status, found.err) == (0, "")
    lines = [line for line in found.out.splitlines() if line.startswith(("Telephone", "Internet", client_id))]
    heads = ["Telephone lines (telephony): 1 client", "Internet access (internet): 1 client"]
    assert lines[::2] == heads
    assert [line.split()[0] for line in lines[1::2]] == [client_id, client_id]
    assert "does not answer" in found.out
    assert re.search(r"in [45]\d min", found.out), "the next attempt is told: in 45 to 60 minutes, by chance"
    only = await terminal.json("attention", "--site", site, "--system", "internet")
    assert [item["system"] for item in only["items"]] == ["internet"]

    result = await terminal.connect("client", "show", client_id)
    assert "attention  since" in result.out
    assert "unknown" in result.out

    by_hand = ("client", "mark-done", client_id, "internet", "--note", "port pulled, 4711")
    marked = await terminal.connect(*by_hand, "--wait", "1")
    assert (marked.status, marked.out.splitlines()[0]) == (4, "Internet access marked as done by hand")
    skipped = await terminal.connect("client", "skip", client_id, "telephony", "--reason", REASON)
    assert (skipped.status, skipped.err) == (0, ""), skipped
    assert skipped.out.endswith(f"{client_id}: suspended, skipped\n")
    accepted = (await terminal.connect("client", "show", client_id)).out
    assert f": {REASON}" in accepted
    assert "by hand  by api at " in accepted
    assert "UTC: port pulled, 4711" in " ".join(accepted.split())
    assert (await terminal.connect("attention", "--site", site)).out.startswith(f"No client needs attention at {site}.")
    listed = await terminal.connect("attention", "--site", site, "--skipped")
    assert f"skipped by api: {REASON}" in " ".join(listed.out.split())

    again = await terminal.connect("client", "retry", client_id, "telephony", "--reason", "it is back")
    assert (again.status, again.out.splitlines()[0]) == (0, "Trying telephone lines again")
    mended = (await terminal.connect("client", "show", client_id)).out
    assert "protected: left in service" in mended
    history = (await terminal.connect("client", "history", client_id)).out
    for words in ("port pulled, 4711", REASON, "it is back"):
        assert words in history


async def test_what_is_as_decided_is_no_change(terminal: Terminal, service: Service) -> None:
    client_id = (await service.create())["client_id"]
    await service.known(client_id)
    result = await terminal.connect("client", "retry", client_id, "telephony")
    assert (result.status, result.out.splitlines()[0]) == (0, "No change: With telephone lines, all is as decided")
    answer = await terminal.json("client", "skip", client_id, "internet", "--reason", "x", "--command-id", "once")
    assert answer["changed"] is False


async def test_what_fails_again_is_status_4_and_a_closed_client_status_1(
    terminal: Terminal, service: Service, slow: Service
) -> None:
    client_id = await stuck(slow, await slow.site())
    async with slow.without(slow.telephony):
        late = await terminal.connect("client", "retry", client_id, "telephony", "--wait", "1")
    assert late.status == 4
    assert "telephony does not answer" in late.err
    assert (await terminal.connect("client", "retry", client_id, "telephony", "--wait", "0")).status == 0
    closed = (await service.closed())["client_id"]
    for unable, why in ((closed, "was already decommissioned at"), ("nobody-here", "There is no client nobody-here")):
        refused = await terminal.connect("client", "retry", unable, "telephony")
        assert (refused.status, refused.out) == (1, "")
        assert why in refused.err


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("skip", "acme", "telephony"), "--reason"),
        (("skip", "acme", "telephony", "--reason", " "), "--reason"),
        (("mark-done", "acme", "internet"), "--note"),
        (("mark-done", "acme", "internet", "--reason", "x"), "--reason"),
        (("retry", "acme"), "SYSTEM"),
    ],
)
async def test_a_way_out_that_is_not_said_whole_is_wrong_usage(
    terminal: Terminal, words: tuple[str, ...], remedy: str
) -> None:
    result = await terminal.connect("client", *words)
    assert (result.status, result.out) == (2, "")
    assert "Usage" in result.err
    assert remedy in result.err


async def test_a_system_that_the_client_does_not_have_is_refused_with_those_it_has(
    terminal: Terminal, service: Service
) -> None:
    client_id = (await service.create())["client_id"]
    refused = await terminal.connect("client", "retry", client_id, "directory")
    assert (refused.status, refused.out) == (1, "")
    assert "Give one of: telephony, internet." in refused.err


async def test_rotated_credentials_are_told_how_to_read(terminal: Terminal, service: Service) -> None:
    client_id = (await service.create())["client_id"]
    before = await terminal.json("client", "credentials", client_id)
    result = await terminal.connect("client", "rotate-credentials", client_id)
    assert result.status == 0, result
    assert "Credentials rotated" in result.out
    assert f"configured anew, with: connect client credentials {client_id}" in " ".join(result.out.split())
    after = await terminal.json("client", "credentials", client_id)
    assert after["sip"][0]["password"] != before["sip"][0]["password"]
    assert (await terminal.json("client", "rotate-credentials", client_id))["secret_version"] == 3


async def test_the_systems_are_listed_and_can_still_be_prepared(terminal: Terminal, service: Service) -> None:
    async with service.directory() as connection:
        await connection.execute(
            "INSERT INTO system_states (system, worker, state, since, last_error, last_failure_at) "
            "VALUES ('telephony', 'w', 'failing', now() - interval '4 hours', 'no route to host', now())"
        )
        result = await terminal.connect("systems")
        listed = await terminal.json("systems")
        await connection.execute("DELETE FROM system_states")
    assert result.status == 0, result
    state, error = [line.split() for line in result.out.splitlines() if line.startswith("telephony")]
    assert (state[1:4], error[1:]) == (["failing", "4", "h"], ["no", "route", "to", "host"])
    assert "No worker has reported of internet" in result.out
    items = {system["system"]: system["title"] for system in listed["items"]}  # and what other tests left unsettled
    assert [*items.items()][:2] == [("telephony", "Telephone lines"), ("internet", "Internet access")]
    assert (await terminal.connect("systems", "dance")).status == 2
    prepared = await terminal.connect("systems", "prepare")
    assert prepared.status == 1
    assert "CONNECT_DIRECTORY_DSN" in prepared.err
    assert "prepare" in (await terminal.connect("systems", "--help")).out


async def test_clients_are_listed_by_where_provisioning_stands(terminal: Terminal, slow: Service) -> None:
    site = await slow.site()
    client_id = await stuck(slow, site)
    found = await terminal.json("client", "list", "--site", site, "--provisioning", "attention")
    assert [client["client_id"] for client in found["items"]] == [client_id]
    assert (await terminal.json("client", "list", "--site", site, "--provisioning", "settled"))["items"] == []
    assert (await terminal.connect("client", "list", "--provisioning", "lost")).status == 2


async def test_help_names_the_new_commands(terminal: Terminal) -> None:
    assert "attention" in (await terminal.connect("--help")).out
    output = (await terminal.connect("client", "--help")).out
    for name in ("retry", "skip", "mark-done", "rotate-credentials"):
        assert name in output


async def test_a_client_whose_workflow_cannot_run_is_listed_with_the_command_that_mends_it(
    terminal: Terminal, service: Service
) -> None:
    client_id = (await service.create())["client_id"]
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    await handle.terminate("by mistake")
    watch = WorkflowWatch(Executions(service.temporal), service.settings.directory_dsn.get_secret_value())

    async with service.directory() as connection:

        async def found() -> bool:
            return client_id in await watch.look(connection)

        await eventually(found)
        result = await terminal.connect("attention", "--system", "workflow")
        assert (result.status, result.err) == (0, "")
        [remedy] = [line.strip() for line in result.out.splitlines() if f"--workflow-id client-{client_id} " in line]
        assert remedy.startswith("temporal workflow reset")
        assert client_id not in (await terminal.connect("attention", "--system", "internet")).out
        listed = await terminal.connect("client", "list", "--open")
        assert "cannot run" in next(line for line in listed.out.splitlines() if line.startswith(client_id))
        client = await terminal.connect("client", "show", client_id)
        assert (client.status, remedy in client.out) == (0, True)
        refused = await terminal.connect("client", "suspend", client_id)
        assert (refused.status, remedy in refused.err) == (1, True)
        carry_out(service.temporal, remedy)
        await eventually(lambda: _is_mended(found))
        assert client_id not in (await terminal.connect("client", "list", "--open")).out


async def _is_mended(found: Callable[[], Awaitable[bool]]) -> bool:
    return not await found()
