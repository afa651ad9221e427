"""Faults of the public side: what strangers send, and what stands between Google and us."""

from __future__ import annotations

from tests.faults.catalogue.fault import Fault

_ATTACK = "tests/faults/test_attack.py::"
_FUZZ = "tests/faults/test_fuzz.py::test_whatever_comes_is_answered_and_is_no_fault_of_ours"
_PUBLIC = "tests/web/test_public.py::"
_SERVER = "tests/web/test_server.py::"
_DELIVERIES = "tests/web/test_deliveries.py::"
_PROXIES = "tests/acceptance/test_proxies.py::"
_REACH = "tests/test_reach.py::"

FAULTS: tuple[Fault, ...] = (
    Fault(
        "W1",
        "A forged notification, also with the id of a channel that lives",
        "404 with nothing in it, no fetch; one line in ten seconds says how many",
        (
            f"{_PUBLIC}test_wrong_token_is_404",
            f"{_PUBLIC}test_thousand_forged_are_few_lines",
            f"{_ATTACK}test_everybody_is_right_under_attack",
        ),
    ),
    Fault(
        "W2",
        "A token is guessed byte by byte by how long the refusal takes",
        "The same calls whatever is known or right: two digests, one comparison of all their bytes; of 20,000 refusals"
        " each, none of the kinds can be told from another (Welch's t below 4.5)",
        (
            "tests/faults/test_timing.py::test_every_refusal_does_the_same",
            "tests/faults/test_timing.py::test_every_token_of_aircall_is_compared",
            "tests/faults/test_timing.py::test_the_time_of_a_refusal_tells_nothing",
        ),
    ),
    Fault(
        "W3",
        "A header twice, with underscores in place of hyphens, not ASCII, or with NUL in it",
        "404, or 400 where it is no HTTP; never a failure of ours, and never taken for another header",
        (
            f"{_PUBLIC}test_malformed_notification_is_404",
            f"{_PUBLIC}test_what_is_not_http_is_refused_in_silence",
            f"{_PROXIES}test_what_passes_and_what_does_not",
        ),
    ),
    Fault(
        "W4",
        "A huge body, 10 GB announced, a gzip bomb, chunks without end, a header without end",
        "Google's bodies are never read, Aircall's are 64 KB at most and never unpacked; a header is 32 KB at most:"
        " answered or cut at once, and no memory is kept for it",
        (
            f"{_PUBLIC}test_body_is_never_waited_for",
            f"{_PUBLIC}test_endless_body_is_cut",
            f"{_DELIVERIES}test_the_size_of_a_delivery_is_bounded",
            f"{_DELIVERIES}test_an_oversized_delivery_is_answered_before_it_comes",
            f"{_DELIVERIES}test_a_broken_body_is_refused",
            f"{_SERVER}test_a_header_that_does_not_end_is_refused_when_it_is_long",
            f"{_SERVER}test_many_long_headers_take_little_memory",
            "tests/web/test_gate.py::test_what_a_body_is_called_keeps_nobody_waiting",
        ),
    ),
    Fault(
        "W5",
        "Slow clients: idle, half a header, a byte a second, half a body, an answer that is not read",
        "Each is cut 15 s after it came (600 s at the admin API), and gives its place to a newcomer after one second",
        (
            f"{_SERVER}test_request_that_is_not_completed_is_cut",
            f"{_SERVER}test_byte_a_moment_is_cut",
            f"{_SERVER}test_slow_body_is_cut_where_a_handler_waits_for_it",
            f"{_SERVER}test_an_answer_that_is_not_read_is_cut",
            f"{_SERVER}test_notification_comes_through_while_idle_sockets_hold_every_place",
            f"{_DELIVERIES}test_slow_strangers_take_no_places",
            f"{_PROXIES}test_slow_clients_are_cut",
            f"{_ATTACK}test_everybody_is_right_under_attack",
        ),
    ),
    Fault(
        "W6",
        "A flood of forged notifications, at a hundred times the honest rate of 10,000 agents",
        "Boundaries are met, an honest notification is followed, and memory stays as it was",
        (f"{_ATTACK}test_everybody_is_right_under_attack",),
    ),
    Fault(
        "W7",
        "A flood of genuine notifications",
        "One fetch at once and one in two seconds: 10,000 in ten seconds are seven fetches at most",
        (
            f"{_ATTACK}test_a_flood_of_genuine_notifications_is_few_fetches",
            f"{_ATTACK}test_everybody_is_right_under_attack",
        ),
    ),
    Fault(
        "W8",
        "A notification that was captured is sent again",
        "As often as it comes it asks for one fetch in two seconds, also by a channel that is over; each channel has a"
        " token of its own",
        (
            f"{_ATTACK}test_a_flood_of_genuine_notifications_is_few_fetches",
            "tests/calendars/test_channels_live.py::test_an_orphan_is_stopped_once_a_minute",
        ),
    ),
    Fault(
        "W9",
        "Requests that hide in others: two lengths, length and chunks, a misspelt coding, a space before the colon, a"
        " folded line, two hosts",
        "Refused by the proxy or by us, or passed on as one request whose length is beyond doubt; one request a"
        " connection, so that there is no second one to be taken for another's",
        (
            f"{_PROXIES}test_no_request_hides_in_another",
            f"{_PUBLIC}test_what_is_not_http_is_refused_in_silence",
            f"{_PUBLIC}test_one_request_a_connection",
        ),
    ),
    Fault(
        "W10",
        "X-Forwarded-For is made up",
        "Read from proxies in `server.trusted_proxies` alone, from its right end; only how much a peer may ask hangs on"
        " it",
        (
            "tests/web/test_peer.py::test_who_asks",
            "tests/web/test_peer.py::test_the_pages_count_by_who_asks",
            f"{_PROXIES}test_what_calsyncd_is_told",
        ),
    ),
    Fault(
        "W11",
        "Paths are probed",
        "404 with nothing in it, the same to the letter for what is nowhere, on the other listener, or spelt otherwise",
        (
            f"{_PUBLIC}test_nothing_can_be_told_apart_by_probing",
            f"{_PUBLIC}test_everything_else_is_404_and_empty",
            f"{_PUBLIC}test_wrong_method_on_known_path_is_404",
            f"{_PROXIES}test_what_passes_and_what_does_not",
        ),
    ),
    Fault(
        "W12",
        "What is sent is meant for the log: line breaks, ANSI, 8 KB, invalid UTF-8; or it comes often",
        "A line is one JSON object, its values are cut, and nothing of a request that is no HTTP stands in it; what"
        " anybody can cause is one line in ten seconds",
        (
            _FUZZ,
            f"{_ATTACK}test_everybody_is_right_under_attack",
            "tests/test_logs.py::test_any_text_is_one_parseable_line",
            "tests/test_logs.py::test_long_values_are_cut",
            "tests/web/test_connect.py::test_words_that_are_made_up_do_not_fill_the_log",
            f"{_SERVER}test_who_goes_away_in_the_middle_is_no_fault_of_ours",
        ),
    ),
    Fault(
        "W13",
        "The public URL leads elsewhere: another tunnel, a quota that is used up, a proxy that answers 200 to any host",
        "A nonce that is sent there hourly does not come back proven: it is said what answers instead, calendars are"
        " polled, and an alarm is raised",
        (
            f"{_REACH}test_who_answers_instead",
            f"{_REACH}test_it_fails_and_comes_back",
            "tests/calendars/test_channels_live.py::test_where_no_message_can_arrive_calendars_are_polled_soon",
            f"{_PROXIES}test_a_daemon_finds_its_own_way_back",
            f"{_PROXIES}test_another_host_is_refused",
        ),
    ),
    Fault(
        "W14",
        "The certificate of the public URL expires, and Google stops in silence",
        "The same look from outside says so by name; and a poll that finds what no message has told is counted, and"
        " push is trusted no more",
        (
            f"{_REACH}test_nobody_answers",
            "tests/test_daemon.py::test_what_push_has_not_told_is_counted",
        ),
    ),
    Fault(
        "W15",
        "Many TLS handshakes, HTTP/2 streams that are reset at once",
        "The proxy's to bear: connections and requests are limited by address in the shipped nginx.conf, calsyncd has"
        " 200 places at most whatever passes, and honest requests get through",
        (
            f"{_PROXIES}test_handshakes_and_streams_that_are_reset_are_borne",
            f"{_PROXIES}test_more_than_the_rate_is_told_503",
            f"{_PROXIES}test_calsyncd_s_own_cap_is_told_503",
        ),
    ),
)
