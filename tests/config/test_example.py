"""The example, the schema and the models say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import jsonschema
import pytest
import yaml

from calsyncd.config.models import Settings
from calsyncd.config.schema import SCHEMA_FILE, schema, text
from calsyncd.config.section import Section

from .home import GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .home import Home

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
STATE_DIR = "/var/lib/calsyncd"


def model_keys(model: type[Section] = Settings, prefix: str = "") -> Iterator[str]:
    """The dotted name of every key that the models know."""
    for name, field in zip(model.keys(), model.model_fields.values(), strict=True):
        yield f"{prefix}{name}"
        for kind in (field.annotation, *get_args(field.annotation)):
            # An agent's rules are described where the company's are, a team's keys, hours and an app on one line.
            elsewhere = f"{prefix}{name}" in ("agents.rules", "teams", "rules.working_hours", "aircall.oauth")
            if isinstance(kind, type) and issubclass(kind, Section) and not elsewhere:
                yield from model_keys(kind, f"{prefix}{name}.")


def file_keys(value: object, prefix: str = "") -> Iterator[str]:
    """The dotted name of every key in the file."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for name, below in item.items():
                yield f"{prefix}{name}"
                yield from file_keys(below, f"{prefix}{name}.")


def without(content: str, section: str) -> str:
    """The settings without one of their sections."""
    return re.sub(rf"^{section}:\n(?: .*\n)+", "", content, flags=re.MULTILINE)


def test_example_holds_every_key() -> None:
    """Every key of the models, and no other, once."""
    assert sorted(model_keys()) == sorted(file_keys(yaml.safe_load(EXAMPLE.read_text())))


def test_example_explains_every_key() -> None:
    """Each line with a value has its meaning behind it, and no line is too long to read."""
    for line in EXAMPLE.read_text().splitlines():
        assert len(line) <= 130
        if re.match(r" *(- )?\w+: *[^ #]", line):
            assert " # " in line


def test_example_shows_the_defaults(home: Home) -> None:
    """What may be left out stands there with the value it has when left out."""
    home.env["STATE_DIRECTORY"] = STATE_DIR
    example = home.load(EXAMPLE.read_text())

    defaults = home.load(GOOD.replace("someid", "your-api-id"))

    assert example == defaults


def test_schema_file_is_current() -> None:
    """`python -m calsyncd.config.schema` was run after the last change of the models."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == text()


def test_schema_is_valid_and_takes_the_example() -> None:
    """An editor finds nothing to say about the example."""
    jsonschema.Draft202012Validator.check_schema(schema())

    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))
    validator.validate(yaml.safe_load(EXAMPLE.read_text()))


@pytest.mark.parametrize(
    "typed",
    [
        "sever: {}",
        "mode: watch",
        "dispatch: {cost_ringing: 0}",
        "dispatch: {storm_guard: {share: 1.1}}",
        "dispatch: {keep_available: {all: 0}}",
        "log: {level: loud}",
        "rules: {lead: 12:30}",
        "rules: {lead: -1}",
        "rules: {lead: 1h30m}",
        "rules: {tentative: maybe}",
        "rules: {focus_time: muted}",
        "rules: {ignore_titles: lunch}",
        "rules: {only_titles: ['']}",
        "rules: {only_colors: [pink]}",
        "rules: {minimum_guests: 101}",
        "rules: {working_hours: {from: '9', to: '18:00'}}",
        "rules: {working_hours: {from: '09:00'}}",
        "rules: {working_hours: {from: '09:00', to: '18:00', days: monday}}",
        "rules: {substatus_by_title: {lunch: lunch}}",
        "rules: {substatus_by_type: {meeting: other}}",
        "server: {listen: 8770}",
        "teams: {support: {}}",
        "teams: {support: {agents: []}}",
        "teams: {a b: {agents: [amy@example.com]}}",
        "agents: everybody",
        "google: {}",
        "google: {service_account_file: google.json, oauth_client_file: google.json}",
        "aircall: {api_id: someid}",
        "aircall: {oauth: {client_id: x}}",
        "alerts: {command: []}",
        "alerts: {command: 5}",
        "vault_key_file: []",
    ],
)
def test_schema_refuses_what_the_models_refuse(home: Home, typed: str) -> None:
    """The editor marks the same faults."""
    content = without(GOOD, typed.split(":", maxsplit=1)[0]) + f"{typed}\n"
    read = yaml.load(content, Loader=yaml.BaseLoader) if "12:30" in typed else yaml.safe_load(content)  # noqa: S506

    assert home.faults(content)
    assert not jsonschema.Draft202012Validator(schema()).is_valid(read)


@pytest.mark.parametrize(
    "typed",
    [
        "agents: all\n",
        "google: {oauth_client_file: client.json}\n",
        "google: {oauth_client_file: client.json, service_account_file: null}\n",
        "aircall: {oauth: {client_id: x, client_secret_file: y}}\n",
        "alerts: {url_file: hook, command: [tell, '']}\n",
        "alerts: {command: tell me}\n",
    ],
)
def test_schema_takes_every_way(typed: str) -> None:
    """The other ways in pass too."""
    content = without(GOOD, typed.split(":", maxsplit=1)[0]) + typed

    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(content))


def test_schema_describes_every_key() -> None:
    """Each key has its sentence for the editor, and durations default to what one would type."""
    made = schema()
    sections = [made, *made["$defs"].values()]

    assert all("description" in key or "$ref" in key for section in sections for key in section["properties"].values())
    assert all("description" in section for section in sections)
    assert not any("\n" in section["description"] for section in sections)
    assert made["$defs"]["Google"]["properties"]["horizon"]["default"] == "14d"
    assert made["$defs"]["Server"]["properties"]["listen"]["default"] == "127.0.0.1:8770"


def test_schema_takes_its_own_defaults() -> None:
    """What an editor fills in for a key left out is a value that the key may have."""
    made = schema()
    for section in (made, *made["$defs"].values()):
        for key in section["properties"].values():
            if "default" in key:
                jsonschema.Draft202012Validator(key | {"$defs": made["$defs"]}).validate(key["default"])
