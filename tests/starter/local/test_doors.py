"""The demonstration's doors speak the JSON protocol, and go on from what they were told."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.doors import doors
from tests.support.waiting import HANGING, free_port

OPEN = {"in_service": True, "settings": {"card": "0472"}}
SHUT = {"in_service": False, "settings": {}}


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[httpx2.Client]:
    with doors(tmp_path, free_port()) as caller:
        yield caller


def change(caller: httpx2.Client, revision: int, client_id: str = "acme", **doors: Any) -> httpx2.Response:
    body = {"revision": revision, "secret_version": 1, "secrets": {}, "services": doors}
    return caller.put(f"/clients/{client_id}/services", json=body)


def look(caller: httpx2.Client, *names: str, client_id: str = "acme") -> list[dict[str, Any]]:
    answer = caller.get("/services", params={"client_id": client_id, "name": list(names)})
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_change_is_read_back_by_client_and_name(caller: httpx2.Client) -> None:
    answer = change(caller, 2, garage=OPEN)
    assert (answer.status_code, answer.json()) == (200, {"refused": {}, "needs_secret": []})
    change(caller, 2, "beacon", garage=SHUT | {"in_service": True})
    opened = {"name": "garage", "client_id": "acme", "alive": 0, **OPEN}
    assert look(caller, "garage", "yard") == [opened, {"name": "yard", "known": False}]
    change(caller, 3, garage=SHUT)
    assert [item["in_service"] for item in look(caller, "garage")] == [False]
    assert [item["in_service"] for item in look(caller, "garage", client_id="beacon")] == [True]


def test_an_older_revision_changes_nothing(caller: httpx2.Client) -> None:
    change(caller, 5, garage=OPEN)
    late = change(caller, 4, garage=SHUT)
    assert (late.status_code, late.json()) == (409, {"newest": 5})
    assert change(caller, 5, garage=OPEN).status_code == 200
    assert [item["in_service"] for item in look(caller, "garage")] == [True]


def test_what_is_wanted_off_and_is_unknown_is_left_alone(caller: httpx2.Client) -> None:
    assert change(caller, 2, garage=SHUT).status_code == 200
    assert look(caller, "garage") == [{"name": "garage", "known": False}]


def test_a_second_start_goes_on(tmp_path: Path) -> None:
    with doors(tmp_path, free_port()) as caller:
        change(caller, 5, garage=OPEN)
    with doors(tmp_path, free_port()) as caller:
        assert [item["settings"] for item in look(caller, "garage")] == [{"card": "0472"}]
        assert change(caller, 4, garage=SHUT).status_code == 409
    assert (tmp_path / "doors.json").stat().st_mode & 0o077 == 0
    assert json.loads((tmp_path / "doors.json").read_text(encoding="utf-8"))["newest"] == {"acme": 5}


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/services?client_id=acme", {"headers": {"Authorization": "Bearer another"}}, 401),
        ("GET", "/services?client_id=acme", {"headers": {"Authorization": ""}}, 401),
        ("GET", "/services", {}, 404),
        ("GET", "/../../etc/passwd", {}, 404),
        ("PUT", "/clients/acme/lines", {"json": {}}, 404),
        ("PUT", "/clients/acme/services", {"json": {"revision": 1}}, 422),
        ("PUT", "/clients/acme/services", {"content": b"\xff"}, 422),
    ],
)
def test_what_is_not_of_the_protocol_is_refused_with_why(
    caller: httpx2.Client, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    answer = caller.request(method, path, **more)
    assert answer.status_code == status
    assert answer.json()["why"]
    assert look(caller, "garage") == [{"name": "garage", "known": False}]


def test_a_body_that_is_too_large_is_not_read(caller: httpx2.Client) -> None:
    connection = HTTPConnection("127.0.0.1", caller.base_url.port, timeout=HANGING)
    connection.putrequest("PUT", "/v1/clients/acme/services")
    connection.putheader("Content-Length", "1048577")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Connection")) == (413, "close")
    connection.close()
