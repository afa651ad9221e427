"""No scheduler can do better: a lower bound on a day's wrong seconds, with the prices that prove it.

What is bounded is W: over all agents and counted seconds, `ringing` for each in which the calendar says busy and the
phone is available, `unreachable` for each in which it is free and the phone is not. The scheduler may know the whole
day beforehand. It sends at most `per_minute` updates in any 60 s, and none more than `early` seconds before the
boundary that it serves; late ones are always allowed. An update counts when the phone changes. Every agent begins
available.

The proof, which `check` repeats from the prices alone. Let each minute mark j have a price of at least 0, and let a
send at t cost p(t), the prices interpolated linearly. Then p(t) is the mean over the 60 s before t of a function of
windows: the one that is price j for windows that begin in the minute before mark j. Each window holds at most
`per_minute` sends, so all sends of a scheduler cost at most `per_minute` times the sum of the prices, and

    W >= sum over agents of (the cheapest path through the day, sends paid) - per_minute * (sum of the prices).

Between minute marks, an agent's boundaries and the ends of the times in which it may be switched, p and the cost of
either state are linear, so that a cheapest path switches only there. Whatever the prices are, the bound holds; good
ones make it high. They have a meaning: the seconds of W that one more request around that minute would save.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.dispatch.days import COUNTED_FROM, COUNTED_TO, MINUTE, Change, Day, united

Span = tuple[float, float]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

ROUNDS = 500
KEPT = 0.9
"""Of the direction, from round to round."""
KEPT_SQUARE = 0.999
AVERAGED = 0.95
LAST_STEP = 0.0025
"""Of the first one."""
LOOKS = 25


@dataclass(frozen=True, slots=True)
class Terms:
    """What a scheduler may do, and what is counted.

    Attributes:
        per_minute: updates in any 60 s.
        early: seconds that an update may come before its boundary; `math.inf`: it may come at any time.
        behind: seconds by which an update may come after the calendar that asked for it was edited: what notifications
            and requests take.
        ringing: for each second in which the phone is available though the calendar says busy.
        unreachable: for each second in which it is not although the calendar says free.
        counted_from: seconds of the day, as all times here.
        counted_to: likewise.
    """

    per_minute: int
    early: float = MINUTE
    behind: float = 0.0
    ringing: float = 2.0
    unreachable: float = 1.0
    counted_from: float = COUNTED_FROM
    counted_to: float = COUNTED_TO


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent's day.

    Attributes:
        busy: disjoint and in order.
        off: in these it may be switched off, in good faith: disjoint, in order, with their ends.
        on: in these it may be switched on.
    """

    busy: tuple[Span, ...]
    off: tuple[Span, ...]
    on: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """W is at least `value`, as `check` finds again from the prices: one for each minute mark counted."""

    value: float
    prices: tuple[float, ...]


def agents_with(busy: Iterable[Sequence[Span]], terms: Terms) -> list[Agent]:
    """Agents whose busy spans, disjoint and in order, nobody edits."""
    return [_agent(spans, [(spans, (-math.inf, math.inf))], terms) for spans in busy]


def agents_of(day: Day, terms: Terms) -> list[Agent]:
    """The day's agents.

    A scheduler may know of every edit beforehand. It may as well act in good faith on a boundary that stands in the
    calendar and is taken out before it comes: such updates are allowed too, for as long as it stood there.
    """
    own: list[list[Change]] = [[] for _ in range(day.agents)]
    for change in day.changes:
        own[change.agent].append(change)
    return [
        _agent(spans, [(spans, (-math.inf, math.inf)), *_calendars(changes)], terms)
        for spans, changes in zip(day.busy(), own, strict=True)
    ]


def _calendars(changes: Sequence[Change]) -> Iterator[tuple[Sequence[Span], Span]]:
    """One agent's calendar as it stood, and how long it stood so."""
    by_instant: dict[float, list[Change]] = defaultdict(list)
    for change in changes:
        by_instant[change.at].append(change)
    instants = sorted(by_instant)
    meetings: dict[str, Span | None] = {}
    for since, until in zip(instants, [*instants[1:], math.inf], strict=True):
        meetings |= {change.meeting: change.span for change in by_instant[since]}
        yield united(span for span in meetings.values() if span is not None), (since, until)


def _agent(busy: Sequence[Span], calendars: Iterable[tuple[Sequence[Span], Span]], terms: Terms) -> Agent:
    """An agent that may be switched as any of these calendars says, while it stands and `behind` seconds longer."""
    off: list[Span] = []
    on: list[Span] = []
    for spans, (since, until) in calendars:
        ends = [-math.inf, *(end for _, end in spans)]
        starts = [*(start for start, _ in spans), math.inf]
        for wanted, found in ((spans, off), (zip(ends, starts, strict=True), on)):
            for begin, end in wanted:
                first, last = max(begin - terms.early, since), min(end, until)
                if first <= last:
                    found.append((first, last + terms.behind))
    return Agent(tuple(busy), tuple(united(off)), tuple(united(on)))


@dataclass(frozen=True, slots=True)
class Table:
    """Agents' days cut at points; a column for each agent, a row for each point and what follows it up to the next.

    Attributes:
        times: of the points.
        dearer_off: what it costs more to be off than on from the point to the next; 0 from the last one.
        may_off: whether the agent may be switched off there.
        may_on: whether it may be switched on.
        always_on: what it costs all agents never to be switched.
    """

    times: Floats
    dearer_off: Floats
    may_off: Flags
    may_on: Flags
    always_on: float


def cut(agents: Sequence[Agent], terms: Terms, times: Floats) -> Table:
    """The agents' days cut at these points: a row of ascending times for each agent, of one length."""
    dearer_off = np.zeros_like(times)
    may_off = np.zeros(times.shape, bool)
    may_on = np.zeros(times.shape, bool)
    always_on = 0.0
    for row, agent in enumerate(agents):
        own = times[row]
        counted = np.clip(own, terms.counted_from, terms.counted_to)
        busy_until = _busy_until(agent.busy, counted)
        busy = np.diff(busy_until)
        dearer_off[row, :-1] = terms.unreachable * (np.diff(counted) - busy) - terms.ringing * busy
        always_on += terms.ringing * float(busy_until[-1] - busy_until[0])
        may_off[row] = _within(own, agent.off)
        may_on[row] = _within(own, agent.on)
    return Table(times.T.copy(), dearer_off.T.copy(), may_off.T.copy(), may_on.T.copy(), always_on)


def _busy_until(busy: Sequence[Span], times: Floats) -> Floats:
    """How many busy seconds there are before each of these times."""
    if not busy:
        return np.zeros_like(times)
    edges = np.array(busy).ravel()
    lengths = np.diff(edges, prepend=edges[0])
    lengths[::2] = 0.0
    before: Floats = np.interp(times, edges, np.cumsum(lengths))
    return before


def _within(times: Floats, spans: Iterable[Span]) -> Flags:
    found = np.zeros(times.shape, bool)
    for start, end in spans:
        found[np.searchsorted(times, start, "left") : np.searchsorted(times, end, "right")] = True
    return found


class Priced:
    """The agents' days, ready to be walked through at any prices of the minutes.

    Attributes:
        table: cut where a cheapest path may switch.
        minutes: how many have a price: those from the first counted minute mark to the last.
        hats: for each point of the table, flattened, the mark before it (0: the one before the first priced one) and
            which share of the next mark's price it pays.
    """

    def __init__(self, agents: Sequence[Agent], terms: Terms) -> None:
        first = np.floor(terms.counted_from / MINUTE)
        last = np.ceil(terms.counted_to / MINUTE)
        marks = MINUTE * np.arange(first - 1, last + 2)
        self.terms = terms
        self.minutes = len(marks) - 2
        self.table = cut(agents, terms, _points(agents, terms, marks))
        # What a scheduler did before the first mark is free: there an agent may be off if it could be off before.
        for column, agent in enumerate(agents):
            if any(start < marks[0] for start, _ in agent.off):
                self.table.may_off[0, column] = True
        times, inverse = np.unique(self.table.times, return_inverse=True)
        which: Indices = inverse.reshape(self.table.times.shape)
        self._before = np.floor(times / MINUTE).astype(np.intp) - int(first - 1)
        self._share = times / MINUTE - np.floor(times / MINUTE)
        self._which = which
        # The price list of all different times ends with an infinite one, for what is not allowed.
        self._off = np.where(self.table.may_off, which, len(times))
        self._on = np.where(self.table.may_on, which, len(times))
        self._chosen_off = np.empty(which.shape, bool)
        self._chosen_on = np.empty(which.shape, bool)
        self._sent = np.empty(which.shape, bool)

    @property
    def hats(self) -> tuple[Indices, Floats]:
        """See the class."""
        return self._before[self._which].ravel(), self._share[self._which].ravel()

    def walk(self, prices: Floats) -> tuple[float, Floats]:
        """The bound at these prices, and how it rises with each: the minute's sends less those it can take.

        Going forward, all that counts is by how much off is dearer than on; wherever that is more than a send costs,
        the send is made. So it is kept between the two sends' prices, and what is cut off at the lower side is what
        the cheapest path that ends available has saved.
        """
        padded = np.concatenate(([0.0], prices, [0.0, 0.0]))
        listed = padded[self._before] * (1 - self._share) + padded[self._before + 1] * self._share
        listed = np.append(listed, np.inf)
        minus = -listed
        agents = self._which.shape[1]
        dearer = np.full(agents, np.inf)
        saved = np.zeros(agents)
        low = np.empty(agents)
        high = np.empty(agents)
        rows = zip(self._off, self._on, self.table.dearer_off, self._chosen_off, self._chosen_on, strict=True)
        for off, on, more, chosen_off, chosen_on in rows:
            listed.take(off, out=high, mode="clip")
            minus.take(on, out=low, mode="clip")
            np.greater(dearer, high, out=chosen_off)
            np.less(dearer, low, out=chosen_on)
            np.minimum(dearer, high, out=dearer)
            np.subtract(dearer, low, out=high)
            np.minimum(high, 0.0, out=high)
            saved += high
            np.maximum(dearer, low, out=dearer)
            dearer += more
        cheapest = self.table.always_on + float(saved.sum() + np.minimum(dearer, 0.0).sum())
        sends = self._sends(dearer < 0.0)
        value = cheapest - self.terms.per_minute * float(prices.sum())
        return value, sends - self.terms.per_minute

    def _sends(self, off: Flags) -> Floats:
        """How much of the cheapest paths' sends falls to each minute, walked back from who is off in the end."""
        for sent, chosen_off, chosen_on in zip(
            self._sent[::-1], self._chosen_off[::-1], self._chosen_on[::-1], strict=True
        ):
            before = (off & ~chosen_off) | chosen_on
            np.not_equal(off, before, out=sent)
            off = before
        times = len(self._before)
        count = np.bincount(self._which[self._sent], minlength=times)
        used = np.zeros(self.minutes + 3)
        np.add.at(used, self._before, count * (1 - self._share))
        np.add.at(used, self._before + 1, count * self._share)
        return used[1 : 1 + self.minutes]


def _points(agents: Sequence[Agent], terms: Terms, marks: Floats) -> Floats:
    """For each agent the minute marks and its own points between them; the last mark again fills the rows."""
    own = []
    for agent in agents:
        spans = (*agent.busy, *agent.off, *agent.on, (terms.counted_from, terms.counted_to))
        edges = {edge for span in spans for edge in span}
        own.append([edge for edge in edges if edge % MINUTE and marks[0] < edge < marks[-1]])
    points = np.full((len(agents), len(marks) + max(map(len, own), default=0)), marks[-1])
    points[:, : len(marks)] = marks
    for row, edges_of_one in zip(points, own, strict=True):
        row[len(marks) : len(marks) + len(edges_of_one)] = edges_of_one
    points.sort(axis=1)
    return points


def lower_bound(
    agents: Sequence[Agent], terms: Terms, begin: Sequence[float] | None = None, rounds: int = ROUNDS
) -> Bound:
    """A bound that is close to the best that prices can give, and not below the one at `begin`'s prices.

    The same arguments give the same bound. The prices are climbed by a subgradient whose steps are scaled for each
    price (Adam) and shrink geometrically; the mean of the last prices is mostly better than any of them.
    """
    priced = Priced(agents, terms)
    prices = _prices([0.0] * priced.minutes if begin is None else begin, priced.minutes)
    best, best_prices = priced.walk(prices)[0], prices
    first_step = MINUTE * max(terms.ringing, terms.unreachable)
    direction = np.zeros_like(prices)
    square = np.zeros_like(prices)
    mean = prices.copy()
    for number in range(1, rounds + 1):
        value, rise = priced.walk(prices)
        if value > best:
            best, best_prices = value, prices
        direction = KEPT * direction + (1 - KEPT) * rise
        square = KEPT_SQUARE * square + (1 - KEPT_SQUARE) * rise * rise
        step = first_step * LAST_STEP ** (number / rounds) / (1 - KEPT**number)
        scale = np.sqrt(square / (1 - KEPT_SQUARE**number)) + 1e-9
        prices = np.maximum(0.0, prices + step * direction / scale)
        mean = AVERAGED * mean + (1 - AVERAGED) * prices
        if number % LOOKS == 0 or number == rounds:
            value, rise = priced.walk(mean)
            if value > best:
                best, best_prices = value, mean
    kept = best_prices.round(3)
    return Bound(max(0.0, priced.walk(kept)[0]), tuple(kept.tolist()))


def evaluate(agents: Sequence[Agent], prices: Sequence[float], terms: Terms) -> float:
    """The bound that these prices prove, whoever found them; 0 at least.

    Raises:
        ValueError: there is not one price of at least 0 for each counted minute mark.
    """
    priced = Priced(agents, terms)
    return max(0.0, priced.walk(_prices(prices, priced.minutes))[0])


def check(day: Day, prices: Sequence[float], terms: Terms) -> float:
    """`evaluate` for a day's agents."""
    return evaluate(agents_of(day, terms), prices, terms)


def _prices(prices: Sequence[float], minutes: int) -> Floats:
    given = np.array(prices, float)
    if given.shape != (minutes,):
        raise ValueError(f"{minutes} minute marks are counted, but {given.size} prices are given")
    if not np.all(np.isfinite(given) & (given >= 0)):
        raise ValueError("a price is negative or no number")
    return given
