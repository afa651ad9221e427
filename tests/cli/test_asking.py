"""`calsyncd explain`: times as they are given to it, and what it prints where."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import click
import pytest
from click.testing import CliRunner

from calsyncd.cli.asking import _instant, _moment, explain
from calsyncd.terminal.paper import Paper

NOW = "2026-11-23T09:30:00.000Z"
"""10:30 in Paris."""


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("10:15", "2026-11-23T09:15:00"),
        ("yesterday 10:15", "2026-11-22T09:15:00"),
        ("tomorrow 10:15:30", "2026-11-24T09:15:30"),
        ("2026-07-01T10:15", "2026-07-01T08:15:00"),
        ("2026-07-01 10:15", "2026-07-01T08:15:00"),
        ("2h", "2026-11-23T07:30:00"),
        ("2026-11-23T10:15:00+02:00", "2026-11-23T08:15:00"),
    ],
)
def test_times_are_by_the_agents_clock(text: str, utc: str) -> None:
    """Of that day's own offset; a time with an offset is nobody's."""
    at = _instant(_moment(text), "Europe/Paris", NOW)

    assert datetime.fromtimestamp(at, UTC).isoformat() == f"{utc}+00:00"


@pytest.mark.parametrize("text", ["", "soon", "25:00", "yesterday 2h", "yesterday 2026-11-23", "yesterday noon"])
def test_what_is_no_time_is_the_callers_mistake(text: str) -> None:
    """And it is said what is expected."""
    with pytest.raises(click.BadParameter, match="expected a time"):
        _moment(text)


class Answering(BaseHTTPRequestHandler):
    """The daemon's API, which explains everything in the same words."""

    def do_GET(self) -> None:
        body = json.dumps(
            {"sentences": ["Auto (10:00\N{EN DASH}10:30, event …x7f).", "To do (operator): \x1b[2Jcafé."]}
        )
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def test_long_sentences_are_broken_between_words_on_a_terminal(daemon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `status` breaks them."""
    paper = Paper(terminal=True, width=30)
    monkeypatch.setattr(Paper, "of", lambda *_: paper)
    result = CliRunner().invoke(explain, ["amy@example.com", "--admin", daemon])

    assert result.output.splitlines() == [
        "Auto (10:00\N{EN DASH}10:30, event",
        "  …x7f).",
        "To do (operator):  [2Jcafé.",
    ]


@pytest.fixture
def daemon() -> Iterator[str]:
    """Where it listens."""
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", "Auto (10:00\N{EN DASH}10:30, event …x7f).\nTo do (operator):  [2Jcafé.\n"),
        ("latin-1", "Auto (10:00-10:30, event ...x7f).\nTo do (operator):  [2Jcaf?.\n"),
    ],
)
def test_sentences_are_printed_whatever_the_output_shows(daemon: str, encoding: str, printed: str) -> None:
    """In ASCII where need be, and without what a terminal would obey."""
    result = CliRunner(charset=encoding).invoke(explain, ["amy@example.com", "--admin", daemon])

    assert (result.exit_code, result.output) == (0, printed)
