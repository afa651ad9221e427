"""From a cause to its alarm and back, with the real syncer, store and phones, through restarts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from calsyncd.alarms import Kept, Lag, Looking, Outbox, Watch, sending
from calsyncd.alarms.watch import LOOK_SECONDS
from calsyncd.core.rules import Rules
from calsyncd.errors import CREDENTIALS, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.metrics import Metrics
from calsyncd.phones import Agent, Webhooks
from tests.calendars.diary import Diary, ModelGoogle
from tests.phones.company import Office

HOUR = 3600.0
DELEGATION = Refused("no", service="google", code="delegation", status=401)
TROUBLE = "Google does not let the service account read this calendar"
UNREACHABLE = Unavailable("google cannot be reached", service="google", code="unreachable")
SERVER = Unavailable("503", service="google", code="server", status=503)
MALFORMED = Unavailable("no JSON", service="google", code="malformed", status=200)


@dataclass
class Self:
    """What the process knows of itself."""

    writable: bool | None = True
    lasts: bool = True
    answers: bool = True
    skew: float | None = 0.0
    credible: bool = True
    log_grows: bool = False
    lags: bool = False
    url: tuple[str, str] | None = ("", "")

    def ledger_writable(self) -> bool | None:
        return self.writable

    def database_lasts(self) -> bool:
        return self.lasts

    def database_answers(self) -> bool:
        return self.answers

    def clock_skew(self) -> float | None:
        return self.skew

    def clock_credible(self) -> bool:
        return self.credible

    def database_log_grows(self) -> bool:
        return self.log_grows

    def loop_lags(self) -> bool:
        return self.lags

    def public_url(self) -> tuple[str, str] | None:
        return self.url


class Company(Diary):
    """A company of so many, whose calendars are read by the real syncer and whose phones are the real ones.

    `faults` are what Google answers for each calendar.
    """

    def __init__(self, folder: Path, size: int = 6, *, kept: Kept | None = None, after: float = 0.0) -> None:
        super().__init__(folder)
        self.emails = [f"a{number}@x" for number in range(1, size + 1)]
        self.office = Office(
            [Agent(email, number) for number, email in enumerate(self.emails, 1)], per_minute=600, after=after
        )
        self.clock, self.scheduler = self.office.clock, self.office.scheduler
        self.google = ModelGoogle(self.clock)
        self.google.seconds = 0.01
        self.google.fault = lambda calendar, _: self.faults.get(calendar)
        self.faults: Mapping[str, ServiceError] = {}
        self.knows = Self()
        self.kept = kept or Kept(folder)
        self.sent: list[dict[str, Any]] = []
        self.metrics = Metrics("test")

    async def begin(self) -> None:
        """Follow everybody, and watch; nothing is awaited yet."""

        async def take(message: dict[str, Any]) -> None:
            self.sent.append(message)

        webhooks = Webhooks(
            self.scheduler,
            aircall=self.office.aircall,  # type: ignore[arg-type]  # without an address nothing is asked
            phones=self.office.phones,
            address=None,
            budget=self.office.budget,
            learned=lambda _: None,
            chance=lambda: 0.5,
        )
        looking = Looking(
            self.clock,
            roster=self.office.roster,
            syncer=self.syncer,
            push=self.push,
            webhooks=webhooks,
            facts=self.knows,
        )
        self.looking = looking
        self.watch = Watch(
            self.clock,
            look=looking.look,
            metrics=self.metrics,
            kept=self.kept,
            outboxes=[Outbox("test", self.clock, lambda: 0.5, take)],
            company="calsync.example.com",
        )
        self._watching = asyncio.create_task(self.watch.run())
        self.office.phones.follow(self.office._agents)
        self.syncer.follow({email: ((email,), Rules()) for email in self.emails})

    async def end(self) -> None:
        """The process ends in order."""
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching

    async def __aexit__(self, *error: object) -> None:
        await self.end()
        await super().__aexit__(*error)  # type: ignore[arg-type]

    def _told(self, email: str, timeline: Any, now: float, *, complete: bool) -> None:
        super()._told(email, timeline, now, complete=complete)
        self.office.phones.known(email, timeline, now, complete=complete)

    def all_fail(self, *errors: ServiceError) -> None:
        """Each calendar gets one of these."""
        self.faults = {email: errors[number % len(errors)] for number, email in enumerate(self.emails)}

    async def find_out(self) -> None:
        """Everybody's calendar is read, within a hundred seconds."""
        for first in range(0, len(self.emails), 10):
            for email in self.emails[first : first + 10]:
                self.syncer._mark(self.syncer.of_agent(email)[0], "hand")
            await self.a_while(5)

    @property
    def heard(self) -> list[tuple[str, str, str]]:
        """What was sent."""
        return [(one["kind"], one["code"], one["who"]) for one in self.sent]

    def gauge(self, code: str) -> float | None:
        """How many alarms of the code the metric shows."""
        registry: CollectorRegistry = self.metrics.registry
        return registry.get_sample_value("calsyncd_alarms", {"code": code})


async def test_from_a_cause_to_its_alarm_and_back(tmp_path: Path) -> None:
    """Said in the log, sent, shown and counted; cleared in the same places."""
    async with Company(tmp_path) as company:
        with capture_logs() as logs:
            await company.begin()
            await company.a_while(30)
            assert company.watch.alarms() == []
            company.faults = {"a2@x": DELEGATION}
            began = company.clock.now()
            company.syncer._mark(company.syncer.of_agent("a2@x")[0], "push")
            await company.a_while(50)
            assert company.heard == []
            await company.a_while(30)

            (sent,) = company.sent
            (shown,) = company.watch.alarms()
            assert company.gauge("delegation") == 1.0
            assert company.gauge("storm") == 0.0
            company.faults = {}
            await company.a_while(1200)
        assert company.watch.alarms() == []
        assert company.gauge("delegation") == 0.0

    assert company.heard == [(kind, "delegation", "a2@x") for kind in ("raised", "cleared")]
    words = {
        "code": "delegation",
        "who": "a2@x",
        "since": shown["since"],
        "message": TROUBLE,
        "do": "in the Google Admin console under Security > Access and data control > API controls, at domain-wide"
        " delegation, give the service account's client id (a number) the scope calendar.events.readonly",
        "owner": "Google Workspace admin",
    }
    assert sent == {"kind": "raised", **words, "at": shown["raised_at"], "company": "calsync.example.com"}
    assert shown == {**words, "raised_at": shown["raised_at"]}
    assert began < company.looking._clock.now()
    said = [one for one in logs if one["action"].startswith("alarm_")]
    assert [(one["action"], one["log_level"]) for one in said] == [("alarm_raised", "error"), ("alarm_cleared", "info")]
    assert {name: said[0][name] for name in ("code", "who", "since", "do", "owner")} == {
        name: words[name] for name in ("code", "who", "since", "do", "owner")
    }


async def test_an_outage_of_minutes_raises_nothing_and_a_longer_one_one_alarm(tmp_path: Path) -> None:
    """However differently the calendars fail; the words are ours, not those of a server."""
    async with Company(tmp_path, 20) as company:
        await company.begin()
        await company.a_while(30)
        company.all_fail(UNREACHABLE, SERVER, MALFORMED)
        await company.a_while(240)
        company.faults = {}
        await company.a_while(600)
        assert company.heard == []

        company.all_fail(UNREACHABLE, SERVER, MALFORMED)
        await company.a_while(900)
        assert company.heard == [("raised", "google_failing", "company")]
        assert company.sent[0]["message"].startswith("20 of 20 agents: Google cannot be reached")
        company.faults = {}
        await company.a_while(600)
        assert company.heard[1:] == [("cleared", "google_failing", "company")]


async def test_many_agents_with_one_cause_are_one_alarm(tmp_path: Path) -> None:
    """Who find it out one after the other; and back."""
    async with Company(tmp_path, 200) as company:
        await company.begin()
        await company.a_while(60)
        company.all_fail(DELEGATION)
        await company.find_out()
        assert company.heard == [("raised", "delegation", "company")]
        assert company.sent[0]["message"].endswith("of 200 agents: " + TROUBLE)
        company.faults = {}
        await company.find_out()
        await company.a_while(130)

    assert company.heard == [("raised", "delegation", "company"), ("cleared", "delegation", "company")]


async def test_aircall_refuses_the_key(tmp_path: Path) -> None:
    """Said at once, as one alarm; that updates are owed meanwhile, and that nobody is seen, are no others."""
    async with Company(tmp_path) as company:
        company.event("a1@x", "m", 60, HOUR)
        await company.begin()
        await company.a_while(30)
        company.office.aircall.all_fail(Refused("no", service="aircall", code=CREDENTIALS, status=401))
        await company.a_while(60)
        assert company.heard == [("raised", "aircall_credentials", "company")]
        await company.a_while(900)
        assert len(company.heard) == 1
        company.office.aircall.all_fail(None)
        await company.a_while(600)

    assert company.heard[1:] == [("cleared", "aircall_credentials", "company")]


async def test_an_update_that_is_owed_for_long(tmp_path: Path) -> None:
    """Others use up all that Aircall grants: nothing is refused for good, and nothing goes."""
    async with Company(tmp_path) as company:
        company.event("a1@x", "m", 60, HOUR)
        await company.begin()
        await company.a_while(50)
        company.office.aircall.all_fail(RateLimited("used up", service="aircall", retry_after=20.0))
        await company.a_while(300)
        assert company.office["a1@x"].owed
        assert company.heard == []
        await company.a_while(25)
        assert company.heard == [("raised", "updates_owed", "a1@x")]
        company.office.aircall.all_fail(None)
        await company.a_while(400)

    assert company.heard[1:] == [("cleared", "updates_owed", "a1@x")]


async def test_a_ledger_whose_disk_hangs(tmp_path: Path) -> None:
    """No write fails, and none lands: it shows in whom nothing can be written down for."""
    async with Company(tmp_path) as company:
        company.event("a1@x", "m", 60, HOUR)
        await company.begin()
        await company.a_while(50)
        company.office.ledger.hangs = True
        await company.a_while(60)
        assert company.heard == [("raised", "ledger", "company")]
        company.office.ledger.answers()
        await company.a_while(300)

    assert company.heard[1:] == [("cleared", "ledger", "company")]


@pytest.mark.parametrize(
    ("code", "wrong", "well", "seconds"),
    [
        ("ledger", {"writable": False}, {"writable": True}, 10),
        ("clock_not_credible", {"credible": False}, {"credible": True}, 10),
        ("clock_skewed", {"skew": 40.0}, {"skew": 0.0}, 80),
        ("database_in_memory", {"lasts": False}, {"lasts": True}, 80),
        ("loop_lag", {"lags": True}, {"lags": False}, 80),
        ("public_url", {"url": ("https://x answers 502", "start it")}, {"url": ("", "")}, 80),
        ("database", {"answers": False}, {"answers": True}, 320),
        ("database_log", {"log_grows": True}, {"log_grows": False}, 320),
    ],
)
async def test_what_the_process_knows_of_itself(
    tmp_path: Path, code: str, wrong: dict[str, Any], well: dict[str, Any], seconds: float
) -> None:
    """Each is the company's."""
    async with Company(tmp_path, 1) as company:
        await company.begin()
        await company.a_while(20)
        for name, value in wrong.items():
            setattr(company.knows, name, value)
        await company.a_while(seconds)
        assert company.heard == [("raised", code, "company")]
        for name, value in well.items():
            setattr(company.knows, name, value)
        await company.a_while(140)

    assert company.heard[1:] == [("cleared", code, "company")]


async def test_a_storm_is_told_though_it_is_over_in_seconds(tmp_path: Path) -> None:
    """Somebody should look at the calendars: what they say is in force by then."""
    async with Company(tmp_path, 30) as company:
        await company.begin()
        await company.a_while(30)
        for email in company.emails:
            company.event(email, "m", -60, HOUR)
            company.syncer._mark(company.syncer.of_agent(email)[0], "push")
        await company.a_while(10)
        assert not company.syncer.storm.waiting
        assert company.heard == [("raised", "storm", "company")]
        await company.a_while(300)

    assert company.heard[1:] == [("cleared", "storm", "company")]


# -- restarts ----------------------------------------------------------------------------------------------------------


async def test_a_restart_neither_repeats_nor_forgets(tmp_path: Path) -> None:
    """What lasts is not raised again; what vanished is cleared once its calendar was read, and not before."""
    async with Company(tmp_path) as before:
        await before.begin()
        before.faults = {"a1@x": DELEGATION, "a2@x": DELEGATION}
        await before.a_while(120)
        assert len(before.heard) == 2

    kept = json.loads((tmp_path / "alarms.json").read_text())
    assert [(one["code"], one["who"]) for one in kept["alarms"]] == [("delegation", "a1@x"), ("delegation", "a2@x")]

    async with Company(tmp_path, kept=Kept(tmp_path), after=HOUR) as company:
        company.faults = {"a1@x": DELEGATION, "a2@x": UNREACHABLE}
        await company.begin()
        assert [one["who"] for one in company.watch.alarms()] == ["a1@x", "a2@x"]
        assert company.gauge("delegation") == 2.0
        await company.a_while(200)
        # Google cannot be reached: nobody knows whether it would let us read.
        assert company.heard == []
        company.faults = {"a1@x": DELEGATION}
        await company.a_while(400)

    assert company.heard == [("cleared", "delegation", "a2@x")]


async def test_who_does_not_connect_is_told_of_though_we_restart_each_day(tmp_path: Path) -> None:
    """A stop keeps what was counted to the second, a kill all but the last hour."""
    faults = {"a1@x": Refused("no", service="google", code="not_connected")}

    async def kept(least: float, most: float) -> bool:
        """Whether so many seconds are on disk, or soon will be."""
        for _ in range(500):
            with contextlib.suppress(FileNotFoundError):
                (one,) = json.loads((tmp_path / "alarms.json").read_text())["pending"]
                if least <= one["seconds"] <= most:
                    return (one["code"], one["who"]) == ("not_connected", "a1@x")
            await asyncio.sleep(0.01)
        return False

    async with Company(tmp_path, 2) as first:
        first.faults = faults
        await first.begin()
        await first.a_while(30)
        assert await kept(0, 30)
        await first.a_while(HOUR + 60)
        assert await kept(HOUR - 60, HOUR + 120)
        await first.a_while(11 * HOUR - 120)
    assert await kept(12 * HOUR - 60, 12 * HOUR)

    async with Company(tmp_path, 2, after=13 * HOUR) as second:
        second.faults = faults
        await second.begin()
        await second.a_while(11.8 * HOUR)
        assert second.heard == []
        await second.a_while(0.4 * HOUR)
        assert second.heard == [("raised", "not_connected", "a1@x")]


async def test_who_is_followed_no_more_has_no_alarm(tmp_path: Path) -> None:
    """Removed from the settings while we were away."""
    async with Company(tmp_path) as before:
        await before.begin()
        before.faults = {"a6@x": DELEGATION}
        await before.a_while(120)

    async with Company(tmp_path, 5, after=HOUR) as company:
        await company.begin()
        await company.a_while(140)

    assert company.heard == [("cleared", "delegation", "a6@x")]


async def test_what_was_not_sent_is_sent_after_a_restart(tmp_path: Path) -> None:
    """The receiver was down when the process ended."""
    async with Company(tmp_path) as before:
        await before.begin()

        async def refuse(_: dict[str, Any]) -> None:
            raise sending.NotSentError("down", passing=True)

        before.watch._outboxes[0].send_by(refuse)
        before.faults = {"a1@x": DELEGATION}
        await before.a_while(120)

    async with Company(tmp_path, after=HOUR) as company:
        company.faults = {"a1@x": DELEGATION}
        await company.begin()
        await company.a_while(30)
        assert company.heard == [("raised", "delegation", "a1@x")]
    assert json.loads((tmp_path / "alarms.json").read_text())["unsent"] == {"test": []}


async def test_whoever_is_forgotten_is_in_no_file_and_in_no_message(tmp_path: Path) -> None:
    """What is raised of them is not cleared either: that would name them once more. The others' alarms stay."""
    async with Company(tmp_path) as company:
        await company.begin()

        async def refuse(_: dict[str, Any]) -> None:
            raise sending.NotSentError("down", passing=True)

        company.watch._outboxes[0].send_by(refuse)
        company.faults = {"a1@x": DELEGATION, "a2@x": DELEGATION}
        await company.a_while(120)
        assert [alarm["who"] for alarm in company.watch.alarms()] == ["a1@x", "a2@x"]
        company.office.phones.follow(company.office._agents[1:])
        company.syncer.follow({email: ((email,), Rules()) for email in company.emails[1:]})

        assert await company.watch.forget("a1@x") == 1

        assert b"a1@x" not in (tmp_path / "alarms.json").read_bytes()
        await company.a_while(140)
        assert b"a1@x" not in (tmp_path / "alarms.json").read_bytes()
        assert [alarm["who"] for alarm in company.watch.alarms()] == ["a2@x"]
        assert [message["who"] for message in company.watch._outboxes[0].waiting] == ["a2@x"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"alarms": [{}], "unsent": {}}', '{"alarms": 5, "unsent": {}}', '{"alarms": []}', "\xff\xfe"),
        '{"alarms": [], "unsent": {}, "pending": [{"code": "not_connected", "who": "a@x", "seconds": NaN}]}',
        '{"alarms": [], "unsent": {}, "pending": [{"code": "not_connected", "who": "a@x"}]}',
    ],
)
def test_a_damaged_file_is_started_anew(tmp_path: Path, text: str) -> None:
    """And that is said; a time that cannot be shown is damage too."""
    (tmp_path / "alarms.json").write_bytes(text.encode("latin-1"))

    with capture_logs() as logs:
        known = Kept(tmp_path).load()

    assert (known.alarms, dict(known.unsent), known.pending) == ((), {}, ())
    assert [one["action"] for one in logs] == ["alarms_lost"]


@pytest.mark.parametrize("since", ["NaN", "1e300", '"soon"', "null"])
def test_a_time_that_cannot_be_is_damage(tmp_path: Path, since: str) -> None:
    """It would be shown to somebody."""
    words = '"code": "storm", "who": "company", "message": "m", "do": "d", "owner": "o", "raised_at": 1.0'
    (tmp_path / "alarms.json").write_text(f'{{"alarms": [{{{words}, "since": {since}}}], "unsent": {{}}}}')

    with capture_logs() as logs:
        assert Kept(tmp_path).load().alarms == ()

    assert [one["action"] for one in logs] == ["alarms_lost"]


async def test_a_full_disk_is_said_once_and_written_later(tmp_path: Path) -> None:
    """Alarms go out meanwhile: a full disk is a reason for one."""
    folder = tmp_path / "later"
    async with Company(tmp_path, 1, kept=Kept(folder)) as company:
        with capture_logs() as logs:
            await company.begin()
            company.knows.writable = False
            for _ in range(30):
                await company.a_while(LOOK_SECONDS)
                await asyncio.sleep(0.002)
            assert company.heard == [("raised", "ledger", "company")]
            assert [one["action"] for one in logs].count("alarms_unwritten") == 1
            folder.mkdir()
            for _ in range(20):
                await company.a_while(LOOK_SECONDS)
                await asyncio.sleep(0.002)

    assert len(json.loads((folder / "alarms.json").read_text())["alarms"]) == 1


def test_a_loop_that_lags_again_and_again() -> None:
    """A stall is none; a tenth of a minute is."""
    lag = Lag()
    for second in range(120):
        lag.late(float(second), 5.0 if second == 30 else 0.01)
        assert not lag.lasts()
    for second in range(120, 180):
        lag.late(float(second), 0.2)
    assert lag.lasts()
