"""Access gear that the activities know, and sessions on it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.activities.fixtures import World, access
from tests.support.router import Nas
from workflows.domain.provisioning.standing import Proof
from workflows.ports import Finding

SECRET = "what we share with the NAS"
PAUSE = 0.1
PATIENTLY, BRIEFLY = 11.0, 0.3
"""Seconds to wait for an answer that comes, on a machine that may be busy, and for one that does not come."""
CLOSED = """
UPDATE radacct SET acctstoptime = now(), acctupdatetime = now(), acctterminatecause = 'User-Request'
WHERE acctuniqueid = $1"""


async def reopen(world: World, gear: Nas, **limits: object) -> None:
    known = json.dumps({gear.address: {"secret": SECRET, "port": gear.port}})
    usual = {"nas": known, "disconnect_seconds": PATIENTLY, "disconnect_pause_seconds": PAUSE}
    await world.open(limits=usual | limits)


@contextmanager
def impatient(world: World, seconds: float = BRIEFLY) -> Iterator[None]:
    """No NAS is waited for long: one does not answer, or not as it should."""
    fleet = world.internet.fleet
    fleet.seconds, patience = seconds, fleet.seconds
    try:
        yield
    finally:
        fleet.seconds = patience


@contextmanager
def silent(world: World, nas: Nas) -> Iterator[None]:
    """The NAS says nothing."""
    nas.mute = True
    with impatient(world):
        yield
    nas.mute = False


async def session(world: World, nas: Nas, name: str = "s1", account: str = "acme", begun: str = "now") -> None:
    """A session on the NAS that is accounted for, begun then."""
    nas.sessions[name] = account
    await world.execute(
        "internet",
        """INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime,
          connectinfo_start)
        VALUES ($1, $1, $2, $3::text::inet, $4::text::timestamptz, $4::text::timestamptz, '')""",
        *(name, account, nas.address, begun),
    )


async def closed(world: World, name: str) -> None:
    """Its NAS has sent a Stop."""
    await world.execute("internet", CLOSED, name)


async def rejected(world: World, account: str = "acme") -> bool:
    """Whether logins are rejected from now on."""
    return bool(await world.rows("internet", "SELECT FROM radcheck WHERE username = $1 AND value = 'Reject'", account))


async def switch(world: World, revision: int, *, on: bool, version: int = 1) -> Finding:
    evidence = await world.internet.ensure(access("acme", revision, on=on, version=version))
    (finding,) = evidence.findings
    assert not finding.why or finding.proof is not Proof.PROVEN
    return finding


def session_counts(finding: Finding) -> tuple[str, str, str]:
    return finding.seen["open_sessions"], finding.seen["disconnected"], finding.seen["disowned"]
