"""The demonstration: a site with a dozen clients in every state, made through the HTTP API. Making it twice is safe."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2

from workflows.domain.dates import local_day

SITE = {"site_id": "riverside", "name": "Riverside House", "timezone": "Europe/London"}
PATIENCE = 20  # seconds that one change may take to settle


class DemoFailed(RuntimeError):
    """The service refused one of the clients. The message explains why."""


@dataclass(frozen=True)
class Step:
    """A command to a client: the last part of its route, and its body."""

    command: str
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DemoClient:
    """One client of the demonstration: its record, and the commands to it."""

    client_id: str
    record: dict[str, Any]
    steps: tuple[Step, ...] = ()


def seed(url: str, token: str) -> int:
    """Make the demonstration. Returns the number of its clients. Raises DemoFailed."""
    demo_clients = _guests(local_day(datetime.now(UTC), SITE["timezone"]))
    with httpx2.Client(
        base_url=f"{url.rstrip('/')}/api/v1",
        headers={"Authorization": f"Bearer {token}", "Prefer": f"wait={PATIENCE}"},
        timeout=PATIENCE + 20,
        trust_env=False,  # the service is here; a proxy is for elsewhere
    ) as api:
        try:
            _post(api, "/sites", SITE, "demo-site", taken_is_fine=True)
            for demo_client in demo_clients:
                _welcome(api, demo_client)
        except httpx2.HTTPError as e:
            raise DemoFailed(f"{type(e).__name__} {e}") from e
    return len(demo_clients)


def _welcome(api: httpx2.Client, demo_client: DemoClient) -> None:
    present = api.get(f"/clients/{demo_client.client_id}")
    if present.status_code == httpx2.codes.OK and present.json()["status"] == "decommissioned":
        return
    if present.status_code == httpx2.codes.NOT_FOUND:
        record = {"client_id": demo_client.client_id, "site": SITE["site_id"], **demo_client.record}
        _post(api, "/clients", record, f"demo-{demo_client.client_id}")
    for number, step in enumerate(demo_client.steps, start=1):
        path = f"/clients/{demo_client.client_id}/{step.command}"
        _post(api, path, step.body, f"demo-{demo_client.client_id}-{number}")


def _post(api: httpx2.Client, path: str, body: dict[str, Any], key: str, *, taken_is_fine: bool = False) -> None:
    """Send a request. A key that was sent before has no further effect."""
    answer = api.post(path, json=body, headers={"Idempotency-Key": key})
    if answer.is_success or (taken_is_fine and answer.status_code == httpx2.codes.CONFLICT):
        return
    raise DemoFailed(f"POST {path}: {answer.status_code} {answer.text}")


def _guests(today: date) -> list[DemoClient]:
    def day(days: int) -> str:
        return (today + timedelta(days)).isoformat()

    billing = {"source": "billing", "reason": "invoice 1042 unpaid"}
    security = {"source": "security", "reason": "access cards not returned"}
    return [
        DemoClient(
            "riverside-management",
            _residential("Riverside House", day(-900), ("00", "Reception"), ("01", "Plant room"), management=True),
        ),
        DemoClient(
            "harbour-legal",
            _residential("Harbour Legal LLP", day(-400), ("10", "1.10"), ("11", "1.10"), ("12", "1.11"))
            | {"internet": _internet(500, 100, 110), "end_date": day(330)},
        ),
        DemoClient(
            "northlight-studio",
            _residential("Northlight Studio", day(-730), ("20", "2.04"))
            | {"internet": _internet(100, 20, 204), "end_date": day(-9)},
        ),
        DemoClient("quill-and-partners", _virtual("Quill & Partners", day(-200), "30")),
        DemoClient("kestrel-translations", _virtual("Kestrel Translations", day(-35), "31", "32")),
        DemoClient(
            "meridian-search",
            _residential("Meridian Search Ltd", day(21), ("40", "3.01"), ("41", "3.01"))
            | {"internet": _internet(200, 50, 301)},
        ),
        DemoClient(
            "tern-robotics",
            _residential("Tern Robotics", day(-1), ("50", "3.07"))
            | {"activation": "manual", "internet": _internet(1000, 1000, 307)},
        ),
        DemoClient(
            "oakwell-interiors",
            _residential("Oakwell Interiors", day(-320), ("60", "2.11"), protected=("61", "Lift"))
            | {"internet": _internet(100, 20, 211)},
            (Step("suspend", billing),),
        ),
        DemoClient(
            "saffron-travel",
            _residential("Saffron Travel Group", day(-510), ("70", "2.15"), ("71", "2.15"))
            | {"internet": _internet(100, 20, 215)},
            (Step("suspend", billing), Step("suspend", security)),
        ),
        DemoClient(
            "fable-audio",
            _residential("Fable Audio", day(-260), ("80", "4.02"))
            | {"internet": _internet(200, 50, 402), "end_date": day(45)},
            (Step("decommission", {"last_day": day(45), "reason": "contract not renewed"}),),
        ),
        DemoClient(
            "lumen-clinic",
            _residential("Lumen Clinic", day(-120), ("85", "4.10")) | {"internet": _internet(100, 20, 410)},
            (Step("suspend", {"last_day": day(10), "source": "billing", "reason": "last reminder sent"}),),
        ),
        DemoClient(
            "atlas-freight",
            _residential("Atlas Freight Forwarding", day(-610), ("90", "5.01"), ("91", "5.02"))
            | {"internet": _internet(100, 20, 501)},
            (Step("convert", {"to": "virtual", "last_day": day(30), "reason": "team works from home"}),),
        ),
        DemoClient(
            "bramble-foods",
            _residential("Bramble Foods", day(-450), ("99", "1.02")),
            (Step("decommission", {"reason": "moved out"}),),
        ),
    ]


def _residential(
    name: str, start: str, *lines: tuple[str, str], protected: tuple[str, str] | None = None, management: bool = False
) -> dict[str, Any]:
    """A residential client. ``protected``: the number of a lift, an alarm or a door entry."""
    every = [*lines, *([protected] if protected else [])]
    return {
        "name": name,
        "type": "residential",
        "start_date": start,
        "lines": [{"number": _number(x[0]), "office": x[1], "protected": x == protected} for x in every],
        "management": management,
    }


def _virtual(name: str, start: str, *lines: str) -> dict[str, Any]:
    return {"name": name, "type": "virtual", "start_date": start, "lines": [{"number": _number(x)} for x in lines]}


def _number(last: str) -> str:
    """A London number that nobody has: Ofcom reserves +44 20 7946 0000 to 0999 for drama. These are 0300 to 0399."""
    return f"+4420794603{last}"


def _internet(down: int, up: int, vlan: int) -> dict[str, int]:
    return {"down_mbps": down, "up_mbps": up, "vlan": vlan}
