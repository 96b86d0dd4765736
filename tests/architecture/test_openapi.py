"""Claims about the contract of the API: who was written against the last release goes on working."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from starter.app import create_app
from tests.architecture.openapi import breaks

RELEASED = Path(__file__).parents[2] / "docs" / "openapi-0.1.0.json"


@pytest.fixture(scope="module")
def old() -> dict[str, Any]:
    """The document of the last release."""
    document: dict[str, Any] = json.loads(RELEASED.read_text(encoding="utf-8"))
    return document


def test_nothing_that_the_last_release_promised_is_broken(old: dict[str, Any]) -> None:
    clients = SimpleNamespace(directory=SimpleNamespace(database=None))
    found = breaks(old, create_app(cast("Any", clients), "token").openapi())
    assert not found, "\n".join(found)


def test_a_document_breaks_nothing_of_itself(old: dict[str, Any]) -> None:
    assert breaks(old, old) == []


@pytest.mark.parametrize(
    ("path", "value", "broken"),
    [
        (("paths", "/api/v1/matters"), None, "GET /api/v1/matters is gone"),
        (("paths", "/api/v1/clients", "post", "responses", "409"), None, "POST /api/v1/clients: 409 is not described"),
        (("components", "schemas", "ClientGiven", "properties", "billing_ref"), None, "body.billing_ref is gone"),
        (("components", "schemas", "ClientGiven", "required"), ["name", "type", "site", "start_date"], "start_date is"),
        (("components", "schemas", "ClientView", "properties", "holds"), None, ".holds is gone"),
        (("components", "schemas", "ClientView", "required"), ["client_id"], "name may be missing now"),
        (
            ("components", "schemas", "SiteGiven", "properties", "name"),
            {"type": "integer"},
            "body.name: string is gone",
        ),
        (("components", "schemas", "ClientType", "enum"), ["virtual"], "residential is not allowed any more"),
        (("components", "schemas", "SiteGiven", "properties", "name", "maxLength"), 3, "body.name: maxLength is 3 now"),
        (
            ("components", "schemas", "ClientView", "properties", "name"),
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            ".name: it may be null now",
        ),
        (
            ("components", "schemas", "InternetGiven", "properties", "down_mbps", "minimum"),
            50,
            ".down_mbps: minimum is 50 now",
        ),
        (
            ("paths", "/api/v1/clients", "post", "responses", "201", "content"),
            {"text/csv": {}},
            "201 is not application/json any more",
        ),
    ],
    ids=[
        *("a route", "a status", "a field", "a new duty", "an answer", "not always there", "a type", "a word"),
        *("a length", "a null", "a number", "a form of answers"),
    ],
)
def test_what_is_taken_away_is_found(old: dict[str, Any], path: tuple[str, ...], value: Any, broken: str) -> None:
    new = copy.deepcopy(old)
    place = new
    for name in path[:-1]:
        place = place[name]
    assert path[-1] in place
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    found = breaks(old, new)
    assert any(broken in one for one in found), found


def test_a_new_duty_of_a_request_is_found_wherever_it_is(old: dict[str, Any]) -> None:
    new, lax = copy.deepcopy(old), copy.deepcopy(old)
    listing = new["paths"]["/api/v1/clients"]["get"]["parameters"]
    gone = listing.pop()["name"]
    listing[0]["required"] = True
    new["paths"]["/api/v1/clients/{client_id}/suspend"]["post"]["requestBody"]["required"] = True
    del new["paths"]["/api/v1/sites"]["post"]["requestBody"]
    assert breaks(old, new) == [
        f"GET /api/v1/clients: {gone.lower()} is gone",
        f"GET /api/v1/clients: {listing[0]['name'].lower()} is required now",
        "POST /api/v1/clients/{client_id}/suspend: a body is required now",
        "POST /api/v1/sites: it takes no body any more",
    ]
    del lax["components"]["schemas"]["ClientGiven"]["additionalProperties"]
    assert breaks(lax, old) == ["POST /api/v1/clients: body: unknown fields are refused now"]


def test_what_is_added_breaks_nobody(old: dict[str, Any]) -> None:
    new = copy.deepcopy(old)
    schemas = new["components"]["schemas"]
    schemas["ClientView"]["properties"]["tags"] = {"type": "array", "items": {"type": "string"}}
    schemas["ClientView"]["required"].append("tags")
    schemas["ClientGiven"]["properties"]["tags"] = {"type": "array", "items": {"type": "string"}}
    new["paths"]["/api/v1/notes"] = {"get": {"responses": {}}}
    assert breaks(old, new) == []
