"""The ways in, whom to follow, alarms and the vault's key: what good settings give, and what is said of faulty ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .home import APP_SECRET, BY_APP, BY_CONSENT, CLIENT, CLIENT_SECRET, GOOD, furnish_ways

if TYPE_CHECKING:
    from .home import Home

NEEDED = "must come to it to consent"
CLIENT_ADVICE = "create an OAuth client of type Web application in the Google Cloud console, and download its JSON"
AT_CLIENT = "2:22: google.oauth_client_file: DIR/client.json:"
NOT_HERE = "unknown key, and a secret is never written in this file; write it into a file of its own and name that in"
HOOK = "https://chat.example/hooks/canary0hook"
EVERYBODY = f"{GOOD.split('agents')[0]}agents: all\n"


@pytest.fixture(autouse=True)
def ways(home: Home) -> None:
    """The files of all ways are there."""
    furnish_ways(home)


def test_consent(home: Home) -> None:
    """The client's parts, ready for use."""
    google = home.load(BY_CONSENT).google

    assert google.service_account is None
    assert google.oauth_client is not None
    assert google.oauth_client.path == home.path / "client.json"
    assert google.oauth_client.client_id == CLIENT["client_id"]
    assert google.oauth_client.auth_uri == CLIENT["auth_uri"]
    assert google.oauth_client.token_uri == CLIENT["token_uri"]
    assert google.oauth_client.client_secret.reveal() == CLIENT_SECRET
    assert google.oauth_client.redirect_uris == ("https://calsync.example.com/google/callback",)
    assert google.revoke_url == "https://oauth2.googleapis.com/revoke"


def test_app(home: Home) -> None:
    """The app's parts, and no API key."""
    aircall = home.load(BY_APP).aircall

    assert (aircall.api_id, aircall.api_token) == (None, None)
    assert aircall.oauth is not None
    assert (aircall.oauth.client_id, aircall.oauth.client_secret.reveal()) == ("app", APP_SECRET)
    assert aircall.dashboard_url == "https://dashboard.aircall.io"
    assert aircall.oauth.company is None
    pinned = home.load(BY_APP.replace("client_id: app,", "client_id: app, company: 12345,")).aircall.oauth
    assert pinned is not None
    assert pinned.company == 12345


def test_secrets(home: Home) -> None:
    """Every secret of each way is told to what must never print one."""
    home.write("hook", HOOK)
    texts = {
        secret.reveal()
        for settings in (home.load(BY_CONSENT), home.load(BY_APP), home.load(f"{GOOD}alerts: {{url_file: hook}}\n"))
        for secret in settings.secrets
    }

    assert {CLIENT_SECRET, APP_SECRET, HOOK, home.account["private_key"]} <= texts


@pytest.mark.parametrize("lines", ["", "server: {}\n", "server: {public_url: null}\n"])
@pytest.mark.parametrize(
    ("good", "said"),
    [
        (BY_CONSENT, f"is missing; google.oauth_client_file needs it: agents {NEEDED}"),
        (BY_APP, f"is missing; aircall.oauth needs it: Aircall's admin {NEEDED}"),
    ],
)
def test_no_public_url(home: Home, good: str, said: str, lines: str) -> None:
    """Whoever consents must come to an address."""
    before, _, _ = good.partition("server:")
    line = before.count("\n") + 1 if lines else 1

    assert home.faults(before + lines) == [f"{line}:1: server.public_url: {said}"]


def test_mistyped_public_url(home: Home) -> None:
    """What stands there under a wrong name is not also missing; a faulty one is told once."""
    assert home.faults(BY_CONSENT.replace("public_url", "public_ur")) == [
        "8:10: server.public_ur: unknown key (did you mean public_url?)"
    ]
    assert home.faults(BY_CONSENT.replace("https", "http")) == [
        "8:22: server.public_url: must begin with https:// (http is for this machine only)"
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", f"not JSON; {CLIENT_ADVICE}"),
        ("[1]", f'not an OAuth client (there is no "web" in it); {CLIENT_ADVICE}'),
        ('{"web": []}', f'not an OAuth client (there is no "web" in it); {CLIENT_ADVICE}'),
        (json.dumps({"installed": CLIENT}),
         f'a client of type Desktop ("installed"), which no web page can use; {CLIENT_ADVICE}'),
        ('{"type": "service_account"}',
         "a service account's key, not an OAuth client; name it in service_account_file instead"),
        (json.dumps({"web": CLIENT | {"client_secret": " ", "auth_uri": None}}),
         f"lacks client_secret, auth_uri; {CLIENT_ADVICE}"),
        (json.dumps({"web": CLIENT | {"token_uri": "http://a.example/token"}}),
         "token_uri: must begin with https:// (http is for this machine only)"),
        (json.dumps({"web": CLIENT | {"redirect_uris": "https://calsync.example.com/google/callback"}}),
         f"redirect_uris: expected a list of URLs; {CLIENT_ADVICE}"),
        (json.dumps({"web": CLIENT | {"redirect_uris": ["https://other.example/google/callback"]}}),
         ("its redirect_uris lack server.public_url with /google/callback behind it; add that to the client in the"
         " Google Cloud console, and download its JSON again")),
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_client_file(home: Home, content: str, expected: str) -> None:
    """A client file that cannot be used is named, with what to do."""
    home.write("client.json", content)

    faults = home.faults(BY_CONSENT)

    assert faults == [f"{AT_CLIENT} {expected}"]
    assert CLIENT_SECRET not in faults[0]


def test_client_without_redirect_uris(home: Home) -> None:
    """A file that lists none says nothing of them."""
    home.write("client.json", json.dumps({"web": {k: v for k, v in CLIENT.items() if k != "redirect_uris"}}))

    client = home.load(BY_CONSENT).google.oauth_client

    assert client is not None
    assert client.redirect_uris == ()


def test_others_can_read(home: Home) -> None:
    """Each new secret file is refused when others can read it, all at once."""
    for name in ("client.json", "aircall-secret"):
        (home.path / name).chmod(0o644)
    home.write("hook", HOOK, 0o604)
    home.write("vault", "x", 0o604)
    both = BY_APP.replace("service_account_file: google.json", "oauth_client_file: client.json")
    cure = "chmod o= it, e.g. to 0640 or 0600"

    assert home.faults(f"{both}alerts: {{url_file: hook}}\nvault_key_file: ./vault\n") == [
        f"{AT_CLIENT} others can read it (mode 0644); {cure}",
        f"4:47: aircall.oauth.client_secret_file: DIR/aircall-secret: others can read it (mode 0644); {cure}",
        f"8:20: alerts.url_file: DIR/hook: others can read it (mode 0604); {cure}",
        "9:17: vault_key_file: DIR/vault: others can read it (mode 0604); chmod o= it, e.g. to 0600",
    ]


def test_files_taken_for_each_other(home: Home) -> None:
    """An OAuth client under the service account's key says where it belongs."""
    assert home.faults(GOOD.replace("google.json", "client.json")) == [
        (
            "2:25: google.service_account_file: DIR/client.json: an OAuth client, not a service account's key;"
            " name it in oauth_client_file instead"
        )
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("google.json", "google.json\n  oauth_client_file: client.json"),
         ["3:22: google.oauth_client_file: give this or service_account_file, not both"]),
        (("service_account_file: google.json", "horizon: 7d"),
         ["1:1: google.service_account_file: is missing; give this or oauth_client_file"]),
        (("service_account_file: google.json", "oauth_client_fil: client.json"),
         ["2:3: google.oauth_client_fil: unknown key (did you mean oauth_client_file?)"]),
        (("  api_id: someid\n  api_token_file: aircall-token", "  webhooks: true"),
         ["3:1: aircall.api_id: is missing; give api_id and api_token_file, or oauth",
          "3:1: aircall.api_token_file: is missing; give api_id and api_token_file, or oauth"]),
        (("  api_id: someid\n", ""),
         ["3:1: aircall.api_id: is missing, and has no default"]),
        (("  api_id: someid\n", "  oauth: {client_id: a, client_secret_file: aircall-secret}\n"),
         ["5:19: aircall.api_token_file: does not go with oauth; give one of the two"]),
        (("  api_id: someid\n  api_token_file: aircall-token",
          "  oauth: {client_id: a b, client_secret: x}\nserver: {public_url: https://calsync.example.com}"),
         ["4:22: aircall.oauth.client_id: expected the client id that Aircall gave the app",
          f"4:27: aircall.oauth.client_secret: {NOT_HERE} client_secret_file"]),
        (("  api_id: someid\n  api_token_file: aircall-token",
          ("  oauth: {client_id: a, client_secret_file: aircall-secret, company: acme}\n"
          "server: {public_url: https://calsync.example.com}")),
         ["4:70: aircall.oauth.company: expected a whole number, without quotes"]),
        (("  api_id: someid\n  api_token_file: aircall-token",
          "  oauth: yes\nserver: {public_url: https://calsync.example.com}"),
         ["4:10: aircall.oauth: expected keys below it, of: client_id, client_secret_file, company"]),
    ],
    ids=lambda value: value[1][:40] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_one_way_in(home: Home, change: tuple[str, str], expected: list[str]) -> None:
    """Exactly one way into each service."""
    assert home.faults(GOOD.replace(*change)) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("[tell, --now, '']", ("tell", "--now", "")),
        ("tell 'two words' --now", ("tell", "two words", "--now")),
        ("[DIR/bin/tell]", ("DIR/bin/tell",)),
        ("null", None),
    ],
)
def test_command(home: Home, typed: str, expected: tuple[str, ...] | None) -> None:
    """A list as it stands, or a line as a shell would split it."""
    (home.path / "bin").mkdir()
    home.write("bin/tell", "#!/bin/sh\n", 0o755)
    home.env["PATH"] = f"{home.path}/bin"

    command = home.load(f"{GOOD}alerts: {{command: {typed.replace('DIR', str(home.path))}}}\n").alerts.command

    assert command == (None if expected is None else tuple(word.replace("DIR", str(home.path)) for word in expected))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("{command: ''}", "8:19: alerts.command: expected a command, such as /usr/local/bin/tell; null: none"),
        ("{command: []}", "8:19: alerts.command: expected a command, such as /usr/local/bin/tell; null: none"),
        ("{command: [' ']}", "8:19: alerts.command: expected a command, such as /usr/local/bin/tell; null: none"),
        ("{command: [tell, [x]]}", "8:19: alerts.command: expected a list of texts"),
        ("{command: {a: b}}", "8:19: alerts.command: expected a command, as a list or as one line"),
        ("""{command: "tell 'x"}""", "8:19: alerts.command: a quote that is never closed"),
        ("{command: bin/tell}",
         "8:19: alerts.command: a program with a slash needs its whole path, such as /usr/local/bin/tell"),
        ("{command: /nowhere/tell}", "8:19: alerts.command: no such program, or not one that may be run"),
        ("{command: no-such-program-here}", "8:19: alerts.command: no such program, or not one that may be run"),
        ("{url_file: aircall-token}",
         "8:20: alerts.url_file: DIR/aircall-token: expected a URL such as https://calsync.example.com"),
        ("{url_file: plain}",
         "8:20: alerts.url_file: DIR/plain: must begin with https:// (http is for this machine only)"),
        ("{url: https://a.example}", f"8:10: alerts.url: {NOT_HERE} url_file"),
        ("mail", "8:9: alerts: expected keys below it, of: url_file, command"),
    ],
)  # fmt: skip
def test_alerts(home: Home, typed: str, expected: str) -> None:
    """What is wrong with who is told of alarms; the URL itself is never repeated."""
    home.write("plain", "http://a.example/canary0hook")

    assert home.faults(f"{GOOD}alerts: {typed}\n") == [expected]


def test_everybody(home: Home) -> None:
    """Nobody is listed, and whoever is found has the company's rules and mode."""
    settings = home.load(f"{EVERYBODY}rules: {{lead: 5m}}\nmode: observe\n")

    assert (settings.everybody, settings.agents) == (True, ())
    amy = settings.agent_of("Amy@example.com", 456)
    assert (amy.email, amy.aircall_user, amy.calendars) == ("amy@example.com", 456, ("primary",))
    assert (amy.rules.lead, amy.mode) == (300, "observe")


def test_everybody_in_teams(home: Home) -> None:
    """A team's member need not be listed; the team's rules and mode lie over the company's."""
    settings = home.load(
        f"{EVERYBODY}rules: {{lead: 5m, lag: 1m}}\n"
        "teams: {a: {agents: [Amy@example.com], rules: {lag: 2m}, mode: observe}}\n"
        "dispatch: {keep_available: {a: 1}}\n"
    )
    amy, bob = settings.agent_of("amy@example.com", 1), settings.agent_of("bob@example.com", "b@example.com")

    assert (amy.rules.lead, amy.rules.lag, amy.mode) == (300, 120, "observe")
    assert (bob.rules.lead, bob.rules.lag, bob.mode, bob.aircall_user) == (300, 60, "act", "b@example.com")
    assert [settings.origin(amy, key) for key in ("lead", "lag", "bridge")] == ["company", "team a", "default"]


def test_agent_of_a_list(home: Home) -> None:
    """Who is listed is as the list says; an address that is none is refused."""
    settings = home.load(f"{GOOD}    rules: {{lead: 5m}}\n")

    assert settings.everybody is False
    assert settings.agent_of("AMY@example.com", 456) is settings.agents[0]
    with pytest.raises(ValueError, match="expected an e-mail address"):
        settings.agent_of("nobody", 456)


def test_vault_key_beside_the_state(home: Home) -> None:
    """Left out, it is outside of what a copy of the state directory holds, and need not be there yet."""
    assert home.load(GOOD).vault_key_file == home.path / "state-key" / "vault.key"
    assert home.load(f"{GOOD}state_dir: /var/lib/calsyncd\n").vault_key_file == Path("/var/lib/calsyncd-key/vault.key")
    assert home.load(f"{GOOD}vault_key_file: keys/mine\n").vault_key_file == home.path / "keys" / "mine"


def test_vault_key_is_a_credential(home: Home, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The systemd credential goes first, under its usual name or another."""
    folder = tmp_path_factory.mktemp("credentials")
    home.env["CREDENTIALS_DIRECTORY"] = str(folder)
    for name in ("vault-key", "other"):
        (folder / name).write_text("x")
        (folder / name).chmod(0o444)

    assert home.load(GOOD).vault_key_file == folder / "vault-key"
    assert home.load(f"{GOOD}vault_key_file: other\n").vault_key_file == folder / "other"
    assert home.load(f"{GOOD}vault_key_file: ./other\n").vault_key_file == home.path / "other"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (
            "state/vault.key",
            "lies inside state_dir, so that a copy of that would hold both lock and key; put it elsewhere",
        ),
        ("bin", "DIR/bin: not a regular file"),
        ("''", "expected the path of a file, or the name of a systemd credential"),
        ("~/key", "`~` is not expanded; write the whole path"),
    ],
)
def test_vault_key_faults(home: Home, typed: str, expected: str) -> None:
    """Where a key must not be."""
    (home.path / "bin").mkdir()

    assert home.faults(f"{GOOD}vault_key_file: {typed}\n") == [f"8:17: vault_key_file: {expected}"]
