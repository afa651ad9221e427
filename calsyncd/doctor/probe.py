"""What is not established about Aircall, tried with one test user who agreed to it.

Each point's answer is one of the ways of docs/doubtful.md, or says why it could not be told. The user is put back to
what was there before, also when the probe is interrupted or fails; whether that worked is part of the result.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from calsyncd import __version__
from calsyncd.core.model import CUSTOM, UNAVAILABLE, Setting
from calsyncd.core.wording import status_word
from calsyncd.doctor.budget import spend_minute
from calsyncd.doctor.examined import Examined
from calsyncd.doctor.left import Left, Note
from calsyncd.doctor.listener import Heard, listening
from calsyncd.doctor.wire import Clock, Reply, Wire, fields, word
from calsyncd.errors import UserError

AVAILABLE = "available"
SUBSTATUS = "other"
SUBSTATUSES = frozenset({"out_for_lunch", "on_a_break", "in_training", "doing_back_office", "other"})
VERSIONS = ("v2", "v1")
LOOKS_AT = (0.0, 1.0, 3.0, 5.0, 8.0)
"""Seconds after a write at which it is looked for: so late may a read show it."""

LATE_SECONDS = 1.5
HEARING_SECONDS = 5.0
CALL_STATES = frozenset({"in_call", "after_call_work", "ringing"})
TRIES_BACK = 8

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Hands:
    """What only people can do: each says whether it was done. None where nobody is there."""

    call_begun: Callable[[], Awaitable[bool]] | None = None
    call_ended: Callable[[], Awaitable[bool]] | None = None


@dataclass(slots=True)
class Result:
    """What was found for each point, why others are open, and whether the user is as before."""

    found: dict[str, str] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    trace: list[dict[str, Any]] = field(default_factory=list)
    put_back: bool = True
    interrupted: bool = False

    def report(self, forbidden: list[str]) -> str:
        """All of it, as JSON for an issue. What is `forbidden` is not in it, wherever it may have come from."""
        whole = {
            "calsyncd": __version__,
            "found": self.found,
            "open": self.open,
            "seen": self.seen,
            "put_back": self.put_back,
            "interrupted": self.interrupted,
            "trace": self.trace,
        }
        secrets = sorted(filter(None, forbidden), key=len, reverse=True)
        return json.dumps(_without(whole, secrets), indent=1) + "\n"


def _without(value: Any, secrets: list[str]) -> Any:
    """`value` without these texts, wherever in it."""
    if isinstance(value, dict):
        return {_without(name, secrets): _without(one, secrets) for name, one in value.items()}
    if isinstance(value, list):
        return [_without(one, secrets) for one in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
    return value


@dataclass(frozen=True, slots=True)
class _Write:
    """One write: its answer, and after how many seconds a read showed it (None: none did)."""

    reply: Reply
    shown_after: float | None
    looked: Reply

    @property
    def works(self) -> bool:
        """Whether it was accepted and came to be."""
        return self.reply.ok and self.shown_after is not None


class Probe:
    """One run with one user; `say` is told of each step in words, and what is changed is written down in `note`."""

    def __init__(
        self,
        examined: Examined,
        user: int,
        say: Callable[[str], None],
        hands: Hands | None = None,
        clock: Clock | None = None,
        *,
        note: Note | None = None,
        email: str = "",
    ) -> None:
        self._examined = examined
        self._note = note
        self._email = email
        self._clock = clock or examined.clock
        self._wire = Wire(examined.http, examined.settings.aircall.api_url, examined.authorization, self._clock)
        self._user = user
        self._say = say
        self._hands = hands or Hands()
        self._before: Setting | None = None
        self._version = ""
        self._reads = "v2"
        self._wrote = False
        self._returning = False
        self._working: asyncio.Task[None] | None = None
        self.result = Result(trace=self._wire.trace)

    def interrupt(self) -> None:
        """Stop asking and put the user back; once that has begun, it is not interrupted."""
        if not self.result.interrupted and self._working is not None:
            self._working.cancel()
        self.result.interrupted = True

    async def run(self, *, spend: bool = False) -> Result:
        """Ask, and put the user back. UserError if it cannot begin: then nothing was changed."""
        await self._begin()
        self._working = asyncio.create_task(self._work(spend=spend), name="probe")
        if self.result.interrupted:
            self._working.cancel()
        try:
            await self._working
        except asyncio.CancelledError:
            if not self._working.cancelled():
                # This run itself is cancelled: its work ends first.
                self._working.cancel()
                await asyncio.gather(self._working, return_exceptions=True)
            if not self.result.interrupted:
                raise
        finally:
            back = asyncio.create_task(self._put_back(), name="put back")
            while not back.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(back)
            self.result.put_back = back.result()
            if self.result.put_back and self._note is not None:
                self._note.end()
        return self.result

    async def undo(self, left: Left) -> Literal["done", "was", "other", "failed"]:
        """Put back whom a probe that was killed has left so, unless somebody has changed them since."""
        self._before, self._wrote, self._returning = left.before, True, True
        for self._reads in VERSIONS:
            found = (await self._get()).setting
            if found is not None:
                break
        else:
            return "failed"
        if found.availability_status == self.before:
            return "was"
        if found.availability_status not in {one.availability_status for one in left.written}:
            return "other"
        return "done" if await self._put_back() else "failed"

    @property
    def before(self) -> str:
        """What the user was set to, for people."""
        return self._before.availability_status if self._before is not None else UNKNOWN

    # -- the steps -------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        reply = await self._get()
        if reply.setting is None:
            self._reads = "v1"
            reply = await self._get()
        if reply.setting is None:
            raise UserError("Aircall does not show the user's availability: nothing was tried", exit_code=1)
        live = await self._live()
        if live in CALL_STATES:
            raise UserError("the user is in a call: try again after it", exit_code=1)
        self._before = reply.setting
        if self._note is not None:
            self._note.begin(Left(self._email, self._user, self._before, self._clock.now()))
        self.result.seen |= {"fields": fields(reply.user), "live_before": live, "before": word(self.before)}
        self._tell("reason_in", next((name for name in ("substatus", "state") if name in reply.user), "neither"))

    async def _work(self, *, spend: bool) -> None:
        await self._read_lists()
        async with listening(self._examined, self._user, self._clock) as heard:
            await self._write_settings(heard)
            await self._write_v1()
            await self._in_call()
        if spend:
            self._say("spending the minute's requests: about three minutes")
            self.result.found |= await spend_minute(self._wire, self._clock, self.result.seen)
        else:
            for point in ("minute", "rate_signal", "rate_body"):
                self.result.open[point] = "not asked: --spend-minute"

    async def _read_lists(self) -> None:
        self._say("reading")
        reply = await self._wire.ask("GET", f"/v1/users/{self._user}", named="/v1/users/:id")
        self._tell("v1_users", "works" if reply.ok else str(reply.status))
        reply = await self._wire.ask("GET", f"/{self._reads}/users?page=1&per_page=1", named=f"/{self._reads}/users")
        meta = reply.data.get("meta") if isinstance(reply.data, dict) else None
        full = isinstance(meta, dict) and "next_page_link" in meta
        self._tell("list_meta", "full" if full else "without_links" if isinstance(meta, dict) else "none")

    async def _write_settings(self, heard: Heard) -> None:
        """Find the version that takes updates and what it does with each of them."""
        for version in VERSIONS:
            self._say(f"writing by {version}")
            if await self._can_write(version):
                self._version = version
                break
        if not self._version:
            self.result.open |= dict.fromkeys(("old_substatus", "custom_live", "echo"), "no update was taken")
            return
        self._say("Auto, and available")
        write = await self._write(self._version, Setting(CUSTOM))
        self.result.seen["custom_taken"] = write.works
        self._tell("custom_live", await self._live())
        await self._write(self._version, Setting(AVAILABLE))
        await self._sub_status(heard)
        self._tell("rate_headers", "always" if self._wire.headers_seen else "limited")

    async def _can_write(self, version: str) -> bool:
        """Whether this version takes an update that changes something; and how soon reads show it."""
        target = Setting(AVAILABLE if self._is_unavailable() else UNAVAILABLE)
        write = await self._write(version, target)
        if write.reply.status == 405:
            await self._clock.sleep(1.0)
            second = await self._write(version, target)
            if second.reply.ok:
                self._tell("state_error", "once")
            write = second
        self.result.found.setdefault("state_error", "never")
        if version == "v2":
            self._tell("v2_update", self._way(write))
        if not write.works:
            return False
        shown = write.reply.setting
        told = shown is not None and shown.availability_status == target.availability_status
        after = write.shown_after or 0.0
        self._tell("read_lag", "answers" if not told else "none" if after < 0.5 else f"{after:.0f}s")
        self.result.seen["shown_after_seconds"] = round(after, 1)
        return True

    def _way(self, write: _Write) -> str:
        if write.works:
            return "works"
        return "ignores" if write.reply.ok else str(write.reply.status)

    async def _sub_status(self, heard: Heard) -> None:
        """Whether a reason is taken, and is gone once the user is available again; what webhooks tell of both."""
        self._say("a sub-status, and what webhooks tell")
        # What was done before may still be on its way.
        await self._listen(heard)
        write = await self._write(self._version, Setting(UNAVAILABLE, SUBSTATUS))
        if write.reply.ok:
            self._tell("substatus", "taken")
        else:
            self._tell("substatus", f"refused_{write.reply.status}")
            await self._write(self._version, Setting(UNAVAILABLE))
        reason = write.looked.setting.substatus if write.looked.setting is not None else None
        self.result.seen["reason_read"] = word(reason)
        closed = await self._listen(heard)
        free = await self._write(self._version, Setting(AVAILABLE))
        opened = await self._listen(heard)
        self._say_what_was_heard(heard, closed, opened)
        late = free.looked.setting.substatus if free.looked.setting is not None else None
        if not write.reply.ok:
            self.result.open["old_substatus"] = "sub-statuses are refused"
        elif self.result.found["reason_in"] == "neither":
            self.result.open["old_substatus"] = "no field shows the reason"
        else:
            self._tell("old_substatus", "stays" if late == SUBSTATUS else "cleared")

    async def _listen(self, heard: Heard) -> list[float]:
        """After how many seconds each message came that was told since this was last called."""
        began = self._clock.now()
        if not heard.why_not:
            await self._clock.sleep(HEARING_SECONDS)
        told, heard.messages = heard.messages, []
        return [round(message.at - began, 1) for message in told]

    def _say_what_was_heard(self, heard: Heard, closed: list[float], opened: list[float]) -> None:
        """What Aircall told of an update to unavailable, and of the one back."""
        if heard.why_not:
            self.result.open |= dict.fromkeys(("echo", "closed_twice", "webhooks"), heard.why_not)
            return
        self.result.seen["messages_after"] = {"closed": closed, "opened": opened}
        self._tell("echo", "yes" if closed or opened else "no")
        if not closed or not opened:
            self.result.open |= dict.fromkeys(("closed_twice", "webhooks"), "not both updates are told of")
            return
        # Delivered twice is told of either; two messages for one change, only of going.
        self._tell("closed_twice", "yes" if len(closed) > len(opened) else "no")
        self._tell("webhooks", "late" if closed[0] > LATE_SECONDS else "twice" if len(opened) > 1 else "prompt")

    async def _write_v1(self) -> None:
        """Whether v1 still takes updates although v2 does."""
        if self._version != "v2":
            return
        self._say("writing by v1")
        write = await self._write("v1", Setting(UNAVAILABLE))
        self.result.seen["v1_update"] = self._way(write)
        await self._write("v2", Setting(AVAILABLE))

    async def _in_call(self) -> None:
        """What reads show, and what an update does, in a call."""
        begun, ended = self._hands.call_begun, self._hands.call_ended
        if begun is None or ended is None or not self._version or not await begun():
            self.result.open |= dict.fromkeys(("call_reads", "in_call"), "no call was made")
            return
        if await self._live() not in CALL_STATES:
            self.result.open |= dict.fromkeys(("call_reads", "in_call"), "no call was seen")
            return
        setting = (await self._get()).setting
        self._tell("call_reads", UNAVAILABLE if setting and setting.availability_status == UNAVAILABLE else "setting")
        # Where calls read as unavailable, only another setting can be seen to have come.
        write = await self._write(self._version, Setting(CUSTOM))
        after = write
        await ended()
        if not write.works and write.reply.ok:
            after = _Write(write.reply, *await self._appears(CUSTOM))
        if not write.reply.ok:
            self._tell("in_call", "refused")
        elif write.works:
            self._tell("in_call", "taken")
        elif self.result.found["call_reads"] == UNAVAILABLE:
            self.result.open["in_call"] = "a call reads as unavailable"
        else:
            self._tell("in_call", "deferred" if after.shown_after is not None else UNKNOWN)

    # -- requests --------------------------------------------------------------------------------------------------

    async def _write(self, version: str, setting: Setting) -> _Write:
        body = {"availability_status": setting.availability_status}
        if setting.substatus is not None:
            body["substatus"] = setting.substatus
        self._wrote = True
        if self._note is not None and not self._returning:
            self._note.about_to_write(setting)
        reply = await self._wire.ask("PUT", f"/{version}/users/{self._user}", named=f"/{version}/users/:id", body=body)
        if not reply.ok:
            return _Write(reply, None, reply)
        return _Write(reply, *await self._appears(setting.availability_status))

    async def _appears(self, status: str) -> tuple[float | None, Reply]:
        """(after how many seconds a read showed this setting, that read)."""
        began = self._clock.now()
        for at in LOOKS_AT:
            await self._clock.sleep(max(0.0, began + at - self._clock.now()))
            looked = await self._get()
            if looked.setting is not None and looked.setting.availability_status == status:
                return at, looked
        return None, looked

    async def _get(self) -> Reply:
        return await self._wire.ask("GET", f"/{self._reads}/users/{self._user}", named=f"/{self._reads}/users/:id")

    async def _live(self) -> str:
        path = f"/v1/users/{self._user}/availability"
        reply = await self._wire.ask("GET", path, named="/v1/users/:id/availability")
        state = reply.data.get("availability") if isinstance(reply.data, dict) else None
        return word(state) or UNKNOWN

    def _is_unavailable(self) -> bool:
        return self._before is not None and self._before.availability_status == UNAVAILABLE

    async def _put_back(self) -> bool:
        """Write what was there, by whatever version takes it, until a read shows it; whether one did."""
        if self._before is None or not self._wrote:
            return True
        self._returning = True
        self._say(f"putting the user back to {status_word(word(self.before))}")
        versions = sorted(VERSIONS, key=lambda version: version != self._version)
        reason = self._before.substatus if self._is_unavailable() else None
        wanted = Setting(self.before, reason if reason in SUBSTATUSES else None)
        for attempt in range(TRIES_BACK):
            for version in versions:
                write = await self._write(version, wanted)
                if not write.reply.ok and wanted.substatus is not None:
                    write = await self._write(version, Setting(wanted.availability_status))
                if write.works:
                    return True
            await self._clock.sleep(min(2.0**attempt, 15.0))
        self._say(f"the user could NOT be put back: set them to {status_word(word(self.before))} in Aircall by hand")
        return False

    def _tell(self, point: str, way: str) -> None:
        self.result.found[point] = way
