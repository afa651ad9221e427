"""The settings of what is outside: Google Calendar, Aircall, and who is told of alarms."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from calsyncd.config import fields
from calsyncd.config.secretfiles import OAuthClient, Secret, ServiceAccount
from calsyncd.config.section import Section

_KEY = ("api_id", "api_token_file")


def _needs(**kinds: str) -> dict[str, Any]:
    return {"required": [*kinds], "properties": {key: {"type": kind} for key, kind in kinds.items()}}


class Google(Section):
    """Google Calendar."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [_needs(service_account_file="string"), _needs(oauth_client_file="string")]}
    )

    service_account_file: fields.AccountFile = None
    """The JSON key of a service account with domain-wide delegation: a path, or the name of a systemd credential."""
    oauth_client_file: fields.ClientFile = None
    """In its place: the JSON of an OAuth client of type Web application, with which each agent consents once."""
    poll_interval: fields.PollInterval = "auto"
    """How often a calendar with healthy push is read all the same; auto: 5m, stretched to keep requests_per_day."""
    poll_interval_without_push: fields.Pace = 2 * fields.MINUTE
    """How often a calendar is read whose push is off, unverified, expired or silent."""
    requests_per_day: fields.RequestsPerDay = 500_000
    """Polls are stretched so that a day stays below this."""
    horizon: fields.Horizon = 14 * fields.DAY
    """How far ahead events are read: 1d to 60d."""
    api_url: fields.Url = "https://www.googleapis.com/calendar/v3"
    """Google Calendar's address."""
    revoke_url: fields.Url = "https://oauth2.googleapis.com/revoke"
    """Where an agent's consent is given back to Google."""

    @property
    def service_account(self) -> ServiceAccount | None:
        """The loaded service account; None where agents consent themselves."""
        return self.service_account_file

    @property
    def oauth_client(self) -> OAuthClient | None:
        """The loaded OAuth client; None where a service account reads for everybody."""
        return self.oauth_client_file

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in this section."""
        account, client = self.service_account, self.oauth_client
        return (
            *((account.private_key, account.info) if account is not None else ()),
            *((client.client_secret, client.info) if client is not None else ()),
        )

    @model_validator(mode="before")
    @classmethod
    def _one_way(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        account, client = value.get("service_account_file"), value.get("oauth_client_file")
        if account is not None and client is not None:
            clash = fields.Clash("give this or service_account_file, not both")
            return value | {"oauth_client_file": clash}
        if account is None and client is None:
            return value | {
                "service_account_file": fields.Missing(
                    "is missing; give this or oauth_client_file", "oauth_client_file"
                )
            }
        return value


class AircallOauth(Section):
    """The installation of an Aircall app, by Aircall's consent page."""

    client_id: fields.ClientId
    """The client id that Aircall gave the app."""
    client_secret_file: fields.SecretWord
    """The file that holds the app's client secret: a path, or the name of a systemd credential."""
    company: fields.CompanyId = None
    """Aircall's id of the only company that may install the app; left out: `calsyncd connect --aircall` invites it."""

    @property
    def client_secret(self) -> Secret:
        """The loaded client secret."""
        return self.client_secret_file.secret


class Aircall(Section):
    """Aircall."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [_needs(**dict.fromkeys(_KEY, "string")), _needs(oauth="object")]}
    )

    api_id: fields.ApiId = None
    """The API id that Aircall shows beside the API key."""
    api_token_file: fields.TokenFile = None
    """The file that holds the API token: a path, or the name of a systemd credential."""
    oauth: AircallOauth | None = Field(default=None)
    """In place of both: an Aircall app, which an admin installs at server.public_url with /aircall/oauth/install."""
    requests_per_minute: fields.RequestsPerMinute = 100
    """Our share of the 120 requests a minute that Aircall grants the company."""
    webhooks: fields.YesOrNo = True
    """Whether Aircall tells of changes made in its app, at once; used when server.public_url is set."""
    users_api: fields.UsersApi = "auto"
    """Which version of Aircall's users API is written to; auto: v2, and v1 if v2 refuses."""
    api_url: fields.Url = "https://api.aircall.io"
    """Aircall's address."""
    dashboard_url: fields.Url = "https://dashboard.aircall.io"
    """The address of Aircall's dashboard, where its consent page is."""

    @property
    def api_token(self) -> Secret | None:
        """The loaded API token; None where an Aircall app is installed."""
        return self.api_token_file.secret if self.api_token_file is not None else None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in this section."""
        return tuple(
            secret
            for secret in (self.api_token, self.oauth.client_secret if self.oauth is not None else None)
            if secret is not None
        )

    @model_validator(mode="before")
    @classmethod
    def _one_way(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        lacking = [key for key in ("api_id", "api_token_file") if value.get(key) is None]
        if value.get("oauth") is not None:
            given = {
                key: fields.Clash("does not go with oauth; give one of the two") for key in _KEY if key not in lacking
            }
            return value | given
        said = (
            "is missing, and has no default"
            if len(lacking) < len(_KEY)
            else f"is missing; give {' and '.join(_KEY)}, or oauth"
        )
        return value | {key: fields.Missing(said, "oauth") for key in lacking}


class Alerts(Section):
    """Where alarms are sent, as JSON."""

    url_file: fields.HookFile = None
    """The file that holds the URL to which each is POSTed: a path, or the name of a systemd credential."""
    command: fields.Command = None
    """What is run for each, with the JSON on standard input: a list, or one line with quotes as in a shell."""

    @property
    def url(self) -> Secret | None:
        """The loaded URL."""
        return self.url_file.secret if self.url_file is not None else None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in this section."""
        return (self.url,) if self.url is not None else ()
