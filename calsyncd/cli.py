"""The commands. Exit codes are sysexits': 0 done, 1 failed, 2 usage, 69 no daemon, 75 taken, 78 configuration."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import os
import re
import sys
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from calsyncd import __version__
from calsyncd.core.hours import zone_of
from calsyncd.core.moments import DAYS, Moment
from calsyncd.errors import UserError

NO_DAEMON = 69
ADMIN_SECONDS = 120.0
ACTOR = "command line"
PAGE = 500
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

T = TypeVar("T")

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The settings; else $CALSYNCD_CONFIG, ./config.yaml, /etc/calsyncd/config.yaml.",
)
admin_option = click.option("--admin", help="Where the daemon's admin API listens; default: from the settings.")
reason_option = click.option("--reason", default="", metavar="TEXT", help="Why, for the history and the log.")


def _duration(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A duration as the API takes it: `90s`, `15m`, `2h`, `7d` or seconds."""
    del context, option
    if value is not None and not re.fullmatch(r"[0-9]{1,9}[smhdw]?", value):
        raise click.BadParameter("expected a duration such as 90s, 15m, 2h, 7d, or seconds")
    return value


def _zone(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """The name of a zone that is known."""
    from calsyncd.core.hours import zone_of

    del context, option
    if value is not None and zone_of(value) is None:
        raise click.BadParameter("expected a zone such as Europe/Paris")
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="calsyncd")
def commands() -> None:
    """Keep call-centre agents' Aircall availability in step with their Google Calendar."""


@commands.command()
@config_option
def run(config_path: Path | None) -> None:
    """Run the daemon in the foreground, until SIGTERM or SIGINT."""
    from calsyncd import daemon, logs

    faulthandler.enable()
    settings, path = _settings(config_path)
    logs.configure(settings.log.level, settings.log.format, [secret.reveal() for secret in settings.secrets])
    _await(daemon.run(settings, path, os.environ))


@commands.command()
@config_option
def check(config_path: Path | None) -> None:
    """Show all faults of the settings; asks no network."""
    settings, path = _settings(config_path)
    click.echo(f"{path}: good, {len(settings.agents)} agents")


@commands.command()
@config_option
@admin_option
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
def status(config_path: Path | None, admin: str | None, *, as_json: bool) -> None:
    """Show every agent: setting, wanted, why, until when, last sync, push health, trouble."""
    body = _ask(config_path, admin, "GET", "/api/v1/agents")
    if as_json:
        click.echo(json.dumps(body, indent=2))
    else:
        _print_agents(body["agents"])


@commands.command()
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

    where, path = _where(config_path, admin), f"/api/v1/agents/{_escaped(email)}/timeline"
    with _usage("--day"):
        asked = parse_day(day)
    body = _send(where, "GET", path)
    today = local(body["now"], zone_of(body["zone"])).date()
    if (wanted := asked_day(asked, today)) != today:
        body = _send(where, "GET", f"{path}?day={wanted}")
    paper = Paper.of(sys.stdout, os.environ)
    if as_json:
        click.echo(json.dumps(body, indent=2))
    else:
        click.echo("\n".join((drawing.picture if paper.terminal else drawing.lines)(body, paper)))


@commands.command()
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
    where = _where(config_path, admin)
    if as_csv:
        _print_intervals(where, email, window)
        return
    asked = [*window, *(("outcome", outcome) for outcome in outcomes)]
    asked += [(name, value) for name, value in (("agent", email), ("actor", actor)) if value]
    records: list[dict[str, Any]] = []
    zones: dict[str, str] = {}
    for page in _pages(where, "/api/v1/history", asked):
        if as_json:
            for record in page["history"]:
                click.echo(json.dumps(record))
        else:
            records += page["history"]
            zones |= page["zones"]
    if not as_json:
        click.echo("\n".join(table(records, zones, Paper.of(sys.stdout, os.environ))))


@commands.command()
@click.argument("email", required=False)
@config_option
@admin_option
def sync(email: str | None, config_path: Path | None, admin: str | None) -> None:
    """Read an agent's calendars now, or everybody's, and wait for the result."""
    path = f"/api/v1/agents/{_escaped(email)}/sync" if email else "/api/v1/sync"
    body = _ask(config_path, admin, "POST", path)
    agents = body.get("agents", [body])
    _print_agents(agents)
    if any(calendar["trouble"] for agent in agents for calendar in agent["calendars"]):
        sys.exit(1)


@commands.command()
@config_option
@admin_option
@click.option("--all", "everybody", is_flag=True, required=True, help="Everybody: there is no other way to call it.")
def release(config_path: Path | None, admin: str | None, *, everybody: bool) -> None:
    """Put everybody back who is held, and leave all paused. Works with and without a running daemon."""
    del everybody
    try:
        outcome = _ask(config_path, admin, "POST", "/api/v1/release", {"actor": ACTOR})
    except _NoDaemonError:
        from calsyncd import daemon, logs

        settings, path = _settings(config_path)
        secrets = [secret.reveal() for secret in settings.secrets]
        logs.configure("error", settings.log.format, secrets, sys.stderr)
        outcome = _await(daemon.release_without_daemon(settings, path, os.environ))
    for email in outcome["released"]:
        click.echo(f"{email}: put back")
    for email in outcome["still_held"]:
        click.echo(f"{email}: still held; run this again when Aircall answers", err=True)
    if "unwritten" in outcome:
        click.echo(f"The pauses could not be written and end with the daemon: {outcome['unwritten']}", err=True)
    else:
        click.echo("All agents are paused; `calsyncd resume --all` follows their calendars again.")
    if outcome["still_held"] or "unwritten" in outcome:
        sys.exit(1)


@commands.command()
@click.argument("email", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everybody, at once: the incident switch.")
@click.option(
    "--for", "length", metavar="D", callback=_duration, help="For so long: 90s, 15m, 2h, 7d; else until resumed."
)
@reason_option
@config_option
@admin_option
def pause(
    email: str | None,
    length: str | None,
    reason: str,
    config_path: Path | None,
    admin: str | None,
    *,
    everybody: bool,
) -> None:
    """Put an agent back who is held, and leave them alone."""
    path = _deed(email, "pause", everybody=everybody)
    body = _ask(config_path, admin, "POST", path, {"for": length, "reason": reason, "actor": ACTOR})
    for agent in body.get("agents", [body]):
        until = agent["paused_until"] if length else "resumed"
        held = "; still being put back" if agent["hold"] else ""
        click.echo(f"{agent['email']}: paused until {until}{held}")


@commands.command()
@click.argument("email", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everybody who is paused.")
@reason_option
@config_option
@admin_option
def resume(email: str | None, reason: str, config_path: Path | None, admin: str | None, *, everybody: bool) -> None:
    """Follow a paused agent's calendar again."""
    path = _deed(email, "resume", everybody=everybody)
    body = _ask(config_path, admin, "POST", path, {"reason": reason, "actor": ACTOR})
    for one in body.get("resumed", [email]):
        click.echo(f"{one}: followed again")


@commands.command()
@click.argument("email")
@click.option(
    "--for", "length", metavar="D", callback=_duration, help="All meetings of the next 2h or so; else only this one."
)
@reason_option
@config_option
@admin_option
def skip(email: str, length: str | None, reason: str, config_path: Path | None, admin: str | None) -> None:
    """Leave an agent available in the meeting that runs, else in the next one; end an extension."""
    path = _deed(email, "skip", everybody=False)
    agent = _ask(config_path, admin, "POST", path, {"for": length, "reason": reason, "actor": ACTOR})
    meetings = ", ".join(f"{_short(one['start'])} to {_short(one['end'])}" for one in agent["skipped"])
    held = "; still being put back" if agent["hold"] and not agent["wanted"] else ""
    click.echo(f"{agent['email']}: {f'skipped {meetings}' if meetings else 'not extended any more'}{held}")


@commands.command()
@click.argument("email")
@click.option(
    "--for", "length", metavar="D", callback=_duration, required=True, help="For so much longer: 90s, 15m, 2h."
)
@reason_option
@config_option
@admin_option
def extend(email: str, length: str, reason: str, config_path: Path | None, admin: str | None) -> None:
    """Keep an agent unavailable for longer than the meeting that runs, or from now."""
    path = _deed(email, "extend", everybody=False)
    agent = _ask(config_path, admin, "POST", path, {"for": length, "reason": reason, "actor": ACTOR})
    paused = "; paused for now" if agent["state"] == "paused" else ""
    click.echo(f"{agent['email']}: unavailable until {_short(agent['extended_until'])}{paused}")


@commands.command()
@click.option(
    "--events", type=click.Path(path_type=Path), metavar="FILE", help="What events.list answered, or an .ics."
)
@click.option("--fetch", is_flag=True, help="Instead of a file: read the agent's calendars from Google now.")
@click.option("--day", default="today", metavar="D", help="A date, today, tomorrow or yesterday.", show_default=True)
@click.option(
    "--agent", metavar="EMAIL", help="Whose rules of the settings, whose calendars, whose answers in an .ics."
)
@click.option(
    "--rules",
    multiple=True,
    metavar="FILE",
    help="Rules as under `rules:`, instead of those in force; `settings` are those. Twice: side by side.",
)
@click.option("--zone", callback=_zone, metavar="NAME", help="The zone of the day; default: the calendar's.")
@click.option("--titles", is_flag=True, help="Show the titles of the events.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@config_option
def simulate(
    events: Path | None,
    day: str,
    *,
    agent: str | None,
    rules: tuple[str, ...],
    zone: str | None,
    config_path: Path | None,
    fetch: bool,
    titles: bool,
    as_json: bool,
) -> None:
    """Show what a day of events would do under the rules, or under two sets of them. Sends nothing; needs no daemon."""
    from calsyncd import config
    from calsyncd import simulate as room
    from calsyncd.clock import SystemClock

    if (events is not None) == fetch:
        raise click.UsageError("give --events FILE, or --fetch with --agent EMAIL")
    if fetch and agent is None:
        raise click.UsageError("--fetch needs --agent EMAIL: whose calendars to read")
    if len(rules) > 2:
        raise click.UsageError("--rules can be given twice: two sets stand side by side")
    wish = room.Wish(day, events, agent, rules, zone, titles=titles)
    try:
        outcome = room.simulated(wish, lambda: _settings_if_any(config_path), os.environ, SystemClock().now())
    except config.ConfigError as error:
        click.echo(str(error))
        sys.exit(error.exit_code)
    if as_json:
        click.echo(json.dumps(room.as_json(outcome), indent=2))
    else:
        click.echo(room.as_text(outcome), nl=False)


@commands.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after so many seconds.")
def demo(seconds: float | None) -> None:
    """Run the daemon against the built-in sandbox, with eight agents whose day is packed into minutes."""
    from calsyncd.demo import show

    sys.exit(_await(show.demo(seconds)))


@commands.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("sandbox"))
@click.option(
    "--doubt",
    "doubts",
    multiple=True,
    metavar="POINT=WAY",
    help="Let a doubtful point of the services turn out so, such as v1_users=410; docs/doubtful.md has them all.",
)
def sandbox(folder: Path, doubts: tuple[str, ...]) -> None:
    """Run the sandbox alone: a Google and an Aircall on this machine, and settings that point at them."""
    from calsyncd.demo import show

    try:
        sys.exit(_await(show.serve(folder, doubts=doubts)))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@commands.command()
@click.argument("email")
@click.option(
    "--at", metavar="TIME", help='10:15, "yesterday 10:15", 2026-11-23T10:15 by the agent\'s clock; or with an offset.'
)
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
@config_option
@admin_option
def explain(email: str, at: str | None, config_path: Path | None, admin: str | None, *, as_json: bool) -> None:
    """Say why an agent is set as they are; or were, or will be at another time."""
    path = f"/api/v1/agents/{_escaped(email)}/explain"
    moment = _moment(at) if at is not None else None
    if moment is None or moment.instant is None:
        body = _ask(config_path, admin, "GET", path)
    if moment is not None:
        instant = moment.instant if moment.instant is not None else _instant(moment, body["zone"], body["now"])
        stamp = datetime.fromtimestamp(instant, UTC).isoformat().replace("+00:00", "Z")
        body = _ask(config_path, admin, "GET", f"{path}?at={stamp}")
    click.echo(json.dumps(body, indent=2) if as_json else "\n".join(body["sentences"]))


def main() -> None:
    """The entry point of the `calsyncd` command."""
    try:
        commands(prog_name="calsyncd")
    except UserError as error:
        _fail(error)


class _NoDaemonError(UserError):
    def __init__(self, where: str) -> None:
        super().__init__(f"no daemon answers at {where}: is `calsyncd run` running?", exit_code=NO_DAEMON)


def _settings(config_path: Path | None) -> tuple[Any, Path]:
    from calsyncd import config

    path = config.find(config_path, os.environ)
    try:
        return config.load(path, os.environ), path
    except config.ConfigError as error:
        click.echo(str(error))
        sys.exit(error.exit_code)


def _settings_if_any(config_path: Path | None) -> tuple[Any, Path] | None:
    """The settings, or None where none are named and none are found."""
    from calsyncd import config

    try:
        config.find(config_path, os.environ)
    except UserError:
        return None
    return _settings(config_path)


def _fail(error: UserError) -> NoReturn:
    click.echo(f"calsyncd: {error}", err=True)
    sys.exit(error.exit_code)


def _await(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(130)


def _escaped(email: str) -> str:
    from urllib.parse import quote

    return quote(email, safe="@")


@contextlib.contextmanager
def _usage(option: str) -> Iterator[None]:
    """A value that cannot be understood is the caller's mistake."""
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _query(values: list[tuple[str, str]]) -> str:
    from urllib.parse import urlencode

    return urlencode(values)


def _where(config_path: Path | None, admin: str | None) -> str:
    """Where the daemon's admin API listens."""
    return admin if admin is not None else str(_settings(config_path)[0].server.admin_listen)


def _ask(config_path: Path | None, admin: str | None, method: str, path: str, body: Any = None) -> Any:
    return _send(_where(config_path, admin), method, path, body)


def _send(where: str, method: str, path: str, body: Any = None) -> Any:
    return _await(_request(where, method, path, body))


def _pages(where: str, path: str, asked: list[tuple[str, str]]) -> Iterator[Any]:
    """A long list, page by page."""
    cursor: list[tuple[str, str]] = []
    while True:
        page = _send(where, "GET", f"{path}?{_query([*asked, *cursor, ('limit', str(PAGE))])}")
        yield page
        if page["cursor"] is None:
            return
        cursor = [("cursor", page["cursor"])]


async def _request(where: str, method: str, path: str, body: Any) -> Any:
    import aiohttp

    connector: aiohttp.BaseConnector | None = None
    base = where.rstrip("/") if "://" in where else f"http://{where.rstrip('/')}"
    if where.startswith("unix:"):
        connector, base = aiohttp.UnixConnector(where.removeprefix("unix:")), "http://localhost"
    timeout = aiohttp.ClientTimeout(total=ADMIN_SECONDS, connect=5.0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        try:
            async with session.request(method, base + path, json=body) as answer:
                data = await answer.json(content_type=None)
                if answer.status >= 400:
                    message = data.get("error", {}).get("message") if isinstance(data, dict) else None
                    raise UserError(message or f"the daemon answered {answer.status}", exit_code=1)
                return data
        except (aiohttp.ClientConnectionError, OSError):
            raise _NoDaemonError(where) from None
        except TimeoutError:
            raise UserError(f"the daemon at {where} did not answer in {ADMIN_SECONDS:.0f} s", exit_code=1) from None


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


def _deed(email: str | None, deed: str, *, everybody: bool) -> str:
    """The path of what is done to one agent, or to all."""
    if (email is None) != everybody:
        raise click.UsageError("give an agent's e-mail address, or --all")
    return f"/api/v1/agents/{_escaped(email)}/{deed}" if email else f"/api/v1/{deed}"


def _print_intervals(where: str, email: str | None, window: list[tuple[str, str]]) -> None:
    """What was set of an agent, or of all that the settings name, as CSV."""
    from calsyncd.terminal import intervals

    everybody = [email] if email else [one["email"] for one in _send(where, "GET", "/api/v1/agents")["agents"]]
    click.echo(intervals.header())
    for one in everybody:
        settings = _send(where, "GET", f"/api/v1/agents/{_escaped(one)}/settings?{_query(window)}")
        for line in intervals.rows(settings):
            click.echo(line)


def _print_agents(agents: list[dict[str, Any]]) -> None:
    """A line an agent; on a terminal the reason stands below it, elsewhere at its end."""
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


def _row(agent: dict[str, Any]) -> tuple[str, ...]:
    calendars = agent["calendars"]
    return (
        agent["email"],
        f"{agent['state']} (observed)" if agent.get("mode") == "observe" else agent["state"],
        _setting_word(agent["setting"]),
        _setting_word(agent["wanted"]),
        _short(agent["until"]),
        _short(min((calendar["synced_at"] or "" for calendar in calendars), default=None)),
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


def _short(at: str | None) -> str:
    """A time as the local clock shows it, with its day unless that is today."""
    if not at:
        return "-"
    from calsyncd.clock import local_time

    local, today = local_time(at)
    return local.strftime("%H:%M:%S" if today else "%a %H:%M")
