"""Claims about requests that say something else than their sender means: nothing is left out without a word."""

from typing import Any

import httpx2
import pytest

from starter.app import create_app
from starter.web.roles import TABLE
from starter.web.strict import read_json
from tests.support.service import SITE, Service, unique

API = "/api/v1"
AS_JSON = {"Content-Type": "application/json"}
PLACES = {"client_id": "none", "site_id": "none", "system": "telephony", "change:path": "suspend", "token_id": "none"}
PLACES |= {"matter:path": "none", "webhook_id": "none"}
ROUTES = [route.split(f" {API}", 1) for route in TABLE if f" {API}/" in route and not route.startswith("GET")]

UNREADABLE: dict[str, tuple[bytes, str]] = {
    "a name twice": (b'{"source": "a", "source": "b"}', "source is twice in one object"),
    "a name twice, spelt otherwise": (b'{"source": "a", "sourc\\u0065": "a"}', "source is twice"),
    "a name twice further in": (b'{"add_lines": [{"number": 1, "number": 1}]}', "number is twice"),
    "a number of 5,000 digits": (b'{"reason": %b}' % (b"9" * 5000), "too many digits"),
    "deep lists": (b"[" * 60_000, "nested too deeply"),
    "deep objects": (b'{"a":' * 12_000, "nested too deeply"),
    "Latin-1": ('{"reason": "caf\u00e9"}'.encode("latin-1"), "not encoded as UTF-8"),
    "UTF-16": ('{"reason": "caf\u00e9"}'.encode("utf-16"), "not encoded as UTF-8"),
    "half a text": (b'{"reason": "', "Unterminated string"),
}


def address(path: str) -> str:
    for name, value in PLACES.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, "what is to stand there?"
    return path


@pytest.mark.parametrize(("method", "path"), ROUTES, ids="".join)
async def test_every_route_that_changes_something_refuses_a_parameter_that_it_does_not_take(
    api: httpx2.AsyncClient, method: str, path: str
) -> None:
    """Before anything else is said: a command would be done, though its sender asked for a dry run."""
    answer = await api.request(method, address(path), params={"dryrun": "true"}, json={})
    assert (answer.status_code, answer.json().get("field")) == (422, "dryrun"), answer.text
    assert answer.json()["detail"] == "There is no parameter dryrun. Leave it out, or correct its name."


async def test_every_parameter_that_is_described_is_taken_and_only_once(service: Service) -> None:
    tried = 0
    for path, operations in create_app(service.clients, "token").openapi()["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query" and path.startswith(API):
                    tried += 1
                    name, url = parameter["name"], path.removeprefix(API).format(**PLACES, change="x", matter="x")
                    for times in (1, 2):
                        answer = await service.api.request(method, url, params=[(name, "\0")] * times, json={})
                        detail = answer.json()["detail"]
                        assert "There is no parameter" not in detail, (method, path)
                        assert ("more than once. Give it once." in detail) == (times == 2), (method, path, detail)
    assert tried > 40


@pytest.mark.parametrize(("method", "path"), [("GET", "/sites"), ("GET", "/clients"), ("POST", "/sites")])
async def test_of_a_long_parameter_little_is_repeated(api: httpx2.AsyncClient, method: str, path: str) -> None:
    answer = await api.request(method, path, params=[("x" * 5000, "1")] * 2, json={})
    assert (answer.status_code, len(answer.content) < 1000) == (422, True), answer.text[:300]


async def test_who_reads_any_list_page_by_page_is_answered_where_there_is_one_page_alone(
    api: httpx2.AsyncClient,
) -> None:
    for path in ("sites", "systems", "tokens", "webhooks"):
        assert (await api.get(f"/{path}", params={"limit": 1, "cursor": ""})).json()["next"] is None


async def test_nothing_is_done_for_who_says_nearly_that_it_is_a_trial(service: Service) -> None:
    client_id, site_id = (await service.create())["client_id"], unique("dry")
    path = f"/clients/{client_id}/suspend"
    for query in ("dryrun=true", "dry_run=true&dry_run=false", "dry_run=false&dry_run=true", "Dry_Run=true"):
        assert (await service.api.post(f"{path}?{query}", json={})).status_code == 422
    site = {"site_id": site_id, "name": "Dry", "timezone": "Europe/London"}
    client = {"client_id": site_id, "name": "Dry", "type": "virtual", "site": SITE}
    for route, new in (("sites", site), ("clients", client)):
        refused = await service.api.post(f"/{route}?dry_run=true", json=new)
        assert (refused.status_code, refused.json()["field"]) == (422, "dry_run")
    assert (await service.client(client_id))["status"] == "active"
    assert site_id not in [it["site_id"] for it in (await service.api.get("/sites")).json()["items"]]
    assert (await service.api.get(f"/clients/{site_id}")).status_code == 404


@pytest.mark.parametrize("what", UNREADABLE)
async def test_a_body_that_can_be_read_in_two_ways_or_in_none_is_refused_in_words(
    api: httpx2.AsyncClient, what: str
) -> None:
    body, why = UNREADABLE[what]
    answer = await api.post("/clients/none/suspend", content=body, headers=AS_JSON)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert answer.json()["detail"].startswith("The body is not JSON: ")
    assert why in answer.json()["detail"]
    assert answer.json()["detail"].endswith(". Correct it.")


async def test_every_route_with_a_body_reads_it_so(service: Service) -> None:
    described: dict[str, Any] = create_app(service.clients, "token").openapi()["paths"]
    tried = 0
    for path, operations in described.items():
        for method, operation in operations.items():
            if "requestBody" in operation and path.startswith(API):
                tried += 1
                url = path.removeprefix(API).format(**PLACES, change="x", matter="x")
                answer = await service.api.request(method, url, content=b'{"a": 1, "a": 1}', headers=AS_JSON)
                assert "a is twice in one object" in answer.json()["detail"], (method, path, answer.text)
    assert tried > 20


def test_what_is_json_is_read_as_it_is() -> None:
    """With a byte order mark, too, which some programs of Windows put before it."""
    assert read_json(b'\xef\xbb\xbf{"a": [1, -2.5e3, {"a": "\\u00e9\xc3\xa9", "b": null}], "b": true}') == {
        "a": [1, -2500.0, {"a": "\u00e9\u00e9", "b": None}],
        "b": True,
    }


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("PUT", "/api/v1/clients", "GET, POST"),
        ("DELETE", "/api/v1/clients/none", "GET, PATCH"),
        ("HEAD", "/api/v1/webhooks/none", "DELETE, GET, PATCH"),
        ("OPTIONS", "/api/v1/clients/none/planned/suspend", "DELETE"),
        ("POST", "/static/console.css", "GET, HEAD"),
    ],
)
async def test_who_sends_another_method_is_told_all_that_the_address_takes(
    service: Service, method: str, path: str, takes: str
) -> None:
    answer = await service.api.request(method, service.url + path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, takes)
    if method != "HEAD":
        assert answer.json()["detail"].endswith(f"Send one of these: {takes}.")


async def test_who_sends_to_no_address_is_told_where_to_look(api: httpx2.AsyncClient) -> None:
    for path in ("/rooms", "/clients/", "/clients/a/b/c", "//clients", ""):
        answer = await api.get(str(api.base_url).rstrip("/") + path)
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "There is nothing at this address. /openapi.json lists what there is.",
        ), path
