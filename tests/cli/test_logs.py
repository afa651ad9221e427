"""`calsyncd logs`, with real pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from calsyncd.cli import commands

COMMAND = [sys.executable, "-m", "calsyncd", "logs"]
ENVIRON = os.environ | {"TZ": "UTC", "LC_ALL": "C.UTF-8"}


def line(event: str, **fields: Any) -> str:
    """A line of the daemon's."""
    head = {"timestamp": "2025-11-21T10:00:00.000Z", "level": "info", "event": event, "action": "held"}
    return json.dumps(head | fields) + "\n"


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """A process is ended by SIGINT, also where these tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_each_line_is_shown_at_once_and_the_end_is_quiet() -> None:
    """A line that goes in comes out before the next one; Ctrl-C and a reader that goes away end it without a word."""
    for ending in ("interrupt", "reader gone"):
        with subprocess.Popen(
            [*COMMAND, "--agent", "Amy@example.com"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRON,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            for number in range(3):
                process.stdin.write(
                    (line("no", agent="b@c") + line(f"{number} held", agent="amy@example.com")).encode()
                )
                process.stdin.flush()
                told = process.stdout.readline().decode()
                told = process.stdout.readline().decode() if told.startswith("--") else told
                assert told == f"10:00:00.000Z   amy@example.com: {number} held\n"
            if ending == "interrupt":
                process.send_signal(signal.SIGINT)
            else:
                process.stdout.close()
                process.stdin.write(line("more", agent="amy@example.com").encode())
                process.stdin.flush()
            status = process.wait(timeout=20)
            assert (status, process.stderr.read()) == (130 if ending == "interrupt" else 0, b"")


def invoke(*arguments: str, text: str = "", status: int = 0) -> str:
    """What the command prints, which ends with `status`."""
    result = CliRunner().invoke(commands, ["logs", *arguments], input=text, env={"TERM": "xterm"})

    assert result.exit_code == status, result.output
    return result.output


def test_files_are_read_in_their_order(tmp_path: Path) -> None:
    """Each from its beginning; `-` is standard input."""
    (tmp_path / "a").write_text(line("one"))
    (tmp_path / "b").write_text(line("two"))
    told = invoke("--utc", str(tmp_path / "b"), "-", str(tmp_path / "a"), text=line("between"))

    assert [one.split()[-1] for one in told.splitlines()] == ["--", "two", "between", "one"]
    assert "\x1b" not in told


def test_what_is_no_json_goes_elsewhere_with_json() -> None:
    """A program that reads standard output gets JSON only; the rest is not lost."""
    result = CliRunner().invoke(commands, ["logs", "--json"], input=line("a") + "Traceback\n")

    assert (result.stdout, result.stderr) == (line("a"), "Traceback\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--action", "hold"], "there is no action 'hold'; did you mean held?"),
        (["--action", "push-missed"], "did you mean push_missed?"),
        (["--action", "zzz"], "docs/operations.md lists them"),
        (["--agent", "amy"], "expected an e-mail address such as amy@example.com, not 'amy'"),
        (["--since", "soonish"], "expected a time such as"),
        (["--level", "loud"], "'loud' is not one of"),
        (["/nowhere/at/all"], "No such file or directory"),
    ],
)
def test_usage_errors_say_what_is_right(arguments: list[str], words: str) -> None:
    """Exit status 2."""
    assert words in " ".join(invoke(*arguments, status=2).split())


def test_times_are_the_machines_or_utc() -> None:
    """What is written without an offset is meant by the clock that is shown."""
    for zone, since, shown in (
        ("Europe/Paris", "2025-11-21T11:00", True),
        ("Europe/Paris", "2025-11-21T11:01", False),
        ("UTC", "2025-11-21T11:00", False),
        ("UTC", "2025-11-21T11:01:00+01:00", False),
        ("UTC", "2025-11-21T11:00:00+01:00", True),
    ):
        done = subprocess.run(
            [*COMMAND, "--since", since, *(["--utc"] if zone == "UTC" else [])],
            input=line("held"),
            env=ENVIRON | {"TZ": "Europe/Paris"},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert ("held" in done.stdout) == shown
        assert ("+01:00" in done.stdout) == (shown and zone != "UTC")


def test_help_shows_how_it_is_used() -> None:
    """The pipe from the journal is the first thing to try."""
    assert "journalctl -u calsyncd -o cat | calsyncd logs --agent amy@example.com" in invoke("--help")
