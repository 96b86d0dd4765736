"""Whatever stands in an address in the place of an id: it is no mistake of ours."""

import re
from typing import Any

import pytest

from starter.web.roles import TABLE
from tests.support.service import Service
from tests.support.waiting import http_client

STREAMS = {"GET /live"}


@pytest.mark.parametrize(
    "text", ["%00", "a%00b", "%ff", "%E2%80%AE", "x" * 300, "..%2F..", "%0A", "%D9%A1", "-1", "9" * 30]
)
async def test_no_address_is_a_mistake_of_ours(service: Service, text: str) -> None:
    broken = {}
    async with http_client(base_url=service.url, headers=service.api.headers) as caller:
        for route in sorted({*TABLE} - STREAMS):
            method, path = route.split(" ", 1)
            if "{" not in path:
                continue
            address = re.sub(r"\{[^}]*\}", text, path)
            for accept in ("text/html", "application/json"):
                body: dict[str, Any] = {"json": {}} if path.startswith("/api/") and method in ("POST", "PATCH") else {}
                answer = await caller.request(method, address, headers={"Accept": accept}, **body)
                if answer.status_code >= 500:
                    broken[route, accept] = answer.text[:200]
    assert not broken
