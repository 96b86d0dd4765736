"""Settings of webhooks."""

from ipaddress import ip_network

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class WebhookSettings(BaseSettings):
    """Some of the settings of a worker or of an API process (activities/settings.py)."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    webhook_networks: str = Field(
        "",
        description="Networks that webhooks may be sent to though they are inside, with commas between, also without "
        "TLS: 10.20.0.0/16. Empty: none, a receiver has a public address",
    )
    webhook_seconds: float = Field(10.0, gt=0, le=45, description="For the receiver of a webhook to answer")
    webhooks_at_once: int = Field(
        20, ge=1, description="Receivers that a worker waits for at once; a quarter of these, or 2, for one webhook"
    )

    @field_validator("webhook_networks")
    @classmethod
    def _webhook_networks(cls, networks: str) -> str:
        for network in filter(None, map(str.strip, networks.split(","))):
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(
                    f"{network[:60]!r} is no network. Give some, with commas between: 10.20.0.0/16,fd00::/8"
                ) from None
        return networks
