"""Faults of Google's API."""

from __future__ import annotations

from tests.faults.catalogue.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        "G1",
        "A sync token is gone: 410, also between pages, or 400",
        "The old events stay in force, a whole read follows and takes their place in one transaction. Whole "
        "reads are spread over the day.",
        (
            "tests/acceptance/test_bad_world.py::test_lost_token_in_a_meeting",
            "tests/google/test_google_calendar.py::test_an_expired_sync_token_asks_for_a_baseline",
            "tests/core/test_sync.py::test_baselines_are_spread_over_the_day",
            "tests/store/test_store.py::test_a_fetch_that_cannot_be_kept_leaves_the_old_set_in_force",
        ),
    ),
    Fault(
        "G2",
        "A push channel ends, cannot be renewed, or is refused",
        "Its successor opens between a half and three quarters of its life, and the old one stays until the "
        "new one has spoken. Without a channel the calendar is polled, and metrics tell how many are.",
        (
            "tests/core/test_channels.py::test_a_channels_life_from_opening_to_opening",
            "tests/acceptance/test_life.py::test_channels_are_renewed_with_overlap",
            "tests/calendars/test_channels_live.py::test_where_a_calendar_may_have_one_channel_only_another_follows_its_end",
            "tests/core/test_channels.py::test_poll_interval",
        ),
    ),
    Fault(
        "G3",
        "Notifications are lost: some, or all",
        "A poll stands behind push and finds what push has not told; then push is not trusted, and the poll is faster.",
        (
            "tests/test_daemon.py::test_what_push_has_not_told_is_counted",
            "tests/acceptance/test_bad_world.py::test_without_push",
            "tests/calendars/test_channels_live.py::test_where_no_message_can_arrive_calendars_are_polled_soon",
        ),
    ),
    Fault(
        "G4",
        "Notifications come twice, late, out of order, or with numbers that begin anew",
        "A notification only says that the calendar is to be read; its number is nobody's gate.",
        (
            "tests/acceptance/test_bad_world.py::test_strangers_at_the_webhook",
            "tests/calendars/test_turns.py::test_messages_that_tell_nothing_new_cost_no_turns",
            "tests/calendars/test_long_days.py::test_at_most_one_fetch_in_two_seconds",
        ),
    ),
    Fault(
        "G5",
        "A change is told while the calendar is being read",
        "It is read once more after that.",
        (
            "tests/calendars/test_syncer.py::test_a_message_during_a_fetch_leads_to_another",
            "tests/acceptance/test_bad_world.py::test_notification_during_a_fetch",
        ),
    ),
    Fault(
        "G6",
        "A notification for a channel that is unknown, stopped, or another instance's",
        "Without our signature: 404. With it, of a channel that was lost: taken, and the channel is "
        "stopped, once a minute at most.",
        (
            "tests/calendars/test_syncer.py::test_messages_of_nobodys_channels",
            "tests/calendars/test_channels_live.py::test_an_orphan_is_stopped_once_a_minute",
            "tests/core/test_channels.py::test_a_token_is_genuine_for_its_channel_and_key_only",
        ),
    ),
    Fault(
        "G7",
        "Channels pile up over restarts and lost answers",
        "Two live for a calendar at most, over any number of restarts. One whose answer or whose row in the "
        "database was lost is stopped as soon as it speaks, and ends by itself within a week.",
        (
            "tests/faults/test_google.py::test_restarts_leave_no_heap_of_channels",
            "tests/faults/test_google.py::test_channels_of_lost_databases_are_stopped_at_their_first_word",
            "tests/calendars/test_channels_live.py::test_two_channels_at_most_while_none_is_ever_verified",
            "tests/core/test_channels.py::test_upkeep_never_leaves_more_than_two_nor_stops_the_last_that_works",
        ),
    ),
    Fault(
        "G8",
        "Pages that run in a circle or do not end, a last page without a token",
        "The read fails and nothing of it counts; a delta ends in a whole read.",
        (
            "tests/core/test_sync.py::test_pages_that_run_in_a_circle_spoil_the_fetch",
            "tests/core/test_sync.py::test_a_baseline_that_does_not_end_is_malformed",
            "tests/core/test_sync.py::test_a_delta_of_too_many_pages_ends_in_a_baseline",
            "tests/core/test_sync.py::test_a_last_page_without_a_token_ends_a_delta_in_a_baseline_and_spoils_a_baseline",
        ),
    ),
    Fault(
        "G9",
        "An event without id, start or end, that ends before it starts, of the year 1 or 9999, of an unknown kind",
        "It is left out by its id, with a line in the log; all others count. Titles and descriptions are "
        "not even asked for.",
        (
            "tests/core/test_sync.py::test_whatever_the_items_are_the_page_is_read",
            "tests/core/test_sync.py::test_an_item_that_cannot_be_read_is_skipped_with_a_reason_that_quotes_nothing",
            "tests/core/test_sync.py::test_the_ends_of_the_calendar_break_nothing",
            "tests/core/test_sync.py::test_the_fields_hold_what_the_envelope_needs_and_no_title",
        ),
    ),
    Fault(
        "G10",
        "A meeting that runs is shortened, moved, cancelled, declined, or made free",
        "What is wanted is worked out anew from all events, within the time that a notification takes.",
        (
            "tests/acceptance/test_ten_events.py::test_ten_events",
            "tests/phones/test_foreseen.py::test_a_meeting_that_is_cancelled_at_the_last_moment_leaves_no_debt",
            "tests/core/test_rules.py::test_an_event_does_not_count_and_says_why",
        ),
    ),
    Fault(
        "G11",
        "Meetings that overlap, hold one another, or follow without a gap",
        "One stretch: nobody is set available between them, and nothing is sent at a seam.",
        (
            "tests/core/test_timeline.py::test_every_question_is_answered_as_by_walking_second_by_second",
            "tests/core/test_timeline.py::test_back_to_back_is_one_stretch_without_a_boundary",
            "tests/core/test_days.py::test_a_quiet_day_takes_two_puts_for_each_true_stretch",
        ),
    ),
    Fault(
        "G12",
        "Series: moved, cancelled and shifted instances, this and all that follow, deleted as a whole",
        "What deltas have left in the database is what a whole read would show, however Google names what is gone.",
        (
            "tests/faults/test_series.py::test_deltas_of_series_are_what_a_whole_read_shows",
            "tests/core/test_sync.py::test_a_cancelled_series_takes_the_instances_of_earlier_pages_with_it",
            "tests/store/test_store.py::test_a_deleted_series_takes_its_instances_along",
        ),
    ),
    Fault(
        "G13",
        "The end of the time that was asked for comes near, and no delta tells what lies behind it",
        "Each calendar is read whole once a day, at a time of its own: two days ahead are always known.",
        (
            "tests/faults/test_series.py::test_the_end_of_what_was_asked_for_is_never_reached",
            "tests/core/test_sync.py::test_the_next_baseline_is_within_a_day_at_the_calendars_own_time",
        ),
    ),
    Fault(
        "G14",
        "A calendar is deleted or not shared any more, a user is gone",
        "Believed after three refusals over ten minutes. Then nothing begins because of it, what is held "
        "goes to its known end, and it is one alarm; it comes back by itself.",
        (
            "tests/calendars/test_access.py::test_from_cause_to_recovery",
            "tests/calendars/test_access.py::test_one_refusal_is_no_loss",
            "tests/core/test_access.py::test_when_a_loss_is_believed",
            "tests/acceptance/test_bad_world.py::test_one_agents_trouble_is_their_own",
        ),
    ),
    Fault(
        "G15",
        "A grant is revoked or has run out, delegation is taken away, or the clock is wrong",
        "Told apart, said with what to do and whose turn it is, and asked seldom; what was read counts for "
        "a day, and all comes back by itself.",
        (
            "tests/calendars/test_access.py::test_from_cause_to_recovery",
            "tests/google/test_google_auth.py::test_a_wrong_clock_is_told_apart",
            "tests/google/test_google_auth.py::test_a_deleted_key_is_told_apart",
            "tests/alarms/test_long_loss.py::test_a_consent_withdrawn_while_held_for_more_than_a_day",
            "tests/acceptance/test_bad_world.py::test_delegation_revoked",
        ),
    ),
    Fault(
        "G16",
        "Tokens are refused in a row, or the token endpoint is down",
        "A token is renewed five minutes before its end, once for all who ask; the old one serves while it "
        "lives, and a refused one is replaced once.",
        (
            "tests/google/test_google_auth.py::test_an_endpoint_that_is_down_costs_nothing_while_the_token_lives",
            "tests/google/test_google_auth.py::test_five_callers_cost_one_exchange",
            "tests/google/test_google_auth.py::test_a_refused_token_is_replaced_once",
            "tests/google/test_google_calendar.py::test_a_token_that_is_refused_again_is_not_renewed_for_ever",
        ),
    ),
    Fault(
        "G17",
        "403 for many reasons: rate, daily quota, policy, an API that is switched off",
        "Told apart by the reason, never by the message: the first two are waited for, the last a quarter "
        "of an hour and longer; the others are somebody's turn.",
        (
            "tests/google/test_google_calendar.py::test_every_error_has_its_class",
            "tests/google/test_google_calendar.py::test_a_used_up_day_is_waited_for_longer",
            "tests/google/test_google_calendar.py::test_errors_without_a_reason_pass",
        ),
    ),
    Fault(
        "G18",
        "A whole read comes back empty where events were known",
        "Asked again a minute later before anybody is let go.",
        (
            "tests/calendars/test_long_days.py::test_an_empty_calendar_is_doubted_and_then_believed",
            "tests/calendars/test_long_days.py::test_an_empty_answer_that_was_a_mistake_changes_nothing",
            "tests/acceptance/test_bad_world.py::test_empty_baseline_is_doubted",
        ),
    ),
)
