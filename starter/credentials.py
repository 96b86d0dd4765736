"""The credentials of telephones and routers. Secrets are derived for each request and stored nowhere."""

from collections.abc import Mapping

from activities.fence import SeenLogin
from activities.secrets import radius_password, sip_password, sip_username
from activities.settings import Settings
from activities.webhooks.message import secret
from starter.contract.answers import Credentials, RadiusCredentials, Servers, SipCredentials
from starter.errors import NoMasterKey
from workflows.domain.lifecycle import Status
from workflows.wire.views import ClientView


class Keyring:
    """Derives the same secrets as the adapters, and names the servers. Without a master key it refuses."""

    def __init__(self, master_key: bytes | None, servers: Servers) -> None:
        self._master_key, self._servers = master_key, servers

    @classmethod
    def of(cls, settings: Settings) -> "Keyring":
        """The keyring of a process. Raises ValueError when its master key is set and too short."""
        servers = Servers(sip=settings.sip_server, sip_domain=settings.sip_domain, radius=settings.radius_server)
        return cls(settings.read_master_key() if settings.has_master_key else None, servers)

    def credentials(self, client: ClientView, logins: Mapping[str, SeenLogin]) -> Credentials:
        """The credentials of every line and the account of a client. ``logins`` are how these were last seen: one with
        a secret from before Connect has no password here, and a line that is there under other names has those.

        A decommissioned client has none: its numbers may be another's by now. Raises NoMasterKey.
        """
        if self._master_key is None:
            raise NoMasterKey
        if client.status is Status.DECOMMISSIONED:
            return Credentials(sip=[], radius=None, servers=self._servers)
        key, client_id, version = self._master_key, client.client_id, client.secret_version
        own = {name for name, login in logins.items() if login.own}
        sip = [
            SipCredentials(
                number=line.number,
                username=username,
                password=None if line.number in own else sip_password(key, client_id, line.number, version),
            )
            for line in client.lines
            for username in self._usernames(line.number, logins.get(line.number))
        ]
        account = client.internet and client.internet.account
        radius = account and RadiusCredentials(
            username=account,
            password=None if account in own else radius_password(key, client_id, account, version),
        )
        return Credentials(sip=sip, radius=radius or None, servers=self._servers)

    def webhook_secret(self, webhook_id: str, version: int) -> str:
        """What the receiver of a webhook verifies with. Raises NoMasterKey."""
        if self._master_key is None:
            raise NoMasterKey
        return secret(self._master_key, webhook_id, version)

    def _usernames(self, number: str, login: SeenLogin | None) -> list[str]:
        """What the telephones of a line log in as: as Connect makes it, or as it was there before, with its domain if
        that is not ours."""
        known_as = login.known_as if login else ()
        return [name.removesuffix(f"@{self._servers.sip_domain}") for name in known_as] or [sip_username(number)]
