"""An agent's whole day: meetings, losses, late landings, crashes and the agent's own changes, in any order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from calsyncd.core.model import AVAILABLE, CUSTOM, UNAVAILABLE, Event
from calsyncd.core.plan import BACK_AGE_SECONDS, FREE, StandingBack
from calsyncd.core.timeline import Timeline

from .driver import MINUTE, NOON, Driver, Fate, day, meeting

START = NOON + 10 * MINUTE
END = NOON + 40 * MINUTE
LATEST_LANDING_SECONDS = 60.0
A_WHILE = 20 * MINUTE
MOST_LOOKS = 10
MOST_PUTS = 3

minutes = st.integers(0, 90)
meetings = st.lists(st.tuples(minutes, st.integers(1, 40)), max_size=6)


def events_of(drawn: list[tuple[int, int]]) -> list[Event]:
    """The meetings drawn as (start, length) in minutes."""
    return [meeting(start, start + length, f"event{index}") for index, (start, length) in enumerate(drawn)]


# -- a quiet world -----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(drawn=meetings, back=st.sampled_from([AVAILABLE, CUSTOM]))
def test_a_quiet_day_takes_two_puts_for_each_true_stretch(drawn: list[tuple[int, int]], back: str) -> None:
    """Minute by minute the phone is as it should be, and nothing is sent at a seam."""
    busy = {minute for start, length in drawn for minute in range(start, start + length)}
    starts = sum(minute - 1 not in busy for minute in busy)
    world = Driver(now=NOON - 5 * MINUTE, timeline=day(*events_of(drawn)), status=back)
    wrong = []

    for minute in range(150):
        world.run(NOON + minute * MINUTE + 1)
        if (world.status == UNAVAILABLE) != (minute in busy) or world.status not in (back, UNAVAILABLE):
            wrong.append(minute)

    assert [] == wrong
    assert [UNAVAILABLE, back] * starts == world.statuses_sent


@settings(deadline=None, max_examples=50)
@given(drawn=meetings)
def test_a_quiet_day_of_somebody_who_is_unavailable_by_hand_takes_no_put(drawn: list[tuple[int, int]]) -> None:
    """Who chose to be unavailable stays so."""
    world = Driver(now=NOON - 5 * MINUTE, timeline=day(*events_of(drawn)), status=UNAVAILABLE)

    world.run(NOON + 150 * MINUTE)

    assert ([], UNAVAILABLE) == (world.statuses_sent, world.status)


@settings(deadline=None, max_examples=150)
@given(
    drawn=st.lists(st.tuples(st.integers(0, 40), st.integers(10, 40)), min_size=1, max_size=4),
    changed=st.integers(0, 80 * 60),
    status=st.sampled_from([AVAILABLE, CUSTOM, "something_new"]),
    watched=st.booleans(),
)
def test_after_an_override_nothing_is_put_until_the_meeting_ends(
    drawn: list[tuple[int, int]], changed: int, status: str, *, watched: bool
) -> None:
    """The agent's own change stands to the end of what ran then, and is not undone at that end either."""
    at = NOON + changed
    timeline = day(*events_of(drawn))
    span = timeline.span_at(at)
    world = Driver(now=NOON - 5 * MINUTE, timeline=timeline)
    world.run(at)
    if span is None or world.status != UNAVAILABLE:
        return
    before = len(world.sendings)
    stretch_end = timeline.stretch_end(at)
    running_until = timeline.running_until(at)
    assert stretch_end is not None
    assert running_until is not None

    world.choose(status)
    if watched:
        world.observe()
    until = running_until if watched else stretch_end
    world.run(until - 1)

    assert before == len(world.sendings)
    assert status == world.status
    if watched and at < until - 6:
        assert isinstance(world.stance, StandingBack)


def test_an_override_counts_for_what_ran_then_and_the_next_meeting_anew() -> None:
    """Back to back: the first is overridden, the second begins on time."""
    world = Driver(timeline=day(meeting(10, 20, "a"), meeting(20, 40, "b")))
    world.run(NOON + 15 * MINUTE)
    world.choose(CUSTOM)
    world.observe()

    world.run(NOON + 60 * MINUTE)

    assert [UNAVAILABLE, UNAVAILABLE, CUSTOM] == world.statuses_sent
    assert NOON + 20 * MINUTE == pytest.approx(world.sendings[1].at, abs=1)
    assert CUSTOM == world.status


def test_a_call_at_the_start_is_looked_at_until_it_ends() -> None:
    """In a call that shows as `unavailable` with nothing known before: held once it is over."""
    world = Driver(timeline=day(meeting(10, 40)), status=UNAVAILABLE, by_hand=False, live="in_call")
    world.coming.append((NOON + 13 * MINUTE, AVAILABLE, False))

    world.run(END + MINUTE)

    assert [UNAVAILABLE, AVAILABLE] == world.statuses_sent
    assert 0 <= world.sendings[0].at - (NOON + 13 * MINUTE) <= 31


def test_a_call_that_never_ends_is_left_alone_after_ten_minutes() -> None:
    """Twenty looks at the most, then trouble, and none any more."""
    world = Driver(timeline=day(meeting(10, 40)), status=UNAVAILABLE, by_hand=False, live="in_call")
    for minute in range(40):
        world.run(NOON + minute * MINUTE)
        world.observe()

    assert [] == world.sendings
    assert "call_without_end" in world.notes
    assert START + 11 * MINUTE >= world.looks[-1]
    assert BACK_AGE_SECONDS >= world.looks[-1] - START


# -- crashes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash_at", range(1, 25))
@pytest.mark.parametrize("fate", [Fate.DONE, Fate.LOST, Fate.LOST_BUT_LANDED, Fate.LOST_AND_LATE, Fate.IGNORED])
def test_a_crash_at_any_decision_leaves_nobody_unavailable(crash_at: int, fate: Fate) -> None:
    """Whatever became of the first PUT and of the way back, and wherever we died."""
    world = Driver(timeline=day(meeting(10, 14)), crash_at_decision=crash_at)
    world.fates.extend([(fate, 50.0), (Fate.DONE, 0.0), (fate, 50.0)])

    world.run(START + MINUTE + LATEST_LANDING_SECONDS + 20)
    during = world.status
    world.run(END)

    assert (UNAVAILABLE, AVAILABLE, FREE) == (during, world.status, world.stance)


@pytest.mark.parametrize("first", list(Fate))
@pytest.mark.parametrize("second", list(Fate))
@pytest.mark.parametrize("late", [0.0, 4.0, 30.0, LATEST_LANDING_SECONDS])
def test_any_two_fates_of_puts_leave_nobody_unavailable(first: Fate, second: Fate, late: float) -> None:
    """The meeting is called off at once, so that what lands late lands when nothing is wanted."""
    world = Driver(timeline=day(meeting(10, 40)), status=CUSTOM)
    world.fates.extend([(first, late), (second, late)])
    world.run(START + 1)
    world.timeline = Timeline()

    world.run(START + A_WHILE)

    assert (CUSTOM, FREE) == (world.status, world.stance)


@pytest.mark.parametrize("minutes_down", [1, 29, 31, 600])
def test_a_crash_over_the_end_of_a_meeting_is_made_good(minutes_down: int) -> None:
    """The debt is older than the process."""
    world = Driver(timeline=day(meeting(10, 40)), status=CUSTOM)
    world.run(START + MINUTE)

    world.crash(minutes_down * MINUTE)
    world.run(max(END, world.now) + 2)

    assert (CUSTOM, FREE) == (world.status, world.stance)


def test_looks_that_fail_for_ever_do_not_keep_anybody_unavailable() -> None:
    """After a minute the way back is put unseen."""
    world = Driver(timeline=day(meeting(10, 40)))
    world.run(END - MINUTE)
    world.failing_looks = 1000

    world.run(END + 2 * MINUTE)

    assert AVAILABLE == world.status


def test_a_lost_way_back_while_looks_fail_is_no_storm_of_puts() -> None:
    """Every blind PUT is followed by looks for another minute, answered or not."""
    world = Driver(timeline=day(meeting(10, 40)))
    world.run(END - MINUTE)
    world.failing_looks = 20
    world.fates.append((Fate.LOST, 0.0))

    world.run(END + 10 * MINUTE)
    gaps = [later.at - sooner.at for sooner, later in pairwise(world.sendings)]
    world.failing_looks = 0
    world.run(END + 12 * MINUTE)

    assert min(gaps) >= 60
    assert (AVAILABLE, FREE) == (world.status, world.stance)


@pytest.mark.parametrize("crashed", [False, True])
def test_looks_that_fail_at_the_start_delay_it_and_no_more(*, crashed: bool) -> None:
    """Nobody is made unavailable unseen; the first look that is answered begins the hold."""
    world = Driver(timeline=day(meeting(10, 40)))
    world.failing_looks = 4
    world.run(START)
    if crashed:
        world.crash()

    world.run(START + 3 * MINUTE)
    during = world.status
    world.run(END + 1)

    assert (UNAVAILABLE, AVAILABLE) == (during, world.status)


# -- anything in any order ---------------------------------------------------------------------------------------------


class Days(RuleBasedStateMachine):
    """A meeting comes and goes, PUTs get lost and land late, we die, the agent decides otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Driver()
        self.events: list[Event] = []
        self.count = 0
        self.overrides: list[StandingBack] = []

    @initialize(status=st.sampled_from([AVAILABLE, CUSTOM, UNAVAILABLE]))
    def arrive(self, status: str) -> None:
        """The agent's setting as the day begins."""
        self.world.status = self.world.chosen = status

    @rule(start=st.integers(-300, 1200), length=st.integers(1, 1800))
    def meet(self, start: int, length: int) -> None:
        """A meeting is put into the calendar, perhaps one that runs already."""
        self.count += 1
        begin = self.world.now + start
        self.events.append(Event(f"event{self.count}", begin, begin + length))
        self.world.timeline = day(*self.events)

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def call_off(self, data: st.DataObject) -> None:
        """A meeting is deleted."""
        self.events.remove(data.draw(st.sampled_from(self.events)))
        self.world.timeline = day(*self.events)

    @precondition(lambda self: self.events)
    @rule(data=st.data(), by=st.integers(-900, 900))
    def prolong(self, data: st.DataObject, by: int) -> None:
        """A meeting becomes longer or shorter."""
        event = data.draw(st.sampled_from(self.events))
        self.events.remove(event)
        self.events.append(Event(event.id, event.start, max(event.start, event.end + by)))
        self.world.timeline = day(*self.events)

    @rule(complete=st.booleans())
    def read_or_not(self, *, complete: bool) -> None:
        """A calendar can be read, or not."""
        self.world.complete = complete

    @rule(enforce=st.booleans())
    def let_changes_stand_or_not(self, *, enforce: bool) -> None:
        """The settings say what becomes of changes in a meeting from now on."""
        self.world.enforce = enforce

    @rule(seconds=st.none() | st.integers(1, 900))
    def pause(self, seconds: int | None) -> None:
        """The agent is paused, or resumed."""
        self.world.paused_until = None if seconds is None else self.world.now + seconds

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0]) | st.integers(4, 900))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.world.run(self.world.now + seconds)

    @rule()
    def decide_once(self) -> None:
        """One step, so that what follows falls between two."""
        self.world.step(self.world.now + 60)

    @rule(fate=st.sampled_from(Fate), late=st.sampled_from([0.0, 2.0, 20.0, LATEST_LANDING_SECONDS]))
    def doom(self, fate: Fate, late: float) -> None:
        """A PUT to come is lost, lands late, or kills us."""
        self.world.fates.append((fate, late))

    @rule(count=st.integers(1, 8))
    def blind(self, count: int) -> None:
        """Looks to come fail."""
        self.world.failing_looks = count

    @rule(downtime=st.sampled_from([0.0, 1.0, 30.0, 600.0]))
    def die(self, downtime: float) -> None:
        """We are killed, and started again."""
        self.world.crash(downtime)

    @rule(status=st.sampled_from([AVAILABLE, CUSTOM, UNAVAILABLE, "something_new"]))
    def choose(self, status: str) -> None:
        """The agent changes the setting by hand; to choose what is there is no change."""
        if status != self.world.status:
            self.world.choose(status)

    @rule(status=st.sampled_from([AVAILABLE, CUSTOM, UNAVAILABLE, "something_new", None]))
    def be_told(self, status: str | None) -> None:
        """A webhook comes: late, doubled, out of order, or true."""
        self.world.hint(status)

    @rule()
    def be_told_the_truth(self) -> None:
        """A webhook comes and is right."""
        self.world.hint(self.world.status, float(int(self.world.chosen_at)) if self.world.by_hand else None)

    @rule()
    def observe(self) -> None:
        """A list of everybody shows the agent."""
        self.world.observe()

    @invariant()
    def who_is_unavailable_by_hand_is_left_alone(self) -> None:
        """No hold begins over the agent's own `unavailable`."""
        assert [] == [sending for sending in self.world.sendings if sending.begins and sending.over_own_choice]

    @invariant()
    def an_override_is_kept(self) -> None:
        """Nothing is put between an override and its end."""
        stance = self.world.stance
        if isinstance(stance, StandingBack) and stance.why == "override" and stance not in self.overrides:
            self.overrides.append(stance)
        for override in self.overrides:
            assert [] == [sent for sent in self.world.sendings if override.since + 1 < sent.at < override.until]

    @invariant()
    def nothing_but_the_way_back_puts_anything_but_unavailable(self) -> None:
        """`back` is `available` or `custom`, never `unavailable`."""
        assert {True} >= {
            sent.releases == (sent.setting.availability_status != UNAVAILABLE) for sent in self.world.sendings
        }

    def teardown(self) -> None:
        """All becomes well and quiet: then nobody is unavailable but by their own choice, and nothing is owed."""
        world = self.world
        world.fates.clear()
        world.failing_looks = 0
        world.complete, world.paused_until, world.timeline = True, None, Timeline()

        looks, puts = len(world.looks), len(world.sendings)
        world.run(world.now + A_WHILE)

        assert (len(world.looks) - looks <= MOST_LOOKS, len(world.sendings) - puts <= MOST_PUTS) == (True, True)
        assert world.status != UNAVAILABLE or world.chosen == UNAVAILABLE
        assert world.stance == FREE or isinstance(world.stance, StandingBack)
        sent = len(world.sendings)
        world.run(world.now + 10 * A_WHILE)
        assert (sent, FREE) == (len(world.sendings), world.stance)


TestDays = Days.TestCase
TestDays.settings = settings(
    deadline=None, max_examples=200, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
