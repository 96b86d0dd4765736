"""The Python client of Connect's API, for other services and for the command line. It needs httpx2 and nothing else.

    async with Connect("https://connect.example.net", token) as connect:
        answer = await connect.suspend("acme", source="billing", reason="invoice 1042 unpaid", wait=10)

``pip install ./starter/client`` installs this folder alone, as the package ``connect_client``.
"""

from .connect import Connect, is_finished
from .errors import (
    Away,
    Conflict,
    ConnectError,
    Forbidden,
    Invalid,
    NotConnect,
    NotFound,
    PreconditionFailed,
    Refused,
    Unauthorized,
    Undecided,
    Unreached,
)
from .patience import Patience

__all__ = [
    "Away",
    "Conflict",
    "Connect",
    "ConnectError",
    "Forbidden",
    "Invalid",
    "NotConnect",
    "NotFound",
    "Patience",
    "PreconditionFailed",
    "Refused",
    "Unauthorized",
    "Undecided",
    "Unreached",
    "is_finished",
]
