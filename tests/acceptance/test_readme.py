"""Every command of the README, run in its order by a new user: on this machine, but in folders of the test's own.

What the machine may lack is stood in for: `systemctl` starts what the unit file says, with its credentials as systemd
hands them over, and `journalctl` shows what that wrote. `ngrok` and `ssh` need another machine: they are only named.
"""

from __future__ import annotations

import getpass
import grp
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running, free_port

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [re.sub(r"^ +", "", block, flags=re.MULTILINE) for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]
INLINE = sorted(set(re.findall(r"`((?:make|calsyncd|systemctl|ngrok|ssh|journalctl|python3) [^`]*)`", README)))

ELSEWHERE = {
    "make test": "this is it",
    "make check": "its parts are CI's first steps",
    "make bench": "tests/bench",
    "make bench-dispatch": "tests/bench",
    "make pictures": "it makes the README itself",
    "ngrok http --url=calsync.example.com 8770": "needs an account",
    "ssh -L 8771:127.0.0.1:8771": "needs another machine",
    "calsyncd pause --all": "tests/acceptance/test_pauses.py",
    "calsyncd run": "the unit runs it",
    "calsyncd init": "tests/firstrun/test_dialogue.py",
    "calsyncd init [--config FILE]": "tests/firstrun/test_dialogue.py",
    "calsyncd explain EMAIL [--at TIME]": "tests/acceptance/test_timelines.py",
    "calsyncd timeline EMAIL [--day D]": "tests/acceptance/test_privacy.py",
    "calsyncd history [--since T] [--until T] [--json or --csv]": "tests/acceptance/test_history.py",
    "calsyncd simulate --events FILE [--day D] [--rules FILE]": "tests/simulate/test_command.py",
    "calsyncd skip EMAIL": "tests/acceptance/test_pauses.py",
    "calsyncd extend EMAIL --for D": "tests/acceptance/test_pauses.py",
    "calsyncd sandbox [--doubt POINT=WAY]": "tests/demo/test_demo.py",
    "calsyncd demo [--seconds N]": "`make demo` runs it",
    "systemctl reload calsyncd": "tests/acceptance/test_service.py sends its signal",
}
"""The commands of the running text that the production steps do not run, and where they are."""

SYSTEMCTL = r"""#!{python}
import os, re, subprocess, sys
if sys.argv[1:3] != ["enable", "--now"]:
    sys.exit(0 if sys.argv[1:] == ["daemon-reload"] else 1)
unit = open("{root}/etc/systemd/system/" + sys.argv[3] + ".service").read()
credentials = "{root}/credentials"
os.makedirs(credentials, mode=0o700)
for name, path in re.findall(r"^LoadCredential=([^:]+):(.+)$", unit, re.M):
    with open(os.open(credentials + "/" + name, os.O_WRONLY | os.O_CREAT, 0o400), "w") as out:
        out.write(open("{root}" + path).read())
command = re.search(r"^ExecStart=(.+)$", unit, re.M)[1].replace("/opt/", "{root}/opt/").replace("/etc/", "{root}/etc/")
environ = {{**os.environ, "CREDENTIALS_DIRECTORY": credentials, "STATE_DIRECTORY": "{root}/var/lib/calsyncd"}}
os.makedirs(environ["STATE_DIRECTORY"], mode=0o700)
daemon = subprocess.Popen(command.split(), env=environ, stdin=subprocess.DEVNULL,
                          stdout=open("{root}/journal", "w"), stderr=subprocess.STDOUT, start_new_session=True)
open("{root}/pid", "w").write(str(daemon.pid))
"""
JOURNALCTL = '#!/bin/sh\n[ "$*" = "-u calsyncd -o cat" ] && exec cat {root}/journal\n'


@dataclass(frozen=True)
class NewUser:
    """Somebody with an empty machine, as it were: `root` stands for its file system."""

    root: Path
    environ: dict[str, str]

    def run(self, block: str) -> str:
        """The standard output of a block's commands; each must succeed."""
        script = re.sub(r"(?<![\w.}])/(opt|etc|usr/local)/", rf"{self.root}/\1/", block)
        mine = f"{getpass.getuser()}:{grp.getgrgid(os.getgid()).gr_name}"
        done = subprocess.run(
            ["sh", "-euc", script.replace("root:root", mine)],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
async def user(tmp_path: Path) -> AsyncIterator[NewUser]:
    """A user whose daemon, if they start one, is stopped at the end."""
    for folder in ("opt", "etc/systemd/system", "usr/local/bin", "stand-ins"):
        (tmp_path / folder).mkdir(parents=True)
    for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
        path = tmp_path / "stand-ins" / name
        path.write_text(text.format(root=tmp_path, python=sys.executable))
        path.chmod(0o700)
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CALSYNCD_", "MAKE", "MFLAGS", "PYTHON", "VIRTUAL_ENV"))
    }
    environ["PATH"] = f"{tmp_path}/usr/local/bin:{tmp_path}/stand-ins:/usr/local/bin:/usr/bin:/bin"
    environ["CALSYNCD_CONFIG"] = f"{tmp_path}/etc/calsyncd/config.yaml"
    # The python3 that runs this test is the one that a user of the machine would have.
    (tmp_path / "usr/local/bin/python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    yield NewUser(tmp_path, environ)
    if (tmp_path / "pid").exists():
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)


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
    del config["state_dir"]
    (etc / "config.yaml").write_text(yaml.safe_dump(config))
    assert "good, 1 agents" in user.run(check)

    user.run(service)
    daemon = Running(etc / "config.yaml", f"http://127.0.0.1:{admin}")
    await daemon.answers()
    await daemon.until("amy@example.com", state="idle")
    journal, status = (user.run(line) for line in look.splitlines())
    assert json.loads(journal.splitlines()[-1])["timestamp"]
    assert "amy@example.com  idle" in status
    for line in TABLE:
        user.run(line)

    put_back, follow = way_out.splitlines()
    assert "All agents are paused" in user.run(put_back)
    assert "amy@example.com: followed again" in user.run(follow)
