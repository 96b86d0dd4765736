"""Whatever is sent, the API answers as it describes itself, and never breaks."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation
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

NOT_THE_BODYS_FAULT = {500, 502, 503, 504}

bounded = settings(
    derandomize=True,  # the same requests every time
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_no_request_breaks_the_api(service: Service, mode: GenerationMode) -> None:
    client_id = (await service.create(name="Fuzzed"))["client_id"]
    await asyncio.to_thread(_fuzz, service.url, client_id, mode, TOKEN, 10)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_no_request_of_another_role_breaks_the_api(service: Service, role: Role) -> None:
    """Half of them for one site alone, of which the client is not."""
    client_id = (await service.create(name="Fuzzed"))["client_id"]
    for sites in (None, [await service.site()]):
        token = await service.api.post("/tokens", json={"name": unique("fuzz"), "role": role, "sites": sites})
        assert token.status_code == 201, token.text
        await asyncio.to_thread(_fuzz, service.url, client_id, GenerationMode.POSITIVE, token.json()["token"], 1)


def _fuzz(url: str, client_id: str, mode: GenerationMode, token: str, examples: int) -> None:
    caller = {"Authorization": f"Bearer {token}"}
    api = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=caller)
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
            answer = case.call(headers=caller)
            if answer.status_code == 431:  # the server's, before the API hears of it; rightly?
                sent = answer.request
                assert len(str(sent.url)) + sum(map(len, map(str, sent.headers.items()))) > LARGEST_HEAD
                return
            assert answer.status_code not in NOT_THE_BODYS_FAULT, answer.text
            checks = [described_status, content_type_conformance, response_schema_conformance]
            parts = case.meta.components if case.meta else {}
            if (headers := parts.get(ParameterLocation.HEADER)) is None or headers.mode is not GenerationMode.NEGATIVE:
                checks.append(negative_data_rejection)  # of wrong headers, ours take the place of the token
            case.validate_response(answer, checks=checks)

        with suppress(Unsatisfiable):  # a request with nothing in it cannot be wrong
            answers_as_described()
