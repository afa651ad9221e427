"""The settings: one frozen model for each section; attributes are named as the keys of config.yaml.

A value is ready for use: durations are seconds, addresses and paths are resolved, secrets are loaded, and an agent's
rules are the company's with the agent's own laid over them. The docstring under a key is its description in the JSON
Schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, ValidationInfo, field_validator, model_validator

from calsyncd.config import fields
from calsyncd.config.faults import Problem
from calsyncd.config.rules import Rules, laid_over
from calsyncd.config.secretfiles import Secret
from calsyncd.config.section import Section
from calsyncd.config.services import Aircall, Alerts, Google
from calsyncd.config.values import Listen, TcpListen, UnixListen
from calsyncd.config.yamlnodes import spell


class Server(Section):
    """Where calsyncd listens and how it is reached."""

    listen: fields.Address = TcpListen("127.0.0.1", 8770)
    """Google's and Aircall's calls arrive here, behind a reverse proxy: host:port or unix:/path."""
    public_url: fields.PublicUrl = None
    """How Google and Aircall reach `listen`; without it calendars are polled only."""
    trusted_proxies: fields.TrustedProxies = ()
    """Whose X-Forwarded-For is believed: addresses and networks, or unix for whoever comes by a Unix socket."""
    admin_token_file: fields.AdminTokenFile = None
    """Whoever asks `admin_listen` must carry what this file holds; demanded where that is no loopback address."""
    admin_listen: fields.Address = Field(default=TcpListen("127.0.0.1", 8771), validate_default=True)
    """Dashboard, API and metrics, for operators: host:port, of loopback without a token, or unix:/path."""

    @field_validator("admin_listen")
    @classmethod
    def _private(cls, value: Listen, info: ValidationInfo) -> Listen:
        if not value.is_loopback and info.data.get("admin_token_file", "faulty") is None:
            raise Problem("must be a loopback address or unix:/path; any other needs admin_token_file beside it")
        if _collide(value, info.data.get("listen")):
            raise Problem("the same address as server.listen; choose another port")
        return value

    @property
    def admin_token(self) -> Secret | None:
        """The loaded token; None where nobody needs one."""
        return self.admin_token_file.secret if self.admin_token_file is not None else None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in this section."""
        return (self.admin_token,) if self.admin_token is not None else ()


def _collide(one: Listen, other: Listen | None) -> bool:
    if isinstance(one, TcpListen) and isinstance(other, TcpListen):
        everywhere = {"0.0.0.0", "::"}  # noqa: S104 - recognised, not bound
        return one.port == other.port != 0 and (one.host == other.host or other.host in everywhere)
    return isinstance(one, UnixListen) and one == other


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


def _or_all(schema: dict[str, Any]) -> None:
    listed = {key: schema.pop(key) for key in ("type", "items")}
    schema["anyOf"] = [{"const": fields.ALL}, listed]


@dataclass(frozen=True, slots=True)
class _File:
    """From what settings were read; they are the same from whatever file they came."""

    text: bytes = field(default=b"", compare=False)


class Settings(Section):
    """Everything in config.yaml."""

    _everybody: bool = PrivateAttr(default=False)
    _file: _File = PrivateAttr(default=_File())

    mode: fields.Mode = "act"
    """act: availability is really changed; observe: all but that, and what would have been done is shown."""
    server: Server = Field(default_factory=Server)
    """Where calsyncd listens and how it is reached."""
    state_dir: fields.StateDir = Field(default=Path(), validate_default=True)
    """Where the database and the ledger live; left out: $STATE_DIRECTORY, else ./state beside this file."""
    vault_key_file: fields.VaultKeyFile = Field(default=Path(), validate_default=True)
    """The key of what agents and Aircall granted; left out: credential vault-key, else STATE_DIR-key/vault.key."""
    google: Google
    """Google Calendar."""
    aircall: Aircall
    """Aircall."""
    rules: Rules = Field(default_factory=Rules)
    """What a meeting does to an agent's availability, for all agents."""
    teams: dict[fields.TeamName, Team] = Field(default_factory=dict, json_schema_extra={"additionalProperties": False})
    """Agents with something in common, by the team's name."""
    agents: tuple[Agent, ...] = Field(json_schema_extra=_or_all)
    """Whose availability follows their calendars: a list, or all: every Aircall user who has a Google calendar."""
    dispatch: Dispatch = Field(default_factory=Dispatch)
    """Which updates go, and when, for the company as a whole."""
    alerts: Alerts = Field(default_factory=Alerts)
    """Where alarms are sent, when they are raised and when they are cleared."""
    history: History = Field(default_factory=History)
    """The record of every change."""
    log: Log = Field(default_factory=Log)
    """The log on standard output."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in the settings, for what must never print one."""
        return (*self.server.secrets, *self.google.secrets, *self.aircall.secrets, *self.alerts.secrets)

    @property
    def credentials(self) -> Path:
        """The vault's folder: what agents and Aircall granted."""
        return self.state_dir / "credentials"

    @property
    def everybody(self) -> bool:
        """Whether everybody is followed whose Aircall user has a Google calendar; `agents` is empty then."""
        return self._everybody

    @property
    def text(self) -> bytes:
        """The file from which they were read."""
        return self._file.text

    def read_from(self, text: bytes) -> Self:
        """The same settings, which were read from this."""
        self._file = _File(text)
        return self

    def agent_of(self, email: str, aircall_user: int | str) -> Agent:
        """Whom `agents` lists under this address, else an agent of the company's and their teams' rules and mode.

        Raises:
            ValueError: this is no e-mail address, or no Aircall user.
        """
        listed = next((agent for agent in self.agents if agent.email == email.lower()), None)
        if listed is not None:
            return listed
        agent = Agent(email=email, aircall_user=aircall_user)
        teams = {name: team for name, team in self.teams.items() if agent.email in team.agents}
        return _Complete(self.rules, teams, self.mode).of(agent)

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
        if value == fields.ALL:
            return []
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
    def _all_complete(cls, value: tuple[Agent, ...], info: ValidationInfo) -> tuple[Agent, ...]:
        known = info.data
        company, teams, mode = known.get("rules", Rules()), known.get("teams", {}), known.get("mode", "act")
        complete = _Complete(company, teams, mode)
        return tuple(complete.of(agent) for agent in value)

    @model_validator(mode="wrap")
    @classmethod
    def _note_everybody(cls, value: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        settings = handler(value)
        settings._everybody = isinstance(value, dict) and value.get("agents") == fields.ALL  # noqa: SLF001 - this class's own
        return settings

    @model_validator(mode="before")
    @classmethod
    def _mark_address(cls, value: object) -> object:
        """Marks a missing public_url where somebody must come to it, and lets the client file be compared with it."""
        if not isinstance(value, dict):
            return value
        google, aircall, server = (value.get(key, {}) for key in ("google", "aircall", "server"))
        consent = _only(google, "oauth_client_file", "service_account_file")
        install = _only(aircall, "oauth", "api_id", "api_token_file")
        url = server.get("public_url") if isinstance(server, dict) else None
        marked: dict[str, object] = dict(value)
        if isinstance(google, dict) and consent and url is not None:
            marked["google"] = google | {"oauth_client_file": fields.At(google["oauth_client_file"], url)}
        if (consent or install) and url is None and isinstance(server, dict):
            key, who = ("google.oauth_client_file", "agents") if consent else ("aircall.oauth", "Aircall's admin")
            marked["server"] = server | {
                "public_url": fields.Missing(f"is missing; {key} needs it: {who} must come to it to consent")
            }
        return marked

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


def _only(section: object, key: str, *others: str) -> bool:
    """Whether the section gives this key, and none of the others that stand in its place."""
    given = {name for name, value in section.items() if value is not None} if isinstance(section, dict) else set()
    return key in given and not given & set(others)


class _Complete:
    """Gives agents the rules and the mode that hold for them; rules that all of some teams share are made once."""

    def __init__(self, company: Rules, teams: Mapping[str, Team], mode: str) -> None:
        self._company = company
        self._mode = mode
        self._teams: dict[str, list[Team]] = {}
        for team in teams.values():
            for email in team.agents:
                self._teams.setdefault(email, []).append(team)
        self._shared: dict[tuple[int, ...], Rules] = {}

    def of(self, agent: Agent) -> Agent:
        """The agent, complete."""
        own = self._teams.get(agent.email, [])
        of_team = next((team.mode for team in reversed(own) if team.mode is not None), None)
        which = tuple(map(id, own))
        rules = self._shared.get(which) if not agent.rules.model_fields_set else None
        if rules is None:
            rules = laid_over([self._company, *(team.rules for team in own), agent.rules])
            if not agent.rules.model_fields_set:
                self._shared[which] = rules
        return agent.model_copy(update={"rules": rules, "mode": agent.mode or of_team or self._mode})


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
        before: set[str] = set()
        for member in members:
            shown.append(member)
            if not isinstance(member, str):
                continue
            email = member.lower()
            others = ((key, *said.setdefault((email, key), (str(name), value)), value) for key, value in says.items())
            differs = next(((key, first) for key, first, other, value in others if other != value), None)
            if email in before:
                shown[-1] = fields.Clash("is in this team already")
            elif isinstance(agents, list) and email not in listed and "@" in email:
                shown[-1] = fields.Clash("no agent under agents has this e-mail address")
            elif differs is not None:
                key, first = differs
                shown[-1] = fields.Clash(
                    f"is in teams.{spell((first,))} too, whose {key} is another: give both the same, or leave one out"
                )
            before.add(email)
        marked[name] = team | {"agents": shown}
    return marked


def _said(team: dict[Any, Any]) -> dict[str, object]:
    """What a team says of its members that another team may say otherwise."""
    mode, rules = team.get("mode"), team.get("rules")
    said: dict[str, object] = {"mode": mode} if mode in ("act", "observe") else {}
    return said | {f"rules.{key}": value for key, value in (rules if isinstance(rules, dict) else {}).items()}
