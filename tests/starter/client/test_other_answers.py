"""Claims about answers that are none of Connect's: every method of the Python client says so, and what was wrong."""

from typing import Any

import httpx2
import pytest

from starter.client import NotConnect, Refused
from tests.starter.client.test_connect import CALLS, LISTS, Time, Wire, connected, never


@pytest.mark.parametrize("name", [*CALLS, *LISTS])
@pytest.mark.parametrize(("document", "why"), [({"status": "ok"}, "has no "), ([], "no JSON object")])
async def test_json_of_another_service_is_no_answer(name: str, document: Any, why: str) -> None:
    """As a proxy answers that serves something else there: with 200."""
    async with connected(Wire(never, [httpx2.Response(200, json=document)]), Time()) as connect:
        called = CALLS[name](connect) if name in CALLS else anext(LISTS[name](connect))
        with pytest.raises(NotConnect, match=why):
            await called


async def test_items_that_are_no_list_are_no_answer() -> None:
    answer = httpx2.Response(200, json={"items": {"total": 3}, "next": None})
    async with connected(Wire(never, [answer]), Time()) as connect:
        with pytest.raises(NotConnect, match="items"):
            await anext(connect.clients())


def test_an_error_in_words_like_ours_has_no_commands_that_are_not_a_list() -> None:
    assert Refused(409, {"detail": "Conflict", "allowed": 3}).allowed == []
    assert Refused(409, {"detail": "Conflict", "allowed": ["suspend"]}).allowed == ["suspend"]
