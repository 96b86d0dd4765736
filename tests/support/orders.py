"""Orders to the two systems that come with Connect, in few words."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from activities.internet.order import Access
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.systems import INTERNET, TELEPHONY
from workflows.ports import Ensure, Watched


def line_order(
    client_id: str,
    revision: int,
    lines: Mapping[str, bool],
    release: Sequence[str] = (),
    secret_version: int = 1,
    protected: Sequence[str] = (),
    revived: int = 0,
) -> Ensure:
    """Have these lines in service (true) or ceased."""
    return Ensure(
        TELEPHONY,
        client_id,
        revision,
        {number: Desired(on) for number, on in lines.items()},
        release=list(release),
        secret_version=secret_version,
        protected=list(protected),
        revived=revived,
    )


def access_order(
    client_id: str, revision: int, accounts: Sequence[Access], secret_version: int = 1, revived: int = 0
) -> Ensure:
    """Admit or reject these accounts."""
    subjects = {
        x.account: Desired(x.on, {"down_mbps": x.down_mbps, "up_mbps": x.up_mbps, "vlan": x.vlan}) for x in accounts
    }
    return Ensure(INTERNET, client_id, revision, subjects, secret_version=secret_version, revived=revived)


def watched(client_id: str, subjects: Sequence[str], since: datetime, **seen: str) -> list[Watched]:
    """What was proven off, to be looked at."""
    return [Watched(client_id, subject, since, seen) for subject in subjects]
