"""Whatever is sent, the API answers as it describes itself, and never breaks."""

import asyncio
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
)
from schemathesis.specs.openapi.checks import status_code_conformance as described_status

from starter.contract.callers import Role
from starter.web.http_protocol import LARGEST_HEAD
from tests.support.service import TOKEN, Service, unique

POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
NOT_THE_BODYS_FAULT = {500, 502, 503, 504}

bounded = settings(
    derandomize=True,  # the same requests every time
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(("mode", "examples"), [(POSITIVE, 10), (NEGATIVE, 5)])
async def test_no_request_breaks_the_api(service: Service, mode: GenerationMode, examples: int) -> None:
    await _fuzz(service, mode, [TOKEN], examples)


@pytest.mark.parametrize("mode", [POSITIVE, NEGATIVE])
async def test_no_request_of_another_role_breaks_the_api(service: Service, mode: GenerationMode) -> None:
    """Each is sent by every role, for all sites and for one alone, of which the client is not."""
    site, tokens = await service.site(), list[str]()
    for role, sites in product([role for role in Role if role is not Role.ADMIN], (None, [site])):
        token = await service.api.post("/tokens", json={"name": unique("fuzz"), "role": role, "sites": sites})
        assert token.status_code == 201, token.text
        tokens.append(token.json()["token"])
    await _fuzz(service, mode, tokens, 1)


async def _fuzz(service: Service, mode: GenerationMode, tokens: list[str], examples: int) -> None:
    """Send each request with each of the tokens. The document says nothing of tokens then: ours would take the place of
    what is wrong of a request. (Without one nobody is served: tests/starter/console/test_safety.py.)"""
    client_id = (await service.create(name="Fuzzed"))["client_id"]
    document = (await service.api.get(f"{service.url}/openapi.json")).json()
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    await asyncio.to_thread(_send_all, document, service.url, client_id, mode, tokens, examples)


def _send_all(
    document: dict[str, Any], url: str, client_id: str, mode: GenerationMode, tokens: list[str], examples: int
) -> None:
    api = schemathesis.openapi.from_dict(document)
    for found in api.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        where: dict[str, Any] = {"client_id": client_id} if "{client_id}" in operation.path else {}
        requests = operation.as_strategy(generation_mode=mode, path_parameters=where or None)

        @settings(bounded, max_examples=examples)
        @given(case=requests)
        def answers_as_described(case: schemathesis.Case[Any]) -> None:
            for patience in {"wait"} & case.query.keys():  # nothing happens meanwhile that it would be told of
                case.query[patience] = 0
            if "wait" in case.headers.get("Prefer", ""):
                case.headers["Prefer"] = "wait=0"
            for token in tokens:
                _send(case, url, token)

        with suppress(Unsatisfiable):  # a request with nothing in it cannot be wrong
            answers_as_described()


def _send(case: schemathesis.Case[Any], url: str, token: str) -> None:
    answer = case.call(base_url=url, headers={"Authorization": f"Bearer {token}"})
    if answer.status_code == 431:  # the server's, before the API hears of it; rightly?
        sent = answer.request
        assert len(str(sent.url)) + sum(map(len, map(str, sent.headers.items()))) > LARGEST_HEAD
        return
    assert answer.status_code not in NOT_THE_BODYS_FAULT, answer.text
    checks = [described_status, content_type_conformance, response_schema_conformance, negative_data_rejection]
    case.validate_response(answer, checks=checks)
