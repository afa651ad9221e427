"""The settings: one frozen model for each section; attributes are named as the keys of config.yaml.

A value is ready for use: durations are seconds, addresses and paths are resolved, secrets are loaded, and an agent's
rules are the company's with the agent's own laid over them. The docstring under a key is its description in the JSON
Schema. A key or word that a later version will know is refused by name (`later`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from calsyncd.config import fields
from calsyncd.config.faults import Problem
from calsyncd.config.secretfiles import Secret, ServiceAccount
from calsyncd.config.values import Listen, TcpListen, UnixListen


class Section(BaseModel):
    """What all sections share."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    later: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Keys that a later version will know, each with what to do until then, or ""."""


class Server(Section):
    """Where calsyncd listens and how it is reached."""

    later: ClassVar[Mapping[str, str]] = MappingProxyType({"trusted_proxies": "", "admin_token_file": ""})

    listen: fields.Address = TcpListen("127.0.0.1", 8770)
    """Google's and Aircall's calls arrive here, behind a reverse proxy: host:port or unix:/path."""
    public_url: fields.PublicUrl = None
    """How Google and Aircall reach `listen`; without it calendars are polled only."""
    admin_listen: fields.Address = Field(default=TcpListen("127.0.0.1", 8771), validate_default=True)
    """Dashboard, API and metrics, for operators: a loopback host:port or unix:/path."""

    @field_validator("admin_listen")
    @classmethod
    def _private(cls, value: Listen, info: ValidationInfo) -> Listen:
        if not value.is_loopback:
            raise Problem(
                "must be a loopback address or unix:/path: any other needs admin_token_file, which is not available yet"
            )
        if _collide(value, info.data.get("listen")):
            raise Problem("the same address as server.listen; choose another port")
        return value


def _collide(one: Listen, other: Listen | None) -> bool:
    if isinstance(one, TcpListen) and isinstance(other, TcpListen):
        everywhere = {"0.0.0.0", "::"}  # noqa: S104 - recognised, not bound
        return one.port == other.port != 0 and (one.host == other.host or other.host in everywhere)
    return isinstance(one, UnixListen) and one == other


class Google(Section):
    """Google Calendar."""

    later: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"oauth_client_file": "use service_account_file", "revoke_url": ""}
    )

    service_account_file: fields.AccountFile
    """The JSON key of a service account with domain-wide delegation: a path, or the name of a systemd credential."""
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

    @property
    def service_account(self) -> ServiceAccount:
        """The loaded service account."""
        return self.service_account_file


class Aircall(Section):
    """Aircall."""

    later: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"oauth": "use api_id and api_token_file", "dashboard_url": ""}
    )

    api_id: fields.ApiId
    """The API id that Aircall shows beside the API key."""
    api_token_file: fields.TokenFile
    """The file that holds the API token: a path, or the name of a systemd credential."""
    requests_per_minute: fields.RequestsPerMinute = 100
    """Our share of the 120 requests a minute that Aircall grants the company."""
    webhooks: fields.YesOrNo = True
    """Whether Aircall tells of changes made in its app, at once; used when server.public_url is set."""
    users_api: fields.UsersApi = "auto"
    """Which version of Aircall's users API is written to; auto: v2, and v1 if v2 refuses."""
    api_url: fields.Url = "https://api.aircall.io"
    """Aircall's address."""

    @property
    def api_token(self) -> Secret:
        """The loaded API token."""
        return self.api_token_file.secret


class Rules(Section):
    """What a meeting does to an agent's availability."""

    later: ClassVar[Mapping[str, str]] = MappingProxyType(
        dict.fromkeys(
            (
                "tentative",
                "unanswered",
                "all_day",
                "out_of_office",
                "focus_time",
                "minimum_duration",
                "ignore_titles",
                "only_titles",
                "working_hours",
                "substatus_by_title",
            ),
            "",
        )
    )

    lead: fields.Padding = 0.0
    """Unavailable this long before a meeting: 12h at most."""
    lag: fields.Padding = 0.0
    """And this long after it: 12h at most."""
    bridge: fields.Padding = 0.0
    """A gap between meetings shorter than this is not worth coming back for."""
    substatus: fields.Substatus = None
    """The reason that Aircall shows: out_for_lunch, on_a_break, in_training, doing_back_office, other, or null."""
    on_manual_change: fields.OnManualChange = "respect"
    """Who changes their setting in a meeting keeps it (respect), or is made unavailable again (enforce)."""


class Agent(Section):
    """A person: a Google account and an Aircall user."""

    later: ClassVar[Mapping[str, str]] = MappingProxyType({"mode": ""})

    email: fields.Email
    """The Google account, in lower case."""
    aircall_user: fields.AircallUser = Field(default="", validate_default=True)
    """The Aircall user's id or e-mail address; left out: the same e-mail address."""
    calendars: fields.Calendars = ("primary",)
    """Which of the account's calendars count, by id."""
    rules: Rules = Field(default_factory=Rules)
    """Laid over the company's rules, key by key; here already complete."""

    @field_validator("calendars")
    @classmethod
    def _distinct(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not value:
            raise Problem("expected at least one calendar, such as primary")
        # Google's id of the primary calendar is the account's e-mail address.
        same = {"primary" if name.lower() == info.data.get("email") else name for name in value}
        if len(same) < len(value):
            raise Problem("names the same calendar twice")
        return value


class History(Section):
    """The record of every change."""

    keep: fields.Keep = 90 * fields.DAY
    """How long changes are remembered."""


class Log(Section):
    """The log on standard output."""

    level: fields.LogLevel = "info"
    """The least serious records that are written: debug, info, warning or error."""
    format: fields.LogFormat = "json"
    """json, one object a line; or console, for people."""


class Settings(Section):
    """Everything in config.yaml."""

    later: ClassVar[Mapping[str, str]] = MappingProxyType({"teams": "", "dispatch": "", "alerts": ""})

    mode: fields.Mode = "act"
    """act: availability is really changed."""
    server: Server = Field(default_factory=Server)
    """Where calsyncd listens and how it is reached."""
    state_dir: fields.StateDir = Field(default=Path(), validate_default=True)
    """Where the database and the ledger live; left out: $STATE_DIRECTORY, else ./state beside this file."""
    google: Google
    """Google Calendar."""
    aircall: Aircall
    """Aircall."""
    rules: Rules = Field(default_factory=Rules)
    """What a meeting does to an agent's availability, for all agents."""
    agents: tuple[Agent, ...]
    """Whose availability follows their calendars."""
    history: History = Field(default_factory=History)
    """The record of every change."""
    log: Log = Field(default_factory=Log)
    """The log on standard output."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in the settings, for what must never print one."""
        account = self.google.service_account
        return (self.aircall.api_token, account.private_key, account.info)

    @field_validator("agents", mode="before")
    @classmethod
    def _mark_clashes(cls, value: object) -> object:
        """Marks each agent whose account or Aircall user an earlier one has, so that the fault gets their place."""
        if value == "all":
            raise Problem("`all` is not available yet (list each agent with `- email:`)")
        if not isinstance(value, list):
            return value
        accounts: dict[str, int] = {}
        users: dict[str, int] = {}
        marked: list[object] = []
        for index, agent in enumerate(value):
            marked.append(agent)
            if not isinstance(agent, dict) or not isinstance(agent.get("email"), str):
                continue
            account = agent["email"].lower()
            user = str(agent.get("aircall_user") or account).lower()
            if accounts.setdefault(account, index) != index:
                marked[-1] = agent | {"email": fields.Clash(f"agents[{accounts[account]}] has the same e-mail address")}
            elif users.setdefault(user, index) != index:
                clash = fields.Clash(f"agents[{users[user]}] is the same Aircall user; each user follows one agent")
                marked[-1] = agent | {"aircall_user": clash}
        return marked

    @field_validator("agents")
    @classmethod
    def _complete_rules(cls, value: tuple[Agent, ...], info: ValidationInfo) -> tuple[Agent, ...]:
        company: Rules = info.data.get("rules", Rules())
        return tuple(agent.model_copy(update={"rules": _over(company, agent.rules)}) for agent in value)


def _over(company: Rules, own: Rules) -> Rules:
    return company.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
