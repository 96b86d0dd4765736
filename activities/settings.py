"""Every setting of a Connect process, from the environment (prefix ``CONNECT_``), with its unit and default.

How to reach Temporal is not here: that is temporalio.envconfig's (``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``,
``TEMPORAL_API_KEY``, ``TEMPORAL_TLS_…``, or a profile in ``temporal.toml``), so that every Temporal tool agrees.
"""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from phonenumbers import SUPPORTED_REGIONS, NumberParseException, is_valid_number, parse
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from activities.caller_settings import CallerSettings
from activities.given_secrets import read_secret
from activities.openid_settings import OpenIdSettings
from activities.webhook_settings import WebhookSettings
from workflows.domain.provisioning.standing import Limits

KAMAILIO = "activities.telephony.adapter:KamailioTelephony"
FREERADIUS = "activities.internet.adapter:RadiusInternet"
UNSET = SecretStr("")
HOST = r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"
"""A host name or address as URLs and Host headers have it, with or without a port."""

CANARY = r"[a-z0-9][a-z0-9-]{1,62}=\+[1-9][0-9]{6,14}"
"""A site and the number of its canary's line."""

ACTIVITIES = 4
"""How often an activity may be started within an attempt (workflows/attempts.py)."""

PROBES = 3
"""All probes of an activity together get this multiple of the seconds for one."""


class Settings(CallerSettings, OpenIdSettings, WebhookSettings):
    """Settings of a worker or of an API process. The three databases may be one server or three."""

    model_config = SettingsConfigDict(env_prefix="CONNECT_", extra="forbid", hide_input_in_errors=True)

    directory_dsn: SecretStr = Field(description="PostgreSQL URL of Connect's own database")
    telephony_dsn: SecretStr = Field(UNSET, description="PostgreSQL URL of Kamailio's database")
    internet_dsn: SecretStr = Field(UNSET, description="PostgreSQL URL of FreeRADIUS's database")
    telephony_adapter: str = Field(KAMAILIO, description="What switches telephone lines, as module:Class")
    internet_adapter: str = Field(FREERADIUS, description="What switches internet access, as module:Class")
    json_telephony_url: str = Field("", description="Where a telephone system speaks activities/json_http/protocol.py")
    json_telephony_token_file: Path | None = Field(None, description="File with the bearer token it asks for")
    json_telephony_token: SecretStr | None = Field(None, description="The token itself, where a file is not handy")
    json_internet_url: str = Field("", description="Where a network speaks activities/json_http/protocol.py")
    json_internet_token_file: Path | None = Field(None, description="File with the bearer token it asks for")
    json_internet_token: SecretStr | None = Field(None, description="The token itself, where a file is not handy")
    systems_file: Path | None = Field(
        None, description="TOML file with further instances of the systems, and further kinds (activities/instances.py)"
    )
    serves: str = Field(
        "",
        description="The instances that this worker serves, as telephony:main,doors:*, of those that are named; others "
        "are another worker's. Empty: all",
    )
    master_key_file: Path | None = Field(None, description="File with the key that SIP and RADIUS secrets derive from")
    master_key: SecretStr | None = Field(None, description="The key itself, where a file is not handy")
    encryption_keys_file: Path | None = Field(
        None,
        description="File of the operator's keys: 64 hexadecimal digits a line, newest first; none: unencrypted",
    )
    encryption_keys: SecretStr | None = Field(None, description="The same, where a file is not handy: commas between")
    keys_dsn: SecretStr = Field(UNSET, description="PostgreSQL URL for clients' keys; empty: with the directory")
    erase_after_days: int = Field(30, ge=0, description="Days after its end before a client may be erased")
    token_file: Path | None = Field(None, description="File with the API's bearer token")
    token: SecretStr | None = Field(None, description="The token itself, where a file is not handy")

    sip_domain: str = Field("connect.local", description="SIP domain (digest realm) of every line")
    sip_country: str = Field(
        "",
        description="The country (ISO 3166) whose national numbers are usernames there: GB for 02079460001. "
        "Empty: a line that may be there in national form is neither taken on nor made anew",
    )
    sip_server: str | None = Field(None, description="host:port where telephones register, as credentials show it")
    radius_server: str | None = Field(None, description="host:port where routers log in, as credentials show it")
    radius_secret_file: Path | None = Field(None, description="File with the secret we share with the RADIUS server")
    radius_secret: SecretStr | None = Field(None, description="The secret itself, where a file is not handy")
    sip_rpc_urls: SecretStr = Field(
        UNSET,
        description="JSON-RPC addresses of every Kamailio, separated by commas, to end calls and what memory holds; "
        "without them a line counts as off by what the tables say: nobody looks for calls in progress, nor ends them",
    )
    sip_rpc_secret_file: Path | None = Field(None, description="File with what each of these addresses ends in")
    sip_rpc_secret: SecretStr | None = Field(None, description="The secret itself, where a file is not handy")
    calls_in_progress: Literal["end", "finish"] = Field(
        "end", description="What becomes of the calls in progress of a line that is switched off (needs sip_rpc_urls)"
    )
    nas: SecretStr = Field(
        SecretStr(""), description='Access gear that takes Disconnect-Requests, as JSON: {"10.0.0.1": {"secret": …}}'
    )
    nas_file: Path | None = Field(None, description="File with the same")
    disconnect_seconds: float = Field(3.0, gt=0, description="For access gear to answer a Disconnect-Request")
    disconnect_pause_seconds: float = Field(
        0.5,
        ge=0,
        description="Between the two rounds of Disconnect-Requests, for logins of that moment to show: each suspension "
        "waits so long. Real gear wants seconds",
    )
    interim_seconds: float = Field(
        600.0,
        gt=0,
        description="Between two Interim updates of a session, where neither Acct-Interim-Interval in the reply rows "
        "nor accounting (60 to 3,600 s) says. A session that its NAS does not find is gone when so long nothing was "
        "heard of it",
    )
    radius_default_profile: str = Field(
        "DEFAULT",
        description="The account whose groups the RADIUS server gives to everybody (its default_user_profile). Empty: "
        "none",
    )
    radius_realms: str = Field(
        "*",
        description="Realms, with commas between, that make name@realm another spelling of an account, which may not "
        "be let in while that is off. *: any",
    )
    probe_lines: bool = Field(False, description="Prove each line with a REGISTER of our own, too (needs sip_server)")
    probe_accounts: bool = Field(
        False, description="Prove each account with an Access-Request of our own, too (needs radius_secret)"
    )
    radius_message_authenticator: bool = Field(
        True,
        description="An answer of the RADIUS server without Message-Authenticator proves nothing (CVE-2024-3596)",
    )
    probe_seconds: float = Field(2.0, gt=0, description="For an answer to such a probe")
    host: str = Field("127.0.0.1", description="Address the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="TCP port the API listens on")
    tls_certificate_file: Path | None = Field(None, description="PEM file with the API's certificate and its chain")
    tls_key_file: Path | None = Field(None, description="PEM file with the certificate's key, without a password")
    hosts: str = Field(
        "",
        description="Host names that the API and the console answer to, with commas between, each with a port or for "
        "any port; besides the loopback names, the one of public_url and the address in host. Others are refused (421)",
    )
    public_url: str = Field(
        "",
        description="Where browsers and calendars reach this service, as https://connect.example. Empty: http (https "
        "with a certificate), the address in host (127.0.0.1 when that is every address) and the port",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks, with commas between, of the proxies in front of the API: what they say of "
        "the caller's address and scheme (X-Forwarded-For, X-Forwarded-Proto) counts. Empty: nobody's word does",
    )
    http_connections: int = Field(
        1000,
        ge=8,
        description="Connections to the API at once, at most; fewer where the system allows few descriptors. A new one "
        "takes the place of those that have kept us waiting longest",
    )
    http_header_seconds: float = Field(10.0, gt=0, description="For a caller to send the headers of a request")
    http_body_seconds: float = Field(30.0, gt=0, description="For a caller to send its body")
    http_reader_seconds: float = Field(60.0, gt=0, description="For a caller that reads nothing of his answer")
    temporal_ui_url: str = Field("http://127.0.0.1:8233", description="Where operators reach the Temporal UI")

    pool_size: int = Field(8, ge=1, description="Connections to each database, per process, at most")
    connect_seconds: float = Field(3.0, gt=0, description="To open a database connection")
    lock_seconds: float = Field(4.0, gt=0, description="To wait for a lock in a database")
    statement_seconds: float = Field(5.0, gt=0, description="For one statement")
    operation_seconds: float = Field(20.0, gt=0, description="For all of one activity's work on one system")
    record_seconds: float = Field(2.0, gt=0, description="To record in the directory what a system was proven to do")

    attempt_seconds: float = Field(120.0, ge=1, description="One attempt on one system, short retries included")
    first_pause_seconds: float = Field(15.0, gt=0, description="Pause after a first failed attempt; doubles after each")
    longest_pause_seconds: float = Field(3600.0, gt=0, description="No pause is longer")

    at_once_seconds: float = Field(
        2.0,
        ge=0,
        le=3,
        description="For the first attempt of what a person waits for, all systems side by side; what is not done then "
        "goes through the queue. 0: everything does",
    )

    watch_every_seconds: float = Field(
        20.0,
        ge=0,
        description="Between two looks at all that was switched off and may come alive again, in one statement for "
        "each instance; 0: nobody looks",
    )
    watch_seconds: float = Field(
        1800.0,
        gt=0,
        description="So long is looked at what was switched off: longer than access gear waits between two Interim "
        "updates. An interval that accounting shows to be longer counts instead",
    )

    events_days: float = Field(
        90.0,
        gt=0,
        description="So long are events kept, and keys that are no client's; the history is kept for good",
    )

    canaries: str = Field(
        "",
        description="Sites with a canary, and the number of its line, which no client has: "
        "thames-house=+442079460999,york=+441904960999. For workers, who need url, token and master_key for it",
    )
    canary_every_seconds: float = Field(
        60.0,
        gt=0,
        le=60,
        description="From the beginning of a canary's round, which suspends and restores it, to that of the next. With "
        "more than a minute, what fails would not show within two",
    )
    canary_seconds: float = Field(
        40.0, gt=0, le=40, description="For one round of a canary; its steps have parts of it"
    )
    url: str = Field("http://127.0.0.1:8000", description="Where canaries reach the API, as the command line does")

    breaker_clients: int = Field(5, ge=1, description="After so many clients failed in a row, attempts are paced")
    breaker_pace_seconds: float = Field(5.0, gt=0, description="Between attempts on a system that fails, per worker")
    breaker_drain_per_second: float = Field(
        5.0, gt=0, description="Attempts on a system that has come back, per worker and second, until all is done"
    )

    worker_activities: int = Field(20, ge=1, description="Activities a worker runs at once")
    worker_cached_clients: int = Field(1000, ge=0, description="Clients a worker keeps in memory")
    json_logs: bool = Field(True, description="One JSON object a line; false: for reading in a terminal")

    @field_validator("hosts")
    @classmethod
    def _host_names(cls, hosts: str) -> str:
        for host in filter(None, map(str.strip, hosts.split(","))):
            if not re.fullmatch(HOST, host):
                raise ValueError(
                    "must be host names or addresses with commas between, each with a port or without: "
                    "connect.example,10.0.0.5:8000,[fd00::5]"
                )
        return hosts

    @field_validator("sip_country")
    @classmethod
    def _sip_country(cls, country: str) -> str:
        code = country.strip().upper()
        if code and code not in SUPPORTED_REGIONS:
            raise ValueError("must be the two letters of a country (ISO 3166): GB")
        return code

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, url: str) -> str:
        if url and not re.fullmatch(rf"https?://{HOST}/?", url):
            raise ValueError("must be http:// or https://, a host name and no path: https://connect.example")
        return url

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        if not re.fullmatch(rf"https?://{HOST}/?", url):
            raise ValueError("must be http:// or https://, a host name and no path: http://api:8000")
        return url

    @field_validator("canaries")
    @classmethod
    def _canaries(cls, canaries: str) -> str:
        pairs = [entry.strip() for entry in canaries.split(",") if entry.strip()]
        if wrong := next((pair for pair in pairs if not re.fullmatch(CANARY, pair)), ""):
            raise ValueError(f"{wrong[:90]!r} is no site with a number. Write SITE=+NUMBER: thames-house=+442079460999")
        if wrong := next((pair for pair in pairs if not can_exist(pair.partition("=")[2])), ""):
            raise ValueError(f"{wrong}: that is not a telephone number that can exist. Give it in E.164")
        for part, what in ((0, "site"), (1, "number")):
            names = [it.split("=")[part] for it in pairs]
            if twice := next((name for name in names if names.count(name) > 1), ""):
                raise ValueError(f"names {what} {twice} twice. Each site has one canary, with a number of its own")
        return canaries

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, proxies: str) -> str:
        """Refuse networks of everybody: any caller could then choose the address that is counted."""
        for proxy in filter(None, map(str.strip, proxies.split(","))):
            try:
                everybody = ip_network(proxy).prefixlen == 0
            except ValueError:
                everybody = proxy == "*"
                if not everybody:
                    raise ValueError(
                        f"{proxy[:60]!r} is no address or network. Give those of the proxies, with commas between: "
                        "10.0.0.7,10.1.0.0/24,fd00::7"
                    ) from None
            if everybody:
                raise ValueError(
                    f"{proxy!r} is everybody: each caller could choose the address that is counted for him. "
                    "Give the proxies' own addresses or networks: 10.0.0.7,10.1.0.0/24"
                )
        return proxies

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("CONNECT_TLS_CERTIFICATE_FILE and CONNECT_TLS_KEY_FILE belong together: set both")
        return self

    @model_validator(mode="after")
    def _lock_before_statement(self) -> Self:
        if self.lock_seconds >= self.statement_seconds:
            raise ValueError(
                "CONNECT_LOCK_SECONDS must be below CONNECT_STATEMENT_SECONDS, or a lock cannot be told from slowness"
            )
        return self

    @model_validator(mode="after")
    def _disconnecting_within_an_attempt(self) -> Self:
        gear = self.nas.get_secret_value() or self.nas_file
        if gear and self.disconnect_pause_seconds + 2 * self.disconnect_seconds > self.disconnecting_seconds:
            raise ValueError(
                "CONNECT_DISCONNECT_PAUSE_SECONDS and twice CONNECT_DISCONNECT_SECONDS must fit into a fifth of "
                "CONNECT_ATTEMPT_SECONDS, or silent access gear makes every attempt run out of time"
            )
        return self

    @model_validator(mode="after")
    def _limits_within_an_activity(self) -> Self:
        """Refuse set values that do not fit. Defaults are cut to fit (``activity_seconds``)."""
        needs = {"operation_seconds": self.operation_seconds, "probe_seconds": PROBES * self.probe_seconds}
        for name, seconds in needs.items():
            if name in self.model_fields_set and seconds > self.attempt_seconds / ACTIVITIES:
                times = f"{PROBES} times " if name == "probe_seconds" else ""
                raise ValueError(
                    f"{times}CONNECT_{name.upper()} must not be above a quarter of CONNECT_ATTEMPT_SECONDS "
                    f"({self.attempt_seconds / ACTIVITIES:g} s), which is all that one activity may take"
                )
        return self

    @property
    def disconnecting_seconds(self) -> float:
        """Seconds into a try, which is a quarter of an attempt, after which no access gear is waited for. The rest is
        for reading back, a login of our own, and the directory."""
        return self.attempt_seconds / 5

    @property
    def activity_seconds(self) -> float:
        """Seconds for one activity's work without its record. Work that takes longer is reported as not proven."""
        whole = self.attempt_seconds / ACTIVITIES
        return max(0.9 * whole - self.record_seconds, 0.6 * whole)

    @property
    def canary_numbers(self) -> dict[str, str]:
        """The number of each canary's line, by site."""
        pairs = [entry.strip().partition("=") for entry in self.canaries.split(",") if entry.strip()]
        return {site: number for site, _, number in pairs}

    @property
    def limits(self) -> Limits:
        """The limits of time that a new client gets, in seconds, for its start input."""
        return Limits(
            attempt=self.attempt_seconds,
            first_pause=self.first_pause_seconds,
            longest_pause=self.longest_pause_seconds,
            at_once=self.at_once_seconds,
        )

    @property
    def has_master_key(self) -> bool:
        """Whether a master key is set."""
        return bool(self.master_key or self.master_key_file)

    def read_master_key(self) -> bytes:
        """The master key's bytes. Raises ValueError when it is not set, or shorter than 32 characters."""
        return self._secret("master_key", shortest=32).encode()

    def read_encryption_keys(self) -> str | None:
        """The operator's keys as they are written; None: there are none. Raises ValueError, which shows no key."""
        source = self.encryption_keys or self.encryption_keys_file
        return self._secret("encryption_keys", shortest=64) if source else None

    def read_rpc_secret(self) -> str:
        """The secret end of the addresses of ``sip_rpc_urls``; empty when they contain it. Raises ValueError for a
        short one."""
        return self._secret("sip_rpc_secret") if self.sip_rpc_secret or self.sip_rpc_secret_file else ""

    def read_token(self) -> str:
        """The API's bearer token. Raises ValueError when it is not set, or shorter than 16 characters."""
        return self._secret("token")

    def _secret(self, name: str, shortest: int = 16) -> str:
        """What a setting holds, or else the file that the setting beside it names."""
        setting = f"CONNECT_{name.upper()}"
        return read_secret(getattr(self, name), getattr(self, f"{name}_file"), f"{setting} or {setting}_FILE", shortest)


def can_exist(number: str) -> bool:
    """Whether there can be a number that is written in E.164."""
    try:
        return is_valid_number(parse(number))
    except NumberParseException:
        return False
