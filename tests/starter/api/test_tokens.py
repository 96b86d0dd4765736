"""Claims about API tokens over HTTP and in the console: made, shown once, used, limited by role, and ended."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from starter.app import create_app
from starter.console.auth.sessions import COOKIE
from starter.errors import DirectoryAway
from starter.web import callers
from starter.web.callers import Callers
from tests.support.service import TOKEN, Service, calling, serving, unique
from tests.support.terminal import Terminal
from tests.support.waiting import eventually, http_client


async def made(service: Service, role: str = "service", **more: Any) -> dict[str, Any]:
    answer = await service.api.post("/tokens", json={"name": unique("crm"), "role": role, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    token: dict[str, Any] = answer.json()
    return token


@asynccontextmanager
async def with_token(service: Service, role: str = "service", **more: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with calling(service.url, (await made(service, role, **more))["token"]) as api:
        yield api


async def test_a_token_is_shown_once_and_kept_as_its_digest(service: Service) -> None:
    token = await made(service, "operator", expires_at="2099-12-31")
    text, token_id = token["token"], token["token_id"]
    assert (token["created_by"], token["expires_at"], token["sites"]) == ("api", "2100-01-01T00:00:00Z", None)
    async with service.directory() as connection:
        row = await connection.fetchrow("SELECT * FROM tokens WHERE token_id = $1", token_id)
        assert row is not None
        assert row["digest"] == hashlib.sha256(text.encode()).digest()
        dump = str(await connection.fetch("SELECT to_jsonb(t)::text FROM tokens t"))
    secret = text.rpartition("_")[2]
    assert secret not in dump
    listed = await service.api.get("/tokens")
    assert token_id in listed.text
    assert secret not in listed.text


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"name": "api"}, 422, "name"),
        ({"name": "Operator"}, 422, "name"),
        ({"role": "owner"}, 422, "role"),
        ({"sites": []}, 422, "sites"),
        ({"sites": ["nowhere"]}, 422, "sites"),
        ({"role": "admin", "sites": ["thames"]}, 422, "sites"),
        ({"sources": ["billing"]}, 422, "sources"),
        ({"role": "service", "sources": ["ALL"]}, 422, "sources"),
        ({"expires_at": "2001-01-01"}, 422, "expires_at"),
        ({"by": "somebody"}, 422, "by"),
    ],
)
async def test_what_no_token_can_be_is_refused_with_its_field(
    service: Service, fields: dict[str, Any], status: int, field: str
) -> None:
    answer = await service.api.post("/tokens", json={"name": unique("crm"), "role": "viewer", **fields})
    assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text


async def test_a_name_is_one_tokens_until_that_is_revoked(service: Service) -> None:
    name = unique("Straße")
    first = (await service.api.post("/tokens", json={"name": name, "role": "viewer"})).json()
    again = await service.api.post("/tokens", json={"name": name.upper(), "role": "viewer"})
    assert (again.status_code, again.json()["field"]) == (409, "name")
    revoked = await service.api.delete(f"/tokens/{first['token_id']}")
    assert revoked.json()["revoked_at"]
    assert (await service.api.delete(f"/tokens/{first['token_id']}")).json() == revoked.json()
    assert (await service.api.post("/tokens", json={"name": name, "role": "viewer"})).status_code == 201
    assert (await service.api.delete("/tokens/nobodys")).status_code == 404


async def test_the_history_says_whose_token_it_was_whatever_the_body_says(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    name = unique("desk")
    async with with_token(service, "operator", name=name) as api:
        assert (await api.post(f"/clients/{client_id}/suspend", json={"by": "the boss"})).status_code == 422
        answer = await api.post(f"/clients/{client_id}/suspend", json={"source": "security"})
        assert [(hold["source"], hold["by"]) for hold in answer.json()["holds"]] == [("security", name)]
        noted = await api.post(f"/clients/{client_id}/notes", json={"text": "seen"})
        assert noted.status_code < 300

    async def has_both_lines() -> bool:
        lines = [line for line in await service.history(client_id) if line["kind"] in ("suspend", "note")]
        return len({line["kind"] for line in lines}) == 2 and {line["by"] for line in lines} == {name}

    await eventually(has_both_lines)


async def test_a_token_ends_when_it_is_revoked_here_at_once_and_elsewhere_soon(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "REMEMBERED", 0.2)
    token = await made(service, "viewer")
    async with serving(create_app(service.clients, TOKEN)) as other, calling(other, token["token"]) as elsewhere:
        async with calling(service.url, token["token"]) as here:
            assert (await here.get("/sites")).status_code == (await elsewhere.get("/sites")).status_code == 200
            await service.api.delete(f"/tokens/{token['token_id']}")
            assert (await here.get("/sites")).status_code == 401

        async def over() -> bool:
            return (await elsewhere.get("/sites")).status_code == 401

        await eventually(over)


async def test_one_that_has_expired_is_none(service: Service) -> None:
    token = await made(service, "viewer", expires_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    async with service.directory() as connection:
        await connection.execute("UPDATE tokens SET expires_at = now() WHERE token_id = $1", token["token_id"])
    async with calling(service.url, token["token"]) as api:
        assert (await api.get("/sites")).status_code == 401


async def test_the_last_use_is_shown(service: Service) -> None:
    token = await made(service, "viewer")
    assert token["last_used_at"] is None
    async with calling(service.url, token["token"]) as api:
        await api.get("/sites")

    async def last_use_is_listed() -> bool:
        listed = (await service.api.get("/tokens")).json()["items"]
        return any(it["token_id"] == token["token_id"] and it["last_used_at"] for it in listed)

    await eventually(last_use_is_listed)


# -- a service's own ------------------------------------------------------------------------------------------------


async def test_a_service_places_and_lifts_its_own_holds_alone(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "suspend", source="security")
    async with with_token(service, sources=["Billing", "dunning"]) as api:
        held = await api.post(f"/clients/{client_id}/suspend", json={})
        assert {hold["source"] for hold in held.json()["holds"]} == {"security", "Billing"}, (
            "its first, if none is named"
        )
        assert (await api.post(f"/clients/{client_id}/suspend", json={"source": "BILLING"})).status_code < 300
        for source in ("security", "operator", "all", "other"):
            for command in ("suspend", "unsuspend"):
                for query in ({}, {"dry_run": "true"}):
                    refused = await api.post(f"/clients/{client_id}/{command}", json={"source": source}, params=query)
                    assert refused.status_code == 403, (source, command)
                    assert "Billing, dunning" in refused.json()["detail"]
        lifted = await api.post(f"/clients/{client_id}/unsuspend", json={"source": "billing"})
        assert {hold["source"] for hold in lifted.json()["holds"]} == {"security"}


async def test_a_service_cancels_and_replaces_its_own_plans_alone(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "suspend", last_day="2099-03-31", source="security")
    plan = (await service.client(client_id))["planned"][0]
    async with with_token(service, sources=["billing"]) as api:
        for change in (plan["change_id"], "suspend"):
            assert (await api.delete(f"/clients/{client_id}/planned/{change}")).status_code == 403
        replaced = await api.post(f"/clients/{client_id}/suspend", json={"last_day": "2099-01-01"})
        assert replaced.status_code == 403
        assert (await service.client(client_id))["planned"] == [plan]
        await service.api.delete(f"/clients/{client_id}/planned/suspend")
        own = await api.post(f"/clients/{client_id}/suspend", json={"last_day": "2099-01-01"})
        assert [it["details"] for it in own.json()["planned"]] == [{"source": "billing"}]
        moved = await api.post(f"/clients/{client_id}/suspend", json={"last_day": "2099-01-02"})
        assert moved.status_code < 300
        key = {"Idempotency-Key": unique("key")}
        assert (await api.delete(f"/clients/{client_id}/planned/suspend", headers=key)).json()["planned"] == []
        await service.post(client_id, "suspend", last_day="2099-03-31", source="security")
        again = await api.delete(f"/clients/{client_id}/planned/suspend", headers=key)
        assert (again.status_code < 300, again.json().get("changed")) == (True, True), "its first verdict stands"
        assert len((await service.client(client_id))["planned"]) == 1


async def test_a_clients_actions_are_those_of_the_caller(service: Service) -> None:
    client_id = (await service.create())["client_id"]

    async def possible(api: httpx2.AsyncClient) -> set[str]:
        actions = (await api.get(f"/clients/{client_id}")).json()["actions"]
        return {action["kind"] for action in actions if action["possible"]}

    every = await possible(service.api)
    async with with_token(service, "viewer") as viewer, with_token(service, "operator") as operator:
        assert await possible(viewer) == set()
        assert await possible(operator) == every
    async with with_token(service) as billing:
        assert await possible(billing) == every & {"suspend", "unsuspend", "cancel_planned"}


# -- the console ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def signed_in(service: Service, token: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with http_client(base_url=service.url, headers={"Accept": "text/html"}) as browser:
        entered = await browser.post("/sign-in", data={"token": token, "name": "The Boss"})
        assert entered.status_code == 303, entered.text
        yield browser


async def test_a_session_has_the_tokens_name_and_role_and_ends_with_it(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    token = await made(service, "operator", name=unique("desk"))
    async with signed_in(service, token["token"]) as browser:
        page = await browser.get(f"/clients/{client_id}")
        assert token["name"] in page.text
        assert "The Boss" not in page.text
        assert (await browser.post(f"/clients/{client_id}/notes", data={"text": "here"})).status_code == 303
        assert (await browser.get("/tokens")).status_code == 403
        assert (await browser.post(f"/clients/{client_id}/credentials")).status_code == 403
        feed = (await browser.get("/upcoming")).text.partition('data-key="/upcoming.ics')[2].partition('"')[0]
        address = "/upcoming.ics" + feed.replace("&amp;", "&")
        assert token["token_id"] in address
        async with http_client(base_url=service.url) as anybody:
            assert (await anybody.get(address)).status_code == 200
            await service.api.delete(f"/tokens/{token['token_id']}")
            assert (await anybody.get(address)).status_code == 404
        assert COOKIE in browser.cookies
        gone = await browser.get("/clients")
        assert (gone.status_code, gone.headers["Location"]) == (303, "/sign-in?next=/clients")
    [line] = [line for line in await service.history(client_id) if line["event"] == "noted"]
    assert line["by"] == token["name"]


async def test_the_page_shows_a_new_token_once_and_revokes_it_after_a_question(service: Service) -> None:
    async with signed_in(service, TOKEN) as browser:
        name = unique("crm")
        created = await browser.post("/tokens", data={"name": name, "role": "service", "sources": "billing, dunning"})
        text = created.text.partition('<code id="new-token">')[2].partition("<")[0]
        assert (created.status_code, text.startswith("connect_")) == (200, True), created.text
        again = await browser.get("/tokens")
        assert text not in again.text
        assert "billing, dunning" in again.text
        wrong = await browser.post("/tokens", data={"name": name, "role": "viewer"})
        assert (wrong.status_code, "There is a token" in wrong.text) == (409, True)
        token_id = text.split("_")[1]
        confirmation = await browser.get(f"/tokens/{token_id}/revoke")
        assert f"Revoke the token of {name}?" in confirmation.text
        async with calling(service.url, text) as api:
            assert (await api.get("/sites")).status_code == 200
            assert (await browser.post(f"/tokens/{token_id}/revoke")).status_code == 303
            assert (await api.get("/sites")).status_code == 401


# -- the command line -----------------------------------------------------------------------------------------------


async def test_the_command_line_makes_lists_and_revokes(terminal: Terminal, service: Service, tmp_path: Path) -> None:
    name = unique("crm")
    text = (await terminal.json("token", "create", name, "--role", "viewer", "--site", "thames"))["token"]
    [token] = [it for it in (await service.api.get("/tokens")).json()["items"] if it["name"] == name]
    assert token["sites"] == ["thames"]
    assert name in (await terminal.connect("token", "list")).out
    viewer = Terminal(tmp_path, {"CONNECT_URL": service.url, "CONNECT_TOKEN": text})
    refused = await viewer.connect("token", "list")
    assert (refused.status, "takes the role admin" in refused.err) == (1, True), refused
    assert "is revoked" in (await terminal.connect("token", "revoke", token["token_id"])).out
    gone = await viewer.connect("site", "list")
    assert (gone.status, "does not know this token" in gone.err) == (1, True), gone


async def test_a_guess_keeps_no_right_token_out(service: Service) -> None:
    token = await made(service, "viewer")
    async with serving(create_app(service.clients, TOKEN)) as url, http_client(base_url=url) as stranger:
        for _ in range(12):
            wrong = await stranger.post("/sign-in", data={"token": "wrong"}, headers={"Accept": "text/html"})
        assert wrong.status_code == 429
        async with signed_in(replace(service, url=url), token["token"]) as browser:
            assert (await browser.get("/clients")).status_code == 200


async def test_an_api_token_waits_for_the_directory_and_the_token_of_the_settings_does_not(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await made(service, "viewer")

    async def away(*_: object) -> None:
        raise DirectoryAway

    app = create_app(service.clients, TOKEN)
    found_by: Callers = app.state.callers
    monkeypatch.setattr(found_by._tokens, "caller", away)
    async with serving(app) as url, calling(url, token["token"]) as api, calling(url) as admin:
        answer = await api.get("/sites")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert (await admin.get("/sites")).status_code == 200
