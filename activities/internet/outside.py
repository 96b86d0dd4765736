"""How an account looks from outside: an Access-Request, with the secret that Connect derives."""

from activities.internet.radius_probe import SILENT, RadiusProbe, host_and_port, radius_secret
from activities.outside import NOT_ASKED, ProbeResult, Seen, silence
from activities.secrets import radius_password
from activities.settings import Settings


async def look(settings: Settings, key: bytes, client_id: str, account: str, version: int) -> Seen:
    """Not asked where no server, or no secret of it, is named. Raises ValueError for one that is wrong, OSError."""
    secret = radius_secret(settings)
    if not (settings.radius_server and secret):
        return NOT_ASKED
    host, port = host_and_port(settings.radius_server)
    probe = RadiusProbe(host, port, secret, settings.probe_seconds, settings.radius_message_authenticator)
    answer = await probe.log_in(account, radius_password(key, client_id, account, version), None)
    if answer.admitted is not None:
        return (
            ProbeResult.LET_IN if answer.admitted else ProbeResult.TURNED_AWAY,
            f"a login was answered {answer.summary}",
        )
    if answer.summary == SILENT:
        return await silence(host, port, f"the RADIUS server {settings.radius_server}", "an Access-Request")
    return ProbeResult.OTHER, answer.why
