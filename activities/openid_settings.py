"""The settings about OpenID Connect: whose tokens count, and who comes with them (starter/web/openid.py)."""

import json
import re
from pathlib import Path
from typing import Literal, Self, TypeAlias, get_args

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

RoleName: TypeAlias = Literal["viewer", "service", "operator", "admin"]
ISSUER = r"https://[^\s?#@]+|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?(/[^\s?#@]*)?"
"""An issuer by TLS; without it, only one on this machine, for trying things out."""


class OpenIdSettings(BaseSettings):
    """Without ``oidc_issuer``, API tokens and the token of the settings are the only ones."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    oidc_issuer: str = Field(
        "", description="Issuer of an OpenID provider, as https://id.example/realms/firm. Empty: no OpenID Connect"
    )
    oidc_audience: str = Field(
        "", description="Audience (aud) of the provider's access tokens that the API takes. Empty: it takes none"
    )
    oidc_client_id: str = Field(
        "", description="What the console is called at the provider, to have people sign in there. Empty: nobody does"
    )
    oidc_client_secret_file: Path | None = Field(
        None, description="File with the console's secret there, if it has one"
    )
    oidc_client_secret: SecretStr | None = Field(None, description="The secret itself, where a file is not handy")
    oidc_scopes: str = Field("openid profile email", description="What the console asks the provider for")
    oidc_title: str = Field("your company account", description="What people sign in with, as the sign-in page says it")
    oidc_role_claim: str = Field(
        "roles", description="The claim whose values oidc_roles makes a role of; realm_access.roles is one in another"
    )
    oidc_roles: str = Field(
        "",
        description='The role of each value, as JSON: {"connect-admins": "admin", "front-desk": "operator"}. Of '
        "several the one that may most counts: admin, operator, service, viewer. Who has none may do nothing",
    )
    oidc_sites_claim: str = Field(
        "",
        description="The claim with the ids of the only sites that one sees; * in it: all. Empty: everybody sees all",
    )
    oidc_sources_claim: str = Field(
        "", description="The claim with the sources of a service's holds and plans. Empty: the service's own name"
    )
    oidc_name_claim: str = Field(
        "preferred_username",
        description="The claim that stands in the history, after oidc: in front; without it, sub= and the claim sub. "
        "Choose one that the provider gives to nobody else later. An email counts only with email_verified",
    )
    oidc_skew_seconds: int = Field(60, ge=0, le=300, description="How far the provider's clock may be from ours")
    oidc_session_minutes: int = Field(
        60, ge=5, le=720, description="After so long who signed in there is judged anew, by signing in again"
    )

    oidc_token_days: int = Field(
        365,
        ge=1,
        le=3650,
        description="API tokens that somebody makes who signed in there end within so many days: they outlast the role",
    )

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, issuer: str) -> str:
        if issuer and not re.fullmatch(ISSUER, issuer):
            raise ValueError(
                "must begin with https:// (http:// on this machine alone), and have no query: https://id.example"
            )
        return issuer

    @field_validator("oidc_scopes")
    @classmethod
    def _scopes(cls, scopes: str) -> str:
        if "openid" not in scopes.split():
            raise ValueError("must have openid among them: openid profile email")
        return scopes

    @field_validator("oidc_roles")
    @classmethod
    def _roles(cls, roles: str) -> str:
        try:
            table = json.loads(roles or "{}")
        except ValueError:
            table = None
        if not isinstance(table, dict) or not all(role in get_args(RoleName) for role in table.values()):
            raise ValueError(
                'must be JSON that gives each value of the claim one of viewer, service, operator, admin: {"staff": '
                '"operator"}'
            )
        return roles

    @model_validator(mode="after")
    def _openid_whole(self) -> Self:
        """Refuse what does not go together: nobody could come in, or an ID token would open the API."""
        if not self.oidc_issuer:
            if self.oidc_audience or self.oidc_client_id:
                raise ValueError("CONNECT_OIDC_AUDIENCE and CONNECT_OIDC_CLIENT_ID need CONNECT_OIDC_ISSUER: set it")
            return self
        if not (self.oidc_audience or self.oidc_client_id):
            raise ValueError("CONNECT_OIDC_ISSUER needs CONNECT_OIDC_AUDIENCE, CONNECT_OIDC_CLIENT_ID or both: set one")
        if not self.oidc_role_table:
            raise ValueError("CONNECT_OIDC_ROLES gives nobody a role: name a value of the claim and its role")
        if self.oidc_audience == self.oidc_client_id:
            raise ValueError(
                "CONNECT_OIDC_AUDIENCE must not be CONNECT_OIDC_CLIENT_ID: what shows who signed in would open the "
                "API. Give the API an audience of its own at the provider"
            )
        return self

    @property
    def oidc_role_table(self) -> dict[str, RoleName]:
        """The role of each value of the claim."""
        table: dict[str, RoleName] = json.loads(self.oidc_roles or "{}")
        return table

    def read_oidc_client_secret(self) -> str | None:
        """The console's secret at the provider; None: it has none (a public client, which PKCE protects)."""
        if self.oidc_client_secret:
            return self.oidc_client_secret.get_secret_value() or None
        file = self.oidc_client_secret_file
        return (file.read_text(encoding="utf-8").strip() or None) if file else None
