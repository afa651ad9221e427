"""The table of agents."""

from __future__ import annotations

import sys
from typing import Any

import click

from calsyncd.clock import local_time
from calsyncd.core.alarms import COMPANY
from calsyncd.terminal.times import zone_of

MOST_UNMATCHED = 5
STATE_COLOURS = {
    "held": "red",
    "pending": "yellow",
    "overridden": "magenta",
    "kept": "cyan",
    "left_alone": "magenta",
    "paused": "blue",
    "suspended": "bright_red",
    "unsynced": "yellow",
    "idle": "green",
}


def print_alarms(alarms: list[dict[str, Any]]) -> None:
    """The alarms of the whole company: what is wrong, since when, what to do, and whose turn it is."""
    found = [alarm for alarm in alarms if alarm["who"] == COMPANY]
    for alarm in found:
        click.secho(f"ALARM since {short(alarm['since'], 'UTC')}: {alarm['message']}.", fg="red", bold=True)
        click.secho(f"  To do ({alarm['owner']}): {alarm['do']}. [{alarm['code']}]", fg="red")
    if found:
        click.echo()


def print_agents(agents: list[dict[str, Any]]) -> None:
    """A line an agent, by whose clock its times are; on a terminal the reason stands below it, elsewhere at its end."""
    rows: list[tuple[str, ...]] = [("AGENT", "STATE", "SETTING", "WANTED", "UNTIL", "LAST SYNC", "PUSH")]
    rows += [_row(agent) for agent in agents]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    terminal = sys.stdout.isatty()
    click.secho(lines[0].rstrip() if terminal else f"{lines[0]}  WHY", bold=True)
    for agent, row, line in zip(agents, rows[1:], lines[1:], strict=True):
        state = row[1].ljust(widths[1])
        shown = line.replace(state, click.style(state, fg=STATE_COLOURS.get(agent["state"]), bold=True), 1)
        if terminal:
            click.echo(shown.rstrip())
            click.secho(f"  {_why(agent)}", dim=not agent["trouble"], fg="red" if agent["trouble"] else None)
        else:
            click.echo(f"{line}  {_why(agent)}")


def print_unmatched(matching: dict[str, Any]) -> None:
    """A line for those Aircall users who are missed, and one for the Google accounts without one; none for none."""
    unlisted = matching.get("unlisted", ())
    left = {one["email"] for one in unlisted}
    accounts = [one for one in matching.get("accounts", ()) if one["email"] not in left]
    users = [one for one in matching.get("users", ()) if one["code"] != "not_listed"]
    for found, singular, plural, lacks in (
        (users, "Aircall user has", "Aircall users have", "no Google calendar here"),
        (accounts, "Google account has", "Google accounts have", "no Aircall user"),
    ):
        if found:
            shown = ", ".join(map(_unmatched, found[:MOST_UNMATCHED]))
            more = f" and {len(found) - MOST_UNMATCHED} more" if len(found) > MOST_UNMATCHED else ""
            click.echo(f"{len(found)} {singular if len(found) == 1 else plural} {lacks}: {shown}{more}")
    if unlisted:
        shown = ", ".join(one["email"] for one in unlisted[:MOST_UNMATCHED])
        more = f" and {len(unlisted) - MOST_UNMATCHED} more" if len(unlisted) > MOST_UNMATCHED else ""
        account = "connected account is no agent" if len(unlisted) == 1 else "connected accounts are no agents"
        again = "invite them to Aircall again" if matching.get("everybody") else "list them again"
        click.echo(
            f"{len(unlisted)} {account}: {shown}{more}; `calsyncd forget EMAIL` takes the permission back, or {again}"
        )
    if matching.get("untried"):
        click.echo(f"{matching['untried']} more Aircall users are being tried")


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


def _why(agent: dict[str, Any]) -> str:
    trouble = agent["trouble"]
    if trouble is None:
        return str(agent["reason"])
    return f"{agent['reason']} Trouble: {trouble['message']}. To do ({trouble['owner']}): {trouble['do']}."


def _setting_word(setting: dict[str, str | None] | None) -> str:
    if setting is None:
        return "-"
    substatus = setting["substatus"]
    shown = setting["availability_status"] or "-"
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
