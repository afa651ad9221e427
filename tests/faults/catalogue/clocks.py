"""Faults of the clock."""

from __future__ import annotations

from tests.faults.catalogue.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        "C1",
        "the clock is put forward by hours",
        "the timer is cancelled by the kernel, so the daemon wakes at once; whoever is due by the new time is set"
        " within a second, by one update each",
        (
            "drill: clock-steps",
            "tests/phones/test_clock_set.py::test_the_clock_is_set_while_looking_putting_or_held",
            "tests/test_clock.py::test_a_jump_is_told_once",
        ),
    ),
    Fault(
        "C2",
        "the clock is put back by hours",
        "the same; no wait lasts the hours longer, whether for a boundary, the budget or another try",
        (
            "drill: clock-steps",
            "tests/phones/test_clock_set.py::test_the_clock_is_set_while_waiting_for_the_budget",
            "tests/phones/test_clock_set.py::test_the_clock_is_set_while_backing_off",
            "tests/test_absence.py::test_a_clock_that_was_set_back",
        ),
    ),
    Fault(
        "C3",
        "the machine sleeps over several boundaries",
        "it wakes the daemon; within 5 s whoever is due now is set, by one update each, and what came and went"
        " meanwhile is not replayed",
        (
            "drill: suspend",
            (
                "tests/phones/test_clock_set.py::"
                "test_the_machine_sleeps_while_the_way_back_is_out_and_a_lost_hold_lands_after_that"
            ),
            "tests/test_absence.py::test_a_sleep_and_a_set_clock_are_told_apart",
        ),
    ),
    Fault(
        "C4",
        "access tokens, channels and connections ran out while the machine slept",
        "a read over a dead connection is asked anew, an update that may have landed is looked after; tokens and"
        " channels are got anew by the time that it now is",
        (
            "drill: suspend",
            "drill: clock-steps",
            "tests/test_http.py::test_a_read_survives_a_connection_that_went_stale",
            "tests/calendars/test_long_days.py::test_a_clock_that_jumps_in_a_fetch_has_the_calendar_read_again",
        ),
    ),
    Fault(
        "C5",
        "the machine starts in 1970, without a battery for its clock",
        "the unit starts, is not ready and says why; nobody is set until the clock can be right, or until two services"
        " tell the time",
        (
            "drill: dead-rtc",
            "tests/test_daemon.py::test_not_ready_with_a_clock_that_cannot_be_right",
            "tests/test_clock.py::test_a_clock_that_lost_its_time_is_not_credible",
            "tests/test_absence.py::test_a_clock_without_the_time_marks_nothing",
        ),
    ),
    Fault(
        "C6",
        "the clock is wrong by minutes or an hour, and stays so",
        "decisions go by what Google's and Aircall's answers say, once both agree on more than half a minute",
        (
            "tests/acceptance/test_life.py::test_wrong_clock",
            "tests/test_clock.py::test_only_two_services_that_agree_are_believed",
            "tests/test_clock.py::test_the_correction_moves_the_time_and_the_waits",
        ),
    ),
    Fault(
        "C7",
        "a service's Date is missing, garbage, or replayed by a cache",
        "it counts for nothing unless another service agrees within 2 s",
        (
            "tests/test_clock.py::test_garbage_never_makes_a_wild_clock",
            "tests/test_clock.py::test_an_old_sample_does_not_count",
            "tests/test_http.py::test_only_a_date_is_a_date",
        ),
    ),
    Fault(
        "C8",
        "a day of 23 or 25 hours; a time that is shown twice, or never",
        "instants are UTC from the edge on; an all-day event holds from midnight to midnight, however long that is",
        (
            "tests/faults/test_clocks.py::test_a_day_that_is_put_forward_or_back_is_held_whole",
            "tests/faults/test_zones.py::test_a_day_of_25_hours",
            "tests/faults/test_zones.py::test_a_day_of_23_hours",
            "tests/core/test_sync.py::test_an_all_day_event_floats_in_the_calendars_zone",
            "tests/core/test_sync.py::test_a_time_is_read_by_its_offset_then_its_zone_then_the_calendars",
            "tests/core/test_simulate.py::test_days_have_as_many_hours_as_they_have",
        ),
    ),
    Fault(
        "C9",
        "the machine's zone, or a calendar's, is another one",
        "the machine's does not matter; the calendar's is read with every poll, and its all-day events planned anew",
        (
            "tests/faults/test_zones.py::test_the_machines_zone_does_not_matter",
            "tests/faults/test_clocks.py::test_the_machines_zone_changes_no_plan",
            "tests/faults/test_clocks.py::test_a_calendar_that_moves_takes_its_days_with_it",
            "tests/core/test_sync.py::test_a_calendar_that_changed_its_zone_needs_a_baseline",
        ),
    ),
    Fault(
        "C10",
        "the system has no time zones, or old ones",
        "those that come with calsyncd are used; without both, a zone of the settings is refused by its name (status"
        " 78), and an event in an unknown zone is set aside",
        (
            (
                "tests/faults/test_clocks.py::"
                "test_without_the_systems_zones_their_package_will_do_and_without_both_it_says_so"
            ),
            "tests/core/test_sync.py::test_an_item_that_cannot_be_read_is_skipped_with_a_reason_that_quotes_nothing",
        ),
    ),
    Fault(
        "C11",
        "a leap second, :60",
        "an event with such a time is set aside by its id, and all others count; the kernel's clock has none",
        (
            "tests/core/test_sync.py::test_an_item_that_cannot_be_read_is_skipped_with_a_reason_that_quotes_nothing",
            "tests/core/test_sync.py::test_a_broken_item_in_a_delta_changes_nothing",
        ),
    ),
    Fault(
        "C12",
        "the machine stands still for minutes: a migration, a debugger, SIGSTOP",
        "once its clock is set it is as after a sleep; a process that alone stood still is ended by the watchdog and"
        " started anew",
        ("drill: pause", "drill: watchdog"),
    ),
    Fault(
        "C13",
        "the clock flaps by an hour, every minute",
        "an update each time that another state is due, and none else; no storm of requests",
        ("tests/faults/test_clocks.py::test_a_clock_that_flaps_is_no_storm",),
    ),
)
