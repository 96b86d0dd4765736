"""Claims about credentials: derived for the answer, for who holds the token, and nowhere else (PRODUCT.md 5, 7.2)."""

import pytest

from activities.secrets import radius_password, sip_password
from starter.app import create_app
from starter.clients import ClientService
from tests.support.service import LIMITS, MASTER_KEY, TOKEN, Service, calling, number, serving


async def test_they_are_what_the_systems_were_given(service: Service, capfd: pytest.CaptureFixture[str]) -> None:
    first, second = number(), number()
    lines = [{"number": first, "office": "1"}, {"number": second, "office": "2"}]
    client = await service.create(lines=lines, internet={"down_mbps": 100, "up_mbps": 20})
    assert client["secret_version"] == 1
    key = client["client_id"]
    answer = await service.api.get(f"/clients/{key}/credentials")
    assert answer.headers["Cache-Control"] == "no-store"
    sip = [
        {"number": n, "username": n.removeprefix("+"), "password": sip_password(MASTER_KEY, key, n, 1)}
        for n in (first, second)
    ]
    radius = {"username": key, "password": radius_password(MASTER_KEY, key, key, 1)}
    servers = {"sip": "sip.test:5060", "sip_domain": "sip.test", "radius": None}
    assert answer.json() == {"sip": sip, "radius": radius, "servers": servers}
    logged = "".join(capfd.readouterr())
    assert "/credentials" in logged
    written = logged + str(await service.history(key))
    assert not any(secret["password"] in written for secret in (*sip, radius))


async def test_a_client_that_is_over_has_none_and_an_unknown_one_is_not_found(service: Service) -> None:
    closed = await service.closed(internet={"down_mbps": 100, "up_mbps": 20})
    credentials = (await service.api.get(f"/clients/{closed['client_id']}/credentials")).json()
    assert (credentials["sip"], credentials["radius"]) == ([], None)
    assert (await service.api.get("/clients/nobody/credentials")).status_code == 404


async def test_a_process_without_the_master_key_says_so(service: Service) -> None:
    client = await service.create()
    clients = ClientService(service.clients.gateway, service.clients.directory, service.clients.watch, LIMITS)
    async with serving(create_app(clients, TOKEN)) as url, calling(url) as api:
        answer = await api.get(f"/clients/{client['client_id']}/credentials")
    assert answer.status_code == 503
    assert "CONNECT_MASTER_KEY_FILE" in answer.json()["detail"]


async def test_a_line_from_before_shows_whom_it_logs_in_as_and_no_password(service: Service) -> None:
    """As evidence has it: of a line that was taken on, and of one that has a secret of Connect's by now."""
    old, new = number(), number()
    client = await service.create(lines=[{"number": old, "office": "1"}, {"number": new, "office": "2"}])
    key = client["client_id"]
    there = f"{old}@sip.test, 00{old[1:]}@other.test"
    for revision, secret in ((0, "its own"), (client["revision"] + 1, "derived, version 1")):
        findings = [
            {"subject": old, "seen": {"secret": "its own", "known_as": there}},
            {"subject": new, "seen": {"secret": secret}},
        ]
        await service.clients.directory.database.write(
            "INSERT INTO proofs (client_id, system, revision, at, method, findings, kind) "
            "VALUES ($1, 'telephony', $2, now(), '', $3, 'part')",
            *(key, revision, findings),
        )
        sip = (await service.api.get(f"/clients/{key}/credentials")).json()["sip"]
        known = None if secret == "its own" else sip_password(MASTER_KEY, key, new, 1)
        assert sip == [
            {"number": old, "username": old, "password": None},
            {"number": old, "username": f"00{old[1:]}@other.test", "password": None},
            {"number": new, "username": new.removeprefix("+"), "password": known},
        ]
