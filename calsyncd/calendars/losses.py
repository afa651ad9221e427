"""Calendars that cannot be read until somebody acts: asked for seldom, one for all that share the cause.

While access is lost, what was read stays in force until it is too old, and the calendar is neither polled nor watched.
One that is read again ends the loss for all its fellows, who are read anew at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from calsyncd.calendars.calendar import Calendar, Loss
from calsyncd.core import access
from calsyncd.core.troubles import trouble
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler

BUSY_SECONDS = 5.0
GATHER_SECONDS = 10.0
"""Those who never connected are counted together: at a start they are found within seconds."""

MOST_SAID = 5

log = get_logger(__name__)


class Losses:
    """All that is lost. `ask` has a calendar read now; `regained` says when one is to be read anew.

    `suspended` is called with each calendar of a loss when it has come to be believed.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        chance: Callable[[], float],
        ask: Callable[[Calendar], None],
        regained: Callable[[Calendar, float], None],
        suspended: Callable[[Calendar], None],
    ) -> None:
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._chance = chance
        self._ask = ask
        self._regained = regained
        self._suspended = suspended
        self._losses: dict[str, Loss] = {}
        self._unconnected = 0
        scheduler.handle("access", lambda ground, _: self._probe(ground))
        scheduler.handle("not_connected", lambda *_: self._say_unconnected())

    # -- what answers say ------------------------------------------------------------------------------------------

    def refused(self, calendar: Calendar, code: str) -> None:
        """The calendar was asked for and refused, by what only a human can mend."""
        now = self._clock.now()
        loss = self._loss_of(calendar, code, now)
        again = calendar.loss is loss
        if not again:
            self._join(calendar, loss)
            loss.refused += 1
        # Whether this is what was believed of others, or a mistake, is asked once, soon.
        doubted = not again and loss.suspended and access.REACH[code] != "company"
        loss.members.move_to_end(calendar.key, last=not doubted)
        loss.refusals += again
        self._consider(loss, now)
        planned = self._scheduler.due_at("access", loss.ground)
        if again or doubted or planned is None:
            refusals = 1 if doubted else loss.refusals
            wait = access.next_probe(refusals, self._chance(), confirmed=loss.suspended and not doubted)
            due = now + wait
            self._scheduler.at("access", loss.ground, due if again or planned is None else min(due, planned))

    def keep_asking(self, calendar: Calendar, wait: float) -> None:
        """The calendar was dealt with: about what it has lost it is asked again, in `wait` seconds if not sooner."""
        loss = calendar.loss
        if loss is not None and self._scheduler.due_at("access", loss.ground) is None:
            self._scheduler.at("access", loss.ground, self._clock.now() + max(wait, BUSY_SECONDS))

    def read(self, calendar: Calendar) -> None:
        """The calendar was read: its loss is over, and so is each that leaves nobody an answer."""
        if calendar.loss is not None:
            self._say_back(calendar.loss, calendar)
            self._end(calendar.loss, calendar)
        for code in access.SHARED:
            if code in self._losses and code not in access.TOKENS_COUNT:
                self._say_back(self._losses[code], calendar)
                self._end(self._losses[code], calendar)
        calendar.alone = None

    def concerns(self, calendar: Calendar) -> bool:
        """Whether the calendar need not be asked for, since it would be refused as others are: then it is one more."""
        for code in access.SHARED:
            loss = self._losses.get(access.ground(code, calendar.agent, calendar.key))
            if loss is None or not access.is_everybodys(code, loss.refused):
                continue
            if access.may_differ(code, alone=calendar.alone == code, read=calendar.fresh):
                continue
            if calendar.loss is not loss:
                self._join(calendar, loss)
                # What was never asked for tells more than what was refused.
                loss.members.move_to_end(calendar.key, last=False)
            return True
        return False

    def drop(self, calendar: Calendar) -> None:
        """The calendar is not followed any more."""
        loss, calendar.loss = calendar.loss, None
        if loss is not None:
            self._leave(calendar, loss)

    def until_probe(self, calendar: Calendar) -> float:
        """Seconds until it is asked again about what the calendar has lost; 0 if it has lost nothing."""
        due = self._scheduler.due_at("access", calendar.loss.ground) if calendar.loss is not None else None
        return max(0.0, due - self._clock.now()) if due is not None else 0.0

    def probe(self) -> None:
        """Something may have changed: ask about each loss now."""
        for ground in self._losses:
            self._scheduler.at("access", ground, self._clock.now())

    def stepped(self, now: float) -> None:
        """The clock jumped."""
        for loss in self._losses.values():
            loss.since = min(loss.since, now)
        self.probe()

    def counts(self) -> dict[str, int]:
        """How many calendars are suspended, by the code of the reason."""
        counts: Counter[str] = Counter()
        for loss in self._losses.values():
            counts[loss.code] += len(loss.members) if loss.suspended else 0
        return counts

    # -- keeping count ---------------------------------------------------------------------------------------------

    def _loss_of(self, calendar: Calendar, code: str, now: float) -> Loss:
        ground = access.ground(code, calendar.agent, calendar.key, alone=calendar.alone == code)
        before = calendar.loss
        if before is not None and before.ground != ground:
            # What refuses now comes after what refused before: that is over, or nobody would know of this.
            self._end(before, calendar)
        if ground not in self._losses:
            known = calendar.trouble is not None and calendar.trouble.code == code
            since = calendar.trouble.since if known and calendar.trouble is not None else now
            self._losses[ground] = Loss(code, ground, since)
        return self._losses[ground]

    def _join(self, calendar: Calendar, loss: Loss) -> None:
        if calendar.loss is not None:
            self._leave(calendar, calendar.loss)
        calendar.loss, loss.members[calendar.key] = loss, calendar
        calendar.trouble = trouble(loss.code, loss.since)

    def _leave(self, calendar: Calendar, loss: Loss) -> None:
        loss.members.pop(calendar.key, None)
        if not loss.members and self._losses.get(loss.ground) is loss:
            del self._losses[loss.ground]
            self._scheduler.at("access", loss.ground, None)
        elif loss.members and self._scheduler.due_at("access", loss.ground) is None:
            # It was this one's turn, and nobody would be asked after it.
            self._scheduler.at("access", loss.ground, self._clock.now() + BUSY_SECONDS)

    def _consider(self, loss: Loss, now: float) -> None:
        """Believe the loss, once it was confirmed."""
        known = any(one.bookmark is not None for one in loss.members.values())
        if loss.suspended or not access.is_confirmed(loss.code, loss.refusals, now - loss.since, known=known):
            return
        loss.suspended = True
        if loss.code == access.NEVER_HAD:
            self._plan_unconnected(now)
        else:
            words, number = trouble(loss.code, loss.since), len(loss.members)
            which = "calendar" if number == 1 else "calendars"
            log.error(
                f"{words.message}: {number} {which} cannot be read until it is mended",
                action="access_lost",
                code=loss.code,
                calendar=next(iter(loss.members)),
                calendars=number,
                do=words.do,
                owner=words.owner,
            )
        for member in loss.members.values():
            self._suspended(member)

    def _plan_unconnected(self, now: float) -> None:
        if self._scheduler.due_at("not_connected", "") is None:
            self._scheduler.at("not_connected", "", now + GATHER_SECONDS)

    def _say_unconnected(self) -> None:
        """Who never connected has lost nothing: one line for all of them, when they are more or fewer."""
        agents = {
            one.agent
            for loss in self._losses.values()
            if loss.code == access.NEVER_HAD
            for one in loss.members.values()
        }
        if len(agents) != self._unconnected:
            words = trouble(access.NEVER_HAD, 0.0)
            which = "agent has" if len(agents) == 1 else "agents have"
            log.info(
                f"{len(agents)} {which} not connected their Google account yet",
                action="not_connected",
                agents=len(agents),
                among=", ".join(sorted(agents)[:MOST_SAID]),
                do=words.do,
            )
        self._unconnected = len(agents)

    def _probe(self, ground: str) -> None:
        """Ask for the member whose turn it is."""
        loss = self._losses[ground]
        calendar = next((one for one in loss.members.values() if not one.running), None)
        if calendar is not None:
            loss.members.move_to_end(calendar.key)
            self._ask(calendar)
            return
        # Each of them is being read just now.
        self._scheduler.at("access", ground, self._clock.now() + BUSY_SECONDS)

    def _say_back(self, loss: Loss, by: Calendar) -> None:
        if loss.suspended and loss.code != access.NEVER_HAD:
            log.info(
                "Access is back: calendars are read anew",
                action="access_back",
                code=loss.code,
                calendar=by.key,
                calendars=len(loss.members),
            )

    def _end(self, loss: Loss, by: Calendar) -> None:
        """The cause is over, as `by` shows: its fellows are read anew; who is refused still is shut out alone."""
        del self._losses[loss.ground]
        self._scheduler.at("access", loss.ground, None)
        now = self._clock.now()
        if loss.code == access.NEVER_HAD:
            self._plan_unconnected(now)
        by.loss = None if by.loss is loss else by.loss
        others = [member for member in loss.members.values() if member is not by]
        for number, member in enumerate(others):
            member.loss, member.alone = None, loss.code
            self._regained(member, now + number * access.REREAD_SECONDS)
