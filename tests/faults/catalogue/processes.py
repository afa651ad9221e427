"""Faults of the process itself."""

from __future__ import annotations

from tests.faults.catalogue.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        "P1",
        "Killed (`kill -9`) or without power at any instant, and at each call that changes the disk",
        "Whoever was set is in the ledger, written before the update left; the next start looks and everybody is right"
        " within seconds. Database and ledger hold all or nothing of each write, and everything acknowledged."
        " Notifications wait for that start on the sockets that systemd keeps.",
        (
            "tests/faults/test_kill.py::test_at_random_instants_of_a_busy_minute",
            "tests/faults/test_kill.py::test_at_every_write_of_the_daemon",
            "tests/faults/test_writes.py::test_at_every_write_of_a_transaction",
            "tests/store/test_store.py::test_kill_9_loses_nothing_acknowledged",
            "tests/test_ledger.py::test_whatever_was_acknowledged_survives_kill_9",
            "drill: power-cuts",
            "tests/faults/test_sockets.py::test_no_notification_is_refused",
            "tests/faults/test_sockets.py::test_who_waited_is_heard_by_the_next_process",
            "drill: sockets",
        ),
    ),
    Fault(
        "P2",
        "Killed after Aircall has taken an update and before its answer",
        "The ledger says that the answer is missing; the next start looks and goes on from what it sees, at a start"
        " as at an end.",
        ("tests/faults/test_kill.py::test_between_an_update_and_its_answer",),
    ),
    Fault(
        "P3",
        "Killed after Google has opened a push channel and before that is stored",
        "The row stands since before the request: what the channel tells is genuine, and its first message brings what"
        " the answer would have. At most two channels are open.",
        ("tests/faults/test_kill.py::test_between_a_channel_and_its_row",),
    ),
    Fault("P4", "Killed for its memory", "systemd starts it again at once; then as P1.", ("drill: memory",)),
    Fault(
        "P5",
        "Told to stop while an update is under way",
        "The answer is awaited for four seconds and written down; a later one stays unknown, and the next start looks."
        " It ends with 0 in less than five seconds.",
        (
            "tests/faults/test_ends.py::test_told_to_stop_in_an_update",
            "tests/acceptance/test_life.py::test_stop_lets_an_update_end",
            "drill: unit",
        ),
    ),
    Fault(
        "P6",
        "Told to stop in the middle of a calendar's pages, or of a transaction",
        "Nothing of a list that is not whole is stored: the former events stay in force. A transaction is whole or not"
        " there.",
        (
            "tests/faults/test_ends.py::test_told_to_stop_in_the_middle_of_pages",
            "tests/store/test_store.py::test_cancellation_at_any_await_leaves_all_or_nothing",
        ),
    ),
    Fault(
        "P7",
        "A start that cannot be: settings, credentials, ports, the state directory",
        "It ends in less than five seconds, says what is wrong in a sentence, with 78 for what a person has to mend and"
        " 1 for what may pass.",
        (
            "tests/faults/test_ends.py::test_a_start_that_cannot_be",
            "tests/faults/test_room.py::test_a_disk_that_may_only_be_read",
            "tests/store/test_store.py::test_leaving_by_an_exception_lets_the_process_end",
        ),
    ),
    Fault(
        "P8",
        "Started twice on the same state directory",
        "The second ends with 75, names the first one's process and changes nothing. The kernel frees the lock of a"
        " process that is killed.",
        (
            "tests/faults/test_ends.py::test_a_second_one",
            "tests/acceptance/test_life.py::test_second_daemon",
        ),
    ),
    Fault(
        "P9",
        "A part of the program fails, or simply ends",
        "The whole process fails within a second, and is started anew; no part is missing unnoticed.",
        (
            "tests/faults/test_parts.py::test_a_part_that_dies_takes_the_process_along",
            "tests/faults/test_parts.py::test_a_part_that_ends_takes_the_process_along",
        ),
    ),
    Fault(
        "P10",
        "The loop stands still while the rest of the process lives",
        "systemd's watchdog is fed by the loop's progress alone: it kills the process and starts it anew. Health turns"
        " red meanwhile.",
        (
            "tests/test_daemon.py::test_a_loop_that_stands_still",
            "tests/test_supervised.py::test_the_watchdog_is_fed_only_while_the_loop_turns",
            "drill: watchdog",
        ),
    ),
    Fault(
        "P11",
        "The event loop is blocked, or look-ups of names hang",
        "Log and metric tell of it, and what is due is done as soon as it turns. A look-up has a thread of its own and"
        " a limit: it keeps nothing else waiting.",
        (
            "tests/faults/test_ends.py::test_stopped_over_boundaries",
            "tests/test_resolver.py::test_hosts_that_hang_keep_nobody_else_waiting",
        ),
    ),
    Fault(
        "P12",
        "A wait that is shorter than the clock can tell, again and again",
        "It waits a millisecond at least: an owed boundary keeps no processor busy.",
        ("tests/test_clock.py::test_a_target_in_the_past_does_not_spin",),
    ),
    Fault(
        "P13",
        "SIGHUP, SIGPIPE, nobody who reads its output, or a reader that stands still; a signal that is not ours",
        "It goes on, and faulty settings change nothing; a full pipe, a hanging journal, a terminal stopped by Ctrl-S:"
        " they lose lines of the log (`log_lost`). SIGUSR1 ends it as it ends any process: then as P1.",
        (
            "tests/faults/test_ends.py::test_signals_that_end_nothing",
            "tests/faults/test_ends.py::test_a_reader_that_stands_still",
            "tests/faults/test_ends.py::test_started_without_standard_streams",
            "tests/faults/test_ends.py::test_a_signal_that_nobody_sends_by_mistake",
            "tests/acceptance/test_life.py::test_reload",
        ),
    ),
    Fault(
        "P14",
        "No file descriptor is left",
        "Listeners take a share of what the process may have and no more: boundaries go out, and it listens on.",
        ("tests/faults/test_room.py::test_no_descriptor_is_left",),
    ),
    Fault(
        "P15",
        "Data that cannot be judged, at each start anew",
        "A stored event that nobody can have counts for nothing. An agent or a calendar whose data breaks the judgement"
        " is set aside, loudly, and tried again; the others are served.",
        (
            "tests/faults/test_room.py::test_poisoned_rows",
            "tests/store/test_store_file.py::test_rows_edited_by_hand_are_refused",
        ),
    ),
)
