"""The demonstration: a site with a dozen clients in every state, made through the HTTP API. Making it twice is safe."""

import tomllib
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

import httpx2

from starter.local.children import StartFailed
from workflows.domain.dates import local_day

SITE = {"site_id": "riverside", "name": "Riverside House", "timezone": "Europe/London"}
DATES = ("start_date", "end_date", "last_day")
PATIENCE = 20  # seconds that one change may take to settle


def seed(url: str, token: str, *, doors: bool = True) -> int:
    """Make the demonstration (demo.toml), without doors where there are none. Returns the number of its clients. Raises
    StartFailed."""
    clients = tomllib.loads(files(__package__).joinpath("demo.toml").read_text(encoding="utf-8"))["clients"]
    today = local_day(datetime.now(UTC), SITE["timezone"])
    with httpx2.Client(
        base_url=f"{url.rstrip('/')}/api/v1",
        headers={"Authorization": f"Bearer {token}", "Prefer": f"wait={PATIENCE}"},
        timeout=PATIENCE + 20,
        trust_env=False,  # the service is here; a proxy is for elsewhere
    ) as api:
        try:
            _post(api, "/sites", SITE, "demo-site", taken_is_fine=True)
            for record in clients:
                record |= {} if doors else {"services": []}
                _make_client(
                    api, _with_days(record, today), [_with_days(body, today) for body in record.pop("commands", [])]
                )
        except httpx2.HTTPError as e:
            raise StartFailed(f"{type(e).__name__} {e}") from e
    return len(clients)


def _make_client(api: httpx2.Client, record: dict[str, Any], commands: list[dict[str, Any]]) -> None:
    """Make one client, and send it its commands."""
    path, key = f"/clients/{record['client_id']}", f"demo-{record['client_id']}"
    present = api.get(path)
    if present.status_code == httpx2.codes.OK and present.json()["status"] == "decommissioned":
        return
    if present.status_code == httpx2.codes.NOT_FOUND:
        _post(api, "/clients", {"site": SITE["site_id"], **record}, key)
    for number, body in enumerate(commands, start=1):
        _post(api, f"{path}/{body.pop('command')}", body, f"{key}-{number}")


def _with_days(body: dict[str, Any], today: date) -> dict[str, Any]:
    """A body with dates in place of distances from today."""
    return {k: (today + timedelta(v)).isoformat() if k in DATES else v for k, v in body.items() if k != "commands"}


def _post(api: httpx2.Client, path: str, body: dict[str, Any], key: str, *, taken_is_fine: bool = False) -> None:
    """Send a request. A key that was sent before has no further effect."""
    answer = api.post(path, json=body, headers={"Idempotency-Key": key})
    if answer.is_success or (taken_is_fine and answer.status_code == httpx2.codes.CONFLICT):
        return
    raise StartFailed(f"POST {path}: {answer.status_code} {answer.text}")
