"""An order of the core, as the telephone system's adapter works with it."""

from dataclasses import dataclass, field
from typing import Self

from workflows.ports import Ensure, Observe


@dataclass(frozen=True)
class LineOrder:
    """Numbers to have in service (true) or ceased (false); see workflows.ports.Ensure."""

    client_id: str
    revision: int
    lines: dict[str, bool]
    release: list[str] = field(default_factory=list)
    secret_version: int = 1
    protected: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, order: Ensure) -> Self:
        lines = {number: desired.on for number, desired in order.subjects.items()}
        return cls(order.client_id, order.revision, lines, order.release, order.secret_version, order.protected)

    @classmethod
    def to_look(cls, order: Observe) -> Self:
        """What is looked at again was ceased."""
        return cls(order.client_id, order.revision, dict.fromkeys(order.subjects, False))
