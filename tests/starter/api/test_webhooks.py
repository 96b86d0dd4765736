"""Claims about webhooks over HTTP; tests/activities/webhooks has how they are delivered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from activities.database import Database
from activities.webhooks.delivery import GONE, Chain, Deliveries
from activities.webhooks.sending import Sender
from tests.support.service import MASTER_KEY, SITE, Service, calling, unique
from tests.support.waiting import eventually

URL = "https://billing.example.net/connect"


async def add(api: httpx2.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await api.post("/webhooks", json={"url": URL, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_webhook_is_added_shown_changed_and_removed(service: Service, api: httpx2.AsyncClient) -> None:
    async def last() -> int:
        return int((await api.get("/events")).json()["last"])

    before = await last()
    made = await add(api, description="Billing", kinds=["proven"], sites=["thames-house"])
    at = f"/webhooks/{made['webhook_id']}"
    secret_of = made.pop("secret")
    assert secret_of.startswith("whsec_")
    assert (await api.get(at)).json() == made
    assert (made["state"], made["created_by"], made["waiting"]) == ("active", "api", 0)
    assert before <= made["position"] <= await last()
    changed = (await api.patch(at, json={"kinds": [], "clients": ["acme"], "enabled": False})).json()
    assert (changed["kinds"], changed["clients"], changed["state"]) == ([], ["acme"], "paused")
    assert (changed["url"], changed["sites"]) == (URL, ["thames-house"])
    assert (await api.patch(at, json={"enabled": True})).json()["state"] == "active"
    assert changed["webhook_id"] in [it["webhook_id"] for it in (await api.get("/webhooks")).json()["items"]]
    assert (await api.delete(at)).status_code == 200
    for answer in (await api.get(at), await api.delete(at), await api.get(f"{at}/deliveries")):
        assert (answer.status_code, answer.json()["title"]) == (404, "No such webhook")


async def test_a_rotated_secret_is_shown_once_and_is_another(api: httpx2.AsyncClient) -> None:
    made = await add(api)
    at = f"/webhooks/{made['webhook_id']}"
    rotated = (await api.post(f"{at}/rotate-secret", json={})).json()
    assert rotated["secret"] != made["secret"]
    assert rotated["rotated_at"]
    assert "secret" not in (await api.get(at)).json()
    assert rotated["secret"] not in (await api.get("/webhooks")).text
    await api.delete(at)


async def test_what_cannot_be_is_refused_with_the_field(api: httpx2.AsyncClient) -> None:
    for body, field in (
        ({"url": "ftp://x.example/"}, "url"),
        ({"url": "https://user:pw@x.example/"}, "url"),
        ({"url": URL, "kinds": ["done"]}, "kinds"),
        ({"url": URL, "after": 10**9}, "after"),
    ):
        answer = await api.post("/webhooks", json=body)
        assert (answer.status_code, answer.json()["field"].partition(".")[0]) == (422, field), answer.text


async def test_a_replay_begins_after_an_event_there_was(service: Service, api: httpx2.AsyncClient) -> None:
    client = await service.create()
    await api.get("/events", params={"client": client["client_id"], "wait": 60})  # until there is one
    made = await add(api)
    at = f"/webhooks/{made['webhook_id']}"
    assert made["position"] > 0
    assert (await api.post(f"{at}/replay", json={"after": 0})).json()["position"] == 0
    assert (await api.post(f"{at}/replay", json={"after": 10**9})).status_code == 422
    await api.delete(at)


@dataclass(frozen=True)
class Answering(Sender):
    """A receiver that always answers this, without a network."""

    status: int = GONE

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        return self.status


async def deliver(service: Service, webhook_id: str, client_id: str, status: int) -> None:
    """Have a webhook receive a client's events by a receiver that answers this."""
    dsn = service.settings.directory_dsn.get_secret_value()
    async with service.directory() as directory:
        turn = await directory.fetchval("SELECT turn FROM webhooks WHERE webhook_id = $1", webhook_id)
        await directory.execute(
            "INSERT INTO webhook_chains (webhook_id, client_id, turn, done, target) "
            "SELECT $1, $2, $3, 0, last FROM event_log ON CONFLICT DO NOTHING",
            webhook_id,
            client_id,
            turn,
        )
    async with Database("directory", dsn, service.settings) as database:
        await Deliveries(database, MASTER_KEY, Answering(status=status), "urn:connect").deliver(
            Chain(webhook_id, client_id, turn)
        )


async def client_with_events(service: Service) -> str:
    """A new client, all of whose events are numbered: what was proven comes last."""
    client_id: str = (await service.create())["client_id"]
    proven = {"client": client_id, "kind": "proven"}

    async def numbered() -> bool:
        return bool((await service.api.get("/events", params=proven)).json()["items"])

    await eventually(numbered)
    return client_id


async def with_undelivered_event(service: Service, api: httpx2.AsyncClient) -> tuple[dict[str, Any], str]:
    """A webhook, and a client with events that it is to deliver: no more of them come by themselves."""
    client_id = await client_with_events(service)
    return await add(api, after=0, clients=[client_id]), client_id


async def test_one_that_is_disabled_is_an_open_matter_for_callers_of_all_sites_until_it_is_enabled(
    service: Service, api: httpx2.AsyncClient
) -> None:
    made, client_id = await with_undelivered_event(service, api)
    webhook_id, name = made["webhook_id"], f"webhook:{made['webhook_id']}"
    await deliver(service, webhook_id, client_id, GONE)
    of_kind = {"kind": "webhook_disabled"}

    async def matters(of: httpx2.AsyncClient, **more: str) -> tuple[list[str], int]:
        page = (await of.get("/matters", params=of_kind | more)).json()
        return [it["matter"] for it in page["items"]], page["kinds"].get("webhook_disabled", 0)

    assert await matters(api) == ([name], 1)
    (matter,) = (await api.get("/matters", params=of_kind)).json()["items"]
    assert "wants no more" in matter["text"]
    assert f"connect webhook enable {webhook_id}" in [it["command"] for it in matter["remedies"]]
    assert (await api.post(f"/matters/{name}/assign", json={"assigned_to": "olga"})).status_code == 200
    assert await matters(api, assigned_to="olga") == ([name], 1)
    for sites in ([SITE], None):
        new_token = {"name": unique("viewer"), "role": "viewer", "sites": sites}
        async with calling(service.url, (await api.post("/tokens", json=new_token)).json()["token"]) as viewer:
            assert await matters(viewer) == (([], 0) if sites else ([name], 1))
    page = await api.get(f"{service.url}/matters", params=of_kind, headers={"Accept": "text/html"})
    assert f'href="/webhooks/{webhook_id}"' in page.text
    await api.patch(f"/webhooks/{webhook_id}", json={"enabled": True})
    assert await matters(api) == ([], 0)
    await deliver(service, webhook_id, client_id, 204)
    assert (await api.get(f"/webhooks/{webhook_id}")).json()["waiting"] == 0
    deliveries = (await api.get(f"/webhooks/{webhook_id}/deliveries")).json()["items"]
    assert [it["status"] for it in deliveries] == [204] * (len(deliveries) - 1) + [GONE]
    await api.delete(f"/webhooks/{webhook_id}")


async def test_webhooks_are_the_installations_and_go_on_without_who_added_them(
    service: Service, api: httpx2.AsyncClient
) -> None:
    new_token = {"name": unique("admin"), "role": "admin"}
    token = (await api.post("/tokens", json=new_token)).json()
    client_id = await client_with_events(service)
    async with calling(service.url, token["token"]) as admin:
        made = await add(admin, after=0, clients=[client_id])
        asking = await admin.get(f"{service.url}/tokens/{token['token_id']}/revoke", headers={"Accept": "text/html"})
        assert f'href="/webhooks/{made["webhook_id"]}"' in asking.text, "whoever revokes is told of them"
    await api.delete(f"/tokens/{token['token_id']}")
    token = (await api.post("/tokens", json={**new_token, "role": "operator", "sites": [SITE]})).json()
    async with calling(service.url, token["token"]) as limited:
        for answer in (await limited.get("/webhooks"), await limited.delete(f"/webhooks/{made['webhook_id']}")):
            assert answer.status_code == 403
    await deliver(service, made["webhook_id"], client_id, 204)
    webhook = (await api.get(f"/webhooks/{made['webhook_id']}")).json()
    assert (webhook["created_by"], webhook["state"], webhook["waiting"]) == (new_token["name"], "active", 0)
    assert (await api.get(f"/webhooks/{made['webhook_id']}/deliveries")).json()["total"] > 0
    await api.delete(f"/webhooks/{made['webhook_id']}")
