"""Commands that show how it is, was, and why."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from calsyncd.cli.agents import print_agents, print_alarms, print_further_alarms, print_unmatched
from calsyncd.cli.api import Admin, NoDaemonError, ask, escaped, pages, query, send, where_it_listens
from calsyncd.cli.common import admin_option, commands, config_option
from calsyncd.core.alarms import COMPANY
from calsyncd.core.hours import zone_of
from calsyncd.core.moments import DAYS, Moment
from calsyncd.errors import UserError


@commands.command(short_help="Show every agent as it is, and what is wrong.")
@config_option
@admin_option
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
def status(config_path: Path | None, admin: str | None, *, as_json: bool) -> None:
    """Show the company's alarms, and every agent: setting, wanted, why, until when, last sync, push health, trouble."""
    where = where_it_listens(config_path, admin)
    body = send(where, "GET", "/api/v1/agents")
    if as_json:
        click.echo(json.dumps(body, indent=2))
    else:
        alarms = _alarms(config_path, admin)
        print_alarms(alarms)
        print_agents(body["agents"], {alarm["code"] for alarm in alarms if alarm["who"] == COMPANY})
        print_further_alarms(alarms, body["agents"])
        # A daemon that was not restarted since this command was installed may not know of it.
        with contextlib.suppress(UserError):
            print_unmatched(send(where, "GET", "/api/v1/matching"))


def _alarms(config_path: Path | None, admin: str | None) -> list[dict[str, Any]]:
    """What is raised; nothing from a daemon that is older than this command and not restarted yet."""
    try:
        alarms: list[dict[str, Any]] = ask(config_path, admin, "GET", "/api/v1/alarms").get("alarms", [])
    except NoDaemonError:
        raise
    except UserError:
        return []
    return alarms


@commands.command(short_help="Show an agent's day: planned, and what was really set.")
@click.argument("email")
@click.option(
    "--day", default="today", metavar="D", help="2026-11-21, today, tomorrow or yesterday, of the agent's zone."
)
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
@config_option
@admin_option
def timeline(email: str, day: str, config_path: Path | None, admin: str | None, *, as_json: bool) -> None:
    """Show an agent's day: events, what is wanted, what was really set, and now."""
    from calsyncd.terminal import timeline as drawing
    from calsyncd.terminal.paper import Paper
    from calsyncd.terminal.times import asked_day, local, parse_day, zone_of

    where, path = where_it_listens(config_path, admin), f"/api/v1/agents/{escaped(email)}/timeline"
    with _usage("--day"):
        asked = parse_day(day)
    body = send(where, "GET", path)
    today = local(body["now"], zone_of(body["zone"])).date()
    if (wanted := asked_day(asked, today)) != today:
        body = send(where, "GET", f"{path}?day={wanted}")
    paper = Paper.of(sys.stdout, os.environ)
    if as_json:
        click.echo(json.dumps(body, indent=2))
    else:
        click.echo("\n".join((drawing.picture if paper.terminal else drawing.lines)(body, paper)))


@commands.command(short_help="Show every change made or left alone, and why.")
@click.argument("email", required=False)
@click.option(
    "--since",
    default="24h",
    show_default=True,
    metavar="T",
    help="From when on: 2026-11-21, 2026-11-21T10:00, 10:00, today, a time with its offset, or 2h, 7d back from now.",
)
@click.option("--until", metavar="T", help="Until when, in the same ways; default: now.")
@click.option("--outcome", "outcomes", multiple=True, metavar="O", help="Only these, such as done, seen, override.")
@click.option("--actor", metavar="WHO", help="Only what they did: calsyncd, aircall, or a name given to the API.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--csv", "as_csv", is_flag=True, help="What was set from when to when: agent,from,to,state,reason.")
@config_option
@admin_option
def history(
    email: str | None,
    config_path: Path | None,
    admin: str | None,
    *,
    since: str,
    until: str | None,
    outcomes: tuple[str, ...],
    actor: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show every change made or left alone, of an agent or all: when, why, how late.

    Times without an offset are by each agent's own clock.
    """
    from calsyncd.core.moments import Moment
    from calsyncd.terminal.history import table
    from calsyncd.terminal.paper import Paper

    if as_csv and (as_json or outcomes or actor):
        raise click.UsageError("--csv tells of what was set, whoever did it: it goes with --since and --until only")
    window = [("since", since), *([("until", until)] if until is not None else [])]
    for name, text in window:
        with _usage(f"--{name}"):
            Moment.parse(text)
    where = where_it_listens(config_path, admin)
    if as_csv:
        _print_intervals(where, email, window)
        return
    asked = [*window, *(("outcome", outcome) for outcome in outcomes)]
    asked += [(name, value) for name, value in (("agent", email), ("actor", actor)) if value]
    records: list[dict[str, Any]] = []
    zones: dict[str, str] = {}
    for page in pages(where, "/api/v1/history", asked):
        if as_json:
            for record in page["history"]:
                click.echo(json.dumps(record))
        else:
            records += page["history"]
            zones |= page["zones"]
    if not as_json:
        click.echo("\n".join(table(records, zones, Paper.of(sys.stdout, os.environ))))


@commands.command(short_help="Say why an agent is set so, or was, or will be.")
@click.argument("email")
@click.option(
    "--at", metavar="TIME", help='10:15, "yesterday 10:15", 2026-11-23T10:15 by the agent\'s clock; or with an offset.'
)
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
@config_option
@admin_option
def explain(email: str, at: str | None, config_path: Path | None, admin: str | None, *, as_json: bool) -> None:
    """Say why an agent is set as they are; or were, or will be at another time."""
    from calsyncd.terminal.paper import Paper

    path = f"/api/v1/agents/{escaped(email)}/explain"
    moment = _moment(at) if at is not None else None
    if moment is None or moment.instant is None:
        body = ask(config_path, admin, "GET", path)
    if moment is not None:
        instant = moment.instant if moment.instant is not None else _instant(moment, body["zone"], body["now"])
        stamp = datetime.fromtimestamp(instant, UTC).isoformat().replace("+00:00", "Z")
        body = ask(config_path, admin, "GET", f"{path}?at={stamp}")
    if as_json:
        click.echo(json.dumps(body, indent=2))
        return
    paper = Paper.of(sys.stdout, os.environ)
    for sentence in body["sentences"]:
        click.echo(paper.wrapped(paper.text(sentence), rest="  "))


@contextlib.contextmanager
def _usage(option: str) -> Iterator[None]:
    """A value that cannot be understood is the caller's mistake."""
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _moment(text: str) -> Moment:
    """An instant as a person writes it; also a time of a day such as `yesterday 10:15`."""
    day, _, clock = text.strip().partition(" ")
    on_day = day in DAYS and bool(clock)
    try:
        moment = Moment.parse(clock if on_day else text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    if on_day and moment.days != 0:
        raise click.BadParameter(f"expected a time of the day after {day}, such as {day} 10:15", param_hint="--at")
    return replace(moment, days=DAYS[day]) if on_day else moment


def _instant(moment: Moment, zone: str, now: str) -> float:
    """The instant in epoch seconds, by the agent's clock."""
    return moment.at(zone_of(zone) or UTC, datetime.fromisoformat(now).timestamp())


def _print_intervals(where: Admin, email: str | None, window: list[tuple[str, str]]) -> None:
    """What was set of an agent, or of all that the settings name, as CSV."""
    from calsyncd.terminal import intervals

    everybody = [email] if email else [one["email"] for one in send(where, "GET", "/api/v1/agents")["agents"]]
    click.echo(intervals.header())
    for one in everybody:
        settings = send(where, "GET", f"/api/v1/agents/{escaped(one)}/settings?{query(window)}")
        for line in intervals.rows(settings):
            click.echo(line)
