"""What may be asked of a client at random: commands of every kind, their fields and their moments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations, product
from typing import Any

from workflows.domain.commands import (
    Acknowledge,
    Activate,
    AnyCommand,
    CancelPlanned,
    CancelScheduledDecommission,
    ChangeServices,
    Convert,
    Decommission,
    Edit,
    MarkDone,
    Note,
    Retry,
    RotateCredentials,
    Skip,
    Suspend,
    Unsuspend,
)
from workflows.domain.lifecycle import Kind
from workflows.domain.services import ClientType, Internet, Line, Service
from workflows.domain.systems import BUILT_IN

NUMBERS = tuple(f"+44207946000{digit}" for digit in range(5))

DOORS = "doors"
SYSTEMS = (*BUILT_IN, DOORS)
"""A further kind goes by the same rules as the two that come with Connect."""

RATES = (Internet(100, 20, 110), Internet(50, 10))
FRONT, GATE = Service(DOORS, "front", {"card": "0472"}), Service(DOORS, "gate", in_building=True)
LINES = tuple(Line(*fields) for fields in product(NUMBERS, ("3.12", "3.2", None), (False, True)))
SOME_LINES = ((), *((line,) for line in LINES), *permutations(LINES[::4], 2))
SOURCES = ("operator", "billing", "billing", "security", "bulk", "all", "")
IDS = ("", *["new"] * 20, "old", "decommission", "suspend")
NOW: tuple[dict[str, int], ...] = ({},)
FUTURE = (*({"last_day": day} for day in range(-1, 30)), *({"at": hour} for hour in range(-20, 700, 7)))
BOTH = ({"last_day": 3, "at": 70},)
ANY = (*NOW * 200, *FUTURE, *BOTH)


@dataclass(frozen=True)
class Choice:
    """Commands of one kind that may be asked for: what each field may be, and when, counted from the asking."""

    kind: Callable[..., AnyCommand]
    moments: Sequence[dict[str, int]] = NOW
    fields: dict[str, Sequence[Any]] = field(default_factory=dict)


KINDS = tuple(kind.value for kind in Kind)
SUSPENSIONS = Choice(Suspend, ANY, {"source": SOURCES, "reason": ("", "unpaid", "x" * 600)})
LIFTINGS = Choice(Unsuspend, ANY, {"source": SOURCES})
CHANGES = Choice(
    ChangeServices,
    ANY,
    {
        "fit": (True, True, True, False),
        "add_lines": ((), *SOME_LINES),
        "remove_lines": ((), *combinations(NUMBERS, 1), *combinations(NUMBERS, 2)),
        "internet": ("keep", "keep", "keep", "none", *RATES),
        "add_services": ((), (), (FRONT,), (GATE,), (FRONT, GATE), (Service(DOORS, "front", {"card": "0500"}),)),
        "remove_services": ((), (), (), (str(FRONT),), (str(GATE),)),
    },
)
CONVERSIONS = Choice(
    Convert,
    ANY,
    {
        "to": tuple(ClientType),
        "lines": (*[()] * 90, *SOME_LINES),
        "offices": (("3.12",), ("3.12",), ("3.12", "3.2"), (), ("",)),
        "internet": (None, *RATES),
    },
)
EDITS = Choice(
    Edit,
    NOW,
    {
        "name": (None, None, None, "Acme", "Acme & Sons", "", "x" * 201),
        "billing_ref": (None, None, None, "B-1", "B-2", "", " "),
        "start_in": (None, *range(-5, 30)),
    },
)
LABELS = Choice(
    Edit,
    NOW,
    {
        "add_tags": ((), ("vip",), ("VIP", "late"), ("",)),
        "remove_tags": ((), (), ("late",), ("Vip",)),
        "external_ids": ({}, {"crm": "1"}, {"CRM": "2", "erp": "1"}, {"crm": None}, {"a:b": "1"}),
    },
)
CHOICES = (
    Choice(Note, NOW, {"text": ("rang", "rang\ntwice", " ", "x" * 1001)}),
    LABELS,
    *[SUSPENSIONS] * 3,
    *[LIFTINGS] * 4,
    *[CHANGES] * 4,
    *[CONVERSIONS] * 2,
    *[EDITS] * 2,
    Choice(Activate, NOW, {"source": SOURCES}),
    Choice(Decommission, (*FUTURE, *BOTH)),
    Choice(CancelScheduledDecommission),
    Choice(CancelPlanned, NOW, {"change": (*KINDS, "activation", "c1", "nonsense")}),
    Choice(RotateCredentials),
    Choice(Acknowledge, NOW, {"matter": ("plan:c1", "plan:c2", "plan:activation", "nonsense")}),
    Choice(Retry, NOW, {"system": SYSTEMS}),
    Choice(Skip, NOW, {"system": SYSTEMS, "reason": ("on Monday", "on Monday", "")}),
    Choice(MarkDone, NOW, {"system": SYSTEMS, "reason": ("ticket 4711", "ticket 4711", " ")}),
)
