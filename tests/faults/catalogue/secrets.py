"""What goes wrong with secrets and settings."""

from __future__ import annotations

from .fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        "S1",
        "a secret stands in an error, an address or an object that is logged",
        "the last stage of the log takes out every known secret, plain or encoded; tracebacks have no values; the HTTP"
        " client's exceptions, which hold headers, end where they arise",
        (
            "tests/test_logs.py::test_no_secret_is_ever_written",
            "tests/test_logs.py::test_traceback_has_no_locals_and_no_line_breaks",
            "tests/faults/test_secrets.py::test_a_planted_secret_is_nowhere",
            "tests/acceptance/test_ways.py::test_an_agent_comes_and_goes",
        ),
    ),
    Fault(
        "S2",
        "other users read command line or environment of the process",
        "nothing secret stands there but what the operator put into the environment; secrets are files that are named",
        ("tests/faults/test_secrets.py::test_a_planted_secret_is_nowhere", "drill: unit"),
    ),
    Fault(
        "S3",
        "the process crashes where the system writes core dumps",
        "none is written: the daemon forbids it to itself, and its unit does; a Python traceback is logged instead",
        (
            "tests/faults/test_secrets.py::test_a_planted_secret_is_nowhere",
            "tests/test_systemd.py::test_unit_keeps_its_promises",
        ),
    ),
    Fault(
        "S4",
        "a credential's file is readable by others, somebody else's, a folder, a broken link",
        "start is refused with 78, naming file and mode; readable by the group, and Kubernetes's links, pass",
        (
            "tests/config/test_secret_files.py::test_mode_matrix",
            "tests/config/test_secret_files.py::test_others_can_read",
            "tests/config/test_secret_files.py::test_link",
            "tests/config/test_secret_files.py::test_directory",
        ),
    ),
    Fault(
        "S5",
        "a key or token is rotated",
        "a reload takes the new one, a restart that of systemd; no boundary is lost",
        (
            "tests/acceptance/test_access.py::test_new_keys_on_a_reload",
            "tests/acceptance/test_access.py::test_new_credentials_of_systemd",
        ),
    ),
    Fault(
        "S6",
        "a backup of the state directory is stolen",
        "grants in it are encrypted, each bound to whose it is; the key is in another folder, the database has none",
        (
            "tests/test_vault.py::test_files_tell_nothing",
            "tests/test_vault.py::test_another_ones_credential_under_this_name",
            "tests/faults/test_secrets.py::test_a_planted_secret_is_nowhere",
        ),
    ),
    Fault(
        "S7",
        "YAML means something else than was typed: doubled keys, `no`, `12:30`, `0123`",
        "refused at its line and column with what was expected; unknown keys with the nearest known one",
        ("tests/config/test_faults.py::test_one_fault", "tests/config/test_faults.py::test_google"),
    ),
    Fault(
        "S8",
        "the settings are empty, binary, a bomb of anchors, 100 MB",
        "a few lines say where and what, exit 78; no value is repeated, no traceback",
        (
            "tests/config/test_faults.py::test_file_itself",
            "tests/config/test_faults.py::test_no_value_is_repeated",
            "tests/config/test_fuzz.py::test_random_bytes",
            "tests/config/test_fuzz.py::test_mutated_settings",
        ),
    ),
    Fault(
        "S9",
        "two agents are one Aircall user, one agent stands twice, users are unknown, the key is another company's",
        "what the settings show is refused; whoever is not found by address is never set, is shown with the"
        " likely reason, and becomes an alarm",
        ("tests/config/test_faults.py::test_agents", "tests/core/test_matching.py::test_a_domain_that_nobody_has"),
    ),
    Fault(
        "S10",
        "the public URL is plain http, or the admin API is open to the network by accident",
        "refused, unless for this machine alone; beyond loopback the admin API needs a token",
        (
            "tests/config/test_faults.py::test_one_fault",
            "tests/acceptance/test_api.py::test_the_token_opens_it",
            "tests/web/test_gate.py::test_beyond_loopback_the_token_decides",
        ),
    ),
)
