"""Claims about credentials in the console: on request alone, and the history says who looked, by every way in."""

from starter.app import create_app
from starter.clients import ClientService
from starter.contract.answers import Servers
from starter.credentials import Keyring
from tests.starter.console.filling_in import Somebody, ann, signed_in
from tests.support.service import LIMITS, TOKEN, Service, serving, unique
from tests.support.waiting import http_client

__all__ = ["ann"]

KEY = b"a master key of the tests, long enough"
SERVERS = Servers(sip="sip.example:5060", sip_domain="example", radius="radius.example:1812")


def with_key(service: Service, key: bytes | None = KEY) -> ClientService:
    clients = service.clients
    return ClientService(clients.gateway, clients.directory, clients.watch, LIMITS, Keyring(key, SERVERS))


async def looks(service: Service, client_id: str) -> list[tuple[str, str]]:
    """Who looked, and whether a decision is told with it."""
    return [(line["by"], line["event"]) for line in await service.history(client_id) if line["kind"] == "credentials"]


async def test_they_are_shown_to_who_asks_and_the_history_says_to_whom(service: Service) -> None:
    access = {"down_mbps": 10, "up_mbps": 10}
    client = await service.create(unique("Secret"), internet=access)
    client_id = client["client_id"]
    path, page = f"/clients/{client_id}/credentials", f"/clients/{client_id}"
    async with serving(create_app(with_key(service), TOKEN)) as url, signed_in(service, url) as ann:
        api = http_client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {TOKEN}"})
        async with api:
            known = (await api.get(path)).json()
        secrets = [known["sip"][0]["password"], known["radius"]["password"]]
        before = await service.client(client_id)
        for address in (page, path):
            answer = await ann.http.get(address)
            assert not any(secret in answer.text for secret in secrets), address
        answer_shown = await ann.send(path, {})
        assert answer_shown.status_code == 200, answer_shown.text
        assert answer_shown.headers["Cache-Control"] == "no-store"
        assert all(secret in answer_shown.text for secret in secrets)
        assert SERVERS.radius is not None
        assert SERVERS.radius in answer_shown.text
    assert await looks(service, client_id) == [("ann", "asked"), ("api", "asked")]
    assert (await service.client(client_id))["revision"] == before["revision"], "to look is no decision"


async def test_who_is_shown_nothing_is_not_said_to_have_looked(service: Service) -> None:
    client_id = (await service.create(unique("Keyless")))["client_id"]
    async with serving(create_app(with_key(service, None), TOKEN)) as url, signed_in(service, url) as ann:
        answer = await ann.send(f"/clients/{client_id}/credentials", {})
        assert answer.status_code == 409
        assert "master key" in answer.text
        assert (await ann.send("/clients/nobody-there/credentials", {})).status_code == 404
    assert await looks(service, client_id) == []


async def test_a_former_client_has_none_and_no_way_to_them(service: Service) -> None:
    gone = await service.closed(name=unique("Gone"))
    page = f"/clients/{gone['client_id']}"
    async with serving(create_app(with_key(service), TOKEN)) as url, signed_in(service, url) as ann:
        assert "Show credentials" not in (await ann.http.get(page)).text
        answer_shown = await ann.send(f"{page}/credentials", {})
        assert "the client is inactive" in answer_shown.text
        assert "Rotate" not in answer_shown.text


async def test_new_credentials_are_previewed_with_what_breaks(ann: Somebody, service: Service) -> None:
    client = await service.create(unique("Stolen"))
    page = (await ann.http.get(f"/clients/{client['client_id']}/status?action=rotate_credentials")).text
    assert "must be configured anew" in page
    assert "a new secret" in page
    assert (await service.client(client["client_id"]))["secret_version"] == 1
