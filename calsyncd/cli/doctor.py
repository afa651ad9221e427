"""`calsyncd doctor`: what was found, a line each."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calsyncd.cli.common import commands, config_option, load_settings, wait_for
from calsyncd.terminal.paper import Paper

if TYPE_CHECKING:
    from calsyncd.doctor import Check, Finding

MOST_LINES = 20
"""So many lines a check has at most; --json has them all."""

_WHAT_IT_DOES = """\
For about a minute {email} is set unavailable, Auto and available in Aircall, some times each, and then put back to what
is there now, also after Ctrl-C; if it is killed, by the next `calsyncd doctor`. Nobody else is touched. Where no daemon
runs, a webhook is made and deleted again."""

_WIDTH = 12
_MARKS = {"good": "good", "note": "note", "failed": "FAIL"}


@commands.command(short_help="Look at all that calsyncd needs, and say what to mend.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--probe", "email", metavar="EMAIL", help="Instead: try what is not established about Aircall with this test user."
)
@click.option("--yes", is_flag=True, help="With --probe: do not ask; no call is made either.")
@click.option(
    "--spend-minute", is_flag=True, help="With --probe: use up the company's requests once, to see how they come back."
)
@click.option(
    "--report",
    "report_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("calsyncd-probe.json"),
    show_default=True,
    help="With --probe: where the report is written.",
)
@config_option
def doctor(
    config_path: Path | None, *, as_json: bool, email: str | None, yes: bool, spend_minute: bool, report_path: Path
) -> None:
    """Look at all that calsyncd needs, and say what to do where something is missing. Changes nothing.

    Only whom a probe that was killed has left changed is put back.
    """
    if email is not None:
        _probe(config_path, email, report_path, ask=not yes, spend=spend_minute, as_json=as_json)
        return
    if yes or spend_minute:
        raise click.UsageError("--yes and --spend-minute go with --probe EMAIL")
    report = wait_for(_examined(config_path, quiet=as_json))
    found = [one for check in report for one in check["findings"]]
    failures = sum(one["outcome"] == "failed" for one in found)
    if as_json:
        click.echo(json.dumps({"ok": not failures, "checks": report}, indent=2))
    else:
        click.echo(f"\n{_verdict(found)}")
    if failures:
        sys.exit(1)


def _verdict(found: list[dict[str, Any]]) -> str:
    """What it comes to: all is well only where nothing asks for anything."""
    failures = sum(one["outcome"] == "failed" for one in found)
    if failures:
        return f"{failures} to mend."
    return "Nothing to mend; see the notes above." if any(one["do"] for one in found) else "All is well."


def _probe(config_path: Path | None, email: str, report_path: Path, *, ask: bool, spend: bool, as_json: bool) -> None:
    """Try what is not established with one user; exit status 1 unless all went through and the user is as before."""
    settings, path = load_settings(config_path)
    if report_path.exists():
        raise click.UsageError(f"{report_path} is there already: name another --report")
    if ask:
        click.echo(_WHAT_IT_DOES.format(email=email), err=True)
        click.confirm("Has this person agreed, and shall it begin?", abort=True, err=True)
    result, text = wait_for(_probed(settings, path, email, ask=ask, spend=spend))
    report_path.write_text(text, encoding="utf-8")
    if as_json:
        click.echo(text, nl=False)
    else:
        for point, way in result.found.items():
            click.echo(f"{point:<16}{way}")
        for point, why in result.open.items():
            click.echo(f"{point:<16}open: {why}")
        click.echo(f"\n{report_path} holds no name, address, id or token: please attach it to an issue.")
    if not result.put_back:
        click.echo(f"{email} could NOT be put back: see above what to set in Aircall by hand.", err=True)
    if result.interrupted or not result.put_back:
        sys.exit(1)


async def _probed(settings: Any, path: Path, email: str, *, ask: bool, spend: bool) -> tuple[Any, str]:
    from calsyncd.doctor import opened
    from calsyncd.doctor.asking import of_a_terminal, probed
    from calsyncd.doctor.probe import Hands
    from calsyncd.doctor.testuser import find

    def say(sentence: str) -> None:
        click.echo(f"{sentence} ...", err=True)

    async with opened(settings, path, os.environ) as examined:
        user = await find(examined, email)
        there = ask and sys.stdin.isatty()
        hands = of_a_terminal(lambda sentence: click.echo(sentence, err=True)) if there else Hands()
        return await probed(examined, user, say, hands, spend=spend)


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
        tell("settings", [Finding(Outcome.FAILED, str(error), "", "operator")])
        return report
    tell("settings", [Finding(Outcome.GOOD, f"{path}: no fault")])

    def begun(check: Check) -> None:
        _progress(check.title)

    async with contextlib.AsyncExitStack() as stack:
        try:
            examined = await stack.enter_async_context(opened(settings, path, os.environ))
        except UserError as error:
            # Without what was granted nothing can be asked.
            tell("vault", [Finding(Outcome.FAILED, str(error), "", "operator")])
            return report
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
    paper = Paper.of(sys.stdout, os.environ)

    def line(mark: str, text: str) -> str:
        return clear + paper.wrapped(text, f"{name:<{_WIDTH}}{mark}  ", " " * (_WIDTH + 6))

    bad = [one for one in findings if one.outcome != "good"]
    fine = [one for one in findings if one.outcome == "good"]
    lines = []
    for one in bad[:MOST_LINES]:
        who = f"{one.agent}: " if one.agent else ""
        lines.append(line(_MARKS[one.outcome], f"{who}{one.what}"))
        if one.do:
            lines.append(paper.wrapped(f"{one.owner}: {one.do}", " " * (_WIDTH + 6) + "-> ", " " * (_WIDTH + 9)))
    if len(bad) > MOST_LINES:
        lines.append(f"{'':<{_WIDTH}}      and {len(bad) - MOST_LINES} more: --json has all")
    if len(fine) == 1 or (fine and not fine[0].agent):
        lines += [line("good", f"{f'{one.agent}: ' if one.agent else ''}{one.what}") for one in fine]
    elif fine:
        lines.append(line("good", many.format(len(fine))))
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
