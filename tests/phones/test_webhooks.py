"""Aircall's webhook: made once, taken over, kept switched on, removed; and what its failures cost: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from calsyncd.core.budget import Budget
from calsyncd.core.webhooks import EVENTS, REMOVED, Delivery, Webhook
from calsyncd.errors import CREDENTIALS, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.phones import Webhooks
from calsyncd.scheduler import Scheduler

from .virtual import VirtualClock

ADDRESS = "https://calsync.example.com/webhooks/aircall"
HOUR = 3600.0


class Registry:
    """Aircall's webhooks. `fault` may raise instead of an answer; `after` of it, so that the request took effect."""

    def __init__(self, clock: VirtualClock, budget: Budget) -> None:
        self.webhooks: dict[str, Webhook] = {}
        self.requests: list[tuple[float, str]] = []
        self.fault: Callable[[str], Exception | None] = lambda _: None
        self.after = False
        self.stubborn = self.endless = False
        self.put_shows: str | None = None
        self.per_page = 2
        self.seconds = 0.1
        self._clock = clock
        self._budget = budget
        self._made = 0

    def add(self, url: str = ADDRESS, *, active: bool = True, events: Iterable[str] = EVENTS) -> Webhook:
        """Somebody made this one."""
        self._made += 1
        name = f"hook-{self._made}"
        self.webhooks[name] = Webhook(name, url, active=active, events=frozenset(events), token=f"token-{self._made}")
        return self.webhooks[name]

    def asked(self, kind: str) -> list[float]:
        """When requests of this kind were sent, since the start."""
        return [at for at, known in self.requests if known == kind]

    async def page_of_webhooks(self, page: int) -> tuple[list[Webhook], bool]:
        await self._ask("list", lambda: None)
        shown = list(self.webhooks.values())
        if self.endless:
            return shown[: self.per_page], True
        return shown[(page - 1) * self.per_page : page * self.per_page], page * self.per_page < len(shown)

    async def create_webhook(self, url: str, events: Iterable[str]) -> Webhook:
        await self._ask("create", lambda: self.add(url, events=events))
        return self.webhooks[f"hook-{self._made}"]

    async def update_webhook(self, webhook_id: str, url: str, events: Iterable[str]) -> Webhook:
        def change() -> None:
            known = self.webhooks[webhook_id]
            self.webhooks[webhook_id] = replace(known, url=url, active=not self.stubborn, events=frozenset(events))

        await self._ask("update", change)
        known = self.webhooks[webhook_id]
        return known if self.put_shows is None else replace(known, token=self.put_shows)

    async def delete_webhook(self, webhook_id: str) -> None:
        await self._ask("delete", lambda: self.webhooks.pop(webhook_id))

    async def _ask(self, kind: str, act: Callable[[], object]) -> None:
        self.requests.append((self._clock.monotonic(), kind))
        await self._clock.sleep(self.seconds)
        self._budget.spent(self._clock.now())
        error = self.fault(kind)
        if error is None or self.after:
            act()
        if error is not None:
            raise error


class Company:
    """A keeper of the webhook on virtual time, and what it tells of."""

    def __init__(self, *, address: str | None = ADDRESS, per_minute: int = 100) -> None:
        self.clock = VirtualClock()
        self.scheduler = Scheduler(self.clock)
        self.budget = Budget(per_minute)
        self.registry = Registry(self.clock, self.budget)
        self.secrets: list[str] = []
        self.quiet = True
        self.heard: list[tuple[int, str | None] | tuple[int, str | None, float] | str] = []
        self.webhooks = self.keeper(address)
        self.loop = asyncio.create_task(self.scheduler.run())

    def keeper(self, address: str | None = ADDRESS, removed: Callable[[], None] | None = None) -> Webhooks:
        """A keeper, as at another start."""
        return Webhooks(
            self.scheduler,
            aircall=self.registry,
            phones=self,
            address=address,
            budget=self.budget,
            learned=self.secrets.append,
            chance=lambda: 0.5,
            removed=removed,
        )

    def told(self, user: int, status: str | None, at: float | None) -> None:
        self.heard.append((user, status) if at is None else (user, status, at))

    def users_changed(self) -> None:
        self.heard.append("users changed")

    def is_quiet(self) -> bool:
        return self.quiet

    async def until(self, time: float) -> None:
        """Let time pass; what kills the loop is raised here."""
        await self.clock.advance(time - self.clock.monotonic())
        if self.loop.done():
            self.loop.result()

    def take(self, token: str, event: str = "user.closed.v2", user: int | None = 1) -> bool:
        """One message."""
        return self.webhooks.take(Delivery(token, event, user, "unavailable"))


Open = Callable[..., Company]


@pytest.fixture
async def company() -> AsyncIterator[Open]:
    """Open a company; its loop ends with the test."""
    opened: list[Company] = []

    def make(*, address: str | None = ADDRESS, per_minute: int = 100) -> Company:
        opened.append(Company(address=address, per_minute=per_minute))
        return opened[-1]

    yield make
    for one in opened:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        one.loop.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def refused(code: str = CREDENTIALS, status: int = 403) -> Refused:
    """What some kinds of keys get."""
    return Refused(str(status), service="aircall", code=code, status=status)


def down() -> Unavailable:
    """A 503."""
    return Unavailable("503", service="aircall", code="server", status=503)


# -- keeping -----------------------------------------------------------------------------------------------------------


async def test_one_is_made_and_only_one(company: Open) -> None:
    """With our events; the next start, and each later check, find it."""
    one = company()
    one.registry.add("https://crm.example.com/hook", events=["call.created"])
    one.webhooks.keep()
    await one.until(10)
    made = one.registry.webhooks["hook-2"]
    await one.until(3 * HOUR)
    one.keeper().keep()
    await one.until(6 * HOUR)

    assert (ADDRESS, frozenset(EVENTS)) == (made.url, made.events)
    assert ["hook-1", "hook-2"] == list(one.registry.webhooks)
    assert 1 == len(one.registry.asked("create"))
    assert [] == one.registry.asked("update")
    assert 6 <= len(one.registry.asked("list")) <= 8
    assert "token-2" in one.secrets


@pytest.mark.parametrize("wrong", [{"active": False}, {"events": ["call.created", *EVENTS]}, {"events": EVENTS[1:]}])
async def test_a_webhook_that_leads_to_us_is_taken_over(company: Open, wrong: dict[str, object]) -> None:
    """Whoever made it, it is switched on with our events, and keeps its token."""
    one = company()
    one.registry.add(**wrong)  # type: ignore[arg-type]

    one.webhooks.keep()
    await one.until(10)

    assert {"hook-1": one.registry.webhooks["hook-1"]} == one.registry.webhooks
    assert one.registry.webhooks["hook-1"].active
    assert frozenset(EVENTS) == one.registry.webhooks["hook-1"].events
    assert one.take("token-1")


async def test_spare_ones_are_removed(company: Open) -> None:
    """On any page of the list; somebody else's stay."""
    one = company()
    for url in (ADDRESS, "https://crm.example.com/", ADDRESS + "/", "https://crm.example.com/", ADDRESS):
        one.registry.add(url)

    one.webhooks.keep()
    await one.until(10)

    assert ["hook-1", "hook-2", "hook-4"] == list(one.registry.webhooks)
    assert [True, False, False] == [one.take(token) for token in ("token-1", "token-3", "token-5")]


async def test_one_that_was_switched_off_is_switched_on_again(company: Open) -> None:
    """At the next check, within five quarters of an hour; and that is said."""
    one = company()
    one.webhooks.keep()
    await one.until(10)
    one.registry.webhooks["hook-1"] = replace(one.registry.webhooks["hook-1"], active=False)

    with capture_logs() as logs:
        await one.until(1.3 * HOUR)

    assert one.registry.webhooks["hook-1"].active
    assert ["switched on"] == [line["how"] for line in logs if line["action"] == "webhook_ready"]


async def listening(one: Company, hours: float, event: str = "user.closed.v2") -> None:
    """So many hours with a message every ten minutes."""
    for _ in range(round(6 * hours)):
        one.take("token-1", event)
        await one.until(one.clock.monotonic() + 600)


async def test_while_messages_come_checks_are_rare(company: Open) -> None:
    """Every fourth hour, since a webhook that is switched off says nothing."""
    one = company()
    one.webhooks.keep()
    await one.until(10)

    await listening(one, 13)

    assert [0, 4, 8, 12] == [round(at / HOUR) for at in one.registry.asked("list")]


@pytest.mark.parametrize("heard_hours", [0.0, 0.5, 1.5, 3.0])
async def test_silence_brings_a_check_within_an_hour(company: Open, heard_hours: float) -> None:
    """However many messages came before it was switched off."""
    one = company()
    one.webhooks.keep()
    await one.until(10)
    await listening(one, heard_hours)
    off_at = one.clock.monotonic()
    one.registry.webhooks["hook-1"] = replace(one.registry.webhooks["hook-1"], active=False)

    await one.until(off_at + HOUR + 10)

    assert one.registry.webhooks["hook-1"].active


async def test_messages_that_are_not_ours_are_no_sign_of_life(company: Open) -> None:
    """Who has given it other events is not taken for a company in which nothing is amiss."""
    one = company()
    one.webhooks.keep()
    await one.until(10)
    one.registry.webhooks["hook-1"] = replace(one.registry.webhooks["hook-1"], events=frozenset({"call.created"}))

    await listening(one, 1.2, "call.created")

    assert frozenset(EVENTS) == one.registry.webhooks["hook-1"].events


async def test_a_change_that_nothing_told_among_messages_is_a_reason_not_to_wait(company: Open) -> None:
    """It may tell of some changes and not of others: it is checked an hour after the last check."""
    one = company()
    one.webhooks.keep()
    await one.until(10)
    hook = one.registry.webhooks["hook-1"]
    one.registry.webhooks["hook-1"] = replace(hook, events=frozenset({"user.closed.v2"}))

    await listening(one, 0.5)
    one.webhooks.untold(one.clock.now())
    await listening(one, 0.6)

    assert frozenset(EVENTS) == one.registry.webhooks["hook-1"].events


async def test_a_check_waits_for_a_minute_in_which_it_delays_nobody(company: Open) -> None:
    """For an hour; then half of the budget is enough."""
    one = company()
    one.quiet = False
    one.webhooks.keep()
    await one.until(HOUR - 10)
    before = len(one.registry.requests)
    await one.until(HOUR + 10)
    late = len(one.registry.requests)
    one.quiet = True
    await one.until(2 * HOUR - 10)
    one.quiet = False
    await one.until(2 * HOUR + 60)
    second = len(one.registry.requests)
    one.quiet = True
    await one.until(2 * HOUR + 70)

    assert (0, 2, 2, 3) == (before, late, second, len(one.registry.requests))


async def test_checks_are_silent_while_all_is_well(company: Open) -> None:
    """It is said once that there is one."""
    one = company()
    with capture_logs() as logs:
        one.webhooks.keep()
        await one.until(12 * HOUR)

    assert [("webhook_ready", "made")] == [(line["action"], line["how"]) for line in logs]


async def test_without_an_address_nothing_is_asked(company: Open) -> None:
    """No public_url, or not wanted."""
    one = company(address=None)

    one.webhooks.keep()
    await one.until(2 * HOUR)
    await one.webhooks.remove()

    assert [] == one.registry.requests
    assert not one.take("")


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["list", "create"])
@pytest.mark.parametrize(
    ("error", "most"), [(down(), 20), (refused(), 8), (refused("refused", 400), 8)], ids=["503", "403", "400"]
)
async def test_a_failure_is_said_once_and_tried_ever_more_slowly(
    company: Open, kind: str, error: ServiceError, most: int
) -> None:
    """For six hours; then it works, and that is said too."""
    one = company()
    one.registry.fault = lambda asked: error if asked == kind else None
    began = one.clock.now()
    with capture_logs() as logs:
        one.webhooks.keep()
        checked = [one.webhooks.checked]
        await one.until(6 * HOUR)
        checked.append(one.webhooks.checked)
        failing_since = one.webhooks.failing_since
        tried = len(one.registry.asked(kind))
        one.registry.fault = lambda _: None
        await one.until(8 * HOUR)
    assert checked == [False, True]
    assert failing_since is not None
    assert began <= failing_since < began + 60
    assert one.webhooks.failing_since is None

    said = [(line["action"], line["log_level"]) for line in logs if line["log_level"] != "debug"]
    assert [("webhook_failed", "warning"), ("webhook_ready", "info")] == said
    assert 4 <= tried <= most
    assert 1 == len(one.registry.webhooks)


async def test_a_lost_answer_makes_no_second_webhook(company: Open) -> None:
    """The list tells that it was made."""
    one = company()
    one.registry.fault = lambda kind: down() if kind == "create" else None
    one.registry.after = True

    one.webhooks.keep()
    await one.until(HOUR / 2)

    assert ["hook-1"] == list(one.registry.webhooks)
    assert one.take("token-1")


async def test_a_list_that_does_not_end_is_not_believed(company: Open) -> None:
    """It lacks ours for ever: another one must not be made at each check."""
    one = company()
    for _ in range(2):
        one.registry.add("https://crm.example.com/")
    one.registry.endless = True

    one.webhooks.keep()
    await one.until(12 * HOUR)

    assert [] == one.registry.asked("create")
    assert len(one.registry.asked("list")) <= 50


async def test_an_address_that_is_shown_otherwise_is_no_reason_for_another(company: Open) -> None:
    """Ours is known by its id, too."""
    one = company()
    one.webhooks.keep()
    await one.until(10)
    one.registry.webhooks["hook-1"] = replace(one.registry.webhooks["hook-1"], url=ADDRESS + "?normalised")

    await one.until(12 * HOUR)

    assert ["hook-1"] == list(one.registry.webhooks)
    assert one.take("token-1")


@pytest.mark.parametrize("shown", [True, False])
async def test_a_list_without_tokens(company: Open, *, shown: bool) -> None:
    """A PUT shows the token; if it does not either, messages are nobody's, and that is said."""
    one = company()
    hook = one.registry.add()
    one.registry.webhooks["hook-1"] = replace(hook, token=None)
    if shown:
        one.registry.put_shows = hook.token
    with capture_logs() as logs:
        one.webhooks.keep()
        await one.until(10)

    assert shown == one.take("token-1")
    assert ["webhook_ready" if shown else "webhook_failed"] == [line["action"] for line in logs]


async def test_one_that_stays_off_is_no_loop(company: Open) -> None:
    """Aircall says yes and does not do it: tried ever more slowly."""
    one = company()
    one.registry.stubborn = True
    one.registry.add(active=False)

    one.webhooks.keep()
    await one.until(6 * HOUR)

    asked = one.registry.asked("update")
    assert 5 <= len(asked) <= 20
    assert all(later - sooner >= 15 for sooner, later in pairwise(asked))


async def test_a_429_is_the_whole_companys(company: Open) -> None:
    """Nothing goes to Aircall while it lasts."""
    one = company()
    one.registry.fault = lambda _: RateLimited("429", service="aircall", retry_after=40.0)

    one.webhooks.keep()
    await one.until(1)

    assert not one.budget.take(one.clock.now() + 30)
    assert one.budget.take(one.clock.now() + 41)


async def test_what_is_owed_goes_first(company: Open) -> None:
    """While less than half of the minute is left, nothing is asked; later it is."""
    one = company(per_minute=20)
    now = one.clock.now()
    for _ in range(10):
        one.budget.take(now)
        one.budget.spent(now)
        one.budget.give_back()

    one.webhooks.keep()
    await one.until(60)
    before = len(one.registry.requests)
    await one.until(70)

    assert (0, 2) == (before, len(one.registry.requests))
    assert 18 == one.budget.remaining(one.clock.now())


async def test_where_requests_pass_one_by_one_a_check_goes_on_where_it_was(company: Open) -> None:
    """A minute that leaks grants the list and then, a moment later, what the list showed to be needed."""
    one = company()
    for second in (1, 3):
        await one.until(second)
        one.budget.limited(one.clock.now(), 1.0)

    one.webhooks.keep()
    await one.until(120)

    assert [1, 1] == [len(one.registry.asked(kind)) for kind in ("list", "create")]


async def test_who_removes_does_not_wait_for_a_check_that_waits(company: Open) -> None:
    """It ends as soon as it is not wanted."""
    one = company(per_minute=20)
    for _ in range(9):
        one.budget.take(one.clock.now())
        one.budget.spent(one.clock.now())
        one.budget.give_back()
    one.webhooks.keep()
    await one.until(5)
    before = len(one.registry.requests)

    removing = asyncio.create_task(one.webhooks.remove())
    await one.until(10)

    assert (1, True) == (before, removing.done())
    assert [] == one.registry.asked("create")


async def test_a_fault_of_ours_is_no_reason_to_die(company: Open) -> None:
    """It is logged, and the webhook is seen to an hour later."""
    one = company()
    one.registry.fault = lambda _: ZeroDivisionError("surprise")
    with capture_logs() as logs:
        one.webhooks.keep()
        await one.until(10)
        one.registry.fault = lambda _: None
        await one.until(1.1 * HOUR)

    assert ["webhook_failed", "webhook_ready"] == [line["action"] for line in logs]


# -- messages ----------------------------------------------------------------------------------------------------------


async def test_messages_are_genuine_by_their_token(company: Open) -> None:
    """None is before the first list."""
    one = company()
    early = one.take("token-1")
    one.webhooks.keep()
    await one.until(10)

    taken = [one.take(token) for token in ("token-1", "token-2", "")]

    assert (False, [True, False, False]) == (early, taken)
    assert [(1, "unavailable")] == one.heard


async def test_when_it_happened_is_handed_on(company: Open) -> None:
    """As the message says it, however late it comes."""
    one = company()
    one.webhooks.keep()
    await one.until(10)

    assert one.webhooks.take(Delivery("token-1", "user.closed.v2", 1, "unavailable", 1763683200.0))
    assert [(1, "unavailable", 1763683200.0)] == one.heard


async def test_what_messages_tell_of(company: Open) -> None:
    """Users' settings, users who join or leave, and whatever else was once subscribed to."""
    one = company()
    one.webhooks.keep()
    await one.until(10)

    events = (*EVENTS, "call.created", "user.wut_start.v2")
    taken = [one.take("token-1", event) for event in events] + [one.take("token-1", EVENTS[0], None)]

    assert [True] * 9 == taken
    assert [(1, "unavailable")] * 2 + ["users changed"] * 2 + [(1, "unavailable")] * 2 == one.heard


@pytest.mark.parametrize(("heard", "checked"), [(False, True), (True, False)])
async def test_a_change_that_nothing_told_is_a_reason_to_check(company: Open, *, heard: bool, checked: bool) -> None:
    """If nothing at all was heard around it: at once, and switched on if that was it."""
    one = company()
    one.webhooks.keep()
    await one.until(600)
    one.registry.webhooks["hook-1"] = replace(one.registry.webhooks["hook-1"], active=False)
    with capture_logs() as logs:
        one.webhooks.untold(one.clock.now())
        await one.until(620)
        if heard:
            one.take("token-1")
        await one.until(640)

    assert checked == one.registry.webhooks["hook-1"].active
    assert checked == ("webhook_missed" in {line["action"] for line in logs})


async def test_what_is_wrong_is_looked_for_in_a_crowded_minute_too(company: Open) -> None:
    """Half of the budget is enough for that."""
    one = company()
    one.webhooks.keep()
    await one.until(600)
    one.registry.webhooks["hook-1"] = replace(one.registry.webhooks["hook-1"], active=False)
    one.quiet = False

    one.webhooks.untold(one.clock.now())
    await one.until(640)

    assert one.registry.webhooks["hook-1"].active


async def test_changes_that_nothing_tells_are_no_storm(company: Open) -> None:
    """A webhook that is on and stays silent is checked once in ten minutes at the most."""
    one = company()
    one.webhooks.keep()
    await one.until(600)
    with capture_logs() as logs:
        for second in range(600, 600 + int(HOUR), 5):
            one.webhooks.untold(one.clock.now())
            await one.until(second)

    assert 3 <= [line["action"] for line in logs].count("webhook_missed") <= 6
    assert len(one.registry.asked("list")) <= 9


async def test_a_clock_that_is_set_hides_no_silence(company: Open) -> None:
    """What was timed by the old clock is forgotten."""
    one = company()
    one.webhooks.keep()
    await one.until(600)
    one.take("token-1")
    one.clock.jump(-HOUR)
    await one.until(700)

    with capture_logs() as logs:
        one.webhooks.untold(one.clock.now())
        await one.until(900)

    assert "webhook_missed" in {line["action"] for line in logs}


# -- the way out -------------------------------------------------------------------------------------------------------


async def test_ours_are_removed_and_brought_back(company: Open) -> None:
    """All that lead to us; somebody else's stay. No check brings them back, `keep` does."""
    one = company()
    one.registry.add("https://crm.example.com/")
    one.webhooks.keep()
    await one.until(10)
    one.registry.add(ADDRESS)

    removing = asyncio.create_task(one.webhooks.remove())
    await one.until(20)
    await removing
    await one.until(6 * HOUR)
    gone, taken = list(one.registry.webhooks), one.take("token-2")
    one.webhooks.keep()
    one.webhooks.keep()
    await one.until(6 * HOUR + 10)

    assert (["hook-1"], False) == (gone, taken)
    assert ["hook-1", "hook-4"] == list(one.registry.webhooks)


async def test_a_check_under_way_does_not_outlive_the_removal(company: Open) -> None:
    """Whatever was being made when the end came is removed too."""
    one = company()
    one.registry.seconds = 2.0
    one.webhooks.keep()
    await one.until(3)
    removing = asyncio.create_task(one.webhooks.remove())
    await one.until(60)
    await removing

    assert {} == one.registry.webhooks
    assert 1 == len(one.registry.asked("create"))


async def test_whoever_says_remove_last_is_obeyed(company: Open) -> None:
    """Removed, wanted again and removed while the first removal is still under way: nothing is made."""
    one = company()
    first = asyncio.create_task(one.webhooks.remove())
    await one.until(0.05)
    one.webhooks.keep()
    await one.until(0.06)
    second = asyncio.create_task(one.webhooks.remove())
    await one.until(HOUR)
    await asyncio.gather(first, second)

    assert [] == one.registry.asked("create")


async def test_a_removal_that_fails_is_said_and_ends(company: Open) -> None:
    """Best effort: whoever waits for the release is not kept waiting."""
    one = company()
    one.webhooks.keep()
    await one.until(10)
    one.registry.fault = lambda kind: down() if kind == "delete" else None
    with capture_logs() as logs:
        removing = asyncio.create_task(one.webhooks.remove())
        await one.until(20)
        await removing

    assert ["webhook_failed"] == [line["action"] for line in logs]
    assert one.take("token-1")


async def test_a_removal_waits_for_the_budget(company: Open) -> None:
    """It may use all of it: nothing is owed to anybody by then."""
    one = company(per_minute=4)
    one.webhooks.keep()
    await one.until(10)
    for _ in range(2):
        one.budget.take(one.clock.now())
        one.budget.spent(one.clock.now())
        one.budget.give_back()

    removing = asyncio.create_task(one.webhooks.remove())
    await one.until(200)
    await removing

    assert {} == one.registry.webhooks


# -- as an app ---------------------------------------------------------------------------------------------------------


async def test_an_app_is_told_of_its_removal_and_nobody_else_is(company: Open) -> None:
    """It subscribes to that event too; a message counts with our webhook's token only."""
    one = company()
    removals: list[str] = []
    app = one.keeper(removed=lambda: removals.append("removed"))
    app.keep()
    await one.until(10)

    assert one.registry.webhooks["hook-1"].events == frozenset({*EVENTS, REMOVED})
    assert [app.take(Delivery(token, REMOVED)) for token in ("guess", "token-1")] == [False, True]
    assert (removals, one.heard) == (["removed"], [])
    assert not one.webhooks.take(Delivery("token-1", REMOVED))


async def test_other_credentials_are_tried_at_once_however_long_the_former_were_refused(company: Open) -> None:
    """Even in a minute with much to do; it has happened when `renew` returns."""
    one = company()
    one.registry.fault = lambda _: refused()
    one.webhooks.keep()
    await one.until(3 * HOUR)
    one.registry.fault = lambda _: None
    one.quiet = False
    before = len(one.registry.requests)

    renewal = asyncio.create_task(one.webhooks.renew())
    await one.until(3 * HOUR + 2)

    assert renewal.done()
    assert [kind for _, kind in one.registry.requests[before:]] == ["list", "create"]
    assert one.webhooks.alive


async def test_a_check_with_the_former_credentials_is_not_the_last_word(company: Open) -> None:
    """One that was under way when they were replaced is made again."""
    one = company()
    one.registry.fault = lambda _: refused()
    one.registry.seconds = 1.0
    one.webhooks.keep()
    await one.until(0.5)
    renewal = asyncio.create_task(one.webhooks.renew())
    await one.until(0.6)
    await one.until(1.05)
    one.registry.fault = lambda _: None
    assert not renewal.done()
    await one.until(5)

    assert renewal.done()
    assert one.webhooks.alive


@pytest.mark.parametrize("address", [None, ADDRESS])
async def test_without_a_webhook_nothing_is_renewed(company: Open, address: str | None) -> None:
    """No public_url, or taken away by an operator."""
    one = company(address=address)
    if address is None:
        one.webhooks.keep()
    await one.webhooks.renew()
    await one.until(5)

    assert one.registry.requests == []
