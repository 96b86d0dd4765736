"""The API as the canary asks it: what is no answer of Connect's, and what has no time to wait."""

from collections.abc import Callable

import httpx2
import pytest

from activities.canary.api import Api, Refused
from activities.canary.judge import Facts, Stage, judge
from tests.support.waiting import HANGING

ANSWERS = {
    "a proxy's page": httpx2.Response(502, text="<html>Bad gateway"),
    "a proxy's document": httpx2.Response(502, json={"message": "no upstream"}),
    "a wall before it": httpx2.Response(403, json={"error": "forbidden"}),
    "a list": httpx2.Response(200, json=["up"]),
    "a list that is an error": httpx2.Response(500, json=["down"]),
    "a page": httpx2.Response(200, text="It works"),
    "a way elsewhere": httpx2.Response(302, json={}),
}


class Way(httpx2.AsyncBaseTransport):
    """The way to what answers there."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._answer(request)


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_is_not_connect_is_said_with_its_status_and_is_no_fault_of_the_settings(name: str) -> None:
    answer = ANSWERS[name]
    async with httpx2.AsyncClient(base_url="http://here", transport=Way(lambda _: answer)) as http:
        with pytest.raises(Refused) as refused:
            await Api(http, HANGING).get("/sites")
    verdict = judge(Facts(refusal=refused.value.refusal))
    assert verdict
    assert verdict.stage == Stage.API
    assert verdict.text.endswith(f"what answers at http://here, with {answer.status_code}, is not Connect")


async def test_what_the_api_refuses_is_said_in_its_words() -> None:
    problem = httpx2.Response(409, json={"title": "Number taken", "detail": "It belongs to acme.", "status": 409})
    async with httpx2.AsyncClient(base_url="http://here", transport=Way(lambda _: problem)) as http:
        with pytest.raises(Refused, match="It belongs to acme") as refused:
            await Api(http, HANGING).post("/clients", {})
    assert (refused.value.refusal.status, refused.value.refusal.title) == (409, "Number taken")


async def test_a_command_that_the_api_has_no_place_to_wait_for_is_looked_at_until_it_is_proven() -> None:
    states = ["changing", "changing", "settled"]
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx2.Response(202, json={"client_id": "connect-canary-york", "provisioning": states.pop(0)})

    async with httpx2.AsyncClient(base_url="http://here", transport=Way(answer)) as http:
        view = await Api(http, HANGING).post("/clients/connect-canary-york/suspend", {})
    assert view["provisioning"] == "settled"
    assert asked == [
        "POST /api/v1/clients/connect-canary-york/suspend",
        *["GET /api/v1/clients/connect-canary-york"] * 2,
    ]
