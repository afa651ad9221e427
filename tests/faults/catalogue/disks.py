"""Faults of the disk and the database."""

from __future__ import annotations

from tests.faults.catalogue.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        "D1",
        "The disk is full",
        "Whoever is held is put back in time; nobody new is set unavailable while that cannot be written down. What"
        " calendars say counts, from memory. What did not fit is taken back whole, an alarm tells of it, and with space"
        " all goes on by itself.",
        (
            "tests/faults/test_room.py::test_room_that_comes_back",
            "tests/acceptance/test_life.py::test_full_disk",
            "tests/test_daemon.py::test_a_database_that_can_be_read_and_not_be_written",
            "tests/phones/test_phones.py::test_a_full_disk",
            "tests/phones/test_phones.py::test_everybody_is_released_on_a_full_disk",
            "tests/store/test_store_file.py::test_a_full_disk_costs_only_what_does_not_fit",
            "tests/test_ledger_twin.py::test_a_full_disk_costs_the_twin_nothing_that_is_acknowledged",
            "tests/faults/test_syscalls.py::test_enospc_on_write",
        ),
    ),
    Fault(
        "D2",
        "A write or a sync fails (EIO)",
        "What was not synced is not acknowledged: the ledger is cut back and opened anew, the transaction is taken"
        " back. Nothing relies on a page that the kernel may have dropped.",
        (
            "tests/faults/test_syscalls.py::test_eio_on_fsync",
            "tests/test_ledger.py::test_a_disk_that_fails_and_recovers_loses_nothing_acknowledged",
            "tests/test_ledger.py::test_a_compaction_that_fails_at_any_step_loses_nothing",
        ),
    ),
    Fault(
        "D3",
        "A sync takes 2 to 30 s",
        "Boundaries of others are met meanwhile; an end waits a second for the ledger and goes out then, since the"
        " hold on disk covers a crash.",
        (
            "tests/faults/test_syscalls.py::test_slow_fsync",
            "tests/phones/test_by_hand.py::test_on_a_disk_that_is_full_or_hangs_it_counts_at_once",
        ),
    ),
    Fault(
        "D4",
        "Somebody locks the database",
        "A short lock is waited out; during a long one what is in memory stays in force, what calendars say counts, and"
        " what is to be written waits.",
        (
            "tests/calendars/test_overlay.py::test_a_meeting_that_is_extended_while_nothing_can_be_written",
            "tests/calendars/test_overlay.py::test_what_was_told_is_known_whenever_it_can_be_written",
            "tests/store/test_store_file.py::test_a_neighbours_short_lock_is_waited_out",
            "tests/store/test_store_file.py::test_a_neighbours_long_lock_is_an_error_of_the_store",
            "tests/test_daemon.py::test_a_database_that_does_not_answer",
        ),
    ),
    Fault(
        "D5",
        "The database is damaged: header, pages, cut",
        "It is moved aside and made anew from the services; debts are in the ledger. A damaged ledger is made whole"
        " by its twin. Everybody comes right by themselves. Where it happens while the daemon runs, that ends with"
        " status 1, so that the next start does the same; until then calendars are read whole and kept in memory.",
        (
            "tests/faults/test_room.py::test_a_database_that_is_damaged_while_it_is_used",
            "tests/calendars/test_overlay.py::test_a_database_that_is_damaged_while_it_is_used",
            "tests/faults/test_damages.py::test_random_damages_strand_nobody",
            "tests/faults/test_damages.py::test_with_both_ledgers_lost_history_tells_whom_we_held",
            "tests/store/test_store_file.py::test_random_damage_never_stops_the_program",
            "tests/store/test_store_file.py::test_a_damaged_header_never_stops_the_program",
            "tests/store/test_store_file.py::test_damage_while_running_is_an_error_of_the_store",
            "tests/test_ledger_twin.py::test_the_twin_has_what_the_ledger_lacks",
        ),
    ),
    Fault(
        "D6",
        "The database's write-ahead log is damaged",
        "SQLite drops what follows the damage and says nothing: the calendars are read again, and Aircall is looked at"
        " before anything is done.",
        (
            "tests/faults/test_damages.py::test_random_damages_strand_nobody",
            "tests/store/test_store_file.py::test_a_garbled_write_ahead_log_is_survived",
        ),
    ),
    Fault(
        "D7",
        "The database, or the ledger, is put back from yesterday",
        "Old events are replaced by what Google tells; a debt that is over is looked at and closed; of ledger and twin"
        " the newer lines count.",
        (
            "tests/faults/test_damages.py::test_random_damages_strand_nobody",
            "tests/acceptance/test_living.py::test_the_drill",
            "tests/test_ledger_twin.py::test_an_older_copy_in_its_place_counts_for_what_is_newest",
        ),
    ),
    Fault(
        "D8",
        "Files of the state directory are deleted or emptied while the daemon runs",
        "The ledger and its twin are written anew from memory within seconds; the database is made anew at the next"
        " start.",
        (
            "tests/faults/test_damages.py::test_files_that_are_taken_away_while_it_runs",
            "tests/faults/test_damages.py::test_random_damages_strand_nobody",
            "tests/test_ledger_twin.py::test_a_file_that_is_taken_away_while_it_is_open_is_made_again",
            "tests/store/test_store_file.py::test_an_empty_file_becomes_a_database",
        ),
    ),
    Fault(
        "D9",
        "The file system is read-only, or the owner is wrong",
        "At a start it is refused with status 78 and the file's name; while running it is as on a full disk.",
        (
            "tests/store/test_store_file.py::test_a_read_only_disk_is_the_users_to_mend",
            "tests/store/test_store_file.py::test_a_place_that_cannot_be_written_is_the_users_to_mend",
            "tests/test_ledger.py::test_a_ledger_that_cannot_be_written_is_an_os_error",
            "tests/faults/test_room.py::test_a_disk_that_may_only_be_read",
            "tests/phones/test_phones.py::test_a_full_disk",
        ),
    ),
    Fault(
        "D10",
        "The database is of an older version, and the process is killed on the way up",
        "Each step is a transaction of its own: killed at any statement, the file is of one version or another, and"
        " opens with all that is in it.",
        (
            "tests/store/test_upgrade.py::test_killed_at_any_statement_of_the_way_up",
            "tests/store/test_upgrade.py::test_an_older_database_opens_with_all_that_is_in_it",
        ),
    ),
    Fault(
        "D11",
        "The database is of a newer version",
        "It is refused with status 78 and both versions, and not touched. Lines of a newer ledger do not count and are"
        " kept.",
        (
            "tests/store/test_store_file.py::test_a_newer_database_is_refused_and_not_touched",
            "tests/store/test_upgrade.py::test_the_way_back",
            "tests/test_ledger.py::test_a_line_of_a_newer_calsyncd",
        ),
    ),
    Fault(
        "D12",
        "The write-ahead log grows: somebody reads and does not end",
        "Its size is a metric, beyond 64 MB an alarm; each hour its space is given back, unless somebody still reads.",
        (
            "tests/store/test_store_file.py::test_a_reader_that_does_not_end_makes_the_log_grow",
            "tests/alarms/test_watch.py::test_what_the_process_knows_of_itself",
        ),
    ),
    Fault(
        "D13",
        "Rows were edited by hand",
        "Words where times belong do not get in. A calendar with times that no calendar has is read anew as a whole;"
        " debts are in the ledger, and what was seen is looked at again.",
        (
            "tests/store/test_store_file.py::test_rows_edited_by_hand_are_refused",
            "tests/faults/test_damages.py::test_rows_that_cannot_be_hurt_nobody_else",
        ),
    ),
)
