"""Claims about the MCP endpoint, as the protocol's own client sees it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jsonschema
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from starter.api.assistants import CHECK, NOT_SENDABLE, TAG, tools
from tests.architecture.shapes import document
from tests.support.service import TOKEN, Service, unique
from tests.support.waiting import http_client


@asynccontextmanager
async def assistant(service: Service, token: str = TOKEN) -> AsyncIterator[ClientSession]:
    """A session of an assistant who has this token."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        http_client(headers=headers) as http,
        streamable_http_client(f"{service.url}/api/v1/mcp", http_client=http) as (read, write, *_),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


async def test_an_assistant_reads_and_is_told_what_is_wrong(service: Service) -> None:
    client = await service.create(unique("Asked"))
    async with assistant(service) as session:
        answer = await session.call_tool("show_client", {"client_id": client["client_id"]})
        listed = await session.call_tool("list_clients", {"q": client["name"]})
        nobody = await session.call_tool("show_client", {"client_id": "nobody"})
        without = await session.call_tool("show_client", {})
        no_tool = await session.call_tool("suspend_client", {"client_id": client["client_id"]})
    assert answer.structured_content == await service.client(client["client_id"])
    assert [it["client_id"] for it in (listed.structured_content or {})["items"]] == [client["client_id"]]
    assert [(it.is_error, text(it)) for it in (nobody, without, no_tool)] == [
        (True, "There is no client nobody. Look for it in the list of clients."),
        (True, "client_id is missing. Give it."),
        (True, "There is no tool suspend_client."),
    ]


async def test_an_assistant_sees_what_a_command_would_do_and_nothing_is_changed(service: Service) -> None:
    client = await service.create(unique("Tried"))
    before = await service.client(client["client_id"])
    async with assistant(service) as session:
        arguments = {"client_id": client["client_id"], "source": "billing"}
        answers = [
            await session.call_tool("check_suspend_client", {**arguments, "dry_run": no}) for no in (False, "false")
        ]
        preview = await session.call_tool("check_suspend_client", arguments)
    assert [it.is_error for it in answers] == [True, True], "no argument makes it a command"
    assert (preview.structured_content or {})["status_after"] == "suspended"
    assert await service.client(client["client_id"]) == before


async def test_every_tool_reads_or_is_a_dry_run_and_says_what_it_takes(service: Service) -> None:
    async with assistant(service) as session:
        listed = (await session.list_tools()).tools
    api = document()
    operations = [operation for path in api["paths"].values() for operation in path.values()]
    tagged = {it["operationId"] for it in operations if TAG in it.get("tags", ())}
    assert {tool.name.removeprefix(CHECK) for tool in listed} == tagged
    assert {"list_clients", "check_convert_client", "list_matters"} <= {tool.name for tool in listed}
    assert not tagged & {"show_credentials", "create_client", "create_token", "list_tokens"}
    for tool in listed:
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint


def test_a_tool_that_does_not_only_read_is_sent_as_a_dry_run() -> None:
    api = document()
    for name, tool in tools(api).items():
        operation = api["paths"][tool.path][tool.method.lower()]
        assert tool.method == "GET" or "dry_run" in {it["name"] for it in operation["parameters"]}, name
        arguments = dict.fromkeys(tool.where, "x") | {"unknown": "x"}
        request = tool.request(arguments)
        assert request["params"] == {"dry_run": "true"} or request["method"] == "GET", name


@pytest.mark.parametrize("token", ["none", "another"])
async def test_nobody_without_a_token_gets_an_answer(service: Service, token: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with http_client() as http:
        headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
        answer = await http.post(f"{service.url}/api/v1/mcp", json=body, headers=headers)
        assert answer.status_code == 401
        foreign = headers | {"Authorization": f"Bearer {TOKEN}", "Sec-Fetch-Site": "cross-site"}
        assert (await http.post(f"{service.url}/api/v1/mcp", json=body, headers=foreign)).status_code == 403


def text(result: Any) -> str:
    """What a tool answered, for people."""
    (content,) = result.content
    words: str = content.text
    return words


async def test_what_cannot_be_sent_is_said(service: Service) -> None:
    too_long = "é" * 20_000
    async with assistant(service) as session:
        answers = [
            await session.call_tool("show_client", {"client_id": too_long}),
            await session.call_tool("list_clients", {"q": too_long}),
            await session.call_tool("list_clients", {"q": 10**400}),
        ]
    assert [it.is_error for it in answers] == [True] * 3
    assert text(answers[0]) == NOT_SENDABLE
    for content in (b" " * (64 * 1024 + 1), b'{"jsonrpc": "2.0", "x": "' + b"x" * 70_000 + b'"}'):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        refused = await service.api.post("/mcp", content=content, headers=headers)
        assert (refused.status_code, "64 KiB" in refused.json()["detail"]) == (422, True)
    for arguments in ({"q": "\udfff"}, {"client": "\udfff", "limit": float("nan")}):
        params = {"name": "list_clients", "arguments": arguments}
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        assert (await service.api.post("/mcp", content=call, headers=headers)).status_code < 500
