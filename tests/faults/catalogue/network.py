"""Faults of the network between us and both services."""

from __future__ import annotations

from tests.faults.catalogue.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        "N1",
        "DNS fails, hangs, does not know a name, or gives a wrong address",
        "Each look-up has a thread of its own and is given up after 4.5 s; nobody else waits, and a stop "
        "waits for none. A known address serves for up to a day while DNS fails, and one that leads nowhere "
        "is asked for anew within seconds.",
        (
            "tests/faults/test_broken_ways.py::test_names_that_lead_nowhere_are_borne",
            "tests/test_resolver.py::test_hosts_that_hang_keep_nobody_else_waiting",
            "tests/test_resolver.py::test_a_known_address_serves_while_dns_fails",
            "tests/test_resolver.py::test_an_address_that_leads_nowhere_is_asked_for_anew",
            "tests/test_resolver.py::test_a_look_up_that_hangs_keeps_no_process_alive",
        ),
    ),
    Fault(
        "N2",
        "A certificate that is expired, another host's, self-signed or of an unknown authority; only old TLS",
        "Refused before anything is sent, with host and reason in the log and the trouble; there is no "
        "setting to accept it.",
        (
            "tests/test_http.py::test_bad_certificates_are_refused_by_name",
            "tests/test_http.py::test_an_unknown_authority_is_not_trusted",
            "tests/faults/test_network.py::test_old_tls_is_refused",
            "tests/faults/test_broken_ways.py::test_names_that_lead_nowhere_are_borne",
        ),
    ),
    Fault(
        "N3",
        "The connection is reset before, in or after an answer",
        "An update without a whole answer may have landed: it is never repeated blindly, but looked at, and "
        "sent again if need be. Half a page of a list counts for nothing.",
        (
            "tests/faults/test_broken_ways.py::test_it_is_borne",
            "tests/test_http.py::test_a_broken_answer_may_have_landed",
            "tests/test_http.py::test_a_write_is_sent_once",
            "tests/acceptance/test_bad_world.py::test_updates_that_fail",
            "tests/google/test_google_calendar.py::test_half_a_page_is_no_page",
            "tests/calendars/test_long_days.py::test_pages_count_together_or_not_at_all",
        ),
    ),
    Fault(
        "N4",
        "An answer of a byte a second, a head that never ends, silence",
        "Given up after 15 s in all, 10 s of silence, 5 s for a connection; the others are served meanwhile.",
        (
            "tests/test_http.py::test_a_slow_answer_is_not_waited_for",
            "tests/test_http.py::test_a_broken_answer_may_have_landed",
            "tests/test_http.py::test_the_daemon_is_not_too_patient",
            "tests/phones/test_phones.py::test_slow_answers",
        ),
    ),
    Fault(
        "N5",
        "A service answers 5xx for half an hour",
        "What is due is tried again within half a minute, ever less often at first; afterwards one update "
        "makes each agent right. Stored calendars stay in force.",
        (
            "tests/faults/test_aircall.py::test_half_an_hour_of_503",
            "tests/phones/test_troubled_world.py::test_updates_that_fail_are_tried_less_and_less_however_many_looks_are_answered",
            "tests/test_daemon.py::test_an_outage_of_both_services",
            "tests/alarms/test_watch.py::test_an_outage_of_minutes_raises_nothing_and_a_longer_one_one_alarm",
        ),
    ),
    Fault(
        "N6",
        "429 with a Retry-After in seconds, as a date, in the past, negative, huge, or no number",
        "Waited for, from a second to two minutes at Aircall and an hour at Google; what is no number is no "
        "wait of its own. No boundary is lost.",
        (
            "tests/core/test_budget.py::test_wait_after_429",
            "tests/aircall/test_aircall_client.py::test_what_a_429_says_is_handed_on",
            "tests/phones/test_bad_input.py::test_no_reset_that_aircall_may_name_loses_an_update",
            "tests/google/test_google_calendar.py::test_a_wait_that_google_asks_for_is_kept_within_reason",
        ),
    ),
    Fault(
        "N7",
        "429 without Retry-After",
        "Aircall's own header tells the end, in seconds or milliseconds; without it, a minute. Then "
        "requests begin one by one.",
        (
            "tests/core/test_budget.py::test_wait_after_429",
            "tests/core/test_budget.py::test_after_a_429_requests_begin_one_by_one_and_go_two_at_a_time_beyond_what_is_sure",
            "tests/core/test_budget.py::test_whatever_the_minute_is",
        ),
    ),
    Fault(
        "N8",
        "JSON that is cut, nested without end, doubled in its keys, or holds NaN; a byte order mark; a body of 500 MB",
        "What is no JSON is no answer, and nothing of it is applied; 10 MB are read at most.",
        (
            "tests/test_http.py::test_a_success_without_json_is_no_success",
            "tests/test_http.py::test_bodies_that_are_taken",
            "tests/test_http.py::test_a_larger_body_is_not_taken",
            "tests/faults/test_network.py::test_a_gigabyte_in_a_megabyte_is_not_unpacked",
            "tests/acceptance/test_bad_world.py::test_malformed_answers_of_google",
        ),
    ),
    Fault(
        "N9",
        "200 with an HTML page: a captive portal, a firewall, a tunnel's own page",
        "No success: tried again like any fault of the network, named by its content type and not quoted. "
        "An update answered so is looked at.",
        (
            "tests/test_http.py::test_a_success_without_json_is_no_success",
            "tests/acceptance/test_bad_world.py::test_malformed_answers_of_google",
            "tests/acceptance/test_bad_world.py::test_updates_that_fail",
        ),
    ),
    Fault(
        "N10",
        "A redirect: in a circle, to another host, from https to http",
        "Never followed, so no credential goes anywhere else; it is an error.",
        ("tests/test_http.py::test_a_redirect_is_not_followed",),
    ),
    Fault(
        "N11",
        "A gigabyte packed into a megabyte",
        "What counts is the unpacked size: unpacking stops at 10 MB, and memory grows by no more than a few "
        "times that.",
        (
            "tests/faults/test_network.py::test_a_gigabyte_in_a_megabyte_is_not_unpacked",
            "tests/test_http.py::test_a_bomb_does_not_go_off",
        ),
    ),
    Fault(
        "N12",
        "A connection whose other end has vanished: a NAT forgot it, the machine slept",
        "What is not acknowledged within 5 s is lost, and the connection with it: a read goes out anew on "
        "another one at once, an update is looked at. Idle connections live for 45 s.",
        (
            "tests/faults/test_network.py::test_a_connection_that_has_vanished_costs_a_read_a_moment",
            "tests/faults/test_network.py::test_a_write_on_a_vanished_connection_may_have_landed",
            "tests/test_http.py::test_a_read_survives_a_connection_that_went_stale",
        ),
    ),
    Fault(
        "N13",
        "The proxy on the way out dies, the network swallows large packets, IPv6 leads nowhere",
        "It is said which of them it is where that can be known, and all goes on when it is back; IPv4 is "
        "tried a quarter of a second after IPv6. After minutes without an answer it is one alarm.",
        (
            "tests/faults/test_broken_ways.py::test_it_is_borne",
            "tests/acceptance/test_way_out.py::test_a_proxy_with_a_password",
            "tests/test_http.py::test_a_dead_proxy_lets_nothing_through",
            "tests/faults/test_network.py::test_a_network_that_swallows_large_packets",
            "tests/faults/test_network.py::test_ipv6_that_leads_nowhere_costs_a_moment",
            "tests/alarms/test_watch.py::test_an_outage_of_minutes_raises_nothing_and_a_longer_one_one_alarm",
        ),
    ),
    Fault(
        "N14",
        "Nobody is there at the start: neither Google nor Aircall",
        "It starts. What was read within a day is in force, so an agent is held as soon as Aircall alone is "
        "back; what is older begins nothing.",
        (
            "tests/faults/test_broken_ways.py::test_it_is_borne",
            "tests/calendars/test_long_days.py::test_old_data_begin_nothing",
            "tests/calendars/test_access.py::test_a_restart_while_access_is_lost",
        ),
    ),
)
