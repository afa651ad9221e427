"""The bound on a day's wrong seconds is one, is close, and is found again from its prices."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.dispatch.bound import Agent, Priced, Span, Terms, agents_of, agents_with, check, evaluate, lower_bound
from benchmarks.dispatch.days import COUNTED_FROM, COUNTED_TO, MINUTE, Change, Day, company_day
from benchmarks.dispatch.exact import least, relaxed

EARLY = (0.0, 60.0, 90.0, math.inf)
TENTH = 36000.0
"""10 o'clock."""


def crowd(rng: random.Random, agents: int, minutes: int, step: float) -> list[list[Span]]:
    """Meetings at multiples of the step, many of them at the same instant; none in the first and last two minutes."""
    times = [at * step for at in range(int(2 * MINUTE / step), int((minutes - 2) * MINUTE / step) + 1)]
    liked = rng.sample(times, min(len(times), 4))
    spans = []
    for _ in range(agents):
        edges = sorted({rng.choice(liked if rng.random() < 0.7 else times) for _ in range(rng.choice((2, 2, 4)))})
        spans.append([(edges[at], edges[at + 1]) for at in range(0, len(edges) - 1, 2)])
    return spans


def terms_of(rng: random.Random, minutes: int, most: int) -> Terms:
    """Some terms for that many minutes from 0 on."""
    early, ringing = rng.choice(EARLY), rng.choice((1.0, 2.0, 3.5))
    return Terms(rng.randint(1, most), early, ringing=ringing, counted_from=0.0, counted_to=minutes * MINUTE)


def by_definition(busy: Sequence[Span], points: Sequence[float], terms: Terms) -> Iterator[tuple[float, list[float]]]:
    """Every way to switch an agent at the points, if it is allowed: what it costs, and when it sends."""
    tick = 10.0
    for states in itertools.product((True, False), repeat=len(points)):
        sends = []
        on = True
        for at, wanted in zip(points, states, strict=True):
            if wanted != on:
                sends.append(at)
                inside = any(start < at < end for start, end in busy)
                touching = any(start <= at <= end for start, end in busy)
                near = [end if wanted else start for start, end in busy]
                late = not inside if wanted else touching
                if not late and not any(0 <= boundary - at <= terms.early for boundary in near):
                    break
            on = wanted
        else:
            cost = 0.0
            for number in range(int(terms.counted_to / tick)):
                at = number * tick
                on = ([True] + [state for point, state in zip(points, states, strict=True) if point <= at])[-1]
                called_busy = any(start <= at < end for start, end in busy)
                if on == called_busy:
                    cost += tick * (terms.ringing if on else terms.unreachable)
            yield cost, sends


def fits(sends: Sequence[float], per_minute: int) -> bool:
    """No 60 s hold more."""
    return all(sum(at <= other < at + MINUTE for other in sends) <= per_minute for at in sends)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("agents", "minutes", "grid"), [(2, 5, 60.0), (1, 5, 40.0), (3, 4, 60.0), (2, 4, 40.0)])
def test_the_exact_program_is_as_good_as_trying_everything(seed: int, agents: int, minutes: int, grid: float) -> None:
    """Of all ways to switch some agents for some minutes none is cheaper, and one is as cheap."""
    rng = random.Random(seed)
    busy = crowd(rng, agents, minutes, 10.0 if seed % 2 else 30.0)
    terms = terms_of(rng, minutes, 2)
    points = [at * grid for at in range(int(terms.counted_to / grid) + 1)]

    cheapest = min(
        sum(cost for cost, _ in ways)
        for ways in itertools.product(*(list(by_definition(own, points, terms)) for own in busy))
        if fits([at for _, sends in ways for at in sends], terms.per_minute)
    )

    assert least(agents_with(busy, terms), terms, grid) == pytest.approx(cheapest, abs=1e-6)


def test_no_prices_prove_more_than_the_exact_least() -> None:
    """Neither the bound's own nor any others; and the bound is mostly near it."""
    bounds = leasts = 0.0
    for seed in range(24):
        rng = random.Random(seed)
        minutes = 40
        terms = terms_of(rng, minutes, 3)
        grid = 60.0 if seed % 3 else 30.0
        agents = agents_with(crowd(rng, rng.randint(3, 8), minutes, grid), terms)
        exact = least(agents, terms, grid)
        found = lower_bound(agents, terms, rounds=200)
        assert found.value <= exact + 1e-6
        for height in (1.0, 30.0, 300.0):
            prices = [rng.choice((0.0, rng.random() * height)) for _ in found.prices]
            assert evaluate(agents, prices, terms) <= exact + 1e-6
        bounds += found.value
        leasts += exact

    print(f"bounds {bounds / leasts:.3f} of the exact")
    assert bounds >= 0.9 * leasts


def test_the_rise_overestimates_at_any_other_prices() -> None:
    """The bound is concave in the prices: what `walk` says of its rise leads to a value that is not exceeded."""
    rng = random.Random(1)
    terms = Terms(2, counted_from=0.0, counted_to=40 * MINUTE)
    priced = Priced(agents_with(crowd(rng, 12, 40, 10.0), terms), terms)
    some = [np.array([rng.random() * 200 for _ in range(priced.minutes)]) for _ in range(12)]
    walked = [priced.walk(prices) for prices in some]

    for (here, (value, rise)), (there, (other, _)) in itertools.permutations(zip(some, walked, strict=True), 2):
        assert other <= value + float(rise @ (there - here)) + 1e-6


def test_a_day_reckoned_by_hand() -> None:
    """Three begin at 10:00 and end at 10:30, one request a minute.

    The starts: one 60 s early, one in time, one 60 s late at twice the price. The ends: one in time, 60 and 120 s late,
    or one early at twice the price, which comes to the same.
    """
    busy = [[(TENTH, TENTH + 30 * MINUTE)]] * 3
    early = Terms(1, counted_from=TENTH - 20 * MINUTE, counted_to=TENTH + 50 * MINUTE)
    late = replace(early, early=0.0)

    for terms, by_hand in ((early, 60 + 0 + 120 + 0 + 60 + 120), (late, 0 + 120 + 240 + 0 + 60 + 120)):
        assert least(agents_with(busy, terms), terms, 60.0) == pytest.approx(by_hand)
        assert lower_bound(agents_with(busy, terms), terms).value == pytest.approx(by_hand, rel=0.003)


def test_the_bound_is_nought_when_nobody_competes() -> None:
    """One request a minute is enough for boundaries in different minutes, and 60 for 60 at once."""
    apart = [[(TENTH + 4 * at * MINUTE, TENTH + (4 * at + 2) * MINUTE)] for at in range(20)]
    at_once = [[(TENTH, TENTH + 30 * MINUTE)]] * 60

    for busy, enough in ((apart, 1), (at_once, 60)):
        terms = Terms(enough, early=0.0)
        assert lower_bound(agents_with(busy, terms), terms, rounds=20).value == 0.0
    scarce = Terms(59, early=0.0)
    assert lower_bound(agents_with(at_once, scarce), scarce, rounds=200).value == pytest.approx(120 + 60, rel=0.1)
    assert lower_bound([], scarce, rounds=2).value == 0.0


@pytest.mark.parametrize(("agents", "per_minute", "early"), [(50, 3, 60.0), (25, 2, math.inf)])
def test_the_bound_is_near_the_best_that_prices_prove(agents: int, per_minute: int, early: float) -> None:
    """Within 0.3 % of the linear program's, and not above it."""
    terms = Terms(per_minute, early)
    found = agents_of(company_day(3, agents), terms)

    best = relaxed(found, terms)

    bound = lower_bound(found, terms).value
    print(f"{bound:.1f} of {best:.1f}: {100 * (1 - bound / best):.3f} % below")
    assert 0.997 * best <= bound <= best * (1 + 1e-6)


def test_prices_from_a_file_prove_the_same() -> None:
    """Written as JSON and read again they give the bound for the day; as a beginning they are never worsened."""
    day, terms = company_day(5, 30), Terms(2)
    found = lower_bound(agents_of(day, terms), terms, rounds=60)

    prices = json.loads(json.dumps(found.prices))

    assert check(day, prices, terms) == found.value > 0.0
    assert lower_bound(agents_of(day, terms), terms, begin=prices, rounds=1).value >= found.value
    assert len(prices) == (COUNTED_TO - COUNTED_FROM) / MINUTE + 1


@pytest.mark.parametrize("wrong", [[], [1.0], [-1.0] + [0.0] * 515, [math.nan] + [0.0] * 515])
def test_prices_that_prove_nothing_are_refused(wrong: list[float]) -> None:
    """Too few, below 0 or no numbers."""
    with pytest.raises(ValueError, match="price"):
        check(company_day(1, 2), wrong, Terms(1))


def test_a_boundary_that_is_taken_out_may_have_been_served() -> None:
    """While it stood in the calendar less than `early` away; the bound allows for it."""
    start, end = TENTH, TENTH + 30 * MINUTE
    day = Day(
        0,
        2,
        (
            Change(0.0, 0, "cancelled", (start, end)),
            Change(0.0, 1, "moved", (start, end)),
            Change(start - 20, 0, "cancelled", None),
            Change(end - 40, 1, "moved", (start, end + 600)),
        ),
    )

    first, second = agents_of(day, Terms(1, early=60.0, behind=3.0))

    assert first == Agent((), ((start - 60, start - 17),), ((-math.inf, math.inf),))
    assert second == Agent(
        ((start, end + 600),),
        ((start - 60, end + 603),),
        ((-math.inf, start + 3), (end - 60, end - 37), (end + 540, math.inf)),
    )
