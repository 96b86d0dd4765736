"""Whatever is sent, the API answers as it describes itself, and never breaks."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from schemathesis.specs.openapi.checks import status_code_conformance as described_status

from starter.web.http_protocol import LARGEST_HEAD
from tests.support.service import TOKEN, Service

CALLER = {"Authorization": f"Bearer {TOKEN}"}
NOT_THE_BODYS_FAULT = {500, 502, 503, 504}

bounded = settings(
    max_examples=10,
    derandomize=True,  # the same requests every time
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_no_request_breaks_the_api(service: Service, mode: GenerationMode) -> None:
    client_id = (await service.create(name="Fuzzed"))["client_id"]
    await asyncio.to_thread(_fuzz, service.url, client_id, mode)


def _fuzz(url: str, client_id: str, mode: GenerationMode) -> None:
    api = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=CALLER)
    for found in api.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        where: dict[str, Any] = {"client_id": client_id} if "{client_id}" in operation.path else {}
        requests = operation.as_strategy(generation_mode=mode, path_parameters=where or None)

        @bounded
        @given(case=requests)
        def answers_as_described(case: schemathesis.Case[Any]) -> None:
            answer = case.call(headers=CALLER)
            if answer.status_code == 431:  # the server's, before the API hears of it; rightly?
                sent = answer.request
                assert len(str(sent.url)) + sum(map(len, map(str, sent.headers.items()))) > LARGEST_HEAD
                return
            assert answer.status_code not in NOT_THE_BODYS_FAULT, answer.text
            case.validate_response(
                answer, checks=[described_status, content_type_conformance, response_schema_conformance]
            )

        with suppress(Unsatisfiable):  # a request with nothing in it cannot be wrong
            answers_as_described()
