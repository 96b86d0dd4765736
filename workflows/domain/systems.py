"""What a client's decisions are carried out on."""

from enum import StrEnum


class System(StrEnum):
    """The directory is one more system: unpublished is drift."""

    TELEPHONY = "telephony"
    INTERNET = "internet"
    DIRECTORY = "directory"


SWITCHED = (System.TELEPHONY, System.INTERNET)
