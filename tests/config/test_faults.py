"""Each fault of the settings: where it stands, how it is called, what it says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from calsyncd.config import ConfigError, Fault, Settings, check, load
from calsyncd.config.fields import SubstatusWord

from .home import GOOD, TOKEN

if TYPE_CHECKING:
    from .home import Home

DURATION = "expected a duration such as 90s, 15m, 2h, 7d, or seconds"
TAB = "a tab where spaces are needed; indent with spaces"
INDENT = "indented unlike the lines above; neighbours start in the same column"
COLON = (
    "a `:` that does not belong here; each key has its own line, a value that holds `: ` has quotes, "
    "and the line above may lack its `:`"
)
EMPTY = "the file is empty; begin with config.example.yaml"
NOT_KEYS = "expected `key: value` lines; see config.example.yaml"
HOST_PORT = "expected host:port, such as 127.0.0.1:8770, or unix:/path"
NO_HOST = "the host is missing; 127.0.0.1 for this machine only, 0.0.0.0 for every interface"
HOST = "expected a host name, an IPv4 address, or an IPv6 address in [brackets] before the port"
AGENT_KEYS = "expected keys below it, of: email, aircall_user, calendars, rules, mode"
AMY = "{agents: [amy@example.com], mode:"
NUMBER = "expected a number such as 2 or 0.5, without quotes"
MEMBER = "no agent under agents has this e-mail address"
NO_TEAM = "there is no team of this name under teams (or `all`, for all agents)"
NOT_HERE = "unknown key, and a secret is never written in this file; write it into a file of its own and name that in"
NO_FILE = "no such file; give the path of a file that holds the secret, or the name of a systemd credential"
LOOPBACK = "must be a loopback address or unix:/path; any other needs admin_token_file beside it"
URL = "expected a URL such as https://calsync.example.com"
USER = "expected an Aircall user's id, such as 456 without quotes, or their e-mail address"
LIST = "expected a list, each item on a line that begins with `- `"
NO_FILE = "no such file; give the path of a file that holds the secret, or the name of a systemd credential"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", f"1:1: {EMPTY}"),
        (b"# nothing\n\n", f"1:1: {EMPTY}"),
        (b"---\n", f"1:1: {EMPTY}"),
        (b"null\n", f"1:1: {EMPTY}"),
        (b"- a\n", f"1:1: {NOT_KEYS}"),
        (b"hello\n", f"1:1: {NOT_KEYS}"),
        (b"\xef\xbb\xbfmode: act\n", "1:1: begins with a byte order mark; save it as UTF-8 without one"),
        ("mode: act\n".encode("utf-16"), "1:1: not UTF-8 text; save it as UTF-8"),
        (b"mode: act\n# caf\xe9\n", "2:6: not UTF-8 text; save it as UTF-8"),
        (b"mode: act\nx: \0\n", "2:4: not a text file: it holds the control character U+0000"),
        (b"mode: \x1b[2J\n", "1:7: not a text file: it holds the control character U+001B"),
        (b"\tmode: act\n", f"1:1: {TAB}"),
        (b"server:\n\tlisten: x\n", f"2:1: {TAB}"),
        (b"server:\n  listen: a\n listen: b\n", f"3:2: {INDENT}"),
        (b"  mode: act\nlog: {}\n", f"2:1: {INDENT}"),
        (b"log:\n  level: info\n   format: json\n", f"3:10: {COLON}"),
        (b"log:\n    level: info\n  format: json\n", f"3:3: {INDENT}"),
        (b"agents:\n  - email: a\n - email: b\n", "3:2: a list item that is not indented like its neighbours"),
        (b"mode: act\n- x\n", "2:1: a list item that is not indented like its neighbours"),
        (b"mode: - x\n", "1:7: a list item on the line of its key; begin the list on the next line"),
        (b"mode: 'act' or not\n", "1:13: text after the end of a value; put quotes around the whole value"),
        (b"mode: act\n  x: y\n", f"2:4: {COLON}"),
        (b"mode: a: b\n", f"1:8: {COLON}"),
        (b"lead 5m\n", f"1:1: {NOT_KEYS}"),
        (b"mode: act\nlead 5m\n", "2:1: expected `key: value`"),
        (b"mode: 'act\nlog: {}\n", "1:7: a quote that is never closed"),
        (b"mode: @act\n", "1:7: put quotes around a value that begins with `@`"),
        (b"mode: [act\n", "2:1: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        (b"mode: &a act\n", "1:7: anchors are not supported; put quotes around a value that begins with `&`"),
        (b"a: &a [x]\nb: [*a, *a]\n", "1:4: anchors are not supported; put quotes around a value that begins with `&`"),
        (b"mode: *a\n", "1:7: aliases are not supported; put quotes around a value that begins with `*`"),
        (b"mode: !!str act\n", "1:7: tags are not supported; put quotes around a value that begins with `!`"),
        (b"mode: act\n---\nmode: act\n", "2:1: a second document begins here; settings are one document"),
        (b"? [a]\n: b\n", "1:3: a key is one word, not a list or a mapping"),
        (b"[" * 900_000, "1:21: nested more than 20 levels deep"),
        (b"- " * 400_000, "1:41: nested more than 20 levels deep"),
        (b"{a: " * 200_000, "1:81: nested more than 20 levels deep"),
        (b'mode: "\\UFFFFFFFF"\n', "1:10: not valid YAML"),
        (b'mode: "\\uD800"\n', "1:7: holds a control character by its escape; remove it"),
        (b'mode: "\\e[2J"\n', "1:7: holds a control character by its escape; remove it"),
        (b"%YAML 9" + b"9" * 5000 + b".1\n---\na: 1\n", "1:7: not valid YAML"),
        (b"x" * (1024 * 1024 + 1), "1:1: larger than 1024 KB"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_unreadable(home: Home, content: bytes, expected: str) -> None:
    """What is no YAML of settings is one fault."""
    assert home.faults(content) == [expected]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        # Keys.
        ("api_token: x", f"8:1: api_token: {NOT_HERE} aircall.api_token_file"),
        ("sever: {}", "8:1: sever: unknown key (did you mean server?)"),
        ("log: {Level: info}", "8:7: log.Level: unknown key (did you mean level?)"),
        ("log: {zzz: info}", "8:7: log.zzz: unknown key (known here: level, format)"),
        ("log: {lag: 5m}", "8:7: log.lag: unknown key here (did you mean rules.lag?)"),
        ("log: {mode: act}", "8:7: log.mode: unknown key here (did you mean mode at the top level?)"),
        ("'': x", f"8:1: (…): unknown key (known here: {', '.join(Settings.model_fields)})"),
        ("google: {}", "8:1: google: given twice (first on line 1); keep one of them"),
        ("log: {level: info, level: debug}", "8:20: log.level: given twice (first on line 8); keep one of them"),
        ("log:\n  format: json\n  'format': json",
         "10:3: log.format: given twice (first on line 9); keep one of them"),
        # Wrong kinds.
        ("log:", "8:1: log: expected keys below it, of: level, format"),
        ("log: info", "8:6: log: expected keys below it, of: level, format"),
        ("log: [level]", "8:6: log: expected keys below it, of: level, format"),
        ("log: {level: [info]}", "8:14: log.level: expected one of debug, info, warning, error"),
        # Words.
        ("mode: actt", "8:7: mode: expected one of act, observe (did you mean act?)"),
        ("mode: ~", "8:1: mode: expected one of act, observe"),
        ("log: {level: INFO}", "8:14: log.level: expected one of debug, info, warning, error (did you mean info?)"),
        ("log: {format: xml}", "8:15: log.format: expected one of json, console"),
        ("rules: {substatus: no}", f"8:20: rules.substatus: expected one of {', '.join(get_args(SubstatusWord))}"),
        ("rules: {on_manual_change: forbid}", "8:27: rules.on_manual_change: expected one of respect, enforce"),
        # Durations.
        *(
            (f"rules: {{lead: {typed}}}", f"8:15: rules.lead: {DURATION}")
            for typed in ("12:30", "-1", "1h30m", "5 m", "5M", "090", "+5", "1e3", "no", "[]", "''", ".5")
        ),
        ("rules: {lead: null}", f"8:9: rules.lead: {DURATION}"),
        ("rules: {lead: 12.5h}", "8:15: rules.lead: must be between 0s and 12h"),
        ("rules: {bridge: 43201}", "8:17: rules.bridge: must be between 0s and 12h"),
        ("history: {keep: 1h}", "8:17: history.keep: must be between 1d and 3650d"),
        # Addresses.
        *(
            (f"server: {{listen: {typed}}}", f"8:18: server.listen: {HOST_PORT}")
            for typed in ("8770", "localhost", "127.0.0.1:99999", "127.0.0.1:http", "'127.0.0.1:'")
        ),
        ("server: {listen: null}", "8:10: server.listen: expected host:port or unix:/path"),
        ("server: {listen: ':8770'}", f"8:18: server.listen: {NO_HOST}"),
        *(
            (f"server: {{listen: '{typed}'}}", f"8:18: server.listen: {HOST}")
            for typed in ("::1:8770", "[::1%lo]:80", "[1.2.3.4]:80", "1.2.3:80", "300.1.1.1:80", "a b:80", "-a:80")
        ),
        ("server: {listen: 'unix:'}", "8:18: server.listen: expected a path behind `unix:`"),
        (f"server: {{listen: 'unix:/{'x' * 107}'}}",
         "8:18: server.listen: the path of a socket has at most 107 bytes"),
        *(
            (f"server: {{admin_listen: '{typed}'}}", f"8:24: server.admin_listen: {LOOPBACK}")
            for typed in ("0.0.0.0:8771", "[::]:8771", "10.0.0.1:8771", "calsync.example.com:8771", "localhost.x:1")
        ),
        ("server: {listen: 127.0.0.1:8771}",
         "8:1: server.admin_listen: the same address as server.listen; choose another port"),
        ("server: {listen: 0.0.0.0:1, admin_listen: 127.0.0.1:1}",
         "8:43: server.admin_listen: the same address as server.listen; choose another port"),
        ("server: {listen: unix:/x, admin_listen: unix:/x}",
         "8:41: server.admin_listen: the same address as server.listen; choose another port"),
        # URLs.
        ("server: {public_url: http://a.example}",
         "8:22: server.public_url: must begin with https:// (http is for this machine only)"),
        ("server: {public_url: https://a.example/x}",
         "8:22: server.public_url: must be scheme and host only, without a path"),
        ("server: {public_url: 'https://a.example?x'}", "8:22: server.public_url: must not hold a query or a fragment"),
        ("server: {public_url: 'https://a.example#'}", "8:22: server.public_url: must not hold a query or a fragment"),
        ("server: {public_url: 'https://u:p@a.example'}", "8:22: server.public_url: must not hold a user or password"),
        ("server: {public_url: 'https://a b'}",
         "8:22: server.public_url: expected a URL that begins with https://, without spaces"),
        *(
            (f"server: {{public_url: '{typed}'}}", f"8:22: server.public_url: {URL}")
            for typed in ("a.example", "https://", "https://a:x", "ftp://a", "https://[x", "https://[fe80::1%25x]")
        ),
        # Paths.
        ("state_dir: ~/x", "8:12: state_dir: `~` is not expanded; write the whole path"),
        ("state_dir: config.yaml", "8:12: state_dir: is there and not a directory"),
        ("state_dir: []", "8:12: state_dir: expected the path of a directory"),
        # Later.
        ("server: {admin_token_file: aircall-token-that-is-not-there}",
         f"8:28: server.admin_token_file: {NO_FILE}"),
        ("server: {trusted_proxies: []}", "8:10: server.trusted_proxies: not available yet"),
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_one_fault(home: Home, typed: str, expected: str) -> None:
    """One more line in good settings, one fault."""
    assert home.faults(f"{GOOD}{typed}\n") == [expected]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("poll_interval: 29s", "3:18: google.poll_interval: must be between 30s and 1d (or auto)"),
        ("poll_interval: often", f"3:18: google.poll_interval: {DURATION} (or auto)"),
        ("poll_interval_without_push: auto", f"3:31: google.poll_interval_without_push: {DURATION}"),
        ("poll_interval_without_push: 0", "3:31: google.poll_interval_without_push: must be between 30s and 1d"),
        ("horizon: 23h", "3:12: google.horizon: must be between 1d and 60d"),
        ("horizon: 61d", "3:12: google.horizon: must be between 1d and 60d"),
        ("requests_per_day: 0", "3:21: google.requests_per_day: must be between 1 and 1000000000"),
        ("requests_per_day: '5'", "3:21: google.requests_per_day: expected a whole number, without quotes"),
        ("requests_per_day: 0500", "3:21: google.requests_per_day: expected a whole number, without quotes"),
        ("requests_per_day: 1.5", "3:21: google.requests_per_day: expected a whole number, without quotes"),
        ("requests_per_day: true", "3:21: google.requests_per_day: expected a whole number, without quotes"),
        ("api_url: http://a.example", "3:12: google.api_url: must begin with https:// (http is for this machine only)"),
        ("api_url: null", "3:3: google.api_url: expected a URL that begins with https://"),
        ("oauth_client_file: x.json",
         "3:22: google.oauth_client_file: give this or service_account_file, not both"),
        ("revoke_url: http://a.example",
         "3:15: google.revoke_url: must begin with https:// (http is for this machine only)"),
    ],
)  # fmt: skip
def test_google(home: Home, typed: str, expected: str) -> None:
    """The same in the section of Google."""
    lines = GOOD.splitlines()

    assert home.faults("\n".join([*lines[:2], f"  {typed}", *lines[2:]])) == [expected]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("requests_per_minute: 601", "6:24: aircall.requests_per_minute: must be between 1 and 600"),
        ("users_api: v3", "6:14: aircall.users_api: expected one of auto, v2, v1"),
        *(
            (f"webhooks: {typed}", "6:13: aircall.webhooks: expected true or false, without quotes")
            for typed in ("yes", "'true'", "1", "[]", "tRue")
        ),
        ("webhooks:", "6:3: aircall.webhooks: expected true or false, without quotes"),
        ("dashboard_url: x", f"6:18: aircall.dashboard_url: {URL}"),
    ],
)
def test_aircall(home: Home, typed: str, expected: str) -> None:
    """The same in the section of Aircall."""
    lines = GOOD.splitlines()

    assert home.faults("\n".join([*lines[:5], f"  {typed}", *lines[5:]])) == [expected]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("agents: everybody", [f"6:9: agents: {LIST}"]),
        ("agents:", [f"6:1: agents: {LIST}"]),
        ("agents: {email: amy@example.com}", [f"6:9: agents: {LIST}"]),
        ("agents: [amy@example.com]", [f"6:10: agents[0]: {AGENT_KEYS}"]),
        ("agents:\n  - calendars: [x]", ["7:5: agents[0].email: is missing, and has no default"]),
        ("agents:\n  - email: amy\n  - email: 'a m@y.z'\n  - email: 5\n  -", [
            "7:12: agents[0].email: expected an e-mail address such as amy@example.com",
            "8:12: agents[1].email: expected an e-mail address such as amy@example.com",
            "9:12: agents[2].email: expected an e-mail address such as amy@example.com",
            f"10:4: agents[3]: {AGENT_KEYS}",
        ]),
        ("agents:\n  - email: a@b.c\n  - email: d@b.c\n  - email: A@B.C\n    aircall_user: 7\n", [
            "9:12: agents[2].email: agents[0] has the same e-mail address",
        ]),
        ("agents:\n  - email: a@b.c\n    aircall_user: 7\n  - email: d@b.c\n    aircall_user: 7\n", [
            "10:19: agents[1].aircall_user: agents[0] is the same Aircall user; each user follows one agent",
        ]),
        ("agents:\n  - email: a@b.c\n    aircall_user: D@b.c\n  - email: d@b.c\n", [
            "9:5: agents[1].aircall_user: agents[0] is the same Aircall user; each user follows one agent",
        ]),
        ("agents:\n" + "".join(
            f"  - {{email: {name}@b.c, aircall_user: {user}}}\n"
            for name, user in zip("pqrstu", ("0", "-1", "0456", "'456'", "amy", "[]"), strict=True)
        ), [
            "7:34: agents[0].aircall_user: must be between 1 and 9007199254740992",
            "8:34: agents[1].aircall_user: must be between 1 and 9007199254740992",
            *(f"{line}:34: agents[{line - 7}].aircall_user: {USER}" for line in range(9, 13)),
        ]),
        ("agents:\n" + "".join(
            f"  - email: {name}@b.c\n    calendars: {calendars}\n"
            for name, calendars in zip("abcd", ("primary", "[]", "[primary, C@b.c]", "[x, ~, '']"), strict=True)
        ), [
            f"8:16: agents[0].calendars: {LIST}",
            "10:16: agents[1].calendars: expected at least one calendar, such as primary",
            "12:16: agents[2].calendars: names the same calendar twice",
            "14:20: agents[3].calendars[1]: expected a calendar's id, or primary",
            "14:23: agents[3].calendars[2]: expected a calendar's id, or primary",
        ]),
        ("agents:\n  - email: a@b.c\n    lead: 5m\n    mode: watch\n    rules: {lead: x, tentative: yes}", [
            "8:5: agents[0].lead: unknown key here (did you mean rules.lead?)",
            "9:11: agents[0].mode: expected one of act, observe",
            f"10:19: agents[0].rules.lead: {DURATION}",
            "10:33: agents[0].rules.tentative: expected true or false, without quotes",
        ]),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)  # fmt: skip
def test_agents(home: Home, typed: str, expected: list[str]) -> None:
    """Faults in the list of agents, each at its own line."""
    assert home.faults("".join(GOOD.splitlines(keepends=True)[:5]) + typed + "\n") == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("teams:", ["8:1: teams: expected a line `name: …` below it for each, or {}"]),
        ("teams: [a]", ["8:8: teams: expected a line `name: …` below it for each, or {}"]),
        ("teams: {a: {}}", ["8:9: teams.a.agents: is missing, and has no default"]),
        ("teams: {a: []}", ["8:12: teams.a: expected keys below it, of: agents, rules, mode"]),
        ("teams: {a: {agents: []}}", ["8:21: teams.a.agents: expected at least one agent"]),
        ("teams: {a: {agents: amy@example.com}}", [f"8:21: teams.a.agents: {LIST}"]),
        ("teams: {a: {agent: [amy@example.com]}}", [
            "8:13: teams.a.agent: unknown key (did you mean agents?)",
        ]),
        ("teams: {a: {agents: [amy@example.com, AMY@example.com, bob@example.com, x]}}", [
            "8:39: teams.a.agents[1]: is in this team already",
            f"8:56: teams.a.agents[2]: {MEMBER}",
            "8:73: teams.a.agents[3]: expected an e-mail address such as amy@example.com",
        ]),
        (f"teams:\n  a: {AMY} act}}\n  b: {AMY} ~}}\n  c: {AMY} observe}}\n  d: {AMY} watch}}", [
            "11:16: teams.c.agents[0]: is in teams.a too, whose mode is another: give both the same, or leave one out",
            "12:40: teams.d.mode: expected one of act, observe",
        ]),
        (f"teams:\n  a: {AMY} act, rules: {{lead: 5m, lag: 1m}}}}\n  b: {AMY} act, rules: {{lag: 2m, bridge: 3m}}}}", [
            ("10:16: teams.b.agents[0]: is in teams.a too, whose rules.lag is another: give both the same,"
            " or leave one out"),
        ]),
        ("teams: {all: {agents: [amy@example.com]}}", [
            "8:9: teams.all: `all` means all agents; give the team another name",
        ]),
        ("teams: {a b: {agents: [amy@example.com]}}", [
            "8:9: teams.(…): expected a team's name: 64 characters at most, without spaces",
        ]),
        ("dispatch: {early: 6m, cost_ringing: 0, cost_unreachable: '1'}", [
            "8:19: dispatch.early: must be between 0s and 5m",
            "8:37: dispatch.cost_ringing: must be above 0 and at most 1000",
            f"8:58: dispatch.cost_unreachable: {NUMBER}",
        ]),
        ("dispatch: {cost_ringing: -1, cost_unreachable: 1e3}", [
            "8:26: dispatch.cost_ringing: must be above 0 and at most 1000",
            f"8:48: dispatch.cost_unreachable: {NUMBER}",
        ]),
        ("dispatch: {keep_available: {all: 0, suport: 1}}", [
            "8:34: dispatch.keep_available.all: must be between 1 and 1000000",
            f"8:45: dispatch.keep_available.suport: {NO_TEAM}",
        ]),
        ("dispatch: {keep_available: 3}", [
            "8:28: dispatch.keep_available: expected a line `name: …` below it for each, or {}",
        ]),
        ("dispatch: {storm_guard: {share: 50, at_least: 0, shar: 1}}", [
            "8:33: dispatch.storm_guard.share: must be above 0 and at most 1",
            "8:47: dispatch.storm_guard.at_least: must be between 1 and 1000000",
            "8:50: dispatch.storm_guard.shar: unknown key (did you mean share?)",
        ]),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)  # fmt: skip
def test_teams_and_dispatch(home: Home, typed: str, expected: list[str]) -> None:
    """Faults of teams and of what they are kept by, each at its own place."""
    assert home.faults(f"{GOOD}{typed}\n") == expected


def test_teams_are_checked_beside_faulty_agents(home: Home) -> None:
    """A fault among the agents hides none among the teams."""
    typed = "    calendars: []\nteams: {a: {agents: [bob@example.com]}}\ndispatch: {keep_available: {b: 1}}\n"

    assert home.faults(f"{GOOD}{typed}") == [
        "8:16: agents[0].calendars: expected at least one calendar, such as primary",
        f"9:22: teams.a.agents[0]: {MEMBER}",
        f"10:32: dispatch.keep_available.b: {NO_TEAM}",
    ]


def test_all_at_once(home: Home) -> None:
    """Faults of every kind come together, in the order of the file."""
    assert home.faults(
        "mode: observ\n"
        "google:\n"
        "  service_account_file: none.json\n"
        "  horizn: 7d\n"
        "aircall:\n"
        "  api_idd: x\n"
        "  api_token: abc\n"
        "log: {level: info, level: info}\n"
        "rules:\n"
        "  lead: soon\n"
    ) == [
        "1:1: agents: is missing, and has no default",
        "1:7: mode: expected one of act, observe (did you mean observe?)",
        f"3:25: google.service_account_file: {NO_FILE}",
        "4:3: google.horizn: unknown key (did you mean horizon?)",
        "6:3: aircall.api_idd: unknown key (did you mean api_id?)",
        f"7:3: aircall.api_token: {NOT_HERE} api_token_file",
        "8:20: log.level: given twice (first on line 8); keep one of them",
        f"10:9: rules.lead: {DURATION}",
    ]


def test_required_sections(home: Home) -> None:
    """What has no default is asked for by name."""
    assert home.faults("mode: act\ngoogle: {}\n") == [
        "1:1: agents: is missing, and has no default",
        "1:1: aircall: is missing, and has no default",
        "2:1: google.service_account_file: is missing; give this or oauth_client_file",
    ]


def test_file_itself(tmp_path: Path) -> None:
    """A file that is missing, a directory or a device is one fault, without a key."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    assert check(tmp_path / "none.yaml", {}) == [f"{tmp_path}/none.yaml:1:1: no such file"]
    assert check(tmp_path, {}) == [f"{tmp_path}:1:1: a directory, not a file"]
    assert check(fifo, {}) == [f"{fifo}:1:1: not a regular file"]
    assert check(Path("/dev/zero"), {}) == ["/dev/zero:1:1: not a regular file"]
    assert check(tmp_path / ("x" * 300), {}) == [f"{tmp_path / ('x' * 300)}:1:1: cannot be read: File name too long"]


def test_error_carries_its_faults(home: Home) -> None:
    """The daemon and the commands print the same lines; the exit code is a configuration's."""
    path = home.write("config.yaml", f"{GOOD}mode: x\nlog: {{level: x}}\n")

    with pytest.raises(ConfigError) as info:
        load(path, {})

    assert info.value.exit_code == os.EX_CONFIG
    assert info.value.faults == (
        Fault(8, 7, "mode", "expected one of act, observe"),
        Fault(9, 14, "log.level", "expected one of debug, info, warning, error"),
    )
    assert str(info.value) == "\n".join(info.value.lines()) == "\n".join(check(path, {}))
    assert str(info.value).startswith(f"{path}:8:7: mode: expected one of act, observe\n{path}:9:14: log.level: ")


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace("api_token_file: aircall-token", f"api_token: {TOKEN}"),
        GOOD.replace("aircall-token", TOKEN),
        GOOD.replace("aircall-token", f"/{TOKEN}"),
        GOOD.replace("aircall-token", f"~{TOKEN}"),
        GOOD.replace("aircall-token", f"{{{TOKEN}: x, {TOKEN}: y}}"),
        GOOD.replace("aircall-token", f"[{TOKEN}]"),
        GOOD.replace("aircall-token", f"|\n    {TOKEN}\n    {TOKEN}"),
        GOOD.replace("aircall-token", f"'{TOKEN}"),
        GOOD.replace("aircall-token", f"!{TOKEN} x"),
        GOOD.replace("aircall-token", f"!{TOKEN}!x y"),
        GOOD.replace("aircall-token", f"*{TOKEN}"),
        GOOD.replace("aircall-token", f"&{TOKEN} x"),
        GOOD.replace("aircall-token", f"x\n  {TOKEN}: y"),
        GOOD.replace("aircall-token", f"x\n{TOKEN}: y"),
        GOOD.replace("google.json", f'{{"private_key": "{TOKEN}", "type": "{TOKEN}"}}'),
        GOOD.replace("someid", f"'{TOKEN} {TOKEN}'"),
        GOOD.replace("Amy@Example.com", TOKEN),
        f"api_token: {TOKEN}\n{GOOD}",
        f"{GOOD}mode: {TOKEN}\nserver: {{public_url: https://u:{TOKEN}@a.example, listen: {TOKEN}}}\n",
        f"{GOOD}rules: {{lead: {TOKEN}}}\nstate_dir: [{TOKEN}]\nlog: {TOKEN}\n{TOKEN}: {TOKEN}\n",
        f"%{TOKEN} x\n{GOOD}",
        f"%TAG !{TOKEN}! x\n%TAG !{TOKEN}! y\n---\n{GOOD}",
    ],
)
def test_no_value_is_repeated(home: Home, content: str) -> None:
    """A secret in the wrong place is not in the message."""
    faults = home.faults(content)

    assert faults or content.startswith("%")
    assert TOKEN not in "\n".join(faults)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("tentative: maybe", "8:20: rules.tentative: expected true or false, without quotes"),
        ("focus_time: 'true'", "8:21: rules.focus_time: expected true, false or do_not_disturb"),
        ("minimum_duration: 8d", "8:27: rules.minimum_duration: must be between 0s and 7d"),
        ("ignore_titles: lunch", f"8:24: rules.ignore_titles: {LIST}"),
        ("ignore_titles: [lunch, '  ']",
         ("8:32: rules.ignore_titles[1]: expected a text that titles contain, or a regular expression such as"
         " /lunch|dinner/")),
        ("only_titles: ['/(lunch/']",
         "8:23: rules.only_titles[0]: not a regular expression that RE2 knows (missing ): (lunch)"),
        ("only_titles: ['/(?=a)b/']",
         "8:23: rules.only_titles[0]: not a regular expression that RE2 knows (invalid perl operator: (?=)"),
        ("only_titles: ['/lunch|dinner/g']",
         ("8:23: rules.only_titles[0]: a regular expression ends with / or /i; for a text that begins with a slash"
         " write /[/]text/")),
        ("only_titles: [//]",
         "8:23: rules.only_titles[0]: the regular expression is empty and would match every title"),
        (f"only_titles: [{'x' * 201}]", "8:23: rules.only_titles[0]: is longer than 200 characters"),
        ('only_titles: ["a\\nb"]', "8:23: rules.only_titles[0]: holds what cannot be printed, such as a new line"),
        ("only_colors: [grey, graphit]", [
            ("8:23: rules.only_colors[0]: expected one of lavender, sage, grape, flamingo, banana, tangerine, peacock,"
            " graphite, blueberry, basil, tomato (did you mean grape?)"),
            ("8:29: rules.only_colors[1]: expected one of lavender, sage, grape, flamingo, banana, tangerine, peacock,"
            " graphite, blueberry, basil, tomato (did you mean graphite?)"),
        ]),
        ("only_labels: [' ']",
         "8:23: rules.only_labels[0]: expected a label's id, as the Calendar API shows it as eventLabelId"),
        ("minimum_guests: -1", "8:25: rules.minimum_guests: must be between 0 and 100"),
        ("working_hours: 9-18", "8:24: rules.working_hours: expected keys below it, of: timezone, days, from, to"),
        ("working_hours: {from: '09:00'}", "8:9: rules.working_hours.to: is missing, and has no default"),
        ("working_hours: {opens: '09:00', to: '18:00'}", [
            "8:9: rules.working_hours.from: is missing, and has no default",
            "8:25: rules.working_hours.opens: unknown key (known here: timezone, days, from, to)",
        ]),
        ("working_hours: {from: '09:00', to: '09:00'}",
         "8:44: rules.working_hours.to: the same as from; leave working_hours out where a hold may begin at any time"),
        ("working_hours: {from: 9am, to: '24:01'}", [
            '8:31: rules.working_hours.from: expected a time of day in quotes such as "09:00"',
            '8:40: rules.working_hours.to: expected a time of day in quotes such as "09:00"',
        ]),
        ("working_hours: {timezone: Europe/Pariss, days: [mon-fri, fri], from: '09:00', to: '18:00'}", [
            "8:35: rules.working_hours.timezone: no such zone (did you mean Europe/Paris?)",
            "8:56: rules.working_hours.days: names the same day twice",
        ]),
        ("working_hours: {days: workdays, from: '09:00', to: '18:00'}",
         "8:31: rules.working_hours.days: expected days such as mon-fri, or [mon, wed, sat]"),
        ("substatus_by_title: {lunch: lunch}",
         ("8:37: rules.substatus_by_title.lunch: expected one of out_for_lunch, on_a_break, in_training,"
         " doing_back_office, other")),
        ("substatus_by_title: {/(/: other}", ("8:30: rules.substatus_by_title.(…): not a regular expression that RE2"
         " knows (missing ): ()")),
        ("substatus_by_type: {meeting: other}",
         "8:29: rules.substatus_by_type.meeting: expected one of out_of_office, focus_time, all_day"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)  # fmt: skip
def test_rules(home: Home, typed: str, expected: str | list[str]) -> None:
    """Each rule says what it takes, where it stands."""
    assert home.faults(f"{GOOD}rules: {{{typed}}}\n") == ([expected] if isinstance(expected, str) else expected)
