"""A client's whole life, in which every text that people write has one word that nothing else holds, every key too."""

from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

from tests.support.service import Service, unique, waiting

PASSED = "matters/end_date_passed"


@dataclass(frozen=True)
class Life:
    """The client, the word in all that was said of it, and its number and password."""

    client_id: str
    word: str
    secrets: tuple[str, str]


async def lived(service: Service) -> Life:
    """A client that was created, edited, tagged, noted, suspended, refused, planned, restored and decommissioned, one
    of whose systems was down meanwhile, and whose open matter somebody had in hand."""
    word, numbers = f"quagga{uuid4().hex[:8]}", count()
    record: dict[str, Any] = {"billing_ref": f"B-{word}", "external_ids": {"crm": word}, "tags": [word]}
    record |= {"start_date": "2026-01-01", "end_date": "2026-03-31"}
    client = await service.create(f"{word} Holdings", client_id=unique("lived"), **record)
    client_id: str = client["client_id"]
    [line] = (await service.api.get(f"/clients/{client_id}/credentials")).json()["sip"]

    async def send(method: str, path: str, body: dict[str, Any], status: int = 200) -> None:
        headers = waiting(20) | {"Idempotency-Key": f"{word}-{next(numbers)}"}
        answer = await service.api.request(method, f"/clients/{client_id}{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text

    await send("PATCH", "", {"name": f"Aardvark {word}", "add_tags": [f"vip-{word}"]})
    await send("POST", "/notes", {"text": f"the bailiff of {word} has called"})
    await send("POST", f"/{PASSED}/assign", {"assigned_to": f"the aunt of {word}", "reason": f"{word} asked"})
    await send("POST", f"/{PASSED}/snooze", {"snoozed_until": "2199-01-01", "reason": f"{word} is away"})
    await send("POST", f"/{PASSED}/acknowledge", {"reason": f"{word} stays"})
    await send("POST", "/suspend", {"reason": f"arrears of {word}"})
    await send("POST", "/activate", {"reason": f"a teaspoon of {word}"}, 409)
    await send("POST", "/decommission", {"last_day": "2199-01-31", "reason": f"gazebo of {word}"})
    await send("POST", "/unsuspend", {"reason": f"{word} has paid"})
    await send("POST", "/suspend", {"reason": f"{word} again"})
    async with service.without(service.internet):
        await service.post(client_id, "unsuspend", wait=0, reason=f"{word} paid again")
        skipped = await service.post(client_id, "systems/internet/skip", wait=0, reason=f"{word} has a router")
        assert skipped.status_code in (200, 202, 409), skipped.text
    await send("POST", "/decommission", {"reason": f"{word} has left"})
    await service.temporal.get_workflow_handle(f"client-{client_id}").result()
    return Life(client_id, word, (line["number"], line["password"]))
