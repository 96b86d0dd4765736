"""Without its search attributes Temporal takes no new client: that is said, with what mends it."""

from datetime import timedelta

import httpx2
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.settings import Settings
from tests.support.remedies import carry_out
from tests.support.service import SITE, TEMPORAL, Service, running_service
from tests.support.waiting import HANGING, http_client
from workflows.visibility import KEYS

NEW = {"name": "Acme Ltd", "type": "virtual", "site": SITE}


async def test_a_missing_search_attribute_is_named_with_what_adds_it(settings: Settings) -> None:
    async with (
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=str(TEMPORAL),
            data_converter=pydantic_data_converter,
            search_attributes=KEYS[1:],
            dev_server_log_level="error",
            dev_server_startup_timeout=timedelta(seconds=HANGING),
        ) as environment,
        running_service(environment.client, settings) as service,
    ):
        refused = await service.api.post("/clients", json=NEW)
        assert (refused.status_code, refused.json()["title"]) == (503, "Search attribute missing")
        assert int(refused.headers["Retry-After"]) > 0
        ready = await readiness(service)
        assert ready.status_code == 503
        for answer in (refused, ready):
            assert KEYS[0].name in answer.json()["detail"]
            assert KEYS[1].name not in answer.json()["detail"]

        carry_out(environment.client, "temporal" + refused.json()["detail"].partition("temporal")[2].removesuffix("."))
        created = await service.api.post("/clients", json=NEW)
        assert created.status_code == 201, created.text
        assert (await readiness(service)).status_code == 200


async def readiness(service: Service) -> httpx2.Response:
    async with http_client(base_url=service.url) as anyone:
        return await anyone.get("/readyz")
