"""`calsyncd init` in a terminal: a wrong answer is explained and asked again, a token is not echoed."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from calsyncd import config
from tests.acceptance.running import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from calsyncd.sandbox.world import Sandbox

SECONDS = 20.0


class Terminal:
    """A pseudo-terminal with a process in it. `seen` is all that it showed."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self._master, slave = pty.openpty()
        self.seen = ""
        self._read_to = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "calsyncd", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=os.environ | {"COLUMNS": "200", "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        os.close(slave)

    def wait_for(self, text: str) -> None:
        """Return once the process has shown this, behind what was waited for before."""
        until = time.monotonic() + SECONDS
        while (at := self.seen.find(text, self._read_to)) < 0:
            ready, _, _ = select.select([self._master], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"{text!r} was not shown:\n{self.seen}"
            try:
                self.seen += os.read(self._master, 65536).decode().replace("\r\n", "\n")
            except OSError:
                raise AssertionError(f"ended without {text!r}:\n{self.seen}") from None
        self._read_to = at + len(text)

    def type(self, line: str) -> None:
        """Type this and press Enter."""
        os.write(self._master, f"{line}\n".encode())

    def end(self) -> int:
        """Its exit status."""
        try:
            return self.process.wait(SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self._master)


async def test_dialogue(sandbox: Sandbox, tmp_path: Path) -> None:
    """From the first question to settings that `check` accepts, past four wrong answers."""
    sandbox.add_agent("amy@example.com")
    sandbox.add_agent("bob@example.com")
    sandbox.write_credentials(tmp_path)
    (tmp_path / "old.yaml").write_text("mine")
    listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    token = sandbox.aircall.api_token
    script = [
        ("Where to write the settings?", "old.yaml"),
        ("is there already. Replace it?", "no"),
        ("Where to write the settings?", "new/config.yaml"),
        ("Google's JSON file", ""),
        ("an answer is required", None),
        ("Google's JSON file", "aircall-token"),
        ("not JSON", None),
        ("Google's JSON file", "google.json"),
        ("API key (key), or by an app", ""),
        ("API id", sandbox.aircall.api_id),
        ("Its API token? (it is not shown)", "wrong-token"),
        ("Aircall refuses this API id and token", None),
        ("API id", sandbox.aircall.api_id),
        ("Its API token? (it is not shown)", token),
        ("has 2 users", None),
        ("How do Google and Aircall reach", "https://calsync.example.com"),
        ("Where to listen", listen),
        ("page for operators", admin),
        ("  2  bob@example.com", None),
        ("Whose availability", "amy@example.com 2"),
        ("the calendar of amy@example.com can be read", None),
        ("or only show", "observe"),
        ("Next:", None),
    ]

    def driven() -> tuple[int, str]:
        urls = ["--google-api-url", sandbox.google_url, "--aircall-api-url", sandbox.aircall_url]
        terminal = Terminal(["init", *urls], tmp_path)
        try:
            for shown, typed in script:
                terminal.wait_for(shown)
                if typed is not None:
                    terminal.type(typed)
            terminal.wait_for("calsyncd status")
        finally:
            status = terminal.end()
        return status, terminal.seen

    status, seen = await asyncio.to_thread(driven)

    assert status == 0
    assert token not in seen
    assert (tmp_path / "old.yaml").read_text() == "mine"
    settings = config.load(tmp_path / "new" / "config.yaml", {})
    assert [agent.email for agent in settings.agents] == ["amy@example.com", "bob@example.com"]
    assert (settings.mode, str(settings.server.listen), str(settings.server.admin_listen)) == ("observe", listen, admin)
