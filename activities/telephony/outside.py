"""How a line looks from outside: a REGISTER without Contact, with the secret that Connect derives."""

import asyncio

from activities.outside import NOT_ASKED, ProbeResult, Seen, silence
from activities.secrets import sip_password, sip_username
from activities.settings import Settings
from activities.telephony.observation import ANSWERS
from activities.telephony.sip_probe import Probe

_RESULTS = {ANSWERS[True]: ProbeResult.LET_IN, ANSWERS[False]: ProbeResult.TURNED_AWAY}


async def look(settings: Settings, key: bytes, client_id: str, number: str, version: int) -> Seen:
    """Not asked where no server is named. Raises ValueError for one that is wrong."""
    if not settings.sip_server:
        return NOT_ASKED
    probe = Probe.of(settings.sip_server, settings.sip_domain, settings.probe_seconds)
    until = asyncio.get_running_loop().time() + settings.probe_seconds
    passwords = {sip_username(number): sip_password(key, client_id, number, version)}
    [code] = (await probe.answers(passwords, until)).values()
    if code is None:
        return await silence(probe.host, probe.port, f"the SIP server {settings.sip_server}", "a REGISTER")
    return _RESULTS.get(code, ProbeResult.OTHER), f"a REGISTER was answered {code}"
