"""Erasing what is kept of somebody who is no agent any more.

The order is such that a crash at any point leaves it to be done again: first they are put back and their push channels
stopped, as long as there are credentials for that; then their grant is ended; then what is on disk is erased, the
ledger last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from calsyncd.clock import Clock
from calsyncd.core.channels import Channel
from calsyncd.errors import Refused, ServiceError, Unavailable, UserError
from calsyncd.ledger import Ledger, is_of
from calsyncd.logs import get_logger
from calsyncd.phones import Roster

RELEASE_SECONDS = 30.0
LOOK_SECONDS = 0.1
COPIES = ("ledger.damaged", "calsyncd.db.corrupt-*")
"""What is kept of damage, for a human's eye."""

LITESTREAM = ".calsyncd.db-litestream"

log = get_logger(__name__)


class Cache(Protocol):
    """The database."""

    async def channels(self) -> list[Channel]:
        """Every channel that may still deliver."""
        ...

    async def users_of(self, email: str) -> list[int]:
        """The Aircall users who had this address."""
        ...

    async def forget(self, email: str, users: Iterable[int]) -> dict[str, int]:
        """Erase what is kept of an agent; how many rows of what."""
        ...

    async def scrub(self) -> bool:
        """Leave nothing of it in the file; False if that is to come."""
        ...


class Google(Protocol):
    """Where channels are stopped."""

    async def stop(self, subject: str, *, channel: str, resource: str) -> None:
        """Close a channel."""
        ...


class Forgetting:
    """Erases agents. `state` is the state directory.

    `touch` has somebody judged anew, `flush` has what waits for the database written, `quiet` drops the alarms about
    somebody and counts them, and `ungrant` ends what they have granted: how many grants that were. It raises
    Unavailable while Google cannot be told.
    """

    def __init__(
        self,
        clock: Clock,
        state: Path,
        *,
        roster: Roster,
        touch: Callable[[str], None],
        ledger: Ledger,
        cache: Cache,
        google: Google,
        flush: Callable[[], Awaitable[None]],
        quiet: Callable[[str], Awaitable[int]],
        ungrant: Callable[[str], Awaitable[int]],
        everybody: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._state = state
        self._roster = roster
        self._touch = touch
        self._ledger = ledger
        self._cache = cache
        self._google = google
        self._flush = flush
        self._quiet = quiet
        self._ungrant = ungrant
        self._everybody = everybody

    async def forget(self, email: str, actor: str, reason: str) -> dict[str, Any]:
        """Erase all that is kept of this address, and say what that was and what is left, in the API's shape.

        UserError: they are followed, or something must be tried again later; then what is left to do is still known.
        """
        email = email.lower()
        self._refuse_followed(email)
        await self._released(email)
        users = {entry.user for entry in self._ledger.entries.values() if is_of(entry.email, email)}
        try:
            users |= set(await self._cache.users_of(email))
            stopped = await self._stop_channels(email)
            grants = await self._ungrant(email)
            await self._flush()
            erased = await self._cache.forget(email, users)
            clean = await self._cache.scrub()
        except Unavailable as error:
            raise UserError(f"{email} is not forgotten yet: {error}; run this again", exit_code=1) from error
        self._roster.forget(email)
        erased |= {"alarms": await self._quiet(email), "grants": grants}
        try:
            erased["copies of damaged files"] = self._drop_copies(email)
            erased["lines of the ledger"] = await self._ledger.forget(email)
        except OSError as error:
            raise UserError(
                f"{email} is not forgotten yet: {error.filename or self._ledger.path}: {error.strerror};"
                " run this again",
                exit_code=1,
            ) from error
        # Without their name: the log is kept elsewhere, and by others.
        log.info(
            "Somebody was forgotten",
            action="forgotten",
            rows=sum(erased.values()),
            channels_stopped=stopped,
            actor=actor if actor.lower() != email else "",
            why=reason if email not in reason.lower() else "",
        )
        left = self._left(email, actor)
        if (self._state / LITESTREAM).exists():
            left.append(f"Litestream's own files ({LITESTREAM}), and its replica, hold it until they expire.")
        elif not clean:
            left.append(
                "another program reads the database, so that its log calsyncd.db-wal holds what was erased until that"
                " program moves on."
            )
        return {"email": email, "erased": erased, "left": left}

    def _refuse_followed(self, email: str) -> None:
        agent = self._roster.agents.get(email)
        if agent is None or not agent.configured:
            return
        if self._everybody():
            raise UserError(
                f"{email} is followed, since with `agents: all` everybody is who has an Aircall user and a Google"
                " calendar: delete the Aircall user or give it another address (it is believed gone after two lists of"
                " users, an hour apart at most), or have the agent disconnect; then run this again",
                exit_code=1,
            )
        raise UserError(
            f"{email} is in the settings: take them out of `agents` and `teams`, have the settings read again"
            " (systemctl reload calsyncd), which puts them back if they are held, and run this again",
            exit_code=1,
        )

    async def _released(self, email: str) -> None:
        """Wait until nothing is owed: whoever is not followed any more is being put back."""
        deadline = self._clock.monotonic() + RELEASE_SECONDS
        while names := [name for name in self._roster.agents if is_of(name, email)]:
            if self._clock.monotonic() >= deadline:
                raise UserError(
                    f"{email} is still held, or owed an update, and Aircall does not take it: nothing was erased; see"
                    " `calsyncd doctor`, and run this again",
                    exit_code=1,
                )
            for name in names:
                self._touch(name)
            await self._clock.sleep(LOOK_SECONDS)

    async def _stop_channels(self, email: str) -> int:
        stopped = 0
        for channel in await self._cache.channels():
            if not channel.calendar.startswith(f"{email}/"):
                continue
            if channel.resource is None or (channel.expires_at or self._clock.now() + 1) <= self._clock.now():
                continue
            try:
                await self._google.stop(email, channel=channel.id, resource=channel.resource)
                stopped += 1
            except Refused as error:
                # Nobody can stop it any more; what it sends until it expires is a stranger's.
                log.info("A channel could not be stopped", action="stop_failed", calendar="", why=error.code)
            except ServiceError as error:
                raise Unavailable(
                    f"a push channel could not be stopped ({error.code})",
                    service="google",
                    code=error.code,
                    landed=False,
                ) from error
        return stopped

    def _drop_copies(self, email: str) -> int:
        names = [path for pattern in COPIES for path in sorted(self._state.glob(pattern))]
        found = [path for path in names if email.encode() in path.read_bytes().lower()]
        for path in found:
            path.unlink()
        return len(found)

    def _left(self, email: str, actor: str) -> list[str]:
        left = ["the log (journald) and backups keep what was written to them before; they go as they grow old."]
        if actor.lower() == email:
            left.append("they asked for this themselves: the log does not tell who did.")
        users = [user for user, address in self._roster.directory.items() if address == email]
        if users:
            left.append(
                f"Aircall has a user with this address ({users[0]}): the list of its users, which calsyncd keeps,"
                " has it again within the hour, until that user is deleted there."
            )
        return left
