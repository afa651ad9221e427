"""Commands that do something to agents, by hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from calsyncd.cli.agents import print_agents, short, stamp
from calsyncd.cli.api import NoDaemonError, ask, escaped
from calsyncd.cli.common import (
    actor_option,
    admin_option,
    commands,
    config_option,
    duration,
    load_settings,
    reason_option,
    wait_for,
)


@commands.command(short_help="Read an agent's calendars now, or everybody's.")
@click.argument("email", required=False)
@config_option
@admin_option
def sync(email: str | None, config_path: Path | None, admin: str | None) -> None:
    """Read an agent's calendars now, or everybody's, and wait for the result."""
    path = f"/api/v1/agents/{escaped(email)}/sync" if email else "/api/v1/sync"
    body = ask(config_path, admin, "POST", path)
    agents = body.get("agents", [body])
    print_agents(agents)
    if any(calendar["trouble"] for agent in agents for calendar in agent["calendars"]):
        sys.exit(1)


@commands.command(short_help="Put everybody back who is held; or whom a dead daemon left held.")
@actor_option
@config_option
@admin_option
@click.option("--all", "everybody", is_flag=True, help="Everybody who is held, and leave all paused.")
@click.option(
    "--stale", is_flag=True, help="Only where the daemon is dead: whoever it held past the end of their meeting."
)
def release(actor: str, config_path: Path | None, admin: str | None, *, everybody: bool, stale: bool) -> None:
    """Put everybody back who is held, and leave all paused. Works with and without a running daemon.

    With --stale it does nothing while the daemon lives. Where it has been dead for ten minutes, whoever it held past
    the end of their meeting is put back, an alarm is raised, and the status is 1; for a timer that runs it every few
    minutes.
    """
    if everybody == stale:
        raise click.UsageError("give --all, or --stale")
    if stale:
        _release_stale(config_path)
        return
    try:
        outcome = ask(config_path, admin, "POST", "/api/v1/release", {"actor": actor})
    except NoDaemonError:
        from calsyncd import logs, offline

        settings, path = load_settings(config_path)
        secrets = [secret.reveal() for secret in settings.secrets]
        logs.configure("error", settings.log.format, secrets, sys.stderr)
        outcome = wait_for(offline.release_without_daemon(settings, path, os.environ, actor))
    for email in outcome["released"]:
        click.echo(f"{email}: put back")
    for email in outcome["still_held"]:
        click.echo(f"{email}: still held; run this again when Aircall answers", err=True)
    if not outcome["released"] and not outcome["still_held"]:
        click.echo("Nobody was held.")
    if "unwritten" in outcome:
        click.echo(f"The pauses could not be written and end with the daemon: {outcome['unwritten']}", err=True)
    else:
        click.echo("All agents are paused; `calsyncd resume --all` follows their calendars again.")
    if outcome["still_held"] or "unwritten" in outcome:
        sys.exit(1)


@commands.command(short_help="Put an agent back who is held, and leave them alone.")
@click.argument("email", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everybody, at once: the incident switch.")
@click.option(
    "--for", "length", metavar="D", callback=duration, help="For so long: 90s, 15m, 2h, 7d; else until resumed."
)
@reason_option
@actor_option
@config_option
@admin_option
def pause(
    email: str | None,
    length: str | None,
    *,
    reason: str,
    actor: str,
    config_path: Path | None,
    admin: str | None,
    everybody: bool,
) -> None:
    """Put an agent back who is held, and leave them alone."""
    path = _deed(email, "pause", everybody=everybody)
    body = ask(config_path, admin, "POST", path, {"for": length, "reason": reason, "actor": actor})
    for agent in body.get("agents", [body]):
        until = stamp(agent["paused_until"], agent["zone"]) if length else "resumed"
        held = "; still being put back" if agent["hold"] else ""
        click.echo(f"{agent['email']}: paused until {until}{held}")


@commands.command(short_help="Follow a paused agent's calendar again.")
@click.argument("email", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everybody who is paused.")
@reason_option
@actor_option
@config_option
@admin_option
def resume(
    email: str | None, reason: str, actor: str, config_path: Path | None, admin: str | None, *, everybody: bool
) -> None:
    """Follow a paused agent's calendar again.

    Of one agent it takes back what was skipped or extended by hand, too; --all ends pauses only.
    """
    path = _deed(email, "resume", everybody=everybody)
    body = ask(config_path, admin, "POST", path, {"reason": reason, "actor": actor})
    for one in body.get("resumed", [email]):
        click.echo(f"{one}: followed again")


@commands.command(short_help="Leave an agent available in this meeting, or the next.")
@click.argument("email")
@click.option(
    "--for", "length", metavar="D", callback=duration, help="All meetings of the next 2h or so; else only this one."
)
@reason_option
@actor_option
@config_option
@admin_option
def skip(
    email: str, length: str | None, *, reason: str, actor: str, config_path: Path | None, admin: str | None
) -> None:
    """Leave an agent available in the meeting that runs, else in the next one; end an extension."""
    path = _deed(email, "skip", everybody=False)
    agent = ask(config_path, admin, "POST", path, {"for": length, "reason": reason, "actor": actor})
    zone = agent["zone"]
    meetings = ", ".join(f"{short(one['start'], zone)} to {short(one['end'], zone)}" for one in agent["skipped"])
    held = "; still being put back" if agent["hold"] and not agent["wanted"] else ""
    click.echo(f"{agent['email']}: {f'skipped {meetings}' if meetings else 'not extended any more'}{held}")


@commands.command(short_help="Keep an agent unavailable for longer than the meeting.")
@click.argument("email")
@click.option(
    "--for", "length", metavar="D", callback=duration, required=True, help="For so much longer: 90s, 15m, 2h."
)
@reason_option
@actor_option
@config_option
@admin_option
def extend(email: str, length: str, *, reason: str, actor: str, config_path: Path | None, admin: str | None) -> None:
    """Keep an agent unavailable for longer than the meeting that runs, or from now."""
    path = _deed(email, "extend", everybody=False)
    agent = ask(config_path, admin, "POST", path, {"for": length, "reason": reason, "actor": actor})
    paused = "; paused for now" if agent["state"] == "paused" else ""
    click.echo(f"{agent['email']}: unavailable until {short(agent['extended_until'], agent['zone'])}{paused}")


def _deed(email: str | None, deed: str, *, everybody: bool) -> str:
    """The path of what is done to one agent, or to all."""
    if (email is None) != everybody:
        raise click.UsageError("give an agent's e-mail address, or --all")
    return f"/api/v1/agents/{escaped(email)}/{deed}" if email else f"/api/v1/{deed}"


def _release_stale(config_path: Path | None) -> None:
    """Put back whom a dead daemon left held, and say who that was."""
    from calsyncd import deadman, logs
    from calsyncd.core.sync import rfc3339

    settings, path = _settings_or_last_good(config_path)
    secrets = [secret.reveal() for secret in settings.secrets]
    logs.configure(settings.log.level, settings.log.format, secrets, sys.stderr, waits=False)
    outcome = wait_for(deadman.release_stale(settings, path, os.environ))
    if outcome.alive is not None:
        click.echo(f"Nothing to do: {outcome.alive}.")
        return
    click.echo(f"calsyncd does not run; it was last alive at {rfc3339(outcome.since)}.")
    for email in outcome.released:
        click.echo(f"{email}: put back, the meeting is over")
    for email in outcome.left:
        click.echo(f"{email}: not ours any more, left as they are")
    for email in outcome.still:
        click.echo(f"{email}: still held; the next run tries again", err=True)
    if outcome.held:
        click.echo(f"{outcome.held} held whose meetings go on: a later run puts them back.")
    sys.exit(1)


def _settings_or_last_good(config_path: Path | None) -> tuple[Any, Path]:
    """Faulty settings may be why the daemon is dead: then those with which it last ran; ends if there are none."""
    from calsyncd import config

    path = config.find(config_path, os.environ)
    try:
        return config.load(path, os.environ), path
    except config.ConfigError as error:
        click.echo(str(error), err=True)
        kept = config.load_kept(path, os.environ)
        if kept is None:
            sys.exit(error.exit_code)
        click.echo(f"Until that is mended, those with which calsyncd last ran are used: {kept[1]}", err=True)
        return kept[0], path
