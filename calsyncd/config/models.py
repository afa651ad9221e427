"""The settings: one frozen model for each section; attributes are named as the keys of config.yaml.

A value is ready for use: durations are seconds, addresses and paths are resolved, secrets are loaded, and an agent's
rules are the company's with the agent's own laid over them. The docstring under a key is its description in the JSON
Schema. A key or word that a later version will know is refused by name (`later`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from calsyncd.config import fields
from calsyncd.config.faults import Problem
from calsyncd.config.rules import Rules, laid_over
from calsyncd.config.secretfiles import Secret, ServiceAccount
from calsyncd.config.section import Section
from calsyncd.config.values import Listen, TcpListen, UnixListen
from calsyncd.config.yamlnodes import spell


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


class Agent(Section):
    """A person: a Google account and an Aircall user."""

    email: fields.Email
    """The Google account, in lower case."""
    aircall_user: fields.AircallUser = Field(default="", validate_default=True)
    """The Aircall user's id or e-mail address; left out: the same e-mail address."""
    calendars: fields.Calendars = ("primary",)
    """Which of the account's calendars count, by id."""
    rules: Rules = Field(default_factory=Rules)
    """Laid over the rules of the company and of the agent's teams, key by key; here already complete."""
    mode: fields.OwnMode = None
    """As the company's mode, for this agent alone; left out: the team's, or the company's. Here already complete."""

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


class Team(Section):
    """Agents with something in common."""

    agents: fields.Members
    """The members, each by the e-mail address under which it stands in `agents`."""
    rules: Rules = Field(default_factory=Rules)
    """Laid over the company's rules, key by key; an agent's own are laid over them."""
    mode: fields.OwnMode = None
    """As the company's mode, for this team; left out: the company's."""

    @field_validator("agents")
    @classmethod
    def _somebody(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise Problem("expected at least one agent")
        return value


class StormGuard(Section):
    """When changes of calendars are too many at once to be believed unconfirmed."""

    share: fields.Share = 0.5
    """More than this share of the agents, within a minute; 1: never."""
    at_least: fields.AtLeast = 10
    """And at least so many agents."""


class Dispatch(Section):
    """Which updates go, and when, for the company as a whole."""

    early: fields.Early = fields.MINUTE
    """In a crowd that the budget cannot serve in time, at most this early: 5m at most."""
    cost_ringing: fields.Weight = 2.0
    """The weight of a second of ringing in a meeting."""
    cost_unreachable: fields.Weight = 1.0
    """The weight of a second of being unreachable after it."""
    keep_available: dict[str, fields.AtLeast] = Field(default_factory=dict)
    """How many agents are kept available, by team or, under `all`, of all; without it meetings may take everybody."""
    storm_guard: StormGuard = Field(default_factory=StormGuard)
    """When changes of calendars are too many at once to be believed unconfirmed."""


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

    later: ClassVar[Mapping[str, str]] = MappingProxyType({"alerts": ""})

    mode: fields.Mode = "act"
    """act: availability is really changed; observe: all but that, and what would have been done is shown."""
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
    teams: dict[fields.TeamName, Team] = Field(default_factory=dict, json_schema_extra={"additionalProperties": False})
    """Agents with something in common, by the team's name."""
    agents: tuple[Agent, ...]
    """Whose availability follows their calendars."""
    dispatch: Dispatch = Field(default_factory=Dispatch)
    """Which updates go, and when, for the company as a whole."""
    history: History = Field(default_factory=History)
    """The record of every change."""
    log: Log = Field(default_factory=Log)
    """The log on standard output."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in the settings, for what must never print one."""
        account = self.google.service_account
        return (self.aircall.api_token, account.private_key, account.info)

    def origin(self, agent: Agent, key: str) -> str:
        """Where the rule of this key stands that holds for `agent`: agent, team NAME, company or default."""
        if key in agent.rules.model_fields_set:
            return "agent"
        for name, team in self.teams.items():
            if agent.email in team.agents and key in team.rules.model_fields_set:
                return f"team {name}"
        return "company" if key in self.rules.model_fields_set else "default"

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
    def _complete(cls, value: tuple[Agent, ...], info: ValidationInfo) -> tuple[Agent, ...]:
        company: Rules = info.data.get("rules", Rules())
        teams: dict[str, Team] = info.data.get("teams", {})
        of_teams = {email: team.mode for team in teams.values() if team.mode is not None for email in team.agents}
        modes = (agent.mode or of_teams.get(agent.email) or info.data.get("mode") for agent in value)
        of_team = [(team.agents, team.rules) for team in teams.values()]
        rules = (
            laid_over([company, *(own for members, own in of_team if agent.email in members), agent.rules])
            for agent in value
        )
        return tuple(
            agent.model_copy(update={"rules": own, "mode": mode})
            for agent, own, mode in zip(value, rules, modes, strict=True)
        )

    @model_validator(mode="before")
    @classmethod
    def _mark_teams(cls, value: object) -> object:
        """Marks what does not go with the agents and teams that are named, whatever else is faulty."""
        if not isinstance(value, dict):
            return value
        agents, teams, dispatch = (value.get(key) for key in ("agents", "teams", "dispatch"))
        marked: dict[str, object] = dict(value)
        if isinstance(teams, dict):
            marked["teams"] = _marked_members(teams, agents)
        names: dict[Any, Any] = teams if isinstance(teams, dict) else {}
        floors = dispatch.get("keep_available") if isinstance(dispatch, dict) else None
        if isinstance(dispatch, dict) and isinstance(floors, dict):
            unknown = fields.Clash(f"there is no team of this name under teams (or `{fields.ALL}`, for all agents)")
            known = {name: least if name in names or name == fields.ALL else unknown for name, least in floors.items()}
            marked["dispatch"] = dispatch | {"keep_available": known}
        return marked


def _marked_members(teams: dict[Any, Any], agents: object) -> dict[Any, Any]:
    listed = {
        agent["email"].lower()
        for agent in (agents if isinstance(agents, list) else ())
        if isinstance(agent, dict) and isinstance(agent.get("email"), str)
    }
    marked: dict[Any, Any] = {}
    said: dict[tuple[str, str], tuple[str, object]] = {}
    for name, team in teams.items():
        marked[name] = team
        members = team.get("agents") if isinstance(team, dict) else None
        if not isinstance(members, list):
            continue
        says = _said(team)
        shown: list[object] = []
        for member in members:
            shown.append(member)
            if not isinstance(member, str):
                continue
            email = member.lower()
            others = ((key, *said.setdefault((email, key), (str(name), value)), value) for key, value in says.items())
            differs = next(((key, first) for key, first, other, value in others if other != value), None)
            if email in (one.lower() for one in members[: len(shown) - 1] if isinstance(one, str)):
                shown[-1] = fields.Clash("is in this team already")
            elif isinstance(agents, list) and email not in listed and "@" in email:
                shown[-1] = fields.Clash("no agent under agents has this e-mail address")
            elif differs is not None:
                key, first = differs
                shown[-1] = fields.Clash(
                    f"is in teams.{spell((first,))} too, whose {key} is another: give both the same, or leave one out"
                )
        marked[name] = team | {"agents": shown}
    return marked


def _said(team: dict[Any, Any]) -> dict[str, object]:
    """What a team says of its members that another team may say otherwise."""
    mode, rules = team.get("mode"), team.get("rules")
    said: dict[str, object] = {"mode": mode} if mode in ("act", "observe") else {}
    return said | {f"rules.{key}": value for key, value in (rules if isinstance(rules, dict) else {}).items()}
