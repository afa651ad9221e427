"""What the commands that do something send and print, against a server that records what it was sent."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner

from calsyncd.cli import commands
from calsyncd.cli.agents import STATE_COLOURS
from calsyncd.cli.api import Admin, NoDaemonError, send
from calsyncd.errors import UserError

EVE = {
    "email": "eve@x",
    "zone": "Europe/Paris",
    "state": "held",
    "hold": None,
    "wanted": None,
    "paused_until": "2026-11-21T16:17:36.000Z",
    "skipped": [{"event": "a", "start": "2026-11-21T16:00:00.000Z", "end": "2026-11-21T16:30:00.000Z"}],
    "extended_until": "2026-11-21T16:17:36.000Z",
}
HELD = {"until": "2026-11-21T16:17:36.000Z", "reason": "In a meeting until 17:17:36 CET; then back to available."}


class Recorder:
    """Listens on a port of this machine, and answers everything with `said`."""

    def __init__(self) -> None:
        self.said = json.dumps(EVE)
        self.sent: list[dict[str, Any]] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                recorder.sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.do_GET()

            def do_GET(self) -> None:
                body = recorder.said.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.where = f"127.0.0.1:{self.server.server_port}"

    def run(self, *arguments: str, status: int = 0, **environ: str | None) -> str:
        """What the command prints, which ends with `status`."""
        result = CliRunner().invoke(commands, [*arguments, "--admin", self.where], env=environ)
        assert result.exit_code == status, result.output
        return result.output


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """One that listens."""
    recorder = Recorder()
    thread = threading.Thread(target=recorder.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield recorder
    recorder.server.shutdown()
    thread.join()
    recorder.server.server_close()


@pytest.mark.parametrize(
    "deed", [("pause", "eve@x"), ("resume", "eve@x"), ("skip", "eve@x"), ("extend", "eve@x", "--for", "1h")]
)
def test_who_asks_is_told(recorder: Recorder, deed: tuple[str, ...]) -> None:
    """Who is named; else who called sudo; else who is logged in."""
    recorder.run(*deed, "--actor", "lena", SUDO_USER="ada")
    recorder.run(*deed, SUDO_USER="ada")
    recorder.run(*deed, SUDO_USER=None, LOGNAME="bob")

    assert [body["actor"] for body in recorder.sent] == ["lena", "ada", "bob"]


def test_who_releases_everybody_is_told(recorder: Recorder) -> None:
    """As with the other deeds."""
    recorder.said = '{"released": [], "still_held": []}'
    said = recorder.run("release", "--all", "--actor", "lena")

    assert recorder.sent == [{"actor": "lena"}]
    assert said.startswith("Nobody was held.\nAll agents are paused")


def test_times_are_by_the_agents_clock_and_name_it(recorder: Recorder) -> None:
    """Wherever the operator's machine is: nobody takes 16:17 UTC for an hour ago."""
    for deed, said in (
        (("pause", "eve@x", "--for", "1h"), "paused until 2026-11-21 17:17:36 CET"),
        (("extend", "eve@x", "--for", "1h"), r"unavailable until (Sat 17:17|17:17:36) CET"),
        (("skip", "eve@x"), r"skipped (Sat 17:00|17:00:00) CET to (Sat 17:30|17:30:00) CET"),
    ):
        assert re.fullmatch(f"eve@x: {said}\n", recorder.run(*deed, TZ="America/New_York"))


def test_the_table_has_one_clock(recorder: Recorder) -> None:
    """UNTIL is by the clock by which the reason tells times."""
    recorder.said = json.dumps({"agents": [{**EVE, "setting": None, "trouble": None, "calendars": [], **HELD}]})
    line = recorder.run("status", TZ="America/New_York").splitlines()[1]

    assert re.search(r"(Sat 17:17|17:17:36) CET .* until 17:17:36 CET", line)


def test_red_is_for_trouble() -> None:
    """The usual states have calm colours."""
    assert [state for state, colour in STATE_COLOURS.items() if "red" in colour] == ["suspended"]


def test_settings_are_called_as_in_aircalls_app(recorder: Recorder) -> None:
    """Auto in the table; the API's word with --json."""
    auto = {"availability_status": "custom", "substatus": None}
    recorder.said = json.dumps({"agents": [{**EVE, "trouble": None, "calendars": [], **HELD, "setting": auto}]})

    table, as_json = recorder.run("status"), recorder.run("status", "--json")

    assert "  Auto  " in table
    assert "custom" not in table
    assert '"custom"' in as_json


def test_the_companys_alarms_stand_above_the_table(recorder: Recorder) -> None:
    """With what to do; those of single agents stand at the agent; JSON is the API's answer."""
    alarm = {
        "code": "api_disabled",
        "who": "company",
        "since": "2026-11-21T10:00:00.000Z",
        "message": "the API is switched off",
        "do": "enable it",
        "owner": "operator",
        "raised_at": "2026-11-21T10:01:00.000Z",
    }
    recorder.said = json.dumps({"agents": [], "alarms": [alarm, {**alarm, "who": "eve@x", "code": "delegation"}]})

    lines = recorder.run("status").splitlines()

    assert re.fullmatch(r"ALARM since (Sat 10:00|10:00:00) UTC: the API is switched off\.", lines[0])
    assert lines[1:3] == ["  To do (operator): enable it. [api_disabled]", ""]
    assert lines[3].startswith("AGENT")
    assert json.loads(recorder.run("status", "--json")) == json.loads(recorder.said)


def alarm_of(who: str, code: str) -> dict[str, str]:
    """As the API shows it."""
    return {
        "code": code,
        "who": who,
        "since": "2026-11-21T10:00:00.000Z",
        "message": f"there is {code}",
        "do": f"mend {code}",
        "owner": "operator",
        "raised_at": "2026-11-21T10:01:00.000Z",
    }


def test_each_alarm_is_said_once(recorder: Recorder) -> None:
    """The company's above the table, and not again at each agent; an agent's at the agent; below it all others."""
    clock = alarm_of("company", "clock")
    eve = {**EVE, "setting": None, "calendars": [], **HELD, "reason": "Not followed: there is clock.", "trouble": clock}
    amy = {**eve, "email": "amy@x", "reason": "In a meeting.", "trouble": alarm_of("amy@x", "scope_missing")}
    alarms = [
        *(clock, alarm_of("amy@x", "scope_missing"), alarm_of("amy@x", "vault")),
        *(alarm_of("bob@x", "disconnect_waits"), alarm_of("credentials/0", "vault")),
    ]
    recorder.said = json.dumps({"agents": [amy, eve], "alarms": alarms})

    lines = recorder.run("status").splitlines()

    assert [line for line in lines if "mend clock" in line] == ["  To do (operator): mend clock. [clock]"]
    assert lines[4].endswith("  In a meeting. Trouble: there is scope_missing. To do (operator): mend scope_missing.")
    assert lines[5].endswith("  Not followed: there is clock. See the alarm above.")
    assert [line.partition("UTC: ")[2] for line in lines[6::2]] == [
        "amy@x: there is vault.",
        "bob@x: there is disconnect_waits.",
        "credentials/0: there is vault.",
    ]


@pytest.mark.parametrize("said", ["<html>Welcome</html>", "\xff", "[]", ""])
def test_a_server_that_is_none_of_ours_is_no_daemon(recorder: Recorder, said: str) -> None:
    """As where nothing listens."""
    recorder.said = said
    with pytest.raises(NoDaemonError, match=recorder.where):
        send(Admin(recorder.where), "GET", "/api/v1/agents")


def test_a_server_that_does_not_speak_http_is_no_daemon() -> None:
    """Such as one of mail."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example.com ESMTP\r\n")
                connection.recv(1000)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(NoDaemonError):
            send(Admin(f"127.0.0.1:{server.getsockname()[1]}"), "GET", "/")
        thread.join()


@pytest.mark.parametrize("where", ["http://[bad", "http://", "http://x:99999", "ftp://x"])
def test_an_address_that_is_none_is_the_callers_mistake(where: str) -> None:
    """A usage error that shows the address."""
    with pytest.raises(UserError, match="expected HOST:PORT") as raised:
        send(Admin(where), "GET", "/api/v1/agents")

    assert raised.value.exit_code == 2
    assert str(raised.value).startswith(f"{where}: ")
