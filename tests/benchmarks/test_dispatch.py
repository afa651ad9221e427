"""The days of the dispatch bench: its judge is strict, and small days come near to their bound."""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path

import pytest

from benchmarks.dispatch import bound
from benchmarks.dispatch.calibrate import SEEDS, STUDY, TIES, misfit
from benchmarks.dispatch.cases import CASES, Results
from benchmarks.dispatch.days import BEGIN, COUNTED_FROM, END, KNOWN_BEFORE, MINUTE, Change, Day, company_day
from benchmarks.dispatch.others import by_agent, ends_first, plain_order, starts_first, tutorial
from benchmarks.dispatch.ours import ours
from benchmarks.dispatch.report import draw, page
from benchmarks.dispatch.world import MIDNIGHT, Terms, VoidError, World
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
    """About five meetings from 9 to 17 h, mostly at :00 and :30, some of them joined or nested."""
    day = company_day(3, 400)
    first = {(change.agent, change.meeting): change.span for change in reversed(day.changes) if change.span}
    own: list[list[tuple[float, float]]] = [[] for _ in range(day.agents)]
    for (agent, _), span in first.items():
        own[agent].append(span)
    meetings = list(first.values())
    pairs = [(one, other) for spans in own for one, other in itertools.permutations(spans, 2)]
    nested = [
        span
        for (agent, _), span in first.items()
        if any(low <= span[0] and span[1] <= high and (low, high) != span for low, high in own[agent])
    ]

    assert 4.5 < len(meetings) / day.agents < 5.5
    assert all(BEGIN <= start and end <= END for start, end in meetings)
    assert {15, 30, 45, 60} == {(end - start) / MINUTE for start, end in meetings}
    assert 0.5 < sum(start % (30 * MINUTE) == 0 for start, _ in meetings) / len(meetings) < 0.8
    assert 0.05 < len(nested) / len(meetings) < 0.2
    assert sum(one[1] == other[0] for one, other in pairs) > 0.1 * len(meetings)
    assert company_day(3, 400) == day


def test_an_eighth_of_the_meetings_is_changed_at_short_notice() -> None:
    """Made, moved and cancelled alike, at most half an hour before; a moved one stays as long and within the day."""
    day = company_day(3, 400)
    versions: dict[tuple[int, str], list[Change]] = {}
    for change in day.changes:
        versions.setdefault((change.agent, change.meeting), []).append(change)
    changed = [known for known in versions.values() if known[-1].at > KNOWN_BEFORE]
    made = [known for known in changed if len(known) == 1]
    cancelled = [known for known in changed if known[-1].span is None]
    moved = [known for known in changed if len(known) == 2 and known[-1].span is not None]

    assert 0.1 < len(changed) / len(versions) < 0.14
    assert all(0.25 < len(kind) / len(changed) < 0.42 for kind in (made, moved, cancelled))
    for known in changed:
        planned = known[0].span
        assert planned is not None
        assert max(BEGIN - MINUTE, planned[0] - 30 * MINUTE) <= known[-1].at < planned[1]
    for before, after in moved:
        assert before.span is not None
        assert after.span is not None
        assert before.span != after.span
        assert before.span[1] - before.span[0] == after.span[1] - after.span[0]
        assert BEGIN <= after.span[0] <= after.span[1] <= END


def test_plain_order_serves_each_boundary_by_its_time() -> None:
    """With one request a minute, whoever is due first goes first; the tie decides only between the others."""
    day = Day(0, 3, (meeting(0, TEN, TEN + 1800), meeting(1, TEN + 1, TEN + 1801), meeting(2, TEN - 1, TEN + 1799)))

    found = {tie: plain_order(day, Terms(1), tie).wrong for tie in TIES.values()}

    # The last to go in waits two minutes, and so does the last to come out.
    assert set(found.values()) == {2 * (0 + 59 + 118) + (0 + 59 + 118)}


def test_a_tie_is_broken_as_its_name_says() -> None:
    """At one instant an end and a start compete for one request a minute: the other one pays for the minute."""
    day = Day(0, 2, (meeting(0, TEN - 600, TEN), meeting(1, TEN, TEN + 600)))

    assert plain_order(day, Terms(1), ends_first).wrong == 2 * 60
    assert plain_order(day, Terms(1), starts_first).wrong == 60
    assert plain_order(day, Terms(1), by_agent).wrong == 2 * 60


def test_the_days_were_not_fitted_to_those_that_are_published() -> None:
    """The calibration has seeds of its own."""
    assert max(case.days for case in CASES) < min(SEEDS)


def test_nothing_is_off_where_the_figures_are_the_studys() -> None:
    """A tenth too much everywhere is about a tenth off."""
    same = {row: {"bound": row.bound, "tutorial": row.tutorial, "at random": row.plain} for row in STUDY}
    more = {row: {name: 1.1 * value for name, value in one.items()} for row, one in same.items()}

    assert misfit(same, "at random") == 0
    assert misfit(more, "at random") == pytest.approx(math.log(1.1))


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


def test_the_judge_knows_starts_from_ends() -> None:
    """What is near an update excuses it only if it turns the phone the same way, and is a boundary of the whole."""
    nested = Day(0, 1, (meeting(0, TEN, TEN + 600), meeting(0, TEN + 120, TEN + 240)))
    joined = Day(0, 1, (meeting(0, TEN, TEN + 600), meeting(0, TEN + 600, TEN + 900)))

    for day, at in ((nested, TEN + 90), (nested, TEN + 200), (joined, TEN + 570)):
        with pytest.raises(VoidError):
            judged(day, Terms(10), (TEN, 0, "unavailable"), (at, 0, "available"))


def test_the_judge_knows_what_was_known() -> None:
    """A meeting that is made later excuses nothing before, nor does one that was moved away; on time it does."""
    span = (TEN, TEN + 600)
    made = Day(0, 1, (Change(TEN - 20, 0, "m", span),))
    moved = Day(0, 1, (meeting(0, *span), Change(TEN - 40, 0, f"m{TEN}", (TEN + 1800, TEN + 2400))))

    assert judged(made, Terms(10), (TEN - 20, 0, "unavailable"), (TEN + 600, 0, "available")) == pytest.approx(20)
    # Sent before it was moved, and taken back.
    assert judged(moved, Terms(10), (TEN - 41, 0, "unavailable"), (TEN - 39, 0, "available")) == pytest.approx(1202)
    for day, at in ((made, TEN - 21), (moved, TEN - 39)):
        with pytest.raises(VoidError):
            judged(day, Terms(10), (at, 0, "unavailable"))


def test_who_ends_the_day_astray_is_counted() -> None:
    """An update that was lost shows in the end."""
    day = Day(0, 2, (meeting(0, TEN, TEN + 600), meeting(1, TEN, TEN + 600)))
    now = MIDNIGHT + TEN
    world = World(day, Terms(10), AircallSandbox(lambda: now))
    world.hire()
    for user in (1, 2):
        assert world.passes(now, user, "unavailable")
        world.put(user, "unavailable")
    now = MIDNIGHT + TEN + 600
    assert world.passes(now, 1, "available")
    world.put(1, "available")

    assert world.judge().astray == 1


def test_the_webhook_is_looked_after_and_its_requests_count() -> None:
    """A list that makes it, and two more checks; a company of one page's users is looked at no less for it."""
    day = company_day(1, 20)

    told, untold = ours(day, Terms(120)), ours(day, Terms(120, told=False))

    assert told.astray == untold.astray == 0
    assert told.reads == untold.reads + 4


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
    """Each goal is reached, and prices that were published prove the bound of their day anew."""
    text = (DOCS / "dispatch.md").read_text(encoding="utf-8")
    published = json.loads((DOCS / "dispatch-prices.json").read_text(encoding="utf-8"))
    sparse = published["[1, 500, 60]"]
    prices = [float(sparse.get(str(number), 0.0)) for number in range(int(sparse[""]))]

    goals = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| (yes|no) \|$", text, re.MULTILINE)
    assert len(goals) == sum(len(case.goals) for case in CASES)
    assert [] == [(case, words) for case, words, reached in goals if reached != "yes"]
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
