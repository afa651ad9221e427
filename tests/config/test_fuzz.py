"""Whatever the file holds: settings or faults, nothing else, and no secret in them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calsyncd.config import ConfigError, Settings, load

from .home import BY_APP, BY_CONSENT, GOOD, TOKEN, Home, furnish

FULL = (
    GOOD
    + """\
    aircall_user: 456
    calendars: [primary, "team@group.calendar.google.com"]
    rules: {lag: 5m}
mode: act
alerts: {command: "true"}
vault_key_file: keys/vault
server:
  listen: 127.0.0.1:8770
  public_url: https://calsync.example.com
  admin_listen: 'unix:/run/calsyncd.sock'
rules:
  lead: 90s
  substatus: null
"""
)
PIECES = st.sampled_from([
    *"\t\n -:{}[]&*!|>'\"%@`#?,~\r\u2028\x85é",
    *("\n  ", ": ", "- ", "<<: ", "...", "\n---\n", "!!", '"\\U', "\\x", "null", "0x1"),
    *("agents", "rules", "_file", "  lead: 5m\n", "mode: act\n"),
])  # fmt: skip
WORDS = [word for word in FULL.split() if len(word) > 3]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, account: dict[str, str]) -> Home:
    """One directory for all examples."""
    return furnish(tmp_path_factory.mktemp("fuzz"), account)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Good settings with a few pieces cut out or put in."""
    text = FULL
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        end = at + draw(st.sampled_from([0, 0, 1, 2, 10]))
        text = text[:at] + draw(PIECES | st.text(max_size=3)) + text[end:]
    return text


def outcome(home: Home, content: bytes) -> Settings | ConfigError:
    """What the content gives; anything but settings or faults is raised on."""
    try:
        return load(home.write("config.yaml", content), {})
    except ConfigError as err:
        return err


def assert_well_told(found: Settings | ConfigError) -> None:
    """Settings, or faults that have a place and a sentence and hold no secret."""
    if isinstance(found, Settings):
        return
    assert found.faults
    assert list(found.faults) == sorted(found.faults)
    assert all(fault.line >= 1 and fault.column >= 1 and fault.message for fault in found.faults)
    assert TOKEN not in str(found)
    assert "PRIVATE KEY" not in str(found)
    assert all(line.isprintable() for line in found.lines())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_random_bytes(room: Home, content: bytes) -> None:
    """Bytes that are no text."""
    assert_well_told(outcome(room, content))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(PIECES | st.sampled_from(WORDS), max_size=60).map("".join))
def test_random_yaml(room: Home, content: str) -> None:
    """Text made of what YAML and settings are made of."""
    assert_well_told(outcome(room, content.encode("utf-8", "surrogatepass")))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=mutated())
def test_mutated_settings(room: Home, content: str) -> None:
    """Good settings with slips of the hand."""
    assert_well_told(outcome(room, content.encode("utf-8", "surrogatepass")))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.sampled_from(WORDS), quote=st.sampled_from(["", "'", '"', "|\n      ", "*", "&", "!", "{", "["]))
def test_secret_in_any_place(room: Home, at: str, quote: str) -> None:
    """The token typed in place of any word, well quoted or not, never comes back."""
    assert_well_told(outcome(room, FULL.replace(at, f"{quote}{TOKEN}", 1).encode()))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: f"{TOKEN}{text}".encode("utf-8", "surrogatepass"))
)
def test_random_secret_files(room: Home, content: bytes) -> None:
    """Whatever the secret files hold."""
    room.write("odd", content)

    for name in ("google.json", "aircall-token"):
        assert_well_told(outcome(room, GOOD.replace(name, "odd").encode()))
    for settings_of in (BY_CONSENT.replace("client.json", "odd"), BY_APP.replace("aircall-secret", "odd")):
        assert_well_told(outcome(room, f"{settings_of}alerts: {{url_file: odd}}\n".encode()))
