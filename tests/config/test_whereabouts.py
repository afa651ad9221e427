"""Where the settings and the state are, before either is read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from calsyncd.config import load
from calsyncd.errors import UserError
from calsyncd.whereabouts import MAX_CONFIG_BYTES, find, is_same_folder, likely_state_dir

from .home import GOOD, Home


def test_find(tmp_path: Path) -> None:
    """--config, then $CALSYNCD_CONFIG, then the first place that exists."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    second.touch()

    env = {"CALSYNCD_CONFIG": "/from/env.yaml"}
    assert find(Path("given.yaml"), env) == Path("given.yaml")
    assert find(None, env) == Path("/from/env.yaml")
    assert find(None, {"CALSYNCD_CONFIG": ""}, places=(first, second)) == second
    first.touch()
    assert find(None, {}, places=(first, second)) == first


def test_find_nothing() -> None:
    """The message names every place; the exit code is a configuration's."""
    with pytest.raises(
        UserError, match=re.escape("$CALSYNCD_CONFIG is not set, and there is no ./a, /none/b;")
    ) as info:
        find(None, {}, places=(Path("a"), Path("/none/b")))

    assert info.value.exit_code == os.EX_CONFIG


@pytest.mark.parametrize(
    "line",
    [
        "",
        "state_dir: kept",
        "state_dir: ./kept/deeper   # ours",
        'state_dir: "a place"',
        "state_dir: 'a place'  # ours",
        "state_dir:    /var/lib/elsewhere",
        "# state_dir: commented",
        "server: {listen: '127.0.0.1:1'}  # state_dir: no",
    ],
)
@pytest.mark.parametrize("env", [{}, {"STATE_DIRECTORY": "/var/lib/service:/other"}], ids=["", "service"])
def test_the_state_is_likely_where_the_settings_have_it(home: Home, line: str, env: dict[str, str]) -> None:
    """However it is spelled, within a line."""
    path = home.write("config.yaml", f"{line}\n{GOOD}")

    assert likely_state_dir(path, env) == load(path, env).state_dir


def test_what_is_no_file_of_settings_leads_nowhere(tmp_path: Path) -> None:
    """Nothing, a directory, a pipe that nobody writes to, a file that is too long; and nothing waits."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    long = tmp_path / "long"
    long.write_text("state_dir: x\n" + "#" * MAX_CONFIG_BYTES)

    assert [likely_state_dir(path, {}) for path in (tmp_path / "none", tmp_path, pipe, long)] == [None] * 4


def test_a_guess_may_be_wrong_and_then_finds_nothing(home: Home) -> None:
    """Settings in another shape are read by the settings alone."""
    path = home.write("config.yaml", GOOD + 'state_dir:\n  "kept"\n')

    assert load(path, {}).state_dir == path.parent / "kept"
    assert likely_state_dir(path, {}) == path.parent / "state"


def test_a_folder_is_the_same_through_a_link(tmp_path: Path) -> None:
    """As systemd's private state directories are; whether it is there yet or not."""
    (tmp_path / "private").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "private")
    assert is_same_folder(tmp_path / "link" / "state", tmp_path / "private" / "state")
    assert not is_same_folder(tmp_path / "link" / "state", tmp_path / "state")
