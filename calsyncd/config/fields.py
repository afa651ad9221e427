"""The types of the models' fields: how each is read, and how it shows in the JSON Schema."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from calsyncd.config import values
from calsyncd.config.faults import Absent, Problem
from calsyncd.config.secretfiles import (
    OAuthClient,
    SecretFile,
    ServiceAccount,
    read_long_token,
    read_oauth_client,
    read_service_account,
    read_token,
    read_url,
    vault_key_file,
)
from calsyncd.config.values import Listen, Surroundings
from calsyncd.core import titles
from calsyncd.core.hours import zone_of
from calsyncd.core.rules import COLOURS, EventType
from calsyncd.routes import GOOGLE_CALLBACK

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
_MOST_ID = 10**15

SubstatusWord = Literal["out_for_lunch", "on_a_break", "in_training", "doing_back_office", "other"]
ModeWord = Literal["act", "observe"]
UsersApiWord = Literal["auto", "v2", "v1"]
LogLevelWord = Literal["debug", "info", "warning", "error"]
LogFormatWord = Literal["json", "console"]

_SUBSTATUSES: tuple[str, ...] = get_args(SubstatusWord)
_MODES: tuple[str, ...] = get_args(ModeWord)
_USERS_APIS: tuple[str, ...] = get_args(UsersApiWord)
_LOG_LEVELS: tuple[str, ...] = get_args(LogLevelWord)
_LOG_FORMATS: tuple[str, ...] = get_args(LogFormatWord)
_EVENT_TYPES: tuple[str, ...] = get_args(EventType)
_MUTED = "do_not_disturb"

_DURATION: list[dict[str, Any]] = [
    {"type": "string", "pattern": values.DURATION_PATTERN},
    {"type": "number", "minimum": 0},
]
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_URL: dict[str, Any] = {"type": "string", "pattern": "^https?://"}
_LISTEN: dict[str, Any] = {"type": "string", "pattern": values.LISTEN_PATTERN}
_EMAIL: dict[str, Any] = {"type": "string", "pattern": values.EMAIL_PATTERN}
_NULL: dict[str, Any] = {"type": "null"}
_DAY: dict[str, Any] = {"type": "string", "pattern": values.DAYS_PATTERN}
_TEXT_OR_NULL = WithJsonSchema({"anyOf": [_TEXT, _NULL]})
ALL = "all"
"""In place of a team's name, or of the list of agents: all of them."""

_AS_PATH = PlainSerializer(lambda value: None if value is None else str(value.path))


TEAM_PATTERN = r"^[^\s\[\]]{1,64}$"


class Clash:
    """Stands in for a value that does not go with another part of the settings; reading it gives the fault."""

    def __init__(self, message: str) -> None:
        self.message = message


class Missing(Clash):
    """Stands in for a value that is needed and not there; `instead` are keys of its section that would do as well."""

    def __init__(self, message: str, *instead: str) -> None:
        super().__init__(message)
        self.instead = instead


class At:
    """A value that is read with regard to the public URL, as it was typed."""

    def __init__(self, value: object, public_url: object) -> None:
        self.value = value
        self.public_url = public_url


def _unmarked(value: object) -> object:
    """The value, unless a mark stands in its place.

    Raises:
        Problem: what the mark says.
    """
    if isinstance(value, Missing):
        raise Absent(value.message, value.instead)
    if isinstance(value, Clash):
        raise Problem(value.message)
    return value


def _around(info: ValidationInfo) -> Surroundings:
    return info.context if isinstance(info.context, Surroundings) else Surroundings(Path.cwd(), {})


def _listen(value: object, info: ValidationInfo) -> Listen:
    return values.listen(value, _around(info))


def _state_dir(value: object, info: ValidationInfo) -> Path:
    return values.state_dir(value, _around(info))


def _account_file(value: object, info: ValidationInfo) -> ServiceAccount | None:
    if isinstance(value, ServiceAccount):
        return value
    return None if _unmarked(value) is None else read_service_account(_file_name(value), _around(info))


def _client_file(value: object, info: ValidationInfo) -> OAuthClient | None:
    if isinstance(value, OAuthClient):
        return value
    if not isinstance(value, At):
        return None if _unmarked(value) is None else read_oauth_client(_file_name(value), _around(info))
    client = read_oauth_client(_file_name(value.value), _around(info))
    try:
        wanted = f"{values.web_address(value.public_url, bare=True)}{GOOGLE_CALLBACK}"
    except Problem:
        return client  # the URL's own fault is told at the URL
    if client.redirect_uris and wanted not in client.redirect_uris:
        raise Problem(
            f"{client.path}: its redirect_uris lack server.public_url with {GOOGLE_CALLBACK} behind it; add that to the"
            " client in the Google Cloud console, and download its JSON again"
        )
    return client


def _secret_word(value: object, info: ValidationInfo) -> SecretFile:
    return value if isinstance(value, SecretFile) else read_token(_file_name(value), _around(info))


def _token_file(value: object, info: ValidationInfo) -> SecretFile | None:
    return None if _unmarked(value) is None else _secret_word(value, info)


def _admin_token_file(value: object, info: ValidationInfo) -> SecretFile | None:
    if value is None or isinstance(value, SecretFile):
        return value
    return read_long_token(_file_name(value), _around(info))


def _hook_file(value: object, info: ValidationInfo) -> SecretFile | None:
    if value is None or isinstance(value, SecretFile):
        return value
    return read_url(_file_name(value), _around(info))


def _vault_key_file(value: object, info: ValidationInfo) -> Path:
    given = None if value is None or value == Path() else _file_name(value)
    return vault_key_file(given, info.data.get("state_dir"), _around(info))


def _command(value: object, info: ValidationInfo) -> tuple[str, ...] | None:
    return None if value is None else values.command(value, _around(info))


def _file_name(value: object) -> str:
    what = "the path of a file, or the name of a systemd credential"
    name = values.text(value, what)
    if not name:
        raise Problem(f"expected {what}")
    return name


def _poll_interval(value: object) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        return values.seconds(value, 30, DAY)
    except Problem as err:
        raise Problem(f"{err} (or auto)") from None


def _url(value: object) -> str:
    return values.web_address(value)


def _public_url(value: object) -> str | None:
    return None if _unmarked(value) is None else values.web_address(value, bare=True)


def _own_mode(value: object) -> str | None:
    return None if value is None else values.one_of(value, _MODES)


def _team_name(value: object) -> str:
    spelt = values.text(value, "a team's name")
    if not spelt.isprintable() or not re.fullmatch(TEAM_PATTERN, spelt):
        raise Problem("expected a team's name: 64 characters at most, without spaces")
    if spelt == ALL:
        raise Problem(f"`{ALL}` means all agents; give the team another name")
    return spelt


def _at_least(value: object) -> int:
    return values.whole(_unmarked(value), 1, 1_000_000)


def _pattern(value: object) -> str:
    pattern = values.text(value, "a text, or /regex/")
    wrong = titles.fault(pattern)
    if wrong is not None:
        raise Problem(wrong)
    return pattern


def _label(value: object) -> str:
    label = values.text(value, "a label's id")
    if not label.strip() or not label.isprintable() or len(label) > 100:
        raise Problem("expected a label's id, as the Calendar API shows it as eventLabelId")
    return label


def _focus_time(value: object) -> bool | str:
    if value == _MUTED:
        return _MUTED
    try:
        return values.yes_or_no(value)
    except Problem:
        raise Problem(f"expected true, false or {_MUTED}") from None


def _zone_name(value: object) -> str | None:
    if value is None:
        return None
    name = values.text(value, "a zone such as Europe/Paris")
    if zone_of(name) is None:
        near = difflib.get_close_matches(name[:60], sorted(zoneinfo.available_timezones()), 1)
        raise Problem("no such zone" + (f" (did you mean {near[0]}?)" if near else " (such as Europe/Paris)"))
    return name


def _clock_time(value: object, pattern: str = values.CLOCK_PATTERN) -> int:
    match = re.fullmatch(pattern, value) if isinstance(value, str) else None
    if match is None:
        raise Problem('expected a time of day in quotes such as "09:00"')
    hours, minutes = (int(part) for part in match.groups() if part is not None)
    return hours * 3600 + minutes * 60


def _days(value: object) -> tuple[int, ...]:
    if isinstance(value, str):
        days = values.days(value)
    elif isinstance(value, list) and value:
        days = tuple(number for one in value for number in values.days(one))
    else:
        raise Problem("expected days such as mon-fri, or [mon, wed, sat]")
    if len(set(days)) < len(days):
        raise Problem("names the same day twice")
    return tuple(sorted(days))


def _substatus(value: object) -> str | None:
    return None if value is None else values.one_of(value, _SUBSTATUSES)


def _api_id(value: object) -> str | None:
    if _unmarked(value) is None:
        return None
    return _word_of(value, "expected the API id that Aircall shows beside the API key", ":")


def _client_id(value: object) -> str:
    return _word_of(value, "expected the client id that Aircall gave the app", "")


def _word_of(value: object, expected: str, without: str) -> str:
    spelt = values.text(value)
    if not spelt or not spelt.isascii() or not spelt.isprintable() or any(mark in spelt for mark in f" {without}"):
        raise Problem(expected)
    return spelt


def _calendar(value: object) -> str:
    spelt = values.text(value, "a calendar's id, or primary")
    if not spelt.strip() or not spelt.isprintable() or len(spelt) > 254:
        raise Problem("expected a calendar's id, or primary")
    return spelt


def _email(value: object) -> str:
    return values.email(_unmarked(value))


def _aircall_user(value: object, info: ValidationInfo) -> int | str:
    if _unmarked(value) is None or value == "":
        return str(info.data.get("email", ""))
    return values.aircall_user(value)


def _seconds(at_least: float, at_most: float) -> PlainValidator:
    return PlainValidator(partial(values.seconds, at_least=at_least, at_most=at_most))


def _number(at_most: float) -> PlainValidator:
    return PlainValidator(partial(values.number, at_most=at_most))


def _word(*allowed: str) -> PlainValidator:
    return PlainValidator(partial(values.one_of, allowed=allowed))


def _whole(at_most: int) -> PlainValidator:
    return PlainValidator(partial(values.whole, at_least=1, at_most=at_most))


def _company(value: object) -> int | None:
    return None if value is None else values.whole(value, at_least=1, at_most=_MOST_ID)


Padding = Annotated[float, _seconds(0, 12 * HOUR), WithJsonSchema({"anyOf": _DURATION})]
Pace = Annotated[float, _seconds(30, DAY), WithJsonSchema({"anyOf": _DURATION})]
Horizon = Annotated[float, _seconds(DAY, 60 * DAY), WithJsonSchema({"anyOf": _DURATION})]
Keep = Annotated[float, _seconds(DAY, 3650 * DAY), WithJsonSchema({"anyOf": _DURATION})]
PollInterval = Annotated[
    float | Literal["auto"],
    PlainValidator(_poll_interval),
    WithJsonSchema({"anyOf": [{"const": "auto"}, *_DURATION]}),
]

Duration = Annotated[float, _seconds(0, 7 * DAY), WithJsonSchema({"anyOf": _DURATION})]
FocusTime = Annotated[
    bool | Literal["do_not_disturb"], PlainValidator(_focus_time), WithJsonSchema({"enum": [True, False, _MUTED]})
]
Pattern = Annotated[str, PlainValidator(_pattern), WithJsonSchema(_TEXT | {"maxLength": titles.MOST_CHARACTERS})]
Patterns = tuple[Pattern, ...]
Colors = tuple[Annotated[str, _word(*COLOURS), WithJsonSchema({"enum": [*COLOURS]})], ...]
Labels = tuple[Annotated[str, PlainValidator(_label), WithJsonSchema(_TEXT)], ...]
Guests = Annotated[
    int,
    PlainValidator(partial(values.whole, at_least=0, at_most=100)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 100}),
]
ZoneName = Annotated[str | None, PlainValidator(_zone_name), WithJsonSchema({"anyOf": [_TEXT, _NULL]})]
ClockTime = Annotated[
    int, PlainValidator(_clock_time), WithJsonSchema({"type": "string", "pattern": values.CLOCK_PATTERN})
]
ClosingTime = Annotated[
    int,
    PlainValidator(partial(_clock_time, pattern=values.CLOSING_PATTERN)),
    WithJsonSchema({"type": "string", "pattern": values.CLOSING_PATTERN}),
]
Days = Annotated[
    tuple[int, ...],
    PlainValidator(_days),
    WithJsonSchema({"anyOf": [_DAY, {"type": "array", "items": _DAY, "minItems": 1}]}),
]
Reason = Annotated[SubstatusWord, _word(*_SUBSTATUSES), WithJsonSchema({"enum": [*_SUBSTATUSES]})]
SubstatusByTitle = dict[Pattern, Reason]
SubstatusByType = dict[
    Annotated[EventType, _word(*_EVENT_TYPES), WithJsonSchema({"type": "string", "enum": [*_EVENT_TYPES]})], Reason
]

Early = Annotated[float, _seconds(0, 5 * MINUTE), WithJsonSchema({"anyOf": _DURATION})]
Weight = Annotated[float, _number(1000), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1000})]
Share = Annotated[float, _number(1), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1})]

Mode = Annotated[ModeWord, _word(*_MODES), WithJsonSchema({"enum": [*_MODES]})]
OwnMode = Annotated[ModeWord | None, PlainValidator(_own_mode), WithJsonSchema({"enum": [*_MODES, None]})]
TeamName = Annotated[str, PlainValidator(_team_name), WithJsonSchema({"type": "string", "pattern": TEAM_PATTERN})]
OnManualChange = Annotated[
    Literal["respect", "enforce"], _word("respect", "enforce"), WithJsonSchema({"enum": ["respect", "enforce"]})
]
Substatus = Annotated[SubstatusWord | None, PlainValidator(_substatus), WithJsonSchema({"enum": [*_SUBSTATUSES, None]})]
UsersApi = Annotated[UsersApiWord, _word(*_USERS_APIS), WithJsonSchema({"enum": [*_USERS_APIS]})]
LogLevel = Annotated[LogLevelWord, _word(*_LOG_LEVELS), WithJsonSchema({"enum": [*_LOG_LEVELS]})]
LogFormat = Annotated[LogFormatWord, _word(*_LOG_FORMATS), WithJsonSchema({"enum": [*_LOG_FORMATS]})]

YesOrNo = Annotated[bool, PlainValidator(values.yes_or_no), WithJsonSchema({"type": "boolean"})]
AtLeast = Annotated[
    int, PlainValidator(_at_least), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 1_000_000})
]
CompanyId = Annotated[
    int | None,
    PlainValidator(_company),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MOST_ID}, _NULL]}),
]
RequestsPerDay = Annotated[
    int, _whole(1_000_000_000), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 1_000_000_000})
]
RequestsPerMinute = Annotated[int, _whole(600), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 600})]

Address = Annotated[Listen, PlainValidator(_listen), PlainSerializer(str, return_type=str), WithJsonSchema(_LISTEN)]
TrustedProxy = Annotated[
    values.Network | Literal["unix"],
    PlainValidator(values.trusted_proxy),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(_TEXT),
]
TrustedProxies = tuple[TrustedProxy, ...]
Url = Annotated[str, PlainValidator(_url), WithJsonSchema(_URL)]
PublicUrl = Annotated[str | None, PlainValidator(_public_url), WithJsonSchema({"anyOf": [_URL, _NULL]})]
StateDir = Annotated[Path, PlainValidator(_state_dir), WithJsonSchema({"anyOf": [_TEXT, _NULL]})]
AccountFile = Annotated[ServiceAccount | None, PlainValidator(_account_file), _AS_PATH, _TEXT_OR_NULL]
ClientFile = Annotated[OAuthClient | None, PlainValidator(_client_file), _AS_PATH, _TEXT_OR_NULL]
TokenFile = Annotated[SecretFile | None, PlainValidator(_token_file), _AS_PATH, _TEXT_OR_NULL]
SecretWord = Annotated[SecretFile, PlainValidator(_secret_word), _AS_PATH, WithJsonSchema(_TEXT)]
AdminTokenFile = Annotated[SecretFile | None, PlainValidator(_admin_token_file), _AS_PATH, _TEXT_OR_NULL]
HookFile = Annotated[SecretFile | None, PlainValidator(_hook_file), _AS_PATH, _TEXT_OR_NULL]
VaultKeyFile = Annotated[Path, PlainValidator(_vault_key_file), _TEXT_OR_NULL]
Command = Annotated[
    tuple[str, ...] | None,
    PlainValidator(_command),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": {"type": "string"}, "minItems": 1}, _NULL]}),
]

Members = Annotated[
    tuple[Annotated[str, PlainValidator(_email), WithJsonSchema(_EMAIL)], ...],
    Field(json_schema_extra={"minItems": 1, "uniqueItems": True}),
]
ApiId = Annotated[str | None, PlainValidator(_api_id), _TEXT_OR_NULL]
ClientId = Annotated[str, PlainValidator(_client_id), WithJsonSchema(_TEXT)]
Email = Annotated[str, PlainValidator(_email), WithJsonSchema(_EMAIL)]
AircallUser = Annotated[
    int | str,
    PlainValidator(_aircall_user),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, _EMAIL, _NULL]}),
]
Calendars = Annotated[
    tuple[Annotated[str, PlainValidator(_calendar), WithJsonSchema(_TEXT)], ...],
    Field(json_schema_extra={"minItems": 1, "uniqueItems": True}),
]
