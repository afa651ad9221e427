"""The table of agents."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from typing import Any

import click

from calsyncd.clock import local_time
from calsyncd.core.alarms import COMPANY
from calsyncd.core.wording import status_word
from calsyncd.terminal.paper import Paper
from calsyncd.terminal.times import zone_of

MOST_UNMATCHED = 5
DISPENSABLE = ("LAST SYNC", "WANTED")
"""Columns that are left out, one after the other, where a terminal is too narrow for all; --json has them."""

STATE_COLOURS = {
    "held": "blue",
    "pending": "yellow",
    "overridden": "magenta",
    "kept": "cyan",
    "left_alone": "magenta",
    "paused": "cyan",
    "suspended": "bright_red",
    "unsynced": "yellow",
    "idle": "green",
}


def print_alarms(alarms: list[dict[str, Any]]) -> None:
    """The alarms of the whole company: what is wrong, since when, what to do, and whose turn it is."""
    found = [alarm for alarm in alarms if alarm["who"] == COMPANY]
    _print_each(found)
    if found:
        click.echo()


def print_further_alarms(alarms: list[dict[str, Any]], agents: list[dict[str, Any]]) -> None:
    """The alarms that stand neither above the table nor in it: of who is no agent, or has another trouble too."""
    shown = {(trouble["code"], agent["email"]) for agent in agents for trouble in _troubles(agent)}
    single = [alarm for alarm in alarms if alarm["who"] != COMPANY]
    further = [alarm for alarm in single if (alarm["code"], alarm["who"].partition("/")[0]) not in shown]
    if further and sys.stdout.isatty():
        click.echo()
    _print_each(further)


def _print_each(alarms: list[dict[str, Any]]) -> None:
    paper = Paper.of(sys.stdout, os.environ)
    for alarm in alarms:
        who = "" if alarm["who"] == COMPANY else f"{alarm['who']}: "
        said = f"ALARM since {short(alarm['since'], 'UTC')}: {who}{alarm['message']}."
        click.secho(paper.wrapped(said, rest="  "), fg="red", bold=True)
        click.secho(paper.wrapped(f"To do ({alarm['owner']}): {alarm['do']}. [{alarm['code']}]", "  ", "  "), fg="red")


def _troubles(agent: dict[str, Any]) -> list[dict[str, Any]]:
    found = [agent["trouble"], *(calendar["trouble"] for calendar in agent["calendars"])]
    return [trouble for trouble in found if trouble is not None]


def print_agents(agents: list[dict[str, Any]], above: Collection[str] = ()) -> None:
    """A line an agent, by whose clock its times are; on a terminal the reason stands below it, elsewhere at its end.

    What to do about the troubles with the codes that are said `above` is not said again.
    """
    paper = Paper.of(sys.stdout, os.environ)
    rows: list[tuple[str, ...]] = [("AGENT", "STATE", "SETTING", "WANTED", "UNTIL", "LAST SYNC", "PUSH")]
    rows += [_row(agent) for agent in agents]
    for name in DISPENSABLE:
        if paper.terminal and sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 2 >= paper.width:
            at = rows[0].index(name)
            rows = [(*row[:at], *row[at + 1 :]) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    click.secho(lines[0].rstrip() if paper.terminal else f"{lines[0]}  WHY", bold=True)
    for agent, row, line in zip(agents, rows[1:], lines[1:], strict=True):
        state = row[1].ljust(widths[1])
        shown = line.replace(state, click.style(state, fg=STATE_COLOURS.get(agent["state"]), bold=True), 1)
        if paper.terminal:
            click.echo(shown.rstrip())
            why = paper.wrapped(_why(agent, above), "  ", "  ")
            click.secho(why, dim=not agent["trouble"], fg="red" if agent["trouble"] else None)
        else:
            click.echo(f"{line}  {_why(agent, above)}")


def print_unmatched(matching: dict[str, Any]) -> None:
    """A line for those Aircall users who are missed, and one for the Google accounts without one; none for none."""
    unlisted = matching.get("unlisted", ())
    left = {one["email"] for one in unlisted}
    accounts = [one for one in matching.get("accounts", ()) if one["email"] not in left]
    users = [one for one in matching.get("users", ()) if one["code"] != "not_listed"]
    lines: list[str] = []
    for found, singular, plural, lacks in (
        (users, "Aircall user has", "Aircall users have", "no Google calendar here"),
        (accounts, "Google account has", "Google accounts have", "no Aircall user"),
    ):
        if found:
            shown = ", ".join(map(_unmatched, found[:MOST_UNMATCHED]))
            more = f" and {len(found) - MOST_UNMATCHED} more" if len(found) > MOST_UNMATCHED else ""
            lines.append(f"{len(found)} {singular if len(found) == 1 else plural} {lacks}: {shown}{more}")
    if unlisted:
        shown = ", ".join(one["email"] for one in unlisted[:MOST_UNMATCHED])
        more = f" and {len(unlisted) - MOST_UNMATCHED} more" if len(unlisted) > MOST_UNMATCHED else ""
        account = "connected account is no agent" if len(unlisted) == 1 else "connected accounts are no agents"
        again = "invite them to Aircall again" if matching.get("everybody") else "list them again"
        lines.append(
            f"{len(unlisted)} {account}: {shown}{more}; `calsyncd forget EMAIL` takes the permission back, or {again}"
        )
    if matching.get("untried"):
        lines.append(f"{matching['untried']} more Aircall users are being tried")
    paper = Paper.of(sys.stdout, os.environ)
    if lines and paper.terminal:
        click.echo()
    for line in lines:
        click.echo(paper.wrapped(line, rest="  "))


def _unmatched(one: dict[str, Any]) -> str:
    who = one["email"] or f"user {one['id']}"
    likely = [one["suggestion"], *one["ties"]] if one["suggestion"] else []
    return f"{who} ({' or '.join(likely)}?)" if likely else str(who)


def _row(agent: dict[str, Any]) -> tuple[str, ...]:
    calendars = agent["calendars"]
    return (
        agent["email"],
        f"{agent['state']} (observed)" if agent.get("mode") == "observe" else agent["state"],
        _setting_word(agent["setting"]),
        _setting_word(agent["wanted"]),
        short(agent["until"], agent["zone"]),
        short(min((calendar["synced_at"] or "" for calendar in calendars), default=None), agent["zone"]),
        ", ".join(sorted({calendar["push"] for calendar in calendars})) or "-",
    )


def _why(agent: dict[str, Any], above: Collection[str]) -> str:
    trouble, reason = agent["trouble"], str(agent["reason"])
    if trouble is None:
        return reason
    said = reason if trouble["message"] in reason else f"{reason} Trouble: {trouble['message']}."
    if trouble["code"] in above:
        return f"{said} See the alarm above."
    return f"{said} To do ({trouble['owner']}): {trouble['do']}."


def _setting_word(setting: dict[str, str | None] | None) -> str:
    if setting is None:
        return "-"
    substatus = setting["substatus"]
    status = setting["availability_status"]
    shown = status_word(status) if status else "-"
    return (
        f"{shown} ({substatus})"
        if substatus and shown == "unavailable" and not substatus.startswith("always")
        else shown
    )


def short(at: str | None, zone: str) -> str:
    """A time as the agent's clock shows it, such as `10:30:00 CET`, with its day unless that is today."""
    if not at:
        return "-"
    local, today = local_time(at, zone_of(zone))
    return local.strftime("%H:%M:%S %Z" if today else "%a %H:%M %Z")


def stamp(at: str, zone: str) -> str:
    """A time as the agent's clock shows it, with its date."""
    return local_time(at, zone_of(zone))[0].strftime("%Y-%m-%d %H:%M:%S %Z")
