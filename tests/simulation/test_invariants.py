"""Each invariant can fail: a daemon that is broken on purpose is caught, by the invariant that is meant for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from calsyncd import absence, config, daemon, logs
from calsyncd.aircall.client import AircallApi
from calsyncd.calendars import syncer
from calsyncd.calendars.storm import StormGuard
from calsyncd.core.budget import Budget
from calsyncd.core.byhand import NOTHING
from calsyncd.core.model import Setting
from calsyncd.core.plan import Held
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import build
from calsyncd.following import Following
from calsyncd.google.calendar import CalendarApi
from calsyncd.google.tokens import KeptTokens
from calsyncd.ledger import Ledger

from .script import Script, drawn
from .world import played

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:coroutine .* was never awaited")

Break = Callable[[pytest.MonkeyPatch], None]


def eventful(seed: int) -> Script:
    """Days of a small company in which much happens."""
    script = drawn(seed, days=2, agents=4)
    return Script(replace(script.company, titles=True, per_minute=100), script.actions)


def crowd() -> Script:
    """More begin at once than a minute's requests."""
    script = drawn(5, days=1, agents=45)
    company = replace(script.company, per_minute=30, observed=0)
    return Script(company, tuple(_meeting(who) for who in range(45)))


def outage() -> Script:
    """Google answers nobody for half of a meeting that four are in."""
    script = drawn(5, days=1, agents=4)
    company = replace(script.company, push=False, poll_without_push=600.0, observed=0)
    trouble = {"at": 36_600.0, "do": "trouble", "number": 9, "service": "google", "kinds": ["500"], "share": 1.0}
    actions = (*(_meeting(who) for who in range(4)), trouble | {"seconds": 1800.0, "late": 3.0})
    return Script(company, actions)


def _meeting(who: int) -> dict[str, Any]:
    made = {"at": 600.0, "do": "meet", "number": who, "who": who, "key": f"k{who}", "kind": "plain"}
    return made | {"start": 36_000.0, "minutes": 60}


def other_keys(service: str) -> Script:
    """A service takes another key only, which is put in place, hours before four meet at evening."""
    script = drawn(5, days=1, agents=4)
    company = replace(script.company, observed=0, token_life=3599)
    late = company.calm_at - 1200.0
    meetings = [_meeting(who) | {"start": late, "minutes": 600, "at": 30_000.0} for who in range(4)]
    keys = [
        {"at": 20_000.0, "do": "keys gone", "number": 8, "service": service},
        {"at": 20_060.0, "do": "keys in place", "number": 9},
        {"at": company.calm_at, "do": "calm", "number": 10},
    ]
    return Script(company, (*keys[:2], *meetings, keys[2]))


def stricter() -> Script:
    """The settings say that an hour is no meeting, while four are in one and before four others are."""
    script = drawn(5, days=1, agents=8)
    company = replace(script.company, observed=0)
    change = {"at": 36_900.0, "do": "settings", "number": 9, "change": {"minimum": 7200.0}}
    later = [_meeting(who) | {"start": 43_200.0} for who in range(4, 8)]
    return Script(company, (*(_meeting(who) for who in range(4)), *later, change))


def forgets_debts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger leaves out who is held."""
    real = Ledger._append

    def append(self: Ledger, entries: list[Any]) -> None:
        real(self, [one for one in entries if not isinstance(getattr(one, "stance", None), Held)])

    monkeypatch.setattr(Ledger, "_append", append)


def touches_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else is updated."""
    real = AircallApi._put

    async def put(self: AircallApi, version: Any, user: int, setting: Setting) -> Setting:
        return await real(self, version, user + 4, setting)

    monkeypatch.setattr(AircallApi, "_put", put)


def takes_failures_for_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that fails is one that shows no meetings."""
    real = syncer.Syncer._failed

    def failed(self: syncer.Syncer, calendar: Any, error: Any) -> float:
        nothing = build([], self.rules(calendar.agent) or Rules(), NOTHING)
        self.storm.told(calendar.agent, nothing, self._clock.now(), complete=True)
        return real(self, calendar, error)

    monkeypatch.setattr(syncer.Syncer, "_failed", failed)


def stops_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """What calendars say is told once, and never again."""
    real, told = StormGuard.told, set[int]()

    def tell(self: StormGuard, email: str, timeline: Any, now: float, *, complete: bool) -> None:
        if hash((id(self), email)) not in told:
            told.add(hash((id(self), email)))
            real(self, email, timeline, now, complete=complete)

    monkeypatch.setattr(StormGuard, "told", tell)


def keeps_the_former_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload changes nothing of what meetings do."""
    real, first = Following.follow, dict[int, Any]()

    def follow(self: Following, settings: config.Settings) -> None:
        real(self, first.setdefault(id(self), settings))

    monkeypatch.setattr(Following, "follow", follow)


def forgets_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload goes on with the former keys."""
    monkeypatch.setattr(daemon.Daemon, "_take_credentials", lambda *_: [])


def spends_tenfold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget believes that there is more."""
    monkeypatch.setattr(daemon, "Budget", lambda per_minute: Budget(per_minute * 10))


def logs_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page of events is logged."""
    real = CalendarApi.list_events

    async def list_events(self: CalendarApi, *args: Any) -> Any:
        page = await real(self, *args)
        read = [item.get("summary") for item in page.get("items", [])]
        logs.get_logger("calsyncd.google").info(f"Read {read}", action="sync_done")
        return page

    monkeypatch.setattr(CalendarApi, "list_events", list_events)


def logs_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each access token is logged, and nothing takes it out."""
    real = KeptTokens.token

    async def token(self: KeptTokens, *args: Any, **options: Any) -> str:
        value = await real(self, *args, **options)
        logs.get_logger("calsyncd.google").info(f"Asked with {value}", action="sync_done")
        return value

    monkeypatch.setattr(KeptTokens, "token", token)
    monkeypatch.setattr(logs.Redactor, "clean", lambda _, text: text)


def mistakes_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is put back is put to what they never chose."""
    real = AircallApi.update

    async def update(self: AircallApi, user: int, setting: Setting) -> Setting:
        if setting.availability_status == "available":
            setting = Setting("custom", None)
        return await real(self, user, setting)

    monkeypatch.setattr(AircallApi, "update", update)


def dies_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the daemon fails after its start."""

    async def live(self: absence.Absence) -> None:
        await self._clock.sleep(3600.0)
        raise ZeroDivisionError

    monkeypatch.setattr(absence.Absence, "live", live)


@pytest.mark.parametrize(
    ("which", "broken", "script"),
    [
        ("owed", forgets_debts, eventful(40)),
        ("foreign", touches_others, eventful(40)),
        ("inside", takes_failures_for_free, outage()),
        ("right", stops_listening, eventful(43)),
        ("foreign", keeps_the_former_rules, stricter()),
        ("right", forgets_keys, other_keys("google")),
        ("right", forgets_keys, other_keys("aircall")),
        ("budget", spends_tenfold, crowd()),
        ("secret", logs_titles, eventful(40)),
        ("secret", logs_tokens, eventful(40)),
        ("choice", mistakes_the_way_back, eventful(40)),
        ("alive", dies_by_itself, eventful(40)),
    ],
    ids=lambda one: getattr(one, "__name__", one if isinstance(one, str) else ""),
)
def test_each_invariant_catches_what_it_is_meant_for(
    which: str, broken: Break, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that breaks nothing breaks that invariant, and it first, with a daemon that is broken so."""
    broken(monkeypatch)
    assert [one.which for one in played(script).broken][:1] == [which]


AS_IT_IS = {
    "40": eventful(40),
    "43": eventful(43),
    "crowd": crowd(),
    "outage": outage(),
    "stricter": stricter(),
    "google's key": other_keys("google"),
    "aircall's key": other_keys("aircall"),
}


@pytest.mark.parametrize("script", AS_IT_IS.values(), ids=list(AS_IT_IS))
def test_as_it_is_the_daemon_breaks_none_of_them(script: Script) -> None:
    """The same runs, with nothing broken."""
    assert played(script).broken == ()
