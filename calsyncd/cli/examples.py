"""What `--help` and the manual show of each command in use: a line to type, and what it is for."""

from __future__ import annotations

import click

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "run": (("calsyncd run --config /etc/calsyncd/config.yaml", "as the unit does"),),
    "init": (
        ("calsyncd init", "asks one thing after the other"),
        (
            "calsyncd init --google-file key.json --aircall-id 4f1c --aircall-token-file token --agents all",
            "asks only what is left",
        ),
    ),
    "check": (("calsyncd check --config new.yaml", "before the new settings take the place of the old ones"),),
    "doctor": (
        ("calsyncd doctor", "after the settings, after an outage, before a ticket"),
        (
            "calsyncd doctor --json | jq '.checks[].findings[] | select(.outcome == \"failed\")'",
            "what fails, for programs",
        ),
        ("calsyncd doctor --probe test@example.com", "tries Aircall with a test user, and writes a report"),
    ),
    "status": (
        ("calsyncd status", "every agent, and whose turn it is where something is wrong"),
        ("calsyncd status --json | jq -r '.agents[] | select(.trouble) | .email'", "who is in trouble"),
    ),
    "timeline": (
        ("calsyncd timeline amy@example.com", "her day until now, and what is planned"),
        ("calsyncd timeline amy@example.com --day yesterday", "what was"),
    ),
    "explain": (
        ("calsyncd explain amy@example.com", "why she is set as she is"),
        ('calsyncd explain amy@example.com --at "yesterday 10:15"', "why she was"),
    ),
    "history": (
        ("calsyncd history amy@example.com --since today", "what was done to her, and what she did"),
        ("calsyncd history --csv --since 2026-10-01 --until 2026-11-01 > october.csv", "for a workforce tool"),
        ("calsyncd history --since 7d --outcome override --json", "who chose otherwise in a meeting, this week"),
    ),
    "simulate": (
        ("calsyncd simulate --fetch --agent amy@example.com --day tomorrow", "her day under the rules in force"),
        (
            "calsyncd simulate --events day.ics --rules settings --rules new-rules.yaml",
            "two sets of rules, side by side",
        ),
    ),
    "sync": (("calsyncd sync amy@example.com", "reads her calendars now"), ("calsyncd sync", "everybody's")),
    "pause": (
        ('calsyncd pause amy@example.com --for 2h --reason "covers the hotline"', "she is put back and left alone"),
        ('calsyncd pause --all --reason "wrong import"', "the incident switch"),
    ),
    "resume": (
        ("calsyncd resume amy@example.com", "follows her calendar again"),
        ("calsyncd resume --all", "everybody's, after an incident"),
    ),
    "skip": (
        ("calsyncd skip amy@example.com", "stays available in this meeting, or the next"),
        ("calsyncd skip amy@example.com --for 2h", "in all meetings of the next two hours"),
    ),
    "extend": (("calsyncd extend amy@example.com --for 15m", "this meeting takes longer"),),
    "release": (("calsyncd release --all", "everybody goes back, and stays paused"),),
    "connect": (("calsyncd connect amy@example.com", "prints her link, to be sent in any way"),),
    "backup": (
        ("calsyncd backup /var/backups/calsyncd.tar.gz", "beside the running daemon"),
        ("calsyncd backup - | ssh backup.example.com 'cat > calsyncd.tar.gz'", "to another machine"),
    ),
    "restore": (("calsyncd restore /var/backups/calsyncd.tar.gz", "into an empty state directory, before the start"),),
    "forget": (("calsyncd forget amy@example.com", "after she was taken off the settings"),),
    "logs": (
        ("journalctl -u calsyncd -o cat -f | calsyncd logs", "follows the log, as a story"),
        ("journalctl -u calsyncd -o cat | calsyncd logs --agent amy@example.com --since today", "what was about her"),
        ("journalctl -u calsyncd -o cat -f | calsyncd logs --level warning", "only what is not as it should be"),
    ),
    "rotate-key": (("calsyncd rotate-key", "somebody may have seen the key"),),
    "demo": (("calsyncd demo --seconds 60", "ends by itself and sums up"),),
    "sandbox": (
        ("calsyncd sandbox --dir /tmp/sandbox", "then: calsyncd run --config /tmp/sandbox/config.yaml"),
        ("calsyncd sandbox --doubt v1_users=410", "an Aircall that has dropped its old interface"),
    ),
}


def show(commands: click.Group) -> None:
    """Put each command's examples below its help."""
    for name, command in commands.commands.items():
        lines = (f"  {line}\n      {meaning}" for line, meaning in EXAMPLES.get(name, ()))
        # \b: click leaves these lines as they are.
        command.epilog = "\b\nExamples:\n" + "\n".join(lines)
