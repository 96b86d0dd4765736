"""Settings of what callers may do, and how much at once."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CallerSettings(BaseSettings):
    """Some of the settings of a worker or of an API process (activities/settings.py)."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    api_requests: int = Field(
        200,
        ge=10,
        description="Requests of the API that are worked on at once; viewers are turned away first, then services",
    )
    api_waiting: int = Field(500, ge=0, description="Requests that wait for an effect (Prefer), besides")
    api_per_second: float = Field(
        100.0, ge=0, description="Requests a second of one token of a viewer or service, on average; 0: any number"
    )
    nexus_callers: str = Field(
        "",
        description="What workflows of other Temporal namespaces may do by Nexus, as JSON by namespace, * for all "
        'others, with roles, sites and sources as API tokens have them: {"billing": {"role": "service", "sources": '
        '["billing"]}}. Empty: each is a service, whose source is the name of its namespace',
    )
