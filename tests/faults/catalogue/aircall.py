"""Faults of Aircall's API."""

from __future__ import annotations

from tests.faults.catalogue.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        "A1",
        "Others use up the company's minute; all meet at ten o'clock",
        "What passes is learned from refusals and headers, boundaries go before reads, and those for whom a "
        "minute has no request go a little early. What is owed for five minutes is an alarm.",
        (
            "tests/core/test_budget.py::test_others_who_take_half_are_borne",
            "tests/acceptance/test_bad_world.py::test_crowd_keeps_the_budget",
            "tests/phones/test_owed.py::test_a_crowd_is_late_by_the_budget_alone",
            "tests/phones/test_crowds.py::test_of_a_crowd_those_go_early_for_whom_the_minute_has_no_request",
            "tests/alarms/test_watch.py::test_an_update_that_is_owed_for_long",
        ),
    ),
    Fault(
        "A2",
        "An agent's user is deleted",
        "Believed when Aircall's list of users lacks them twice; nothing is asked of them any more, the "
        "others go on, and they are followed again when they are back.",
        (
            "tests/phones/test_access.py::test_a_user_who_is_gone_and_comes_back",
            "tests/phones/test_phones.py::test_a_user_who_is_gone_for_good",
            "tests/phones/test_phones.py::test_one_404_closes_no_debt",
            "tests/phones/test_troubled_world.py::test_another_companys_key_closes_no_debt",
        ),
    ),
    Fault(
        "A3",
        "A person changes the setting in a meeting",
        "It stands to the end of what runs then, and nothing is sent against it, unless the settings say "
        "so: then once a minute at most, and never in a call.",
        (
            "tests/phones/test_overrides.py::test_a_change_in_a_meeting_stands_and_nothing_is_touched_at_its_end",
            "tests/acceptance/test_life.py::test_override",
            "tests/phones/test_overrides.py::test_an_agent_who_insists_has_one_update_a_minute",
            "tests/phones/test_machine.py::test_once_all_is_quiet_every_phone_is_as_the_table_says",
        ),
    ),
    Fault(
        "A4",
        "200, and the setting is as before, or changes later",
        "Looked at after five seconds and sent twice more; then it is a trouble, and is tried every five "
        "minutes while the meeting lasts.",
        (
            "tests/acceptance/test_bad_world.py::test_aircall_accepts_and_does_nothing",
            "tests/core/test_plan.py::test_a_mismatch_is_looked_at_after_5_seconds_and_put_twice_more_then_it_is_trouble",
            "tests/core/test_plan.py::test_a_mismatch_is_tried_again_slowly_and_ends_with_the_meeting",
        ),
    ),
    Fault(
        "A5",
        "The agent is in a call at the boundary, and reads as unavailable, or no update is taken",
        "The live state tells a call from a choice: who is in a call is held and gets back what was there "
        "before it. A refused update is tried again soon, and what was shown in a call proves nothing.",
        (
            "tests/acceptance/test_bad_world.py::test_in_a_call_is_not_by_hand",
            "tests/phones/test_phones.py::test_a_state_that_refuses_updates_passes",
            "tests/core/test_doubtful_reads.py::test_in_a_call_nobody_is_taken_to_have_come_back",
            "tests/core/test_plan.py::test_free_and_unavailable_not_in_a_call_is_left_alone_to_the_end_of_the_stretch",
        ),
    ),
    Fault(
        "A6",
        "The key is refused: 401, 403",
        "An alarm at once, one request a minute, and nothing owed is forgotten; with a new key, also by a "
        "reload, all of it is made good.",
        (
            "tests/phones/test_access.py::test_the_company_is_shut_out",
            "tests/acceptance/test_bad_world.py::test_key_is_rejected",
            "tests/acceptance/test_access.py::test_new_keys_on_a_reload",
            "tests/alarms/test_watch.py::test_aircall_refuses_the_key",
        ),
    ),
    Fault(
        "A7",
        "The answer is lost, and the update was done",
        "It counts as perhaps done: a look settles it, and one a minute later is the last word.",
        (
            "tests/acceptance/test_bad_world.py::test_updates_that_fail",
            "tests/core/test_days.py::test_any_two_fates_of_puts_leave_nobody_unavailable",
            "tests/core/test_plan.py::test_a_put_without_an_answer_keeps_the_hold_until_a_look_60_seconds_later",
        ),
    ),
    Fault(
        "A8",
        "A second calsyncd, or another tool, writes the same users",
        "To each the other is a person, whose word stands: no more is sent than for each meeting's "
        "beginning and end, and once all is quiet nobody is left unavailable. On one machine the second "
        "does not start.",
        (
            "tests/faults/test_aircall.py::test_two_of_us_do_not_fight",
            "tests/faults/test_aircall.py::test_a_tool_that_sets_everybody_available",
            "tests/acceptance/test_life.py::test_second_daemon",
        ),
    ),
    Fault(
        "A9",
        "Aircall shows a setting that nobody knows",
        "It is the agent's own: left alone, since it could not be put back.",
        (
            "tests/core/test_plan.py::test_free_and_an_unknown_status_is_left_alone",
            "tests/core/test_plan.py::test_held_wanted_and_not_ours_stands_back",
            "tests/phones/test_bad_input.py::test_an_odd_answer_to_a_look_is_an_observation_like_any_other",
        ),
    ),
    Fault(
        "A10",
        "The daemon dies while it holds agents, and stays dead",
        "A timer of its own finds that its last mark is over ten minutes old and its lock free: whoever is "
        "past the end of what they were held for is put back, and an alarm is raised.",
        (
            "tests/faults/test_dead_man.py::test_puts_back_whoever_is_past_the_end",
            "tests/faults/test_dead_man.py::test_when_it_counts_as_dead",
            "drill: dead-man",
        ),
    ),
)
