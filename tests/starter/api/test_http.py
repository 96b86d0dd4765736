"""Claims about the API as HTTP: who may, what is described, what is said when something is away."""

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import asyncpg
import httpx2
import jsonschema
import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.database import Database
from activities.settings import Settings
from starter.api import examples
from starter.app import create_app
from starter.clients import ClientService
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch
from starter.temporal.gateway import Gateway
from tests.support.service import LIMITS, TOKEN, Service, calling, serving, unique
from tests.support.waiting import free_port, http_client


@pytest_asyncio.fixture(scope="session")
async def anyone(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller without a token, at the root."""
    async with http_client(base_url=service.url) as caller:
        yield caller


# -- who -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xff"]
)
async def test_nothing_is_said_to_strangers(anyone: httpx2.AsyncClient, header: str) -> None:
    for method, path in (("GET", "sites"), ("GET", "clients"), ("POST", "clients"), ("GET", "no-such-route")):
        answer = await anyone.request(
            method, f"/api/v1/{path}", headers={b"Authorization": header.encode("latin-1")}, content=b"{not json"
        )
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["title"] == "Not signed in"


async def test_the_name_of_the_scheme_may_be_written_in_any_case(anyone: httpx2.AsyncClient) -> None:
    answer = await anyone.get("/api/v1/sites", headers={"Authorization": f"bearer {TOKEN}"})
    assert answer.status_code == 200


async def test_health_is_told_to_anyone(anyone: httpx2.AsyncClient) -> None:
    assert (await anyone.get("/healthz")).json() == {"alive": True}
    assert (await anyone.get("/readyz")).json() == {"ready": True}


# -- what HTTP says ------------------------------------------------------------------------------------------------


async def test_a_wrong_route_and_a_wrong_method_are_problems_too(api: httpx2.AsyncClient) -> None:
    unknown = await api.get("/rooms")
    assert (unknown.status_code, unknown.headers["Content-Type"]) == (404, "application/problem+json")
    wrong = await api.put("/sites", json={})
    assert (wrong.status_code, wrong.json()["status"]) == (405, 405)
    assert wrong.headers["Allow"]


async def test_every_answer_tells_browsers_what_it_may_do(anyone: httpx2.AsyncClient) -> None:
    for path in ("/docs", "/healthz", "/api/v1/sites", "/no-such-page"):
        headers = (await anyone.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]


# -- what is described ---------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="session")
async def document(anyone: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await anyone.get("/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"})
    found: dict[str, Any] = answer.json()
    return found


async def test_every_route_is_described_with_its_errors(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            if path.startswith("/api/"):
                assert {"401", "503"} <= operation["responses"].keys()
                assert operation["security"]
            if "{client_id}" in path:
                assert "404" in operation["responses"]
            for status, answer in operation["responses"].items():
                kinds = ["application/json"] if int(status) < 400 else ["application/problem+json"]
                kinds += ["text/event-stream"] if (path, status) == ("/api/v1/events", "200") else []
                assert [*answer.get("content", ())] == ([] if status == "304" else kinds), (method, path, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_what_is_about_systems_is_one_chapter(document: dict[str, Any]) -> None:
    chapter = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
        if operation["tags"][0] == "systems"
    }
    assert chapter == {"list_systems", "list_attention", "retry_system", "skip_system", "mark_system_done"}


async def test_every_example_is_valid(document: dict[str, Any]) -> None:
    checked = 0
    for schema, example in _examples(document):
        jsonschema.validate(example, {**schema, "components": document["components"]})
        checked += 1
    assert checked > 40


def _examples(document: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    found = [(document["components"]["schemas"][name], example) for name, example in examples.ANSWERS.items()]
    for operations in document["paths"].values():
        for operation in operations.values():
            contents = [answer.get("content", {}) for answer in operation["responses"].values()]
            contents += [operation["requestBody"]["content"]] if "requestBody" in operation else []
            for content in (media for kinds in contents for media in kinds.values()):
                values = [example["value"] for example in content.get("examples", {}).values()]
                values += [content["example"]] if "example" in content else []
                found += [(content["schema"], example) for example in values]
    return found


class _Links(HTMLParser):
    """Where a page leads, and the anchors it has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name == "id" and value:
                self.anchors.add(value)


async def test_the_reference_needs_no_other_host_and_explains_every_problem(
    anyone: httpx2.AsyncClient, document: dict[str, Any], service: Service
) -> None:
    known = {"Authorization": f"Bearer {TOKEN}"}
    home = await anyone.get("/docs", headers=known)
    assert home.status_code == 200
    page = _Links()
    page.feed(home.text)
    assert "script" not in page.tags
    assert all(link.startswith(("/", "#")) for link in page.links), page.links
    assert (await anyone.get("/docs.css", headers=known)).headers["Content-Type"].startswith("text/css")
    assert {"sites", "clients", "commands", "systems", "health", "problems"} <= page.anchors, "its chapters"
    for operations in document["paths"].values():
        assert {operation["operationId"] for operation in operations.values()} <= page.anchors
    client_id = (await service.create())["client_id"]
    for problem in (
        (await service.api.get("/clients/nobody-here")).json(),
        (await service.api.post("/sites", json={})).json(),
        (await service.post(client_id, "suspend", last_day="2000-01-01")).json(),
    ):
        assert problem["type"].removeprefix("/docs#") in page.anchors


# -- what is away --------------------------------------------------------------------------------------------------


async def test_temporal_away_is_said_and_lists_still_work(service: Service) -> None:
    nowhere = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True, data_converter=pydantic_data_converter)
    client_id = (await service.create())["client_id"]
    clients = ClientService(Gateway(nowhere), service.clients.directory, service.clients.watch, LIMITS)
    async with serving(create_app(clients, TOKEN)) as url, calling(url) as api:
        body = {"name": "Acme", "type": "virtual", "site": "thames"}
        for answer in (
            await api.post("/clients", json=body),
            await api.get(f"/clients/{client_id}"),
            await api.post(f"/clients/{client_id}/suspend"),
            await api.get(f"{url}/readyz"),
        ):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), answer.text
            assert "Temporal cannot be reached" in answer.json()["detail"]
        assert (await api.get("/clients")).status_code == 200
        assert (await api.get(f"{url}/healthz")).status_code == 200


async def test_no_worker_is_said_with_how_to_repeat_the_command(service: Service) -> None:
    other = await Client.connect(
        service.temporal.service_client.config.target_host, namespace="default", data_converter=pydantic_data_converter
    )
    client_id, key = unique("orphan"), unique("key")
    await other.start_workflow("ClientLifecycle", id=f"client-{client_id}", task_queue="nobody-works-here")
    clients = ClientService(
        Gateway(other, patience=0.5, timeout=0.5), service.clients.directory, service.clients.watch, LIMITS
    )
    async with serving(create_app(clients, TOKEN)) as url, calling(url) as api:
        answer = await api.post(f"/clients/{client_id}/suspend", headers={"Idempotency-Key": key})
        assert answer.status_code == 503, answer.text
        assert "Is a worker running?" in answer.json()["detail"]
        assert key in answer.json()["detail"]
        assert (await api.get(f"/clients/{client_id}")).status_code == 503
    await other.get_workflow_handle(f"client-{client_id}").terminate()


async def test_the_directory_away_is_said_and_commands_still_work(service: Service, settings: Settings) -> None:
    client_id = (await service.create())["client_id"]
    dsn = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    async with Database("directory", dsn, settings) as nowhere:
        clients = ClientService(service.clients.gateway, DirectoryReads(nowhere), Watch(dsn), LIMITS)
        async with serving(create_app(clients, TOKEN)) as url, calling(url) as api:
            for answer in (
                await api.get("/clients"),
                await api.get("/sites"),
                await api.get(f"/clients/{client_id}/history"),
                await api.post("/clients", json={"name": "Acme", "type": "virtual", "site": "thames"}),
                await api.get("/clients/nobody-here"),
                await api.get(f"{url}/readyz"),
            ):
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), answer.text
                assert "directory" in answer.json()["detail"]
            suspended = await api.post(f"/clients/{client_id}/suspend", headers={"Prefer": "wait=1"})
            assert (suspended.status_code, suspended.json()["status"]) == (202, "suspended")
            refused = await api.post(f"/clients/{client_id}/activate")
            assert refused.status_code == 409
            assert (await api.get(f"/clients/{client_id}")).json()["status"] == "suspended"


async def test_a_directory_without_tables_says_what_to_do(service: Service, settings: Settings, postgres: Any) -> None:
    await postgres.ensure_database("bare")
    async with Database("directory", postgres.dsn("bare"), settings) as bare:
        clients = ClientService(service.clients.gateway, DirectoryReads(bare), service.clients.watch, LIMITS)
        async with serving(create_app(clients, TOKEN)) as url, calling(url) as api:
            answer = await api.get(f"{url}/readyz")
            assert answer.status_code == 503
            assert "connect migrate" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("damage", "repair", "detail"),
    [
        (
            "ALTER ROLE reader SET default_transaction_read_only = on",
            "ALTER ROLE reader RESET default_transaction_read_only",
            "It is a standby, or default_transaction_read_only is on",
        ),
        ("REVOKE INSERT ON sites FROM reader", "GRANT INSERT ON sites TO reader", "permission denied for table sites"),
        (
            "ALTER TABLE sites ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE sites DISABLE ROW LEVEL SECURITY",
            "row-level security",
        ),
    ],
)
async def test_a_directory_that_takes_no_write_is_not_ready_and_says_why(
    service: Service, settings: Settings, postgres: Any, damage: str, repair: str, detail: str
) -> None:
    dsn = settings.directory_dsn.get_secret_value().replace("//postgres:", "//reader:")
    admin = await asyncpg.connect(settings.directory_dsn.get_secret_value())
    await admin.execute("CREATE ROLE reader LOGIN PASSWORD 'secret'; GRANT SELECT, INSERT ON sites TO reader")
    try:
        async with Database("directory", dsn, settings) as directory:
            clients = ClientService(service.clients.gateway, DirectoryReads(directory), service.clients.watch, LIMITS)
            async with serving(create_app(clients, TOKEN)) as url, calling(url) as api:
                assert (await api.get(f"{url}/readyz")).json() == {"ready": True}
                await admin.execute(damage)
                await directory._expire()
                answer = await api.get(f"{url}/readyz")
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
                assert detail in answer.json()["detail"]
                assert "cannot be reached" not in answer.json()["detail"]
                await admin.execute(repair)
                assert (await api.get(f"{url}/readyz")).json() == {"ready": True}
    finally:
        await admin.execute("DROP OWNED BY reader; DROP ROLE reader")
        await admin.close()
