"""Webhooks a second: genuine notifications to the daemon, and the same bytes to a handler that does nothing."""

from __future__ import annotations

import statistics
from email.utils import formatdate

from benchmarks.figures import Bench, Figure, Goal, Measured, MeasureError
from benchmarks.load import CONNECTIONS
from benchmarks.metrics import number
from benchmarks.processes import ask, daemon, free_addresses, helper, told, until
from calsyncd.sandbox.google_push import Channel
from calsyncd.sandbox.world import Sandbox

CALENDARS = 20

TITLE = "Webhooks a second"
HOW = f"""\
Genuine notifications of {CALENDARS} calendars, with the tokens of channels that the daemon itself has opened, are
posted to a running daemon by another process, {CONNECTIONS} at a time, each on a connection of its own, as calsyncd
answers them. The daemon does all that it does: it proves each one genuine, reads the calendars again, and answers for
everything else. The limit is an aiohttp handler that answers 200 to the same bytes and does nothing. Bursts go to the
two in turns; what counts is the median of the shares."""


async def measure(bench: Bench) -> Measured:
    """Send bursts to the daemon and to the bare handler in turns."""
    emails = [f"agent{at:02}@example.com" for at in range(CALENDARS)]
    async with Sandbox() as sandbox:
        for email in emails:
            sandbox.add_agent(email)
        listen, admin = free_addresses(2)
        config = sandbox.write_config(bench.folder, emails, listen=listen, admin_listen=admin)
        async with (
            daemon(config) as running,
            helper("benchmarks.bare_handler") as bare,
            helper("benchmarks.load") as load,
        ):
            await running.started()
            await until(lambda: len(sandbox.google.push.live()) == CALENDARS, "a channel for each calendar")
            await sandbox.settle()
            before = await _genuine(admin)
            ports = {"calsyncd": int(listen.rpartition(":")[2]), "bare": int(await told(bare))}
            ask(load, [request_of(channel) for channel in sandbox.google.push.live()])
            rates: dict[str, list[float]] = {"calsyncd": [], "bare": []}
            taken, computed = 0, 0.0
            for turn in range(bench.scale.bursts):
                for who in sorted(rates, reverse=bool(turn % 2)):
                    ask(load, {"port": ports[who], "seconds": bench.scale.burst_seconds})
                    result = await told(load)
                    if result["bad"]:
                        raise MeasureError(f"{who} did not take {result['bad']} of the webhooks")
                    rates[who].append(result["good"] / result["seconds"])
                    taken += result["good"] if who == "calsyncd" else 0
                    computed = max(computed, result["computed"])
            counted = await _genuine(admin) - before
    if counted != taken:
        raise MeasureError(f"calsyncd answered {taken} webhooks and took {counted:.0f} for genuine")
    share = statistics.median(ours / bares for ours, bares in zip(rates["calsyncd"], rates["bare"], strict=True))
    figure = Figure(
        "answered",
        "webhooks",
        statistics.median(rates["calsyncd"]),
        "/s",
        statistics.median(rates["bare"]),
        "a bare aiohttp handler",
        Goal("share", "at least", 0.6),
        share,
    )
    note = f"The process that posts them computed for at most {computed:.0%} of a burst: the limit is the handler's."
    return Measured("webhooks", TITLE, HOW, (figure,), rates, (note,) if computed < 0.9 else ())


def request_of(channel: Channel) -> str:
    """A notification as the sandbox's Google would send it, with its connection closed by the answer."""
    headers = {
        "Host": "demo.calsyncd.test",
        "Connection": "close",
        "Content-Length": "0",
        "Content-Type": "application/json; utf-8",
        "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        "Accept": "*/*",
        "X-Forwarded-Proto": "https",
        "X-Goog-Channel-ID": channel.id,
        "X-Goog-Channel-Token": channel.token or "",
        "X-Goog-Channel-Expiration": formatdate(channel.expires, usegmt=True),
        "X-Goog-Resource-ID": channel.resource_id,
        "X-Goog-Resource-URI": channel.resource_uri,
        "X-Goog-Resource-State": "exists",
        "X-Goog-Message-Number": "1000000",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhooks/google/notifications HTTP/1.1\r\n{lines}\r\n"


async def _genuine(admin: str) -> float:
    """How many notifications the daemon has taken for genuine, by its own metrics."""
    return await number(admin, r'calsyncd_notifications_total\{result="genuine"\}')
