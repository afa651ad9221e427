"""A new user on an empty machine, as it were: the manual's commands are run in folders of the test's own.

What the machine may lack is stood in for: `systemctl` starts what the unit file says, with its credentials as systemd
hands them over, and `journalctl` shows what that wrote.
"""

from __future__ import annotations

import contextlib
import getpass
import grp
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def blocks(page: str) -> list[str]:
    """The shell commands of a page of the manual, block by block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [re.sub(r"^ +", "", block, flags=re.MULTILINE) for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


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
states = ["{root}/var/lib/" + name for name in re.search(r"^StateDirectory=(.+)$", unit, re.M)[1].split()]
for state in states:
    os.makedirs(state, mode=0o700)
environ = {{**os.environ, "CREDENTIALS_DIRECTORY": credentials, "STATE_DIRECTORY": ":".join(states)}}
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


@contextlib.contextmanager
def new_user(tmp_path: Path) -> Iterator[NewUser]:
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
