from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from calsyncd.metrics import MAX_ROUTES, Metrics, OwnProcess

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

PROMISED: dict[str, tuple[str, set[str]]] = {
    "calsyncd_boundary_lateness_seconds": ("histogram", set()),
    "calsyncd_boundary_lateness_beyond_budget_seconds": ("histogram", set()),
    "calsyncd_wrong_state_seconds_total": ("counter", {"kind"}),
    "calsyncd_updates_total": ("counter", {"result"}),
    "calsyncd_owed_updates": ("gauge", set()),
    "calsyncd_owed_age_seconds": ("gauge", set()),
    "calsyncd_stances": ("gauge", {"stance"}),
    "calsyncd_overrides_total": ("counter", set()),
    "calsyncd_enforced_total": ("counter", set()),
    "calsyncd_drift_total": ("counter", {"kind"}),
    "calsyncd_drift_age_seconds": ("gauge", set()),
    "calsyncd_kept_agents": ("gauge", set()),
    "calsyncd_storm_held_back_agents": ("gauge", set()),
    "calsyncd_alarms": ("gauge", {"code"}),
    "calsyncd_notifications_total": ("counter", {"result"}),
    "calsyncd_push_missed_total": ("counter", set()),
    "calsyncd_syncs_total": ("counter", {"kind", "result"}),
    "calsyncd_calendar_age_seconds": ("gauge", set()),
    "calsyncd_suspended_calendars": ("gauge", {"code"}),
    "calsyncd_channels": ("gauge", {"health"}),
    "calsyncd_push_configured": ("gauge", set()),
    "calsyncd_public_url_reachable": ("gauge", set()),
    "calsyncd_budget_remaining": ("gauge", set()),
    "calsyncd_http_requests_total": ("counter", {"service", "route", "status"}),
    "calsyncd_http_request_seconds": ("histogram", set()),
    "calsyncd_loop_lag_seconds": ("histogram", set()),
    "calsyncd_clock_skew_seconds": ("gauge", set()),
    "calsyncd_database_log_bytes": ("gauge", set()),
    "calsyncd_healthy": ("gauge", set()),
    "process_virtual_memory_bytes": ("gauge", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
    "process_cpu_seconds_total": ("counter", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "calsyncd_build_info": ("gauge", {"version", "python"}),
}


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of which nothing has been told."""
    return Metrics("1.2.3")


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """One series' value."""
    return registry.get_sample_value(name, labels)


def test_names_and_labels_are_those_promised(metrics: Metrics) -> None:
    """Exactly the promised metrics are exposed, each with its labels and no series beside it."""
    metrics.http_request("google", "/events", 200, 0.1)
    metrics.alarms({"storm": 0})
    exposed = generate_latest(metrics.registry).decode()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposed, re.MULTILINE))
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposed):
        for sample in family.samples:
            name = re.sub(r"_(bucket|count|sum)\Z", "", sample.name)
            labels.setdefault(name, set()).update(set(sample.labels) - {"le"})

    assert {name: (kind, labels[name]) for name, kind in types.items()} == PROMISED


def test_nothing_is_in_the_global_registry(metrics: Metrics) -> None:
    """Two daemons in one process do not share their numbers."""
    Metrics("1.2.3").override()

    assert value(metrics.registry, "calsyncd_overrides_total") == 0
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("calsyncd")]


def test_what_is_told_is_exposed(metrics: Metrics) -> None:
    """Each method moves its own series."""
    metrics.boundary_lateness(0.02)
    metrics.wrong_state("ringing", 12.5)
    metrics.update("done")
    metrics.owed_updates(4)
    metrics.stances({"held": 3})
    metrics.override()
    metrics.notification("genuine")
    metrics.push_missed()
    metrics.sync("delta", "changed")
    metrics.calendar_age(90)
    metrics.suspended({"api_disabled": 2})
    metrics.channels({"healthy": 7, "off": 1})
    metrics.budget_remaining(80)
    metrics.http_request("aircall", "/v1/users/{id}", None, 15)
    metrics.loop_lag(0.002)
    metrics.clock_skew(-1.5)
    metrics.lateness_beyond_budget(2.0)
    metrics.owed_age(301)
    metrics.push_configured(configured=True)
    metrics.database_log(4_000_000)
    metrics.healthy(ok=True)

    registry = metrics.registry
    assert value(registry, "calsyncd_boundary_lateness_seconds_bucket", le="0.025") == 1
    assert value(registry, "calsyncd_boundary_lateness_seconds_bucket", le="0.01") == 0
    assert value(registry, "calsyncd_wrong_state_seconds_total", kind="ringing") == 12.5
    assert value(registry, "calsyncd_wrong_state_seconds_total", kind="unreachable") == 0
    assert value(registry, "calsyncd_updates_total", result="done") == 1
    assert value(registry, "calsyncd_owed_updates") == 4
    assert value(registry, "calsyncd_stances", stance="held") == 3
    assert value(registry, "calsyncd_stances", stance="free") == 0
    assert value(registry, "calsyncd_overrides_total") == 1
    assert value(registry, "calsyncd_notifications_total", result="genuine") == 1
    assert value(registry, "calsyncd_push_missed_total") == 1
    assert value(registry, "calsyncd_syncs_total", kind="delta", result="changed") == 1
    assert value(registry, "calsyncd_calendar_age_seconds") == 90
    assert value(registry, "calsyncd_suspended_calendars", code="api_disabled") == 2
    assert value(registry, "calsyncd_suspended_calendars", code="delegation") == 0
    assert value(registry, "calsyncd_channels", health="healthy") == 7
    assert value(registry, "calsyncd_budget_remaining") == 80
    labels = {"service": "aircall", "route": "/v1/users/{id}", "status": "none"}
    assert value(registry, "calsyncd_http_requests_total", **labels) == 1
    assert value(registry, "calsyncd_http_request_seconds_count") == 1
    assert value(registry, "calsyncd_loop_lag_seconds_count") == 1
    assert value(registry, "calsyncd_clock_skew_seconds") == -1.5
    assert value(registry, "calsyncd_boundary_lateness_beyond_budget_seconds_bucket", le="2.0") == 1
    assert value(registry, "calsyncd_boundary_lateness_beyond_budget_seconds_bucket", le="1.0") == 0
    assert value(registry, "calsyncd_owed_age_seconds") == 301
    assert value(registry, "calsyncd_push_configured") == 1
    assert value(registry, "calsyncd_database_log_bytes") == 4_000_000
    assert value(registry, "calsyncd_healthy") == 1


def test_stance_left_out_is_none(metrics: Metrics) -> None:
    """A gauge by name never keeps an old number."""
    metrics.stances({"held": 3, "free": 1})
    metrics.stances({"free": 4})

    assert value(metrics.registry, "calsyncd_stances", stance="held") == 0


def test_lateness_is_told_apart_from_a_millisecond_to_ten_minutes(metrics: Metrics) -> None:
    """The buckets cover what matters, at both ends."""
    exposed = generate_latest(metrics.registry).decode()
    bounds = re.findall(r'calsyncd_boundary_lateness_seconds_bucket\{le="([^"]+)"\}', exposed)

    assert (bounds[0], bounds[-2]) == ("0.001", "600.0")


def test_negative_durations_are_none(metrics: Metrics) -> None:
    """A clock that was set back breaks no counter."""
    metrics.boundary_lateness(-1)
    metrics.wrong_state("ringing", -1)

    assert value(metrics.registry, "calsyncd_boundary_lateness_seconds_sum") == 0
    assert value(metrics.registry, "calsyncd_wrong_state_seconds_total", kind="ringing") == 0


@given(st.lists(st.tuples(st.text(), st.text(), st.none() | st.integers()), min_size=50, max_size=80))
def test_series_are_bounded_whatever_is_told(requests: list[tuple[str, str, int | None]]) -> None:
    """Unforeseen values become "other": memory and the exposition stay small."""
    metrics = Metrics("1")
    for service, route, status in requests:
        metrics.http_request(service, route, status, 0.1)
        metrics.notification(route)
    families = {family.name: family for family in metrics.registry.collect()}
    samples = families["calsyncd_http_requests"].samples

    assert {sample.labels["service"] for sample in samples} <= {"google", "aircall", "alerts", "other"}
    assert len({sample.labels["route"] for sample in samples}) <= MAX_ROUTES + 1
    assert all(re.fullmatch(r"none|other|[1-5][0-9][0-9]", sample.labels["status"]) for sample in samples)
    assert len(families["calsyncd_notifications"].samples) <= 5


def test_a_flood_of_unforeseen_values_makes_no_flood_of_series(metrics: Metrics) -> None:
    """Thousands of routes, statuses, services, verdicts, codes and kinds: a few hundred series, and none for each."""
    told: Any = metrics
    for number in range(5000):
        told.http_request(f"service{number}", f"/calendars/{number}/events", number, 0.1)
        told.http_request("google", f"/users/{number}", 100 + number % 500, 0.1)
        told.notification(f"verdict{number}")
        told.update(f"result{number}")
        told.sync(f"kind{number}", f"result{number}")
        told.wrong_state(f"kind{number}", 1.0)
        told.drift(f"kind{number}")
        told.alarms({f"code{number}": 1})
        told.suspended({f"code{number}": 1})
        told.channels({f"health{number}": 1})
        told.stances({f"stance{number}": 1})
    exposed = generate_latest(metrics.registry).decode()

    assert len([line for line in exposed.splitlines() if not line.startswith("#")]) < 600
    assert not re.search(r'"[^"]*(?:service|verdict|result|kind|code|health|stance)[0-9]', exposed)
    assert value(metrics.registry, "calsyncd_alarms", code="other") == 1
    assert value(metrics.registry, "calsyncd_updates_total", result="other") == 5000


def test_the_process_is_told_of_where_proc_has_processes_only(tmp_path: Path) -> None:
    """The unit hides all else in /proc (`ProcSubset=pid`): what alerts ask for is there all the same, and the same."""
    (tmp_path / "self").symlink_to("/proc/self")
    told, plain = (
        {sample.name: sample.value for metric in one.collect() for sample in metric.samples}
        for one in (OwnProcess(proc=str(tmp_path), registry=None), ProcessCollector(registry=None))
    )

    assert told.keys() == plain.keys() == {name for name in PROMISED if name.startswith("process_")}
    assert abs(told["process_start_time_seconds"] - plain["process_start_time_seconds"]) < 2
