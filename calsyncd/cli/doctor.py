"""`calsyncd doctor`: what was found, a line each."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calsyncd.cli.common import commands, config_option, wait_for

if TYPE_CHECKING:
    from calsyncd.doctor import Check, Finding

MOST_LINES = 20
"""So many lines a check has at most; --json has them all."""

_WIDTH = 12
_MARKS = {"good": "good", "note": "note", "failed": "FAIL"}


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@config_option
def doctor(config_path: Path | None, *, as_json: bool) -> None:
    """Look at all that calsyncd needs, and say what to do where something is missing. Changes nothing."""
    report = wait_for(_examined(config_path, quiet=as_json))
    failures = sum(one["outcome"] == "failed" for check in report for one in check["findings"])
    if as_json:
        click.echo(json.dumps({"ok": not failures, "checks": report}, indent=2))
    elif failures:
        click.echo(f"\n{failures} to mend.")
    else:
        click.echo("\nAll is well.")
    if failures:
        sys.exit(1)


async def _examined(config_path: Path | None, *, quiet: bool) -> list[dict[str, Any]]:
    from calsyncd import config
    from calsyncd.doctor import Finding, Outcome, examine, opened
    from calsyncd.errors import UserError

    report: list[dict[str, Any]] = []

    def tell(name: str, findings: list[Finding], many: str = "") -> None:
        report.append({"check": name, "findings": [_as_json(one) for one in findings]})
        if not quiet:
            for line in _lines(name, findings, many):
                click.echo(line)

    _progress("the settings")
    try:
        path = config.find(config_path, os.environ)
        settings = config.load(path, os.environ)
    except config.ConfigError as error:
        tell("settings", [Finding(Outcome.FAILED, line, "correct it", "operator") for line in error.lines()])
        return report
    except UserError as error:
        tell("settings", [Finding(Outcome.FAILED, str(error), "see there", "operator")])
        return report
    tell("settings", [Finding(Outcome.GOOD, f"{path}: {len(settings.agents)} agents")])
    async with opened(settings, path, os.environ) as examined:

        def begun(check: Check) -> None:
            _progress(check.title)

        async for check, findings in examine(examined, begun):
            tell(check.name, findings, check.many)
    return report


def _progress(title: str) -> None:
    """A line on standard error, which the next one takes the place of where somebody sits."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[Klooking at {title} ...\r", nl=False, err=True)
    else:
        click.echo(f"looking at {title} ...", err=True)


def _lines(name: str, findings: list[Finding], many: str) -> list[str]:
    """The lines of a check: each that is not good, and how many are."""
    clear = "\r\x1b[K" if sys.stderr.isatty() and sys.stdout.isatty() else ""
    bad = [one for one in findings if one.outcome != "good"]
    fine = [one for one in findings if one.outcome == "good"]
    lines = []
    for one in bad[:MOST_LINES]:
        who = f"{one.agent}: " if one.agent else ""
        lines.append(f"{clear}{name:<{_WIDTH}}{_MARKS[one.outcome]}  {who}{one.what}")
        if one.do:
            lines.append(f"{'':<{_WIDTH}}      -> {one.owner}: {one.do}")
    if len(bad) > MOST_LINES:
        lines.append(f"{'':<{_WIDTH}}      and {len(bad) - MOST_LINES} more: --json has all")
    if len(fine) == 1 or (fine and not fine[0].agent):
        lines += [f"{clear}{name:<{_WIDTH}}good  {f'{one.agent}: ' if one.agent else ''}{one.what}" for one in fine]
    elif fine:
        lines.append(f"{clear}{name:<{_WIDTH}}good  {many.format(len(fine))}")
    return lines


def _as_json(one: Finding) -> dict[str, Any]:
    return {
        "outcome": one.outcome.value,
        "agent": one.agent,
        "code": one.code or None,
        "what": one.what,
        "do": one.do or None,
        "owner": one.owner or None,
    }
