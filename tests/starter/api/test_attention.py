"""Claims about who waits for a person, and how the systems are: two lists for an operator's morning (issue 3)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import pytest
import pytest_asyncio

from tests.support.service import Service, number, unique
from tests.support.waiting import eventually
from workflows.domain.provisioning.standing import Proof

ACCESS = {"down_mbps": 100, "up_mbps": 20}
REASON = "the line card is being replaced on Monday"


@dataclass
class Ward:
    """A site with clients in trouble: the first two fail everywhere, then one unproven, one skipped, one well."""

    site: str
    first: str
    second: str
    dark: str
    skipped: str
    well: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ward(slow: Service) -> Ward:
    site = await slow.site(timezone="Asia/Tokyo")
    line = number()
    names = ("first", "second", "skipped", "well")
    ids = {name: (await slow.create(site=site, name=name, internet=ACCESS))["client_id"] for name in names}
    ids["dark"] = (await slow.create(site=site, name="dark", lines=[{"number": line, "office": "1"}]))["client_id"]
    for name in ("first", "second", "skipped"):
        await slow.stuck(ids[name], "suspend", slow.telephony, slow.internet)
    slow.telephony.doubts[line] = (Proof.NOT_PROVEN, "Kamailio is silent")
    await slow.post(ids["dark"], "suspend", wait=0)
    await slow.tried(ids["dark"])
    for system in ("telephony", "internet"):
        answer = await slow.post(ids["skipped"], f"systems/{system}/skip", wait=0, reason=REASON)
        assert answer.json()["changed"]
    ward = Ward(site, **ids)
    await eventually(lambda: _is_full(slow, site))
    return ward


async def _is_full(service: Service, site: str) -> bool:
    return len(await _waiting(service.api, site)) == 5


async def _waiting(api: httpx2.AsyncClient, site: str, **query: Any) -> list[dict[str, Any]]:
    answer = await api.get("/attention", params={"site": site, **query})
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["total"] == len(page["items"])
    items: list[dict[str, Any]] = page["items"]
    return items


def _who(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["system"], item["client_id"]) for item in items]


# -- attention --------------------------------------------------------------------------------------------------------


async def test_those_who_wait_are_listed_by_system_the_oldest_first(api: httpx2.AsyncClient, ward: Ward) -> None:
    items = await _waiting(api, ward.site)
    assert _who(items) == [
        ("telephony", ward.first),
        ("telephony", ward.second),
        ("telephony", ward.dark),
        ("internet", ward.first),
        ("internet", ward.second),
    ]
    assert [item["state"] for item in items] == ["attention", "attention", "not_proven", "attention", "attention"]
    for item in items:
        assert (item["site"], item["skipped"], item["attempts"]) == (ward.site, None, 1)
        assert item["since"].endswith("+09:00")
        assert datetime.fromisoformat(item["next_attempt_at"]) > datetime.fromisoformat(item["since"])
    assert (items[0]["name"], items[2]["name"]) == ("first", "dark")
    assert "telephony does not answer" in items[0]["last_error"]
    assert "Kamailio is silent" in items[2]["last_error"]


async def test_they_are_listed_by_site_and_system(api: httpx2.AsyncClient, ward: Ward) -> None:
    internet = await _waiting(api, ward.site, system="internet")
    assert _who(internet) == [("internet", ward.first), ("internet", ward.second)]
    assert await _waiting(api, unique("elsewhere")) == []
    everywhere = (await api.get("/attention", params={"limit": 500})).json()
    assert set(_who(internet)) <= set(_who(everywhere["items"]))


async def test_what_is_skipped_is_listed_when_it_is_asked_for(api: httpx2.AsyncClient, ward: Ward) -> None:
    items = await _waiting(api, ward.site, skipped=True)
    assert len(items) == 7
    skipped = [item for item in items if item["state"] == "skipped"]
    assert _who(skipped) == [("telephony", ward.skipped), ("internet", ward.skipped)]
    for item in skipped:
        assert (item["skipped"]["reason"], item["skipped"]["by"]) == (REASON, "api")
        assert item["since"] == item["skipped"]["at"]


async def test_what_a_person_should_see_to_is_in_one_list_of_matters(api: httpx2.AsyncClient, ward: Ward) -> None:
    page = (await api.get("/matters", params={"site": ward.site})).json()
    found = {(matter["client_id"], matter["matter"]): matter for matter in page["items"]}
    assert {key: matter["kind"] for key, matter in found.items()} == {
        **{
            (client, system): "attention"
            for client in (ward.first, ward.second)
            for system in ("telephony", "internet")
        },
        **{(ward.skipped, system): "skipped" for system in ("telephony", "internet")},
    }
    assert (page["total"], page["kinds"]) == (6, {"attention": 4, "skipped": 2})
    assert [matter["since"] for matter in page["items"]] == sorted(matter["since"] for matter in page["items"])
    for (client_id, system), matter in found.items():
        assert (matter["system"], matter["site"], matter["assigned_to"]) == (system, ward.site, None)
        assert matter["since"].endswith("+09:00")
        assert f"connect client retry {client_id} {system}" in [remedy["command"] for remedy in matter["remedies"]]
    assert found[ward.skipped, "internet"]["text"] == REASON
    assert "does not answer" in found[ward.first, "internet"]["text"]


async def test_the_pages_of_matters_join_without_gap(api: httpx2.AsyncClient, ward: Ward) -> None:
    whole = (await api.get("/matters", params={"site": ward.site, "kind": "attention"})).json()
    items, cursor = [], ""
    while cursor is not None:
        query: dict[str, str | int] = {"site": ward.site, "kind": "attention", "limit": 1}
        query |= {"cursor": cursor} if cursor else {}
        page = (await api.get("/matters", params=query)).json()
        assert page["total"] == 4
        items += page["items"]
        cursor = page["next"]
    assert items == whole["items"]
    wrong = await api.get("/matters", params={"cursor": "bm9uc2Vuc2U"})
    assert (wrong.status_code, wrong.json()["title"]) == (422, "No such page")


async def test_clients_with_an_open_matter_can_be_listed_alone(api: httpx2.AsyncClient, ward: Ward) -> None:
    page = (await api.get("/clients", params={"site": ward.site, "open": True})).json()
    assert {client["client_id"] for client in page["items"]} == {ward.first, ward.second, ward.skipped}
    assert page["total"] == 3


async def test_their_pages_join_without_gap(api: httpx2.AsyncClient, ward: Ward) -> None:
    whole = await _waiting(api, ward.site, skipped=True)
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        query: dict[str, str | int] = {"site": ward.site, "skipped": True, "limit": 2, **cursor}
        page = (await api.get("/attention", params=query)).json()
        assert page["total"] == len(whole)
        found += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == whole


@pytest.mark.parametrize("cursor", ["x", "WyJhdHRlbnRpb24iLCAxLCAieCIsICJ5Il0", "WyJuYW1lIiwgdHJ1ZSwgIngiLCAieSJd"])
async def test_a_cursor_of_another_list_is_refused(api: httpx2.AsyncClient, cursor: str) -> None:
    answer = await api.get("/attention", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["title"]) == (422, "No such page"), answer.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("system", "directory"),
        ("system", "TELEPHONY"),
        ("limit", 0),
        ("limit", 501),
        ("site", "a\0"),
        ("skipped", "often"),
        ("colour", "blue"),
    ],
)
async def test_a_malformed_question_names_its_field(api: httpx2.AsyncClient, field: str, value: Any) -> None:
    answer = await api.get("/attention", params={field: value})
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


async def test_who_is_proven_waits_no_more(slow: Service) -> None:
    site = await slow.site()
    client_id = (await slow.create(site=site))["client_id"]
    await slow.stuck(client_id, "suspend", slow.telephony)
    await eventually(lambda: _waiting(slow.api, site))
    assert (await slow.post(client_id, "systems/telephony/retry")).status_code == 200
    assert await _waiting(slow.api, site) == []


async def test_clients_are_listed_by_where_provisioning_stands(api: httpx2.AsyncClient, ward: Ward) -> None:
    for word, expected in (
        ("attention", {ward.first, ward.second}),
        ("changing", {ward.dark}),
        ("settled", {ward.well}),
        ("skipped", {ward.skipped}),
    ):
        page = (await api.get("/clients", params={"site": ward.site, "provisioning": word})).json()
        assert ({client["client_id"] for client in page["items"]}, page["total"]) == (expected, len(expected))
    answer = await api.get("/clients", params={"provisioning": "lost"})
    assert (answer.status_code, answer.json()["field"]) == (422, "provisioning")


# -- systems ----------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="session")
async def workers(service: Service) -> AsyncIterator["Workers"]:
    async with service.directory() as connection:
        await connection.execute("DELETE FROM system_states")
        yield Workers(connection)
        await connection.execute("DELETE FROM system_states")


class Workers:
    """Workers that report how they find the telephone system. Times are minutes ago."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.now = datetime.now(UTC)

    async def report(
        self, worker: str, state: str, since: float, error: str = "", failed: float = 0, *, reported: float = 0
    ) -> None:
        ago = [self.now - timedelta(minutes=minutes) for minutes in (since, failed, since, reported)]
        await self._connection.execute(
            "INSERT INTO system_states (system, worker, state, since, last_error, last_failure_at, last_success_at, "
            "updated_at) VALUES ('telephony', $1, $2, $3, $4, $5, $6, $7)",
            *(worker, state, ago[0], error, ago[1] if error else None, ago[2], ago[3]),
        )


async def _systems(api: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    answer = await api.get("/systems")
    assert answer.status_code == 200, answer.text
    page = answer.json()
    names = [item["system"] for item in page["items"]]  # a kind that other tests left clients of comes last
    assert names[:2] == ["telephony", "internet"]
    assert (page["next"], page["total"]) == (None, len(names))
    return {item["system"]: item for item in page["items"]}


def _ago(workers: Workers, instant: str | None) -> float:
    assert instant is not None
    return round((workers.now - datetime.fromisoformat(instant)).total_seconds() / 60, 3)


async def test_a_system_that_no_worker_speaks_of_is_unknown(api: httpx2.AsyncClient, workers: Workers) -> None:
    await workers.report("gone", "failing", 10, "refused", reported=1.1)
    for system in (await _systems(api)).values():
        assert (system["state"], system["workers"], system["since"], system["last_error"]) == ("unknown", 0, None, "")
        assert system["last_success_at"] is None


async def test_one_worker_says_how_a_system_is(api: httpx2.AsyncClient, workers: Workers) -> None:
    await workers.report("one", "working", 30)
    systems = await _systems(api)
    telephony = systems["telephony"]
    assert (telephony["state"], telephony["workers"], telephony["last_error"]) == ("working", 1, "")
    assert (_ago(workers, telephony["since"]), _ago(workers, telephony["last_success_at"])) == (30, 30)
    assert systems["internet"]["state"] == "unknown"


async def test_of_several_workers_the_worst_word_counts(api: httpx2.AsyncClient, workers: Workers) -> None:
    await workers.report("one", "working", 30)
    await workers.report("two", "recovering", 2, "was refused", 3)
    assert (await _systems(api))["telephony"]["state"] == "recovering"
    await workers.report("three", "failing", 4, "no route", 1)
    await workers.report("four", "failing", 7, "refused", 5)
    await workers.report("gone", "failing", 90, "long ago", 0.5, reported=2)
    telephony = (await _systems(api))["telephony"]
    assert (telephony["state"], telephony["workers"]) == ("failing", 4)
    assert _ago(workers, telephony["since"]) == 7, "it began with the first of them"
    assert (telephony["last_error"], _ago(workers, telephony["last_failure_at"])) == ("no route", 1)
    assert _ago(workers, telephony["last_success_at"]) == 2


async def test_a_system_says_how_many_clients_wait_for_it(api: httpx2.AsyncClient, slow: Service, ward: Ward) -> None:
    before = await _systems(api)
    for name in ("telephony", "internet"):  # others may have left systems that these settings do not name
        system = before[name]
        oldest = (await _waiting(api, ward.site, system=name))[0]["since"]
        assert system["clients_in_attention"] >= 2
        assert datetime.fromisoformat(system["oldest_attention_at"]) <= datetime.fromisoformat(oldest)
    assert before["telephony"]["clients_changing"] >= 1, "the one that is not proven"
    client_id = (await slow.create(internet=ACCESS))["client_id"]
    async with slow.without(slow.internet):
        await slow.post(client_id, "suspend", wait=0)

        async def waiting() -> Any:
            return (await _systems(api))["internet"]["clients_in_attention"]

        await eventually(waiting, equal=before["internet"]["clients_in_attention"] + 1)
    assert (await slow.post(client_id, "systems/internet/retry")).status_code == 200
    after = await _systems(api)
    assert after["internet"]["clients_in_attention"] == before["internet"]["clients_in_attention"]
    assert after["telephony"]["clients_in_attention"] == before["telephony"]["clients_in_attention"]
