"""What the manual says of commands and settings is what the program says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from calsyncd.cli import commands
from calsyncd.cli.examples import EXAMPLES
from tools import manual

ROOT = Path(__file__).parent.parent
LINES = [line for lines in EXAMPLES.values() for line, _ in lines]


def test_every_page_is_current() -> None:
    """`make manual` was run after the last change of a command or a setting."""
    assert [] == [str(path) for path, text in manual.made().items() if (ROOT / path).read_text("utf-8") != text]


def test_every_command_has_an_example() -> None:
    """Help and manual show each command in use, and no command that there is not."""
    assert set(EXAMPLES) == set(commands.commands)


@pytest.mark.parametrize("line", LINES)
def test_examples_parse(line: str) -> None:
    """Each example is one that the program takes."""
    typed = re.split(r" [|>] ", line)
    program, name, *arguments = shlex.split(next(part for part in typed if part.startswith("calsyncd ")))

    assert program == "calsyncd"
    with commands.commands[name].make_context(name, arguments, resilient_parsing=False) as context:
        assert context.info_name == name


def test_each_command_has_one_whole_line_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of 80 columns: no sentence is cut."""
    monkeypatch.setenv("COLUMNS", "80")
    told = CliRunner().invoke(commands, ["--help"]).output.partition("Commands:\n")[2].splitlines()

    assert [line.split()[0] for line in told] == sorted(commands.commands)
    assert all(line.endswith(".") and not line.endswith("..") and len(line) < 80 for line in told)


def test_help_shows_them() -> None:
    """`calsyncd pause --help` ends with examples, as they were written."""
    command = commands.commands["pause"]

    told = command.get_help(click.Context(command, info_name="calsyncd pause"))

    assert all(f"  {line}\n" in told + "\n" for line, _ in EXAMPLES["pause"])


@pytest.mark.parametrize("page", ["calsyncd.1", "calsyncd.yaml.5"])
def test_pages_are_set_without_a_complaint(page: str) -> None:
    """Nothing is to be said about them by groff."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not here: apt-get install groff-base")
    set_by = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", str(ROOT / "man" / page)], capture_output=True, text=True, check=True
    )

    assert set_by.stderr == ""
    assert "DESCRIPTION" in re.sub(r".\x08", "", set_by.stdout)


def test_bash_completes(tmp_path: Path) -> None:
    """What is shipped for bash completes commands and options by asking the program."""
    (tmp_path / "calsyncd").symlink_to(Path(sys.executable).parent / "calsyncd")
    script = f"""
        source {ROOT}/completions/calsyncd.bash
        COMP_WORDS=(calsyncd hist) COMP_CWORD=1
        $(complete -p calsyncd | sed 's/.*-F \\([^ ]*\\).*/\\1/') calsyncd
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environ)

    assert told.stdout.split() == ["history"]
