"""The statuses, the commands, and the table of what goes with what (PRODUCT.md section 3)."""

from enum import StrEnum


class Status(StrEnum):
    """What was decided for a client; where provisioning stands is another matter."""

    NEW = "new"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DECOMMISSIONED = "decommissioned"


class Activation(StrEnum):
    """Whether the start date activates the client, or a person does."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class Kind(StrEnum):
    """Every command there is, in the imperative."""

    ACTIVATE = "activate"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    DECOMMISSION = "decommission"
    CANCEL_SCHEDULED_DECOMMISSION = "cancel_scheduled_decommission"
    CANCEL_PLANNED = "cancel_planned"
    CONVERT = "convert"
    CHANGE_SERVICES = "change_services"
    EDIT = "edit"
    ROTATE_CREDENTIALS = "rotate_credentials"
    ACKNOWLEDGE = "acknowledge"
    RETRY = "retry"
    SKIP = "skip"
    MARK_DONE = "mark_done"
    NOTE = "note"

    @property
    def spoken(self) -> str:
        """As an operator says it: ``change services``."""
        return self.value.replace("_", " ")


SYSTEM_COMMANDS = (Kind.RETRY, Kind.SKIP, Kind.MARK_DONE)
"""What may be asked about a system that is not as decided, in any status (PRODUCT.md section 5)."""

IN_ANY_STATUS = (*SYSTEM_COMMANDS, Kind.NOTE)
"""What changes nothing of what was decided for a client, and may be asked always."""


class Verdict(StrEnum):
    """What the table says of a command in a status."""

    OBEY = "obey"
    NO_CHANGE = "no change"
    REFUSE = "refuse"


_ALIVE = {Status.NEW: Verdict.OBEY, Status.ACTIVE: Verdict.OBEY, Status.SUSPENDED: Verdict.OBEY}
_LIVING_ONLY = {**_ALIVE, Status.DECOMMISSIONED: Verdict.REFUSE}

TABLE: dict[Kind, dict[Status, Verdict]] = {
    Kind.ACTIVATE: {
        Status.NEW: Verdict.OBEY,
        Status.ACTIVE: Verdict.NO_CHANGE,
        Status.SUSPENDED: Verdict.REFUSE,
        Status.DECOMMISSIONED: Verdict.REFUSE,
    },
    Kind.SUSPEND: _LIVING_ONLY,
    Kind.UNSUSPEND: {**_LIVING_ONLY, Status.ACTIVE: Verdict.NO_CHANGE},
    Kind.DECOMMISSION: {**_ALIVE, Status.DECOMMISSIONED: Verdict.NO_CHANGE},
    Kind.CANCEL_SCHEDULED_DECOMMISSION: _LIVING_ONLY,
    Kind.CANCEL_PLANNED: _LIVING_ONLY,
    Kind.CONVERT: _LIVING_ONLY,
    Kind.CHANGE_SERVICES: _LIVING_ONLY,
    Kind.EDIT: _LIVING_ONLY,
    Kind.ROTATE_CREDENTIALS: _LIVING_ONLY,
    Kind.ACKNOWLEDGE: _LIVING_ONLY,
    **dict.fromkeys(IN_ANY_STATUS, dict.fromkeys(Status, Verdict.OBEY)),
}

NEVER_FOR_MANAGEMENT = frozenset({Kind.SUSPEND, Kind.DECOMMISSION})
