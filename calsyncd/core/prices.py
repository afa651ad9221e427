"""What a request costs the others: the price of a minute, found by running the known queue ahead by counts.

Theory. While more updates are due than the minute grants, they queue, the heavier weight first. One request more in a
minute pushes an update into the next, which pushes one into the one after, and so on until the queue is empty: each
minute on the way somebody waits sixty seconds longer whose weight is the heaviest of those who wait anyway. That sum is
the price of the minute, in weighted seconds. It tells what is worth a request: an update sent a window early costs its
agent sixty seconds of the other wrong state and saves the price of its boundary; a meeting whose whole length weighs
less than the prices of its two updates is left alone; and a read goes where the price is nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

MINUTE_SECONDS = 60.0
LONGEST_MINUTES = 24 * 60
ROUNDS = 8
"""Where far more is due all day than is granted, prices begin a hundred times too high, and each round halves that."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a second costs of a phone that rings in a meeting, and of one that does not ring outside of one."""

    ringing: float = 2.0
    unreachable: float = 1.0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many updates make somebody unavailable, and how many let somebody come back."""

    starts: int = 0
    ends: int = 0


NOBODY = Counts()


def minute_of(at: float) -> int:
    """The minute in which what is due at `at` is counted: the one that ends then, or next."""
    return -int(-at // MINUTE_SECONDS)


@dataclass(frozen=True, slots=True)
class Early:
    """So many of the updates that are due in minute `due` are best sent in an earlier one."""

    due: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class Prices:
    """The price of each minute from `first` on, nothing beyond the last; and what is best sent early in each."""

    first: int
    prices: Sequence[float]
    early: Mapping[int, Sequence[Early]]

    @property
    def current(self) -> float:
        """What one request more costs the others when it goes now."""
        return self.of(self.first)

    def at(self, at: float) -> float:
        """What one request more costs the others when it goes at `at`."""
        return self.of(minute_of(at))

    def of(self, minute: int) -> float:
        """What one request more in this minute costs the others."""
        index = max(0, minute - self.first)
        return self.prices[index] if index < len(self.prices) else 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """The requests of a minute, what is left of the first one, and how early an update may go.

    `early` is a number of minutes before the boundary; `window` the seconds between two uses of the same request: a
    minute, or next to nothing where a burst may go just before a mark of the clock and another just after it.
    """

    per_minute: int
    room: int
    early: int = 1
    window: float = MINUTE_SECONDS


@dataclass(frozen=True, slots=True)
class Group:
    """Updates of one kind that are due in the same minute, and whose opposite is due in the same minute `until`."""

    minute: int
    until: int | None
    starts: bool

    def is_worth(self, prices: Prices, weights: Weights) -> bool:
        """Whether one of them gains as much, until its opposite is due, as the two cost the others."""
        if self.until is None:
            return True
        weight = weights.ringing if self.starts else weights.unreachable
        gain = (self.until - self.minute) * MINUTE_SECONDS * weight
        return gain >= prices.of(self.minute) + prices.of(self.until)


def run_ahead(first: int, grant: Grant, groups: Mapping[Group, int], weights: Weights) -> Prices:
    """The prices from the minute `first` on, of which what is due in it waits already.

    What is not worth its prices is left out, which makes them fall: they are the mean of prices with too much and with
    too little left out, found in a few rounds.
    """
    known = _counts(groups)
    found = _Ahead(first, grant, known, weights).run()
    for _ in range(ROUNDS):
        left_out = {group: number for group, number in groups.items() if not group.is_worth(found, weights)}
        if not left_out:
            break
        again = _Ahead(first, grant, _without(known, left_out), weights).run()
        found = _between(found, again)
    return found


def _counts(groups: Mapping[Group, int]) -> dict[int, Counts]:
    counts: dict[int, Counts] = {}
    for group, number in groups.items():
        known = counts.get(group.minute, NOBODY)
        counts[group.minute] = (
            Counts(known.starts + number, known.ends) if group.starts else Counts(known.starts, known.ends + number)
        )
    return counts


def _without(known: Mapping[int, Counts], left_out: Mapping[Group, int]) -> dict[int, Counts]:
    """The counts without these, nor their opposites."""
    counts = dict(known)
    for group, number in left_out.items():
        for minute, starts in ((group.minute, group.starts), (group.until, not group.starts)):
            if minute in counts:
                one = counts[minute]
                less = max(0, (one.starts if starts else one.ends) - number)
                counts[minute] = Counts(less, one.ends) if starts else Counts(one.starts, less)
    return counts


def _between(one: Prices, other: Prices) -> Prices:
    length = max(len(one.prices), len(other.prices))
    prices = [(one.of(one.first + index) + other.of(one.first + index)) / 2 for index in range(length)]
    return Prices(one.first, prices, other.early)


@dataclass(slots=True)
class _Queue:
    """Who waits at the end of a minute."""

    starts: int
    ends: int
    weights: Weights

    def minute(self, coming: Counts, room: int) -> int:
        """One minute: these join, and so many are served, the heavier first. What is left of the room."""
        starts, ends = self.starts + coming.starts, self.ends + coming.ends
        if self.weights.ringing >= self.weights.unreachable:
            served = min(room, starts)
            others = min(room - served, ends)
            self.starts, self.ends = starts - served, ends - others
        else:
            served = min(room, ends)
            others = min(room - served, starts)
            self.starts, self.ends = starts - others, ends - served
        return room - served - others

    @property
    def heaviest(self) -> float:
        """The heaviest weight that waits."""
        return max(
            self.weights.ringing if self.starts else 0.0,
            self.weights.unreachable if self.ends else 0.0,
        )


class _Ahead:
    """One run of the queue."""

    def __init__(self, first: int, grant: Grant, coming: Mapping[int, Counts], weights: Weights) -> None:
        self._first = first
        self._grant = grant
        self._coming = coming
        self._weights = weights
        self._last = max(coming, default=first)
        self._early: dict[int, list[Early]] = {}
        self._moved: dict[int, Counts] = {}
        self._spare_price: dict[int, float] = {}

    def run(self) -> Prices:
        queue = _Queue(0, 0, self._weights)
        room, minute = self._grant.room, self._first
        heaviest: list[float] = []
        while (minute <= self._last or queue.heaviest) and len(heaviest) < LONGEST_MINUTES:
            left = queue.minute(self._own(minute), room)
            sent = self._sent(minute)
            heaviest.append(queue.heaviest)
            if left > sent:
                self._plan(minute, left - sent)
            room = self._grant.per_minute
            minute += 1
        prices = [self._spare_price.get(self._first + index, 0.0) for index in range(len(heaviest))]
        following = 0.0
        for index, weight in reversed(list(enumerate(heaviest))):
            following = following + MINUTE_SECONDS * weight if weight else 0.0
            prices[index] = following or prices[index]
        return Prices(self._first, prices, self._early)

    def _own(self, minute: int) -> Counts:
        own, moved = self._coming.get(minute, NOBODY), self._moved.get(minute, NOBODY)
        return Counts(own.starts - moved.starts, own.ends - moved.ends)

    def _sent(self, minute: int) -> int:
        """How many of later minutes are to go early in this one."""
        return sum(one.counts.starts + one.counts.ends for one in self._early.get(minute, ()))

    def _plan(self, minute: int, spare: int) -> None:
        """Plan what of the next crowd goes early, in this minute and in those between, the nearest first."""
        for crowd in range(minute + 1, minute + self._grant.early + 1):
            own = self._own(crowd)
            if own.starts + own.ends > self._grant.per_minute:
                break
        else:
            return
        if crowd in self._moved:
            return
        places = [(minute, spare)]
        for between in range(minute + 1, crowd):
            coming = self._own(between)
            places.append((between, self._grant.per_minute - coming.starts - coming.ends - self._sent(between)))
        places.reverse()
        starts_first = self._weights.unreachable <= self._weights.ringing
        cheap, dear = sorted((self._weights.unreachable, self._weights.ringing))
        cheap_most, dear_most = (own.starts, own.ends) if starts_first else (own.ends, own.starts)

        def moved(number: int) -> Counts:
            one, other = min(number, cheap_most), max(0, number - cheap_most)
            return Counts(one, other) if starts_first else Counts(other, one)

        reach = list(accumulate(room for _, room in places))

        def cost(number: int) -> float:
            """What the update of this number pays for its way: it waits in the other wrong state."""
            windows = bisect_left(reach, number) + 1
            return windows * self._grant.window * (cheap if number <= cheap_most else dear)

        low, high = 0, min(reach[-1], cheap_most + dear_most)
        most = high
        while low < high:
            middle = (low + high + 1) // 2
            pays = cost(middle) < self._price(crowd, moved(middle - 1))
            low, high = (middle, high) if pays else (low, middle - 1)
        if not low:
            return
        self._moved[crowd] = moved(low)
        worth = self._price(crowd, moved(low)) if low == most else 0.0
        done = 0
        for windows, (place, room) in enumerate(places, 1):
            here = moved(min(low, done + room))
            before = moved(done)
            counts = Counts(here.starts - before.starts, here.ends - before.ends)
            if counts != NOBODY:
                self._early.setdefault(place, []).append(Early(crowd, counts))
                self._spare_price[place] = max(0.0, worth - windows * self._grant.window * cheap)
            done = min(low, done + room)

    def _price(self, minute: int, moved: Counts) -> float:
        """The price of `minute` when nobody waits before it, and so many of its own were sent early."""
        own = self._coming.get(minute, NOBODY)
        queue = _Queue(0, 0, self._weights)
        coming = Counts(own.starts - moved.starts, own.ends - moved.ends)
        price = 0.0
        for _ in range(LONGEST_MINUTES):
            queue.minute(coming, self._grant.per_minute)
            if not queue.heaviest:
                break
            price += MINUTE_SECONDS * queue.heaviest
            minute += 1
            coming = self._coming.get(minute, NOBODY)
        return price
