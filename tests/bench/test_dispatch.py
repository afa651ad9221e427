"""The days of the dispatch bench: its judge is strict, and small days come near to their bound."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.dispatch import bound
from bench.dispatch.cases import CASES, Results
from bench.dispatch.days import COUNTED_FROM, KNOWN_BEFORE, Change, Day, company_day
from bench.dispatch.others import plain_order, tutorial
from bench.dispatch.ours import ours
from bench.dispatch.report import draw, page
from bench.dispatch.world import MIDNIGHT, Terms, VoidError, World
from calsyncd.sandbox.aircall import AircallSandbox

DOCS = Path(__file__).parent.parent.parent / "docs"
TEN = 10 * 3600.0


def meeting(agent: int, start: float, end: float) -> Change:
    """A meeting that is known before the day."""
    return Change(KNOWN_BEFORE, agent, f"m{start}", (start, end))


def bound_of(day: Day, per_minute: int) -> float:
    """The day's lower bound."""
    terms = bound.Terms(per_minute)
    return bound.lower_bound(bound.agents_of(day, terms), terms).value


def test_enough_for_everybody_costs_nothing() -> None:
    """Each boundary has its request at its instant."""
    played = ours(company_day(1, 20), Terms(120))

    assert (0.0, 0, 2.0) == (played.wrong, played.refused, played.updates / played.windows)


@pytest.mark.parametrize("per_minute", [12, 24])
def test_a_crowded_day_is_near_its_bound(per_minute: int) -> None:
    """A hundred agents share few requests: within a tenth of the bound, though a look costs what an update does."""
    day = company_day(2, 100)

    found, plain = ours(day, Terms(per_minute)), plain_order(day, Terms(per_minute))

    least = bound_of(day, per_minute)
    assert least <= found.wrong <= 1.1 * least
    assert found.wrong < 0.7 * plain.wrong


def test_by_the_clocks_minutes_two_bursts_meet() -> None:
    """Once answers have shown it, a crowd of two minutes' requests costs hardly anything."""
    day = company_day(1, 500)
    sliding = ours(day, Terms(120))

    known = ours(day, Terms(120, kind="fixed", headers=True))

    assert known.refused == 0
    assert known.wrong <= 0.5 * sliding.wrong


def test_the_days_are_as_they_are_told() -> None:
    """Ten hours of change: an eighth of the meetings; nobody knows of a change before its instant."""
    day = company_day(3, 400)

    meetings = {(change.agent, change.meeting) for change in day.changes}
    changed = {(change.agent, change.meeting) for change in day.changes if change.at > KNOWN_BEFORE}
    assert 4.5 < len(meetings) / 400 < 5.5
    assert 0.09 < len(changed) / len(meetings) < 0.15
    assert company_day(3, 400) == day


def judged(day: Day, terms: Terms, *puts: tuple[float, int, str]) -> float:
    """W when these updates, and no others, were made."""
    now = MIDNIGHT
    world = World(day, terms, AircallSandbox(lambda: now))
    world.hire()
    for at, agent, status in puts:
        now = MIDNIGHT + at
        assert world.passes(now, agent + 1, status)
        world.put(agent + 1, status)
    return world.judge().wrong


def test_w_is_counted_by_hand() -> None:
    """Ten seconds of ringing and twenty of being unreachable, of one agent; the other's meeting is never served."""
    day = Day(0, 2, (meeting(0, TEN, TEN + 600), meeting(1, TEN, TEN + 60)))

    found = judged(day, Terms(10), (TEN + 10, 0, "unavailable"), (TEN + 620, 0, "available"))

    assert found == pytest.approx(2 * 10 + 20 + 2 * 60)


def test_what_breaks_a_rule_voids_the_run() -> None:
    """Too early, for nothing, and more than a minute grants."""
    day = Day(0, 1, (meeting(0, TEN, TEN + 600),))

    assert judged(day, Terms(10), (TEN - 60, 0, "unavailable"), (TEN + 540, 0, "available")) == pytest.approx(60 + 120)
    with pytest.raises(VoidError):
        judged(day, Terms(10), (TEN - 61, 0, "unavailable"))
    with pytest.raises(VoidError):
        judged(day, Terms(10), (COUNTED_FROM + 1, 0, "unavailable"))
    with pytest.raises(VoidError):
        judged(day, Terms(10), (TEN, 0, "unavailable"), (TEN + 300, 0, "available"))


def test_the_minute_is_checked_apart_from_the_sandbox() -> None:
    """The judge counts for itself."""
    day = Day(0, 3, tuple(meeting(agent, TEN, TEN + 600) for agent in range(3)))
    world = World(day, Terms(2), AircallSandbox(lambda: MIDNIGHT))
    world.hire()
    world.aircall.switches.budget.limit = 3
    for agent in range(3):
        assert world.passes(MIDNIGHT + TEN + agent, agent + 1, "unavailable")

    with pytest.raises(VoidError):
        world.judge()


def test_the_published_page_keeps_its_goals_and_its_prices_prove_its_bounds() -> None:
    """No goal is missed, and prices that were published prove the bound of their day anew."""
    text = (DOCS / "dispatch.md").read_text(encoding="utf-8")
    published = json.loads((DOCS / "dispatch-prices.json").read_text(encoding="utf-8"))
    sparse = published["[1, 500, 60]"]
    prices = [float(sparse.get(str(number), 0.0)) for number in range(int(sparse[""]))]

    goals = re.findall(r"\| (yes|no) \|$", text, re.MULTILINE)
    assert len(goals) == sum(len(case.goals) for case in CASES)
    assert "no" not in goals
    day = company_day(1, 500)
    assert bound.check(day, prices, bound.Terms(60)) == pytest.approx(bound_of(day, 60))


def test_page_and_picture_hold_every_case() -> None:
    """Each case stands on the page, and each program in the picture."""
    day = company_day(1, 20)
    found = {}
    for case in CASES:
        played = ours(day, Terms(120))
        others = ([plain_order(day, Terms(120))], [tutorial(day, Terms(120))])
        found[case.name] = Results(case.agents, [played], [0.0], *others, [played])

    text = page(CASES, found, {"program": "p", "Python": "P", "processor": "c"}, "2026-01-01")

    assert all(case.name in text for case in CASES)
    assert all(name in draw(found) for name in ("plain order", "lower bound", "calsyncd"))
