"""The state directory of a large company as a quiet day leaves it, made without waiting for that day.

What the daemon would read from Google page by page is taken in here by the same code, from the sandbox's own answer:
one agent's in full, everybody else's moved in time. It is then put in force by the store that the daemon has. The
sandbox knows the sync tokens and channels that stand in it, and goes on from there: it holds no event that is older
than this, and is asked for none.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from calsyncd.calendars import key_of
from calsyncd.core import channels
from calsyncd.core.channels import Channel
from calsyncd.core.model import Event, Observation, Setting
from calsyncd.core.sync import Changes, Fetch, quota_user
from calsyncd.routes import GOOGLE_WEBHOOK
from calsyncd.sandbox import google_push
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from calsyncd.state import push_key
from calsyncd.store import Store

DAYS, EVENTS_A_DAY = 14, 8
DAY, HOUR = 86400.0, 3600.0
CHANNEL_SECONDS = 7 * DAY
FIRST_USER = 456
ADDRESS = f"{PUBLIC_ORIGIN}{GOOGLE_WEBHOOK}"


def addresses(count: int) -> list[str]:
    """So many agents' e-mail addresses."""
    return [f"agent{number:05}@example.com" for number in range(count)]


def entries(emails: Sequence[str]) -> list[dict[str, object]]:
    """How the settings name them: each with the calendar that has their address as its id."""
    return [{"email": email, "calendars": [email]} for email in emails]


def put_days(sandbox: Sandbox, email: str, first: float) -> None:
    """Days of events of half an hour, the first of which begins at `first`."""
    for day in range(DAYS):
        for number in range(EVENTS_A_DAY):
            start = first + day * DAY + number * HOUR
            sandbox.google.put_raw(
                email,
                {
                    "id": f"{day:02}{number}q7lr5h2jkb8c9d6e1f3g",
                    "status": "confirmed",
                    "summary": "Weekly",
                    "eventType": "default",
                    "start": {"dateTime": second(start)},
                    "end": {"dateTime": second(start + HOUR / 2)},
                    "attendees": [{"email": email, "responseStatus": "accepted"}],
                    "updated": "2026-01-01T00:00:00.000Z",
                },
            )


async def fill(sandbox: Sandbox, state: Path, emails: Sequence[str], first: Sequence[float]) -> None:
    """Make the company, and its state directory; each agent's first event begins at that of `first`, epoch seconds."""
    key, now = _made(state), time.time()
    users = {sandbox.add_agent(email, user_id=FIRST_USER + at).id: email for at, email in enumerate(emails)}
    put_days(sandbox, emails[0], first[0])
    model = _answered(sandbox, emails[0], now)
    sandbox.google.calendars[emails[0]].clear()
    shown = Observation(Setting("available"), now, "available")
    async with Store.open(state / "calsyncd.db") as store:
        for number, email in enumerate(emails):
            mark = _answered(sandbox, email, now).bookmark
            later = first[number] - first[0]
            events = tuple(_later(event, later) for event in model.events)
            taken = replace(model, events=events, bookmark=mark)
            await store.apply(key_of(email, email), email, taken, now)
            await store.save_channel(_channel(sandbox, key, email, now, number / len(emails)))
        await store.save_directory(users, dict.fromkeys(users, "UTC"))
        await store.observe([(user, shown) for user in users])


def _made(state: Path) -> bytes:
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return push_key(state)


def _answered(sandbox: Sandbox, email: str, now: float) -> Changes:
    """What the daemon would take in of a calendar now."""
    fetch = Fetch(now, DAYS * DAY, quota_user(email))
    changes = fetch.feed(sandbox.google.page(email, fetch.request()))
    assert changes is not None  # noqa: S101 - a page of the sandbox holds more than anybody's fortnight
    return changes


def _later(event: Event, seconds: float) -> Event:
    return replace(event, start=event.start + seconds, end=event.end + seconds)


def _channel(sandbox: Sandbox, key: bytes, email: str, now: float, part: float) -> Channel:
    """An open channel, at both ends; it was opened at some time of half a week, so that renewals are spread."""
    opened = now - part * CHANNEL_SECONDS / 2
    name = hashlib.sha256(f"channel of {email}".encode()).hexdigest()[:32]
    resource = hashlib.sha256(f"events of {email}".encode()).hexdigest()[:27]
    uri = f"https://www.googleapis.com/calendar/v3/calendars/{quote(email, safe='')}/events?alt=json"
    ends, token = opened + CHANNEL_SECONDS, channels.token_of(key, name)
    maker = sandbox.google.tokens.account.email
    sandbox.google.push.add(
        google_push.Channel(name, email, resource, uri, ADDRESS, token, ends, email, maker, number=1)
    )
    renew_at = max(now + HOUR, channels.renew_at(opened, ends, part))
    return Channel(name, key_of(email, email), ADDRESS, opened, resource, ends, renew_at, opened)
