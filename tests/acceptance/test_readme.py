"""Every command of the README, run in its order by a new user: on this machine, but in folders of the test's own.

`ngrok` and `ssh` need another machine: they are only named. The ways of docs/connecting.md have test_connecting.py.
"""

from __future__ import annotations

import asyncio
import json
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.newuser import ROOT, NewUser, blocks, new_user
from tests.acceptance.running import Running, free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = blocks("README.md")
INLINE = sorted(set(re.findall(r"`((?:make|calsyncd|systemctl|ngrok|ssh|journalctl|python3) [^`]*)`", README)))

ELSEWHERE = {
    "make test": "this is it",
    "make check": "its parts are CI's first steps",
    "ngrok http --url=calsync.example.com 8770": "needs an account",
    "ssh -L 8771:127.0.0.1:8771": "needs another machine",
    "calsyncd pause --all": "tests/acceptance/test_pauses.py",
    "calsyncd connect EMAIL": "tests/acceptance/test_connecting.py",
    "calsyncd COMMAND --help": "tests/test_manual.py",
    "calsyncd logs": "tests/cli/test_logs.py",
    "calsyncd rotate-key": "tests/cli/test_keys.py",
    "calsyncd run": "the unit runs it",
    "calsyncd init": "tests/acceptance/test_connecting.py",
    "calsyncd explain EMAIL": "tests/acceptance/test_timelines.py",
    "calsyncd timeline EMAIL": "tests/acceptance/test_privacy.py",
    "calsyncd history": "tests/acceptance/test_history.py",
    "calsyncd simulate --events FILE": "tests/simulate/test_command.py",
    "calsyncd skip EMAIL": "tests/acceptance/test_pauses.py",
    "calsyncd extend EMAIL --for D": "tests/acceptance/test_pauses.py",
    "calsyncd sandbox": "tests/demo/test_demo.py",
    "calsyncd backup FILE": "tests/acceptance/test_living.py",
    "calsyncd restore FILE": "tests/acceptance/test_living.py",
    "calsyncd forget EMAIL": "tests/acceptance/test_forgetting.py",
    "calsyncd release --stale": "tests/faults/test_dead_man.py",
    "calsyncd demo": "`make demo` runs it",
    "journalctl -u calsyncd -o cat \\| calsyncd logs": "tests/cli/test_logs.py",
    "systemctl reload calsyncd": "tests/acceptance/test_service.py sends its signal",
}
"""The commands of the running text that the production steps do not run, and where they are."""


@pytest.fixture
def user(tmp_path: Path) -> Iterator[NewUser]:
    """A user whose daemon, if they start one, is stopped at the end."""
    with new_user(tmp_path) as made:
        yield made


def test_no_command_is_left_out() -> None:
    """What stands in the running text is run by the steps' test, or somewhere that is named."""
    steps = "\n".join(BLOCKS)
    usual = [
        line.replace(" [--json]", "")
        .replace(" [EMAIL] [--all]", " --all")
        .replace(" [--for D]", "")
        .replace(" [EMAIL]", "")
        for line in INLINE
    ]

    assert [] == [line for line in usual if line not in ELSEWHERE and line not in steps and line not in TABLE]
    assert set(ELSEWHERE) <= set(usual)


TABLE = ["calsyncd sync", "calsyncd check", "calsyncd status"]
"""Those of the table of commands that are run beside the steps."""


@pytest.mark.timeout(400)
async def test_the_ten_steps(user: NewUser, sandbox: Sandbox) -> None:
    """From an empty machine to an agent held in a meeting, released and followed again."""
    sandbox.add_agent("amy@example.com", user_id=456)
    demo, install, secrets, settings, service, look, way_out = BLOCKS
    shown = user.run(f"{demo.strip()} SECONDS=35 BIN={Path(sys.executable).parent}")
    assert "http://127.0.0.1:" in shown.splitlines()[0]
    for told in ("amy@example.com is unavailable", "amy@example.com is back", "What the agents saw"):
        assert told in shown

    user.run(install)
    etc = user.root / "etc" / "calsyncd"
    etc.joinpath("google.json").write_text(json.dumps(sandbox.google.key_file()))
    etc.joinpath("aircall-token").write_text(sandbox.aircall.api_token)
    user.run(secrets)
    assert {stat.S_IMODE(path.stat().st_mode) for path in etc.iterdir()} == {0o600}

    copy, check = settings.splitlines()
    user.run(copy)
    public, admin = free_port(), free_port()
    config = yaml.safe_load((etc / "config.yaml").read_text())
    config["server"] |= {"listen": f"127.0.0.1:{public}", "admin_listen": f"127.0.0.1:{admin}"}
    config["google"]["api_url"] = sandbox.google_url
    config["aircall"] |= {"api_id": sandbox.aircall.api_id, "api_url": sandbox.aircall_url}
    config["state_dir"] = str(user.root / "var" / "lib" / "calsyncd")
    (etc / "config.yaml").write_text(yaml.safe_dump(config))
    assert "good, 1 agent" in user.run(check)

    user.run(service)
    daemon = Running(etc / "config.yaml", f"http://127.0.0.1:{admin}")
    await daemon.answers()
    await daemon.until("amy@example.com", state="idle")
    journal, status, doctor = [await asyncio.to_thread(user.run, line) for line in look.splitlines()]
    assert json.loads(journal.splitlines()[-1])["timestamp"]
    assert "amy@example.com  idle" in status
    assert "All is well." in doctor
    for line in TABLE:
        await asyncio.to_thread(user.run, line)

    put_back, follow = way_out.splitlines()
    assert "All agents are paused" in await asyncio.to_thread(user.run, put_back)
    assert "amy@example.com: followed again" in await asyncio.to_thread(user.run, follow)
