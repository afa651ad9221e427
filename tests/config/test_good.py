"""What good settings give."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.auth.crypt import RSASigner
from pydantic import ValidationError

from calsyncd.config import (
    Agent,
    Aircall,
    Dispatch,
    Google,
    Rules,
    Secret,
    SecretFile,
    ServiceAccount,
    Settings,
    StormGuard,
    TcpListen,
    UnixListen,
    check,
    load,
)
from calsyncd.core import rules as core
from calsyncd.core.hours import WorkingHours

from .home import GOOD, TOKEN, account_of, token_of

if TYPE_CHECKING:
    from .home import Home


def test_only_the_required_keys(home: Home) -> None:
    """What is left out has the contract's default."""
    settings = home.load(GOOD)

    assert settings.mode == "act"
    assert settings.server.listen == TcpListen("127.0.0.1", 8770)
    assert settings.server.public_url is None
    assert settings.server.admin_listen == TcpListen("127.0.0.1", 8771)
    assert settings.state_dir == home.path / "state"
    assert settings.google.poll_interval == "auto"
    assert settings.google.poll_interval_without_push == 120
    assert settings.google.requests_per_day == 500_000
    assert settings.google.horizon == 14 * 86400
    assert settings.google.api_url == "https://www.googleapis.com/calendar/v3"
    assert settings.aircall.api_id == "someid"
    assert settings.aircall.requests_per_minute == 100
    assert settings.aircall.webhooks is True
    assert settings.aircall.users_api == "auto"
    assert settings.aircall.api_url == "https://api.aircall.io"
    assert settings.rules == Rules(lead=0, lag=0, bridge=0, substatus=None, on_manual_change="respect")
    assert settings.agents == (
        Agent(
            email="amy@example.com", aircall_user="amy@example.com", calendars=("primary",), rules=Rules(), mode="act"
        ),
    )
    assert settings.teams == {}
    assert settings.dispatch == Dispatch(
        early=60, cost_ringing=2, cost_unreachable=1, keep_available={}, storm_guard=StormGuard(share=0.5, at_least=10)
    )
    assert settings.history.keep == 90 * 86400
    assert (settings.log.level, settings.log.format) == ("info", "json")


@pytest.mark.parametrize(
    ("typed", "path", "expected"),
    [
        ("server: {listen: '[::1]:9000'}", "server.listen", TcpListen("::1", 9000)),
        ("server: {listen: 0.0.0.0:80}", "server.listen", TcpListen("0.0.0.0", 80)),  # noqa: S104
        ("server: {listen: calsync.internal:80}", "server.listen", TcpListen("calsync.internal", 80)),
        ("server: {listen: 'unix:/run/x.sock'}", "server.listen", UnixListen(Path("/run/x.sock"))),
        ("server: {admin_listen: unix:/run/y.sock}", "server.admin_listen", UnixListen(Path("/run/y.sock"))),
        ("server: {admin_listen: localhost:0}", "server.admin_listen", TcpListen("localhost", 0)),
        ("server: {public_url: https://a.example/}", "server.public_url", "https://a.example"),
        ("server: {public_url: 'http://127.0.0.1:8770'}", "server.public_url", "http://127.0.0.1:8770"),
        ("server: {public_url: }", "server.public_url", None),
        ("state_dir: /var/lib/calsyncd", "state_dir", Path("/var/lib/calsyncd")),
        ("rules: {lead: 90s}", "rules.lead", 90),
        ("rules: {lead: 90}", "rules.lead", 90),
        ("rules: {lead: '90'}", "rules.lead", 90),
        ("rules: {lead: 1.5}", "rules.lead", 1.5),
        ("rules: {lag: 15m}", "rules.lag", 900),
        ("rules: {bridge: 12h}", "rules.bridge", 43200),
        ("rules: {substatus: in_training}", "rules.substatus", "in_training"),
        ("rules: {substatus: ~}", "rules.substatus", None),
        ("rules: {on_manual_change: respect}", "rules.on_manual_change", "respect"),
        ("rules: {on_manual_change: enforce}", "rules.on_manual_change", "enforce"),
        ("history: {keep: 7d}", "history.keep", 604800),
        ("mode: observe", "mode", "observe"),
        ("dispatch: {early: 0}", "dispatch.early", 0),
        ("dispatch: {cost_ringing: 1.5}", "dispatch.cost_ringing", 1.5),
        ("dispatch: {storm_guard: {share: 1}}", "dispatch.storm_guard.share", 1),
        ("dispatch: {keep_available: {all: 3}}", "dispatch.keep_available", {"all": 3}),
        ("log: {level: debug, format: console}", "log.level", "debug"),
    ],
)
def test_values(home: Home, typed: str, path: str, expected: object) -> None:
    """Each kind of value in each way of typing it."""
    value: object = home.load(GOOD + typed)
    for name in path.split("."):
        value = getattr(value, name)

    assert value == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("456", 456), ("Amy@Example.com", "amy@example.com"), ("null", "amy@example.com"), ("", "amy@example.com")],
)
def test_aircall_user(home: Home, typed: str, expected: object) -> None:
    """An id, an e-mail address, or that of the agent."""
    settings = home.load(f"{GOOD}    aircall_user: {typed}\n")

    assert settings.agents[0].aircall_user == expected


@pytest.mark.parametrize("typed", ["no", "12:30", "0123", "+33", "1e3", "0x1f", "2026-01-01", "true", "1_000", ".inf"])
def test_text_stays_text(home: Home, typed: str) -> None:
    """Where text is wanted, a scalar is what was typed, whatever YAML would make of it."""
    settings = home.load(f"{GOOD}    calendars: [{typed}]\n")

    assert settings.agents[0].calendars == (typed,)


@pytest.mark.parametrize(("typed", "expected"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_yes_or_no(home: Home, typed: str, expected: object) -> None:
    """As YAML 1.2 spells it."""
    settings = home.load(GOOD.replace("aircall:\n", f"aircall:\n  webhooks: {typed}\n"))

    assert settings.aircall.webhooks is expected


def test_agents_rules_lie_over_the_companys(home: Home) -> None:
    """Key by key, and a key given as its default counts as given."""
    settings = home.load(
        f"{GOOD}    rules: {{lag: 0s, substatus: null}}\n"
        "  - email: bob@example.com\n"
        "rules: {lead: 5m, lag: 10m, substatus: other}\n"
    )

    amy, bob = settings.agents
    assert (amy.rules.lead, amy.rules.lag, amy.rules.substatus) == (300, 0, None)
    assert bob.rules == settings.rules


def test_no_agents(home: Home) -> None:
    """An empty list is valid: a reload with it releases everybody."""
    assert home.load(GOOD.split("  - ", maxsplit=1)[0].replace("agents:", "agents: []")).agents == ()


def test_state_directory_of_systemd(home: Home) -> None:
    """The first of $STATE_DIRECTORY, unless the file says otherwise."""
    home.env["STATE_DIRECTORY"] = "/var/lib/calsyncd:/var/lib/other"

    assert home.load(GOOD).state_dir == Path("/var/lib/calsyncd")
    assert home.load(GOOD + "state_dir: here\n").state_dir == home.path / "here"


def test_state_directory_is_not_touched(home: Home) -> None:
    """Whether it can be made is the daemon's to find out, however odd the name."""
    for name in ("here", "x" * 300, "config.yaml/below"):
        assert home.load(f"{GOOD}state_dir: {name}\n").state_dir == home.path / name
        assert not os.path.exists(home.path / name)  # noqa: PTH110 - Path.exists raises for the long one


def test_paths_are_relative_to_the_file(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever one stands, and however the file is named."""
    (home.path / "sub").mkdir()
    home.write("config.yaml", GOOD)
    monkeypatch.chdir(home.path / "sub")

    settings = load(Path("../config.yaml"), {})

    assert token_of(settings) == TOKEN
    assert settings.state_dir.is_absolute()


def test_service_account_can_sign(home: Home) -> None:
    """The value has all that signing needs."""
    account = account_of(home.load(GOOD))

    assert account.client_email == "calsync@example.iam.gserviceaccount.com"
    assert account.token_uri == "https://oauth2.googleapis.com/token"
    signer = RSASigner.from_string(account.private_key.reveal(), account.key_id)  # type: ignore[no-untyped-call]
    assert signer.key_id == "key1"
    assert signer.sign(b"x")


def test_secrets_do_not_show(home: Home) -> None:
    """Neither in repr, str, dumps nor pickles; `secrets` lists them all."""
    settings = home.load(GOOD)

    shown = f"{settings!r} {settings} {settings.aircall} {settings.aircall.api_token} {settings.model_dump_json()}"
    assert TOKEN not in shown
    assert "PRIVATE KEY" not in shown
    assert "********" in shown
    assert {TOKEN, home.account["private_key"]} < {secret.reveal() for secret in settings.secrets}
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(settings.aircall.api_token)


def test_secret_is_a_value() -> None:
    """Equal by content, hashable, copied as itself."""
    secret = Secret("ä")

    assert secret == Secret("ä")
    assert secret != Secret("b")
    assert secret != "ä"
    assert len({secret, Secret("ä")}) == 1
    assert copy.copy(secret) is copy.deepcopy(secret) is secret


def test_settings_are_frozen(home: Home) -> None:
    """Nobody changes them in place."""
    settings = home.load(GOOD)

    with pytest.raises(ValidationError, match="frozen"):
        settings.mode = "act"  # type: ignore[misc]


def test_built_without_a_file(tmp_path: Path) -> None:
    """A test of the daemon needs no YAML."""
    settings = Settings(
        state_dir=tmp_path,
        google=Google(
            service_account_file=ServiceAccount(
                tmp_path, "c@example.com", "k", "http://127.0.0.1:1/token", Secret("p"), Secret("{}")
            ),
            api_url="http://127.0.0.1:1",
        ),
        aircall=Aircall(api_id="i", api_token_file=SecretFile(tmp_path, Secret("t"))),
        rules=Rules(lead=60),
        agents=(Agent(email="amy@example.com", aircall_user=1, rules=Rules(lag=30)),),
    )

    assert settings.state_dir == tmp_path
    assert settings.agents[0].rules == Rules(lead=60, lag=30)


def test_listen_as_typed() -> None:
    """An address prints as one would type it."""
    assert str(TcpListen("127.0.0.1", 8770)) == "127.0.0.1:8770"
    assert str(TcpListen("::1", 8770)) == "[::1]:8770"
    assert str(UnixListen(Path("/run/x"))) == "unix:/run/x"


def test_check_of_good_settings(home: Home) -> None:
    """No lines."""
    assert check(home.write("config.yaml", GOOD), {}) == []


def test_the_nearest_mode_counts(home: Home) -> None:
    """An agent's own mode beats the team's, and the team's the company's; each agent has the one that counts."""
    agents = "".join(f"  - email: {name}@b.c\n" for name in ("own", "team", "both", "none"))
    content = (
        GOOD
        + agents.replace("own@b.c\n", "own@b.c\n    mode: act\n")
        + (
            "mode: act\n"
            "teams:\n"
            "  first: {agents: [own@b.c, team@b.c, Both@b.c], mode: observe}\n"
            "  second: {agents: [both@b.c, none@b.c]}\n"
        )
    )

    acts = {agent.email: agent.mode for agent in home.load(content).agents}
    observes = {
        agent.email: agent.mode for agent in home.load(content.replace("\nmode: act", "\nmode: observe")).agents
    }

    assert acts == {
        "amy@example.com": "act",
        "own@b.c": "act",
        "team@b.c": "observe",
        "both@b.c": "observe",
        "none@b.c": "act",
    }
    assert observes == acts | {"amy@example.com": "observe", "none@b.c": "observe"}


def test_the_nearest_rule_counts(home: Home) -> None:
    """Key by key an agent's own goes before the team's, and the team's before the company's; each says where it stands.

    A key that was given its default is given all the same.
    """
    settings = home.load(
        GOOD.replace("Amy@Example.com", "Amy@Example.com\n    rules: {lag: 0s, ignore_titles: [own]}")
        + "  - email: bob@b.c\n"
        + "rules: {lead: 1m, lag: 2m, bridge: 3m, ignore_titles: [company]}\n"
        + "teams:\n"
        + "  desk: {agents: [amy@example.com], rules: {lag: 5m, bridge: 6m, tentative: false}}\n"
        + "  hall: {agents: [amy@example.com], rules: {bridge: 6m, unanswered: false}}\n"
    )
    amy, bob = settings.agents

    assert (amy.rules.lead, amy.rules.lag, amy.rules.bridge) == (60, 0, 360)
    assert (amy.rules.tentative, amy.rules.unanswered, amy.rules.ignore_titles) == (False, False, ("own",))
    assert bob.rules == settings.rules
    assert {key: settings.origin(amy, key) for key in ("lead", "lag", "bridge", "unanswered", "all_day")} == {
        "lead": "company",
        "lag": "agent",
        "bridge": "team desk",
        "unanswered": "team hall",
        "all_day": "default",
    }


def test_rules_as_typed(home: Home) -> None:
    """Each rule of the settings is the one that decisions are made by."""
    typed = """rules:
      {tentative: false, unanswered: false, all_day: false, out_of_office: false, focus_time: do_not_disturb,
       minimum_duration: 10m, ignore_titles: ["#phone", /^lunch/i], only_titles: [Sales], ignore_colors: [tomato],
       only_colors: [sage, basil], ignore_labels: [l1], only_labels: [l2], minimum_guests: 2,
       only_with_conference: true, lead: 1m, lag: 2m, bridge: 3m, substatus: other,
       substatus_by_title: {training: in_training, /lunch/: out_for_lunch},
       substatus_by_type: {focus_time: doing_back_office, all_day: other}, on_manual_change: enforce,
       working_hours: {timezone: Europe/Paris, days: [sat-mon, wed], from: 22:00, to: "06:30"}}
"""

    rules = home.load(GOOD + typed).agents[0].rules.in_force()

    assert rules == core.Rules(
        lead=60,
        lag=120,
        bridge=180,
        substatus="other",
        enforce=True,
        tentative=False,
        unanswered=False,
        all_day=False,
        out_of_office=False,
        focus_time="do_not_disturb",
        minimum_duration=600,
        ignore_titles=("#phone", "/^lunch/i"),
        only_titles=("Sales",),
        ignore_colors=("11",),
        only_colors=("2", "10"),
        ignore_labels=("l1",),
        only_labels=("l2",),
        minimum_guests=2,
        only_with_conference=True,
        working_hours=WorkingHours(frozenset({0, 2, 5, 6}), 22 * 3600, 6 * 3600 + 1800, "Europe/Paris"),
        substatus_by_title=(("training", "in_training"), ("/lunch/", "out_for_lunch")),
        substatus_by_type=(("focus_time", "doing_back_office"), ("all_day", "other")),
    )
    assert home.load(GOOD).agents[0].rules.in_force() == core.Rules()
