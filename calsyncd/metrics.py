"""The metrics, in a registry of their own; names and labels are those that docs/operations.md promises.

A label takes only values listed here, anything else becomes "other": no stranger and no fault makes a thousand series.
"""

from __future__ import annotations

import platform
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from calsyncd.clock import booted_at
from calsyncd.core.access import REACH
from calsyncd.core.troubles import CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import Metric

Wrong = Literal["ringing", "unreachable"]
UpdateResult = Literal["done", "mismatch", "refused", "unavailable", "unknown", "dropped", "left_out", "observed"]
StanceName = Literal["free", "held", "standing_back"]
DriftKind = Literal["hold_missing", "hold_left", "changed"]
NotificationResult = Literal["genuine", "unknown", "busy", "malformed"]
SyncKind = Literal["baseline", "delta"]
SyncResult = Literal["changed", "unchanged", "gone", "suspicious", "refused", "unavailable"]
ChannelHealth = Literal["healthy", "unverified", "expired", "silent", "off"]
Service = Literal["google", "aircall", "alerts"]

OTHER = "other"
MAX_ROUTES = 32

_LATENESS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
_REQUEST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
_LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_WRONG: frozenset[str] = frozenset(get_args(Wrong))
_UPDATES: frozenset[str] = frozenset(get_args(UpdateResult))
_STANCES: tuple[StanceName, ...] = get_args(StanceName)
_DRIFTS: frozenset[str] = frozenset(get_args(DriftKind))
_NOTIFICATIONS: frozenset[str] = frozenset(get_args(NotificationResult))
_SYNC_KINDS: frozenset[str] = frozenset(get_args(SyncKind))
_SYNCS: frozenset[str] = frozenset(get_args(SyncResult))
_CHANNELS: tuple[ChannelHealth, ...] = get_args(ChannelHealth)
_SERVICES: frozenset[str] = frozenset(get_args(Service))
_STATUSES: frozenset[int] = frozenset(HTTPStatus)


class _Registry(CollectorRegistry):
    """A registry without the `_created` series that the client adds to each: nobody asked for them.

    `measure` brings the gauges up to date before each scrape.
    """

    measure: Callable[[], None] | None = None

    def collect(self) -> Iterator[Metric]:
        """Every metric as it is now."""
        if self.measure is not None:
            self.measure()
        for metric in super().collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class OwnProcess(ProcessCollector):
    """The `process_` metrics, also where /proc has nothing but processes, as under the unit's `ProcSubset=pid`.

    The library reads from /proc/stat when the machine booted, and without that file tells nothing at all.
    """

    def _boot_time(self) -> float:
        return booted_at()


class Metrics:
    """What is counted and measured; each method is told one thing and does no I/O.

    `late` is called with each lateness that is observed, in seconds.
    """

    def __init__(self, version: str) -> None:
        registry = self.registry = _Registry(auto_describe=True)
        self.late: Callable[[float], None] = lambda _seconds: None
        self._lateness = Histogram(
            "calsyncd_boundary_lateness_seconds",
            "From the later of boundary and knowledge to Aircall's 200.",
            buckets=_LATENESS,
            registry=registry,
        )
        self._beyond_budget = Histogram(
            "calsyncd_boundary_lateness_beyond_budget_seconds",
            "The same, less the time for which the update waited for Aircall's rate limit.",
            buckets=_LATENESS,
            registry=registry,
        )
        self._wrong = Counter(
            "calsyncd_wrong_state_seconds_total",
            "Agent-seconds in which Aircall differed from what was wanted.",
            ["kind"],
            registry=registry,
        )
        self._updates = Counter(
            "calsyncd_updates_total", "Updates to Aircall, by what became of them.", ["result"], registry=registry
        )
        self._owed = Gauge("calsyncd_owed_updates", "Updates that are due and not yet confirmed.", registry=registry)
        self._owed_age = Gauge(
            "calsyncd_owed_age_seconds", "Since the oldest boundary that is due and not served.", registry=registry
        )
        self._stances = Gauge("calsyncd_stances", "Agents, by where we stand with them.", ["stance"], registry=registry)
        self._overrides = Counter(
            "calsyncd_overrides_total", "Agents' own changes while held: we stood back.", registry=registry
        )
        self._enforced = Counter(
            "calsyncd_enforced_total", "Agents' own changes while held that were undone.", registry=registry
        )
        self._drift = Counter(
            "calsyncd_drift_total",
            "Differences between what we believe and what the list shows.",
            ["kind"],
            registry=registry,
        )
        self._drift_age = Gauge(
            "calsyncd_drift_age_seconds", "Since the oldest difference that still lasts was found.", registry=registry
        )
        self._kept = Gauge(
            "calsyncd_kept_agents", "Agents whom the coverage floor keeps available in a meeting.", registry=registry
        )
        self._storm = Gauge(
            "calsyncd_storm_held_back_agents",
            "Agents whose calendars' changes wait for a second read, because too many came at once.",
            registry=registry,
        )
        self._alarms = Gauge("calsyncd_alarms", "Alarms that are raised, by trouble.", ["code"], registry=registry)
        self._notifications = Counter(
            "calsyncd_notifications_total", "Google's notifications, by verdict.", ["result"], registry=registry
        )
        self._push_missed = Counter(
            "calsyncd_push_missed_total", "Polls that found what push had not told.", registry=registry
        )
        self._syncs = Counter(
            "calsyncd_syncs_total", "Reads of a calendar, by kind and result.", ["kind", "result"], registry=registry
        )
        self._calendar_age = Gauge(
            "calsyncd_calendar_age_seconds",
            "Since the read of the calendar read longest ago, those suspended left out.",
            registry=registry,
        )
        self._suspended = Gauge(
            "calsyncd_suspended_calendars",
            "Calendars that cannot be read until somebody acts, by the code of the reason.",
            ["code"],
            registry=registry,
        )
        self._channels = Gauge("calsyncd_channels", "Calendars, by the health of push.", ["health"], registry=registry)
        self._push = Gauge(
            "calsyncd_push_configured", "1 if server.public_url is set, so that push is wanted.", registry=registry
        )
        self._reachable = Gauge(
            "calsyncd_public_url_reachable",
            "Whether the public URL leads here: 1, or 0; without a public URL, or before the first test, 1.",
            registry=registry,
        )
        self._reachable.set(1)
        self._budget = Gauge(
            "calsyncd_budget_remaining", "Requests to Aircall that this minute still grants.", registry=registry
        )
        self._requests = Counter(
            "calsyncd_http_requests_total",
            'Requests made, by service, route and status; status "none" when no answer came.',
            ["service", "route", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "calsyncd_http_request_seconds", "How long requests took.", buckets=_REQUEST, registry=registry
        )
        self._lag = Histogram(
            "calsyncd_loop_lag_seconds", "How late the event loop ran a timer.", buckets=_LAG, registry=registry
        )
        self._skew = Gauge(
            "calsyncd_clock_skew_seconds", "The services' clock less ours, as last agreed on.", registry=registry
        )
        self._database_log = Gauge(
            "calsyncd_database_log_bytes", "Size of the database's write-ahead log.", registry=registry
        )
        self._healthy = Gauge(
            "calsyncd_healthy",
            "1 while the loop turns and the database answers, as /healthz has it.",
            registry=registry,
        )
        OwnProcess(registry=registry)
        build = Gauge("calsyncd_build_info", "Always 1.", ["version", "python"], registry=registry)
        build.labels(version=version, python=platform.python_version()).set(1)
        self._routes: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        """Let every series begin at nought, so that its first increase is seen as one."""
        for kind in _WRONG:
            self._wrong.labels(kind=kind)
        for result in _UPDATES:
            self._updates.labels(result=result)
        for kind in _DRIFTS:
            self._drift.labels(kind=kind)
        for result in _NOTIFICATIONS:
            self._notifications.labels(result=result)
        for kind in _SYNC_KINDS:
            for result in _SYNCS:
                self._syncs.labels(kind=kind, result=result)
        self.stances({})
        self.alarms({})
        self.suspended({})
        self.channels({})

    def boundary_lateness(self, seconds: float) -> None:
        """An update's 200 came so long after the later of its boundary and our knowledge of it."""
        self._lateness.observe(max(0.0, seconds))
        self.late(max(0.0, seconds))

    def lateness_beyond_budget(self, seconds: float) -> None:
        """The same, without the time for which the budget made it wait."""
        self._beyond_budget.observe(max(0.0, seconds))

    def wrong_state(self, kind: Wrong, seconds: float) -> None:
        """An agent's phone could ring in a meeting, or the agent was unreachable after it, for so long."""
        self._wrong.labels(kind=_known(kind, _WRONG)).inc(max(0.0, seconds))

    def update(self, result: UpdateResult) -> None:
        """What became of one update."""
        self._updates.labels(result=_known(result, _UPDATES)).inc()

    def owed_updates(self, number: int) -> None:
        """So many updates are due now."""
        self._owed.set(number)

    def owed_age(self, seconds: float) -> None:
        """What is owed for longest was due so long ago; 0 if nothing is owed."""
        self._owed_age.set(max(0.0, seconds))

    def stances(self, numbers: Mapping[StanceName, int]) -> None:
        """So many agents are in each stance; one left out has none."""
        for stance in _STANCES:
            self._stances.labels(stance=stance).set(numbers.get(stance, 0))

    def override(self) -> None:
        """An agent changed its own setting while held."""
        self._overrides.inc()

    def enforced(self) -> None:
        """An agent's own change while held was undone."""
        self._enforced.inc()

    def drift(self, kind: DriftKind) -> None:
        """The list showed an agent otherwise than we believed."""
        self._drift.labels(kind=_known(kind, _DRIFTS)).inc()

    def drift_age(self, seconds: float) -> None:
        """The oldest difference that still lasts was found so long ago; 0 for none."""
        self._drift_age.set(max(0.0, seconds))

    def kept_agents(self, number: int) -> None:
        """The coverage floor keeps so many."""
        self._kept.set(number)

    def storm_held_back(self, number: int) -> None:
        """The changes of so many agents' calendars wait to be confirmed."""
        self._storm.set(number)

    def alarms(self, numbers: Mapping[str, int]) -> None:
        """So many alarms of each code are raised; one left out has none."""
        for code in CODES:
            self._alarms.labels(code=code).set(numbers.get(code, 0))
        unknown = sum(number for code, number in numbers.items() if code not in CODES)
        self._alarms.labels(code=OTHER).set(unknown)

    def notification(self, result: str) -> None:
        """One notification came: genuine, unknown, busy or malformed."""
        self._notifications.labels(result=_known(result, _NOTIFICATIONS)).inc()

    def push_missed(self) -> None:
        """A poll found a change that no notification had told of."""
        self._push_missed.inc()

    def sync(self, kind: SyncKind, result: SyncResult) -> None:
        """A calendar was read, or could not be."""
        self._syncs.labels(kind=_known(kind, _SYNC_KINDS), result=_known(result, _SYNCS)).inc()

    def calendar_age(self, seconds: float) -> None:
        """Of the calendars that are not suspended, the one read longest ago was read so long ago."""
        self._calendar_age.set(max(0.0, seconds))

    def suspended(self, numbers: Mapping[str, int]) -> None:
        """So many calendars are suspended for each reason; one left out suspends none."""
        for code in REACH:
            self._suspended.labels(code=code).set(numbers.get(code, 0))

    def channels(self, numbers: Mapping[ChannelHealth, int]) -> None:
        """So many calendars have push in each health; one left out has none."""
        for health in _CHANNELS:
            self._channels.labels(health=health).set(numbers.get(health, 0))

    def push_configured(self, *, configured: bool) -> None:
        """Whether Google is told an address for its notifications."""
        self._push.set(configured)

    def public_url_reachable(self, reachable: bool) -> None:
        """Whether the public URL leads here."""
        self._reachable.set(1 if reachable else 0)

    def budget_remaining(self, number: float) -> None:
        """Aircall grants so many more requests this minute."""
        self._budget.set(number)

    def http_request(self, service: str, route: str, status: int | None, seconds: float) -> None:
        """One request was made; `route` is a template ("/v1/users/{id}"), `status` None when no answer came."""
        if route not in self._routes:
            if len(self._routes) < MAX_ROUTES:
                self._routes.add(route)
            else:
                route = OTHER
        code = "none" if status is None else str(status) if status in _STATUSES else OTHER
        self._requests.labels(service=_known(service, _SERVICES), route=route, status=code).inc()
        self._request_seconds.observe(max(0.0, seconds))

    def loop_lag(self, seconds: float) -> None:
        """A timer of the event loop ran so late."""
        self._lag.observe(max(0.0, seconds))

    def clock_skew(self, seconds: float) -> None:
        """The services' clock is so far ahead of ours."""
        self._skew.set(seconds)

    def database_log(self, size: int) -> None:
        """The database's write-ahead log is so many bytes long."""
        self._database_log.set(size)

    def healthy(self, *, ok: bool) -> None:
        """Whether the loop turns and the database answers."""
        self._healthy.set(ok)


def _known(value: str, values: frozenset[str]) -> str:
    return value if value in values else OTHER
