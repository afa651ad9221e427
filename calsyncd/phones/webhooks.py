"""Aircall's webhook: made or taken over, kept switched on, and listened to.

Its messages are hints: they say whose setting to look at, and looking goes on without them. So nothing that fails here
stops anything; it is said once, and tried again, ever more slowly. Its requests are paid for from what is spare of the
budget, in minutes in which they delay nobody. Taking a message compares a token and sets flags in memory, so that it is
answered in a moment.

Whether it is still switched on is asked about an hour after the last message, or after the last check while none comes:
one that Aircall has switched off says nothing more, so that it is seen within that time, however many came before.
While they come, every fourth hour is enough for what else may be amiss, such as its list of events. A change that a
look found and no message told is a reason not to wait so long, and where nothing at all was heard around it, to ask at
once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol, TypeVar

from calsyncd.core import webhooks
from calsyncd.core.budget import Budget, wait_after_429
from calsyncd.core.retry import backoff, spread
from calsyncd.core.webhooks import CREATED, DELETED, EVENTS, REMOVED, Delivery, Tokens, Webhook
from calsyncd.errors import USER_GONE, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler

CHECK_SECONDS = 60 * 60.0
HEARD_CHECKS = 4
"""While messages come, a check is so many times as rare."""

QUIET_PATIENCE_SECONDS = 60 * 60.0
"""So long a check waits for a minute in which it delays nobody, then only for half of the budget."""

FIRST_RETRY_SECONDS = 30.0
RETRY_CAP_SECONDS = 60 * 60.0
BUDGET_RETRY_SECONDS = 5.0
NEXT_REQUEST_SECONDS = 60.0
"""So long what a check has begun may wait for its next request; then it begins anew."""

NEXT_TRY_SECONDS = 1.0
HEARD_BEFORE_SECONDS = 60.0
HEARD_AFTER_SECONDS = 30.0
DISTRUST_SECONDS = 6 * 3600.0
MISSED_PAUSE_SECONDS = 10 * 60.0
REMOVE_SECONDS = 10.0
RENEW_SECONDS = 5.0
MAX_PAGES = 10

T = TypeVar("T")

log = get_logger(__name__)


class Aircall(Protocol):
    """What is asked of Aircall."""

    async def page_of_webhooks(self, page: int) -> tuple[list[Webhook], bool]:
        """One page of webhooks, and whether another follows."""
        ...

    async def create_webhook(self, url: str, events: Iterable[str]) -> Webhook:
        """Make one."""
        ...

    async def update_webhook(self, webhook_id: str, url: str, events: Iterable[str]) -> Webhook:
        """Switch one on, with this address and these events."""
        ...

    async def delete_webhook(self, webhook_id: str) -> None:
        """Remove one."""
        ...


class Hinted(Protocol):
    """Who is told what messages say, and spends most of the budget."""

    def told(self, user: int, status: str | None, at: float | None) -> None:
        """A message named this `availability_status` of a user, or none; it happened at `at`, if that is known."""
        ...

    def users_changed(self) -> None:
        """Somebody joined or left the company."""
        ...

    def is_quiet(self) -> bool:
        """Whether a request that nobody waits for delays nobody now."""
        ...


class Webhooks:
    """The company's one webhook that leads to `address`; None for none. `learned` is told each token, a secret.

    `failing_since` is when it could first not be kept, while that is so.
    `removed` is called when a message says that our app was removed from the company; None: we are not there as an app.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        aircall: Aircall,
        phones: Hinted,
        address: str | None,
        budget: Budget,
        learned: Callable[[str], None],
        chance: Callable[[], float],
        removed: Callable[[], None] | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._removed = removed
        self._events = EVENTS if removed is None else (*EVENTS, REMOVED)
        self._clock = scheduler.clock
        self._aircall = aircall
        self._phones = phones
        self._address = address
        self._budget = budget
        self._learned = learned
        self._chance = chance
        self._kept = self._running = self._renewed = False
        self._tried = asyncio.Event()
        self._lock = asyncio.Lock()
        self._tokens = Tokens()
        self._heard_at = float("-inf")
        # None: however much is heard, it is to be checked.
        self._checked_at: float | None = None
        self._check_seconds = CHECK_SECONDS
        self._untold = False
        self._due_since: float | None = None
        self._asked = False
        self._doubted_at: float | None = None
        self._missed_at = float("-inf")
        self._failures = 0
        self._said: str | None = None
        self.failing_since: float | None = None
        scheduler.handle("webhooks", lambda *_: self._due())
        scheduler.handle("silence", lambda _, now: self._notice_silence(now))
        scheduler.when_stepped(lambda now, _: self._stepped(now))

    # -- whether there is one --------------------------------------------------------------------------------------

    def keep(self) -> None:
        """See to the webhook now, and from now on."""
        if self._address is not None and not self._kept:
            self._kept, self._checked_at, self._due_since = True, None, None
            self._scheduler.at("webhooks", "", self._clock.now())

    async def renew(self) -> None:
        """Aircall knows us by other credentials: see to the webhook at once, whatever failed before.

        Returns when that was tried, or after a while; what fails is said, and tried again.
        """
        if not self._kept:
            return
        self._checked_at, self._failures, self._said = None, 0, None
        # That is worth a request in any minute.
        self._due_since = float("-inf")
        self._renewed = self._running
        self._tried.clear()
        self._plan(self._clock.now())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RENEW_SECONDS):
                await self._tried.wait()

    async def remove(self) -> None:
        """Remove what is ours, and see to it no more; what fails is said, and mended by the next `keep`."""
        self._kept, self.failing_since = False, None
        self._scheduler.at("webhooks", "", None)
        if self._address is None:
            return
        try:
            async with asyncio.timeout(REMOVE_SECONDS), self._lock:
                listed = await self._list(self._waiting)
                for webhook in webhooks.upkeep(listed, self._address, self._tokens.ids).ours:
                    await self._waiting(partial(self._aircall.delete_webhook, webhook.id))
                    self._tokens.forget(webhook.id)
                    log.info("Aircall's webhook was removed", action="webhook_removed", webhook=webhook.id)
        except (ServiceError, TimeoutError) as error:
            why = str(error) or "Aircall did not answer in time"
            log.warning(
                "Aircall's webhook could not be removed: it tells until Aircall switches it off",
                action="webhook_failed",
                why=why,
            )

    @property
    def checked(self) -> bool:
        """Whether it is known if it can be kept; so, too, where there is to be none."""
        return not self._kept or self._said is not None

    @property
    def alive(self) -> bool:
        """Whether a change made in Aircall would be told: it was in order at the last check, and nothing was missed."""
        missed = self._clock.now() < self._missed_at + DISTRUST_SECONDS and self._heard_at <= self._missed_at
        return self._kept and bool(self._tokens) and self._said == "" and not missed and self._doubted_at is None

    def retry(self) -> None:
        """What kept it from being seen to may be over: see to it now, if the last try failed."""
        if self._kept and self._failures:
            self._plan(self._clock.now())

    # -- what arrives ----------------------------------------------------------------------------------------------

    def take(self, delivery: Delivery) -> bool:
        """Take one message; False if it is not genuine."""
        if not self._tokens.includes(delivery.token):
            return False
        if delivery.event in EVENTS:
            # Others tell nothing of whether ours still come.
            self._heard_at = self._clock.now()
        if delivery.event == REMOVED and self._removed is not None:
            self._removed()
        elif delivery.event in (CREATED, DELETED):
            self._phones.users_changed()
        elif delivery.event in EVENTS and delivery.user is not None:
            self._phones.told(delivery.user, delivery.status, delivery.at)
        return True

    def untold(self, at: float) -> None:
        """A look of `at` found a change that no message had told: if nothing at all is heard, see what is wrong."""
        if not self._untold and self._checked_at is not None:
            self._untold = True
            if self._kept:
                self._plan(max(at, self._check_at(self._checked_at)))
        if self._doubted_at is None and at >= self._missed_at + MISSED_PAUSE_SECONDS:
            self._doubted_at = at
            self._scheduler.at("silence", "", at + HEARD_AFTER_SECONDS)

    def _notice_silence(self, now: float) -> None:
        doubted, self._doubted_at = self._doubted_at, None
        if doubted is None or not self._kept or not self._tokens or self._heard_at >= doubted - HEARD_BEFORE_SECONDS:
            return
        self._missed_at, self._checked_at = now, None
        # That is worth a request in any minute.
        self._due_since = float("-inf")
        log.warning("A look found a change that Aircall's webhook had not told: it is checked", action="webhook_missed")
        self._plan(now)

    # -- upkeep ----------------------------------------------------------------------------------------------------

    def _stepped(self, now: float) -> None:
        """The clock jumped: what was timed by it is forgotten."""
        self._heard_at, self._missed_at, self._doubted_at = min(self._heard_at, now), float("-inf"), None
        self._checked_at = self._due_since = None
        if self._kept:
            self._scheduler.at("webhooks", "", now)

    def _check_at(self, checked_at: float) -> float:
        """When the next check is due after one of `checked_at`, by what has been heard since."""
        sure_at = checked_at if self._untold else max(checked_at, self._heard_at)
        return min(sure_at + self._check_seconds, checked_at + HEARD_CHECKS * self._check_seconds)

    def _plan(self, due: float) -> None:
        planned = self._scheduler.due_at("webhooks", "")
        self._scheduler.at("webhooks", "", due if planned is None else min(due, planned))

    def _due(self) -> None:
        if not self._kept or self._running:
            return
        now = self._clock.now()
        at = now if self._checked_at is None else self._check_at(self._checked_at)
        if now < at:
            self._due_since = None
            self._plan(at)
        else:
            self._running = True
            self._due_since = now if self._due_since is None else self._due_since
            self._scheduler.start(self._upkeep(), "webhooks")

    async def _upkeep(self) -> None:
        try:
            async with self._lock:
                wait = await self._check() if self._kept else CHECK_SECONDS
        except _NoBudgetError as error:
            wait = max(error.until - self._clock.now(), 0.0)
        except ServiceError as error:
            wait = self._failed(error)
        except Exception:
            # It is not worth the process: looking goes on without it.
            log.exception("Aircall's webhook is not seen to for a while", action="webhook_failed")
            self._checked_at, wait = None, CHECK_SECONDS
        self._running = False
        if self._renewed:
            # That was with the former credentials.
            self._renewed, self._checked_at, self._due_since, wait = False, None, float("-inf"), 0.0
        else:
            self._tried.set()
        if self._kept:
            self._plan(self._clock.now() + wait)

    async def _check(self) -> float:
        """Bring the webhook in order; seconds until the next check."""
        assert self._address is not None  # noqa: S101 - nothing is kept without one
        self._asked = False
        needed = webhooks.upkeep(await self._list(self._sparing), self._address, self._tokens.ids, self._events)
        self._tokens.replace(needed.ours)
        for known in needed.ours:
            self._learn(known)
        keep, how = needed.keep, "found"
        if keep is None:
            keep = await self._sparing(partial(self._aircall.create_webhook, self._address, self._events))
            how = "made"
        elif needed.change:
            how = "mended" if keep.active else "switched on"
            keep = await self._change(keep.id, self._address)
        self._learn(keep)
        if not keep.active:
            raise Unavailable("Aircall does not switch its webhook on", service="aircall", code="webhook_inactive")
        if keep.token is None:
            raise Unavailable("Aircall does not show its webhook's token", service="aircall", code="webhook_token")
        for extra in needed.remove:
            await self._sparing(partial(self._aircall.delete_webhook, extra.id))
            self._tokens.forget(extra.id)
        if how != "found" or self._said != "":
            log.info("Aircall tells of changes made in its app", action="webhook_ready", webhook=keep.id, how=how)
        self._failures, self._said, self.failing_since = 0, "", None
        self._checked_at, self._due_since, self._untold = self._clock.now(), None, False
        self._check_seconds = spread(CHECK_SECONDS, self._chance())
        return self._check_seconds

    async def _change(self, webhook_id: str, address: str) -> Webhook:
        try:
            return await self._sparing(partial(self._aircall.update_webhook, webhook_id, address, self._events))
        except Refused as error:
            if error.code != USER_GONE:
                raise
            raise Unavailable("the webhook is gone", service="aircall", code=error.code, status=404) from None

    def _learn(self, webhook: Webhook) -> None:
        if webhook.token is not None:
            self._learned(webhook.token)
            self._tokens.add(webhook)

    async def _list(self, ask: Callable[[Callable[[], Awaitable[_Page]]], Awaitable[_Page]]) -> list[Webhook]:
        found: dict[str, Webhook] = {}
        page, more = 1, True
        while more:
            listed, more = await ask(partial(self._aircall.page_of_webhooks, page))
            if page > MAX_PAGES or (listed and all(webhook.id in found for webhook in listed)):
                # Believed, it might lack ours, and each check would make another one.
                raise Unavailable("Aircall's list does not end", service="aircall", code="malformed")
            found |= {webhook.id: webhook for webhook in listed}
            page += 1
        return list(found.values())

    async def _sparing(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask Aircall, if that delays nobody and the budget has something to spare; else _NoBudgetError.

        What follows on a check's first request waits for its turn: else where requests pass one by one the first would
        be made again and again.
        """
        now = self._clock.now()
        patient = self._due_since is not None and now < self._due_since + QUIET_PATIENCE_SECONDS
        if patient and not self._asked and not self._phones.is_quiet():
            raise _NoBudgetError(max(self._budget.spare_at(now) or now, now + BUDGET_RETRY_SECONDS))
        wait_until = self._clock.monotonic() + (NEXT_REQUEST_SECONDS if self._asked else 0.0)
        while not self._budget.take_spare(now):
            if not self._kept or self._clock.monotonic() >= wait_until:
                raise _NoBudgetError(self._budget.spare_at(now) or now + BUDGET_RETRY_SECONDS)
            await self._clock.sleep(NEXT_TRY_SECONDS)
            now = self._clock.now()
        self._asked = True
        return await self._paid(call)

    async def _waiting(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask Aircall, as soon as the budget lets it."""
        while not self._budget.take(self._clock.now()):
            await self._clock.sleep(0.1)
        return await self._paid(call)

    async def _paid(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        finally:
            self._budget.give_back()

    def _failed(self, error: ServiceError) -> float:
        """Seconds until the next try; a failure of a kind is said once."""
        now = self._clock.now()
        self._failures += 1
        self.failing_since = self.failing_since if self.failing_since is not None else now
        self._checked_at = self._due_since = None
        if isinstance(error, RateLimited):
            self._budget.limited(now, wait_after_429(error.retry_after, error.reset, now, self._chance()))
        wait = backoff(self._failures, self._chance(), first=FIRST_RETRY_SECONDS, cap=RETRY_CAP_SECONDS)
        wait = RETRY_CAP_SECONDS if isinstance(error, Refused) else wait
        say = log.debug if self._said == error.code else log.warning
        say(
            "Aircall's webhook cannot be kept: changes made in its app are seen at the next look",
            action="webhook_failed",
            code=error.code,
            why=str(error),
            retry_seconds=round(wait, 1),
        )
        self._said = error.code
        return wait


_Page = tuple[list[Webhook], bool]


class _NoBudgetError(Exception):
    """The budget has nothing to spare before `until`."""

    def __init__(self, until: float) -> None:
        super().__init__(until)
        self.until = until
