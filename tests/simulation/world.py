"""One company's weeks: the whole daemon, both services, people, a machine; all drawn by one seed, on one loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import hashlib
import io
import json
import logging
import math
import os
import random
import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO, cast
from unittest import mock

import aiosqlite.core
import structlog
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt

from calsyncd import absence as absence_room
from calsyncd import config, daemon, logs, vitals
from calsyncd.alarms import watch as alarms_room
from calsyncd.errors import UserError
from calsyncd.http import Http
from calsyncd.sandbox import google as google_far
from calsyncd.sandbox.aircall import AircallSandbox
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.google import GoogleSandbox
from calsyncd.sandbox.google_fields import parse_mask
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.google_tokens import ServiceAccount
from calsyncd.sandbox.server import Refusal

from .clock import Machine, SimulatedClock
from .disk import Disk
from .farend import FarEnd, Post, Wire, ask_app
from .loop import LIFE, WORLD, JobQueue, Life, Loop, NoThread
from .script import CHECK_SECONDS, DAY, MINUTE, OPENED, Action, Script
from .watch import TITLE, BrokenError, Person, Rules, Watch
from .weather import Trouble, Weather

FIRST_USER = 1001
DISTURBANCE_SECONDS = 60.0
GOOGLE_PORT, AIRCALL_PORT = 1001, 1002
KEY_FILES = ("google.json", "aircall-token")
PUBLIC_LISTEN, ADMIN_LISTEN = "127.0.0.1:1", "127.0.0.1:2"
ADMIN = {"Host": ADMIN_LISTEN, "Content-Type": "application/json"}

KEPT_OF_STORY = 400
RESTART_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. `trace` is the hash of everything that was sent, answered, written, logged and done."""

    script: Script
    trace: str
    broken: tuple[BrokenError, ...]
    agent_days: float
    checked: Mapping[str, int]
    counts: Mapping[str, int]
    seconds: float
    story: tuple[str, ...] = field(repr=False)


class World:
    """Runs a script in `folder`, which is empty."""

    def __init__(self, script: Script, folder: Path, *, story: bool = False) -> None:
        company = self.company = script.company
        self.script = script
        self.folder = folder
        self.state = folder / "state"
        self.loop = Loop()
        self.machine = Machine(self.loop, OPENED)
        self.weather = Weather(company.seed)
        self.counts: dict[str, int] = {}
        self.life: Life | None = None
        self.lives = 0
        self._dying: list[Life] = []
        self._full_story = story
        self.story: deque[str] = deque(maxlen=None if story else KEPT_OF_STORY)
        self._hash = hashlib.blake2b(digest_size=16)
        self._chance = random.Random(f"world {company.seed}")
        self._entropy = random.Random(f"entropy {company.seed}")
        self._fuse: int | None = None
        self._down = 1.0
        self.post_fate, self.post_until = "prompt", 0.0
        self.disk = Disk(self.kill, self.wrote)
        self._disk_seconds = company.disk_seconds
        self._slow_until = 0.0
        self.loop.each_turn = self._turn
        self.loop.work = self._work
        self.loop.disk_seconds = self._latency
        self.post = Post(self._deliver)
        self.google = GoogleSandbox(self.machine.true, self.post)
        self.google.tokens.account = ServiceAccount(key=_short_key())
        self.aircall = AircallSandbox(self.machine.true, self.post)
        self.google._port, self.aircall._port = GOOGLE_PORT, AIRCALL_PORT
        self.google.tokens.life = company.token_life
        self.aircall.switches.budget.limit = 120
        self.aircall.webhooks.switches.retry_delays = (0.5, 2.0)
        self.far = {"google": FarEnd(self.google), "aircall": FarEnd(self.aircall)}
        self.people = self._hire()
        self.agents = [person for person in self.people if person.is_agent]
        self.listed = {person.email: True for person in self.agents}
        self.observed = {person.email: index < company.observed for index, person in enumerate(self.agents)}
        for person in self.agents:
            person.touchable = not self.observed[person.email]
        self.paused: set[str] = set()
        self.chosen: dict[str, Any] = {
            "enforce": company.enforce,
            "floor": company.floor,
            "per_minute": company.per_minute,
            "horizon": 14 * DAY,
        }
        self._keys_made, self._keys_differ = 0, False
        ledger, true = self.state / "ledger", self.machine.true
        self.watch = Watch(self.people, ledger, true, per_minute=company.per_minute, floor=company.floor)
        self.watch.ruled(Rules(bridge=company.bridge))
        self.watch.clock_right = lambda: abs(self._shown_error()) < 1.0
        self._noted = 0
        self._settings: dict[bytes, config.Settings] = {}
        self._revised: dict[str, int] = {}
        self._busy: dict[str, dict[str, tuple[tuple[float, float], ...]]] = {}
        self._listing: dict[str, tuple[tuple[float, float], ...]] = {}
        self._alias: dict[str, str] = {}
        self._starts: dict[str, tuple[float, float]] = {}
        self._calm_since: float | None = None
        self._finished: asyncio.Future[None] | None = None

    def _hire(self) -> list[Person]:
        people = []
        company = self.company
        for index in range(company.agents + company.strangers):
            name = f"agent{index}" if index < company.agents else f"stranger{index}"
            email = f"{name}@company.test"
            user = FIRST_USER + index
            if index < company.agents or not company.everybody:
                self.google.add_user(email)
            self.aircall.add_user(email, user_id=user)
            people.append(Person(email, user, is_agent=index < company.agents))
        return people

    # -- the trace -------------------------------------------------------------------------------------------------

    def note(self, what: str) -> None:
        """It has happened, at this instant."""
        line = f"{self.loop.passed:.6f} {what}\n"
        self._hash.update(line.encode(errors="replace"))
        self.story.append(line)

    def count(self, what: str) -> None:
        """It has happened once more."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def wrote(self, what: str) -> None:
        """Something is on disk."""
        self.note(f"  written: {what}")

    # -- running ---------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """All of it."""
        began = time.process_time()
        with self._in_place():
            try:
                asyncio.set_event_loop(self.loop)
                self.loop.run_until_complete(self._play())
                days = self.loop.passed / DAY
            finally:
                self._end()
        return Outcome(
            self.script,
            self._hash.hexdigest(),
            tuple(self.watch.broken),
            days * len(self.agents),
            dict(self.watch.checked),
            {**self.counts, **{f"wire: {kind}": number for kind, number in sorted(self.weather.met.items())}},
            time.process_time() - began,
            tuple(self.story),
        )

    @contextlib.contextmanager
    def _in_place(self) -> Iterator[None]:
        """While the block runs, the process's chance, files, database, sockets and log are this world's."""
        company = self.company
        patches: list[Any] = [
            mock.patch.object(daemon, "Http", self._http()),
            mock.patch.object(daemon, "serve", self._serve),
            mock.patch.object(config, "load", self._load),
            mock.patch.object(google_far, "parse_mask", _remembered_masks()),
            mock.patch.object(crypt.RSASigner, "from_string", _signer),
            mock.patch.object(aiosqlite.core, "SimpleQueue", JobQueue),
            mock.patch.object(aiosqlite.core, "Thread", NoThread),
            mock.patch.object(os, "urandom", self._urandom),
            mock.patch.object(random, "_urandom", self._urandom),
        ]
        if company.vitals > 5.0:
            patches += [
                mock.patch.object(daemon, "PULSE_SECONDS", company.vitals),
                mock.patch.object(vitals, "PULSE_SECONDS", company.vitals),
                mock.patch.object(vitals, "DATABASE_STALL_SECONDS", company.vitals + 30.0),
                mock.patch.object(absence_room, "MARK_SECONDS", company.vitals),
                mock.patch.object(alarms_room, "LOOK_SECONDS", company.vitals / 2),
                mock.patch.object(vitals.Vitals, "watch_lag", _for_ever),
            ]
        with contextlib.ExitStack() as stack:
            for patch in patches:
                stack.enter_context(patch)
            stack.enter_context(self.disk.in_place())
            stack.enter_context(self._logging())
            yield

    @contextlib.contextmanager
    def _logging(self) -> Iterator[None]:
        root, before = logging.getLogger(), structlog.get_config()
        handlers, level = root.handlers[:], root.level
        root.handlers[:] = []
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            structlog.configure(**before)

    def _urandom(self, number: int) -> bytes:
        return self._entropy.randbytes(number)

    def _write_keys(self) -> None:
        """Those that the services take now."""
        key: dict[str, Any] = {**self.google.key_file(), "token_uri": self.google.token_uri}
        for name, text in {KEY_FILES[0]: json.dumps(key), KEY_FILES[1]: self.aircall.api_token + "\n"}.items():
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        self.watch.secrets += [self.aircall.api_token, key["private_key"].splitlines()[1]]

    def _write_settings(self) -> None:
        company, rules = self.company, self.watch.rules
        enforce = "enforce" if self.chosen["enforce"] else "respect"
        settings: dict[str, Any] = {
            "server": {"listen": PUBLIC_LISTEN, "admin_listen": ADMIN_LISTEN},
            "state_dir": "state",
            "google": {
                "service_account_file": f"./{KEY_FILES[0]}",
                "api_url": self.google.api_url,
                "poll_interval": company.poll,
                "poll_interval_without_push": company.poll_without_push,
                "horizon": self.chosen["horizon"],
            },
            "aircall": {
                "api_id": self.aircall.api_id,
                "api_token_file": f"./{KEY_FILES[1]}",
                "api_url": self.aircall.origin,
                "requests_per_minute": self.chosen["per_minute"],
                "webhooks": company.webhooks,
            },
            "rules": {
                "minimum_duration": rules.minimum,
                "lead": rules.lead,
                "lag": rules.lag,
                "bridge": rules.bridge,
                "on_manual_change": enforce,
            },
            "agents": "all"
            if company.everybody
            else [
                {
                    "email": person.email,
                    "aircall_user": person.user,
                    "mode": "observe" if self.observed[person.email] else "act",
                }
                for person in self.agents
                if self.listed[person.email]
            ],
        }
        if self.chosen["floor"]:
            settings["dispatch"] = {"keep_available": {"all": self.chosen["floor"]}}
        if company.titles:
            settings["rules"]["ignore_titles"] = ["#phone"]
        if company.push:
            settings["server"]["public_url"] = PUBLIC_ORIGIN
        path = self.folder / "config.yaml"
        path.write_text(yaml.dump(settings, sort_keys=False, Dumper=_DUMPER), encoding="utf-8")

    def _http(self) -> type[Http]:
        return type("OurWire", (Wire,), {"world": self})

    async def _begin(self) -> None:
        """Before anything else."""

    async def _close(self) -> None:
        """After everything else."""

    async def _play(self) -> None:
        await self._begin()
        self._write_keys()
        self._write_settings()
        self._finished = self.loop.create_future()
        self._start()
        for action in self.script.actions:
            self.loop.call_at(action["at"], self._act, action, context=WORLD.copy())
        self.loop.call_at(self.company.days * DAY, self._finish, context=WORLD.copy())
        for hour in range(1, self.company.days * 24):
            self.loop.call_at(hour * 3600.0, self._forget, context=WORLD.copy())
        await self._finished

    def _finish(self) -> None:
        assert self._finished is not None
        if not self._finished.done():
            self._finished.set_result(None)

    def _end(self) -> None:
        if self.life is not None:
            self.kill(down=None)
        self.disk.fuse = None
        self.loop.transit.clear()
        self.loop.run_until_complete(self._close())
        for _ in range(200):
            others = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
            if not others:
                break
            for task in others:
                task.cancel()
            self.loop.run_until_complete(_a_turn())
        self.loop.close()
        asyncio.set_event_loop(None)

    def _forget(self) -> None:
        """What the services remember of old requests only fills the memory."""
        for server in (self.google, self.aircall):
            server.requests.clear()
        self.google.push.notifications.clear()
        self.aircall.webhooks.deliveries.clear()
        old = self.machine.true() - 2 * DAY
        pages, syncs = self.google._lists._pages, self.google._lists._syncs
        pages.clear()
        for token in [token for token, sync in syncs.items() if sync.issued < old]:
            del syncs[token]
        dead = [name for name, one in self.google.push.channels.items() if one.stopped or one.expires < old]
        for name in dead:
            del self.google.push.channels[name]
        if self._chance.random() < 1 / 96:
            gc.collect()

    # -- the process -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.lives += 1
        life = self.life = Life(self.lives)
        self.note(f"life {self.lives} begins")
        # Only a restart takes that up.
        self.watch.began(self.chosen["per_minute"])
        main = self.loop.create_task(self._live(life), context=life.context)
        main.add_done_callback(lambda task: self._ended(life, task), context=WORLD.copy())

    def _load(self, path: Path, environ: Mapping[str, str]) -> config.Settings:
        # Parsing YAML takes longer than an hour of the company's life, and the same texts have the same settings.
        text = b"".join((self.folder / name).read_bytes() for name in (path.name, *KEY_FILES))
        if text not in self._settings:
            self._settings[text] = _LOAD(path, environ)
        return self._settings[text]

    async def _live(self, life: Life) -> None:
        self._disturbed()
        path = self.folder / "config.yaml"
        settings = config.load(path, {})
        secrets = [secret.reveal() for secret in settings.secrets]
        logs.configure(settings.log.level, settings.log.format, secrets, cast("TextIO", _Lines(self)), strict=True)
        slice_seconds = 30.0 if self.company.vitals <= 5.0 else 3600.0
        clock = SimulatedClock(self.loop, self.machine, slice_seconds)
        chance = random.Random(f"daemon {self.company.seed} {life.number}")
        life.daemon = daemon.Daemon(settings, path, {}, clock, chance=chance.random)
        await life.daemon.run()

    def _ended(self, life: Life, task: asyncio.Task[None]) -> None:
        if life.dead:
            return
        life.dead = True
        self.life = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, UserError):
            self.note(f"life {life.number} ends: {error}")
            if not self._disk_is_bad():
                self.watch.wrong("alive", f"the daemon does not start: {error}")
        elif error is not None:
            self.watch.wrong("alive", f"the daemon died: {type(error).__name__}: {error}")
            self.note(f"life {life.number} dies of {error!r}")
        else:
            self.note(f"life {life.number} ends")
        seconds = self._down if error is None else RESTART_SECONDS
        self.loop.call_later(seconds, self._again, context=WORLD.copy())

    def _disk_is_bad(self) -> bool:
        return self.disk.full or self.disk.failing

    def _again(self) -> None:
        if self.life is None and not self._finished_yet():
            self._start()

    def _finished_yet(self) -> bool:
        return self._finished is None or self._finished.done()

    def kill(self, down: float | None = -1.0) -> None:
        """As `kill -9` does, at this instant: the next life begins from what is on disk now."""
        life = self.life
        if life is None or life.dead:
            return
        life.dead = True
        self.life = None
        self._fuse = self.disk.fuse = None
        if down is not None:
            self.count("crashes")
            self.note(f"life {life.number} is killed")
            grave = self.folder / f"dead{life.number}"
            if self.state.exists():
                self.state.rename(grave)
                shutil.copytree(grave, self.state)
                self.watch.ledger_written()
            self.loop.call_later(self._down if down < 0 else down, self._again, context=WORLD.copy())
        for task in list(life.tasks):
            task.cancel()
        self._dying.append(life)

    def _turn(self) -> None:
        if self.watch.broken:
            self._finish()
        if self._fuse is not None and self.life is not None:
            self._fuse -= 1
            if self._fuse <= 0:
                self.kill()
        if self._dying:
            for life in self._dying:
                for task in list(life.tasks):
                    task.cancel()
            for life in [one for one in self._dying if not one.tasks]:
                self._dying.remove(life)
                shutil.rmtree(self.folder / f"dead{life.number}", ignore_errors=True)

    def _work(self, job: Callable[[], Any]) -> Any:
        try:
            return job()
        finally:
            life = LIFE.get()
            if life is not None and not life.dead:
                self._look_at_ledger()

    def _look_at_ledger(self) -> None:
        try:
            stat = (self.state / "ledger").stat()
        except FileNotFoundError:
            return
        mark = (stat.st_ino, stat.st_size)
        if mark != getattr(self, "_ledger_mark", None):
            self._ledger_mark = mark
            self.wrote(f"ledger {stat.st_size}")
            self.watch.ledger_written()

    def _latency(self) -> float:
        if self.loop.passed < self._slow_until:
            return 2.0
        return self._disk_seconds

    # -- what is sent ----------------------------------------------------------------------------------------------

    def _shown_error(self) -> float:
        shown: float = self.machine.error
        life = self.life
        found = life.daemon if life is not None else None
        return shown + (found.clock.skew.correction if found is not None else 0.0)

    def sent(self, service: str, method: str, path: str, query: str, body: Any) -> None:
        """A request leaves the daemon."""
        self.count(f"requests to {service}")
        self.note(f"{service} {method} {path} {query} {body if body is not None else ''}")
        if service == "aircall":
            self.watch.sent(method, path, body, self._shown_error())

    def ended(self, service: str, method: str, path: str, status: int | None) -> None:
        """A request has ended for the daemon."""
        self.note(f"  {status}: {service} {method} {path}")

    def told(self, service: str, path: str, headers: Mapping[str, str], data: Any) -> None:
        """The daemon has a whole answer."""
        if service == "google" and path.endswith("/events") and isinstance(data, dict) and "nextSyncToken" in data:
            person = self._person_of(headers)
            if person is not None and person.email in self._listing:
                self.watch.read(person, self._listing[person.email])

    def handle(  # noqa: PLR0917 - a request is what it is
        self, service: str, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> web.Response:
        """What a service answers, at this instant."""
        self._disturbed()
        if service == "google" and path.endswith("/events") and "pageToken" not in query:
            person = self._person_of(headers)
            if person is not None:
                self._listing[person.email] = person.meetings
        response = self.far[service].answer(method, path, query, headers, body)
        if self.google.crashes or self.aircall.crashes:
            raise (self.google.crashes or self.aircall.crashes)[0]
        if service == "aircall":
            self._note_updates()
        return response

    def _disturbed(self) -> None:
        """A place for tests to stand."""

    def _person_of(self, headers: Mapping[str, str]) -> Person | None:
        grant = self.google.tokens._grants.get(headers.get("Authorization", "").removeprefix("Bearer "))
        return self.watch.by_email.get(grant.user) if grant is not None else None

    def _note_updates(self) -> None:
        news = self.aircall.log[self._noted :]
        self._noted += len(news)
        for update in news:
            self.note(f"  {update.email} is {update.after.status} by {update.by}")
            self.watch.updated(update)
        if self._noted > 1000:
            del self.aircall.log[: self._noted]
            self._noted = 0

    # -- what arrives ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _serve(self, app: web.Application, listen: str, **_: Any) -> AsyncIterator[tuple[str, ...]]:
        life = LIFE.get()
        assert life is not None
        app.freeze()
        await app.startup()
        life.apps[listen] = app
        try:
            yield (listen,)
        finally:
            del life.apps[listen]

    async def _deliver(self, path: str, headers: Mapping[str, str], body: bytes, seconds: float) -> int | None:
        fate = self.post_fate if self.loop.passed < self.post_until else "prompt"
        if fate == "mixed":
            fate = self._chance.choice(("lost", "twice", "late", "prompt"))
        if fate == "lost":
            # Somebody took it who did not pass it on.
            return 200
        if fate in ("late", "twice"):
            for _ in range(2 if fate == "twice" else 1):
                delay = self._chance.choice((1.0, 20.0, 300.0))
                self.loop.call_later(delay, self._deliver_late, path, dict(headers), body, context=WORLD.copy())
            return 200
        return await self._hand_in(path, headers, body, seconds)

    def _deliver_late(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.loop.beside(self._hand_in(path, headers, body, 10.0))

    async def _hand_in(self, path: str, headers: Mapping[str, str], body: bytes, seconds: float) -> int | None:
        life = self.life
        app = life.apps.get(PUBLIC_LISTEN) if life is not None else None
        if life is None or app is None:
            return None
        work = self.loop.create_task(ask_app(app, "POST", path, headers, body), context=life.context)
        done, _ = await asyncio.wait([work], timeout=seconds)
        status = work.result() if done and not work.cancelled() else None
        self.count("messages to the daemon")
        self.note(f"  message {path}: {status}")
        return status

    # -- what happens ----------------------------------------------------------------------------------------------

    def _act(self, action: Action) -> None:
        if self._finished_yet():
            return
        self.count(f"done: {action['do']}")
        self.note(f"* {json.dumps(action, sort_keys=True)}")
        getattr(self, "_do_" + action["do"].replace(" ", "_"))(action)

    def _changed(self, person: Person) -> None:
        calendar = self.google.calendars[person.email]
        busy = self._busy.setdefault(person.email, {})
        for revision in calendar.revisions:
            busy[revision.event] = revision.busy
        calendar.revisions.clear()
        old = self.machine.true() - 2 * DAY
        for event in [name for name, spans in busy.items() if spans and all(end < old for _, end in spans)]:
            del busy[event]
            if event in calendar._items and event not in calendar._series:
                del calendar._items[event]
        self.watch.meets(person, tuple(sorted(span for spans in busy.values() for span in spans if span[1] > old)))

    def _do_meet(self, action: Action) -> None:
        person = self.people[action["who"]]
        start, end = OPENED + action["start"], OPENED + action["start"] + action["minutes"] * MINUTE
        event: dict[str, Any] = {
            "summary": f"{TITLE} {action['key']}",
            "start": {"dateTime": second(start), "timeZone": "UTC"},
            "end": {"dateTime": second(end), "timeZone": "UTC"},
        }
        kind = action["kind"]
        if kind == "tentative":
            event["status"] = "tentative"
        elif kind == "transparent":
            event["transparency"] = "transparent"
        elif kind == "all_day":
            day = second(start)[:10]
            event["start"], event["end"] = {"date": day}, {"date": second(start + DAY)[:10]}
            if self._chance.random() < 0.8:
                event["transparency"] = "transparent"
        elif kind in ("weekly", "daily"):
            event["recurrence"] = [f"RRULE:FREQ={kind.upper()};COUNT=3"]
        elif kind == "invited":
            event["attendees"] = [
                {"email": person.email, "responseStatus": "needsAction"},
                {"email": "boss@company.test", "responseStatus": "accepted"},
            ]
        made = self.google.insert(person.email, event)
        self._alias[action["key"]] = made["id"]
        self._starts[action["key"]] = (start, end)
        self._changed(person)

    def _do_edit(self, action: Action) -> None:
        person, name = self.people[action["who"]], self._alias.get(action["key"])
        if name is None:
            return
        try:
            self._edit(person, name, action)
        except Refusal:
            # It is gone, or cannot be so: the calendar's app would not have let them either.
            return
        self._changed(person)

    def _edit(self, person: Person, name: str, action: Action) -> None:
        start, end = self._starts[action["key"]]
        change, by = action["change"], action["by"]
        if change == "cancel":
            self.google.delete(person.email, name)
        elif change in ("shorten", "extend", "move"):
            now = self.machine.true()
            start += by if change == "move" else 0.0
            end = max(start + 60, now) if change == "shorten" and start < now < end else end
            end += by if change in ("extend", "move") else 0.0
            times = {"start": start, "end": end}
            patch = {part: {"dateTime": second(at), "timeZone": "UTC"} for part, at in times.items()}
            self.google.patch(person.email, name, patch)
            self._starts[action["key"]] = (start, end)
        elif change in ("decline", "accept"):
            self.google.respond(person.email, name, "declined" if change == "decline" else "accepted")
        elif change == "free":
            self.google.patch(person.email, name, {"transparency": "transparent"})
        elif change == "instance":
            instance = f"{name}_{second(self._starts[action['key']][0])[:19].replace('-', '').replace(':', '')}Z"
            self.google.delete(person.email, instance)

    def _do_choose(self, action: Action) -> None:
        person = self.people[action["who"]]
        if person.status == action["status"]:
            # It is so already: nobody can choose it.
            return
        substatus = "on_a_break" if action["reason"] and action["status"] == "unavailable" else None
        self.aircall.set_by_hand(person.user, action["status"], substatus)
        self._note_updates()

    def _do_live(self, action: Action) -> None:
        person = self.people[action["who"]]
        self.aircall.set_live(person.user, action["state"])
        person.called_at = self.machine.true()

    def _do_trouble(self, action: Action) -> None:
        until = self.loop.passed + action["seconds"]
        self.weather.troubles.append(
            Trouble(action["service"], tuple(action["kinds"]), action["share"], until, action["late"])
        )

    def _do_crash(self, action: Action) -> None:
        self._down = action["down"]
        if action["turns"] is None:
            self.disk.fuse = action["writes"]
        else:
            self._fuse = action["turns"] + 1

    def _do_stop(self, action: Action) -> None:
        self._down = action["down"]
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        if self.life is not None and number in self.life.signals:
            self.life.context.run(self.life.signals[number])

    def _do_reload(self, action: Action) -> None:
        person, what = self.agents[action["who"]], action["what"]
        if what in ("leave", "join") and not self.company.everybody and person.email not in self.paused:
            self.listed[person.email] = what == "join"
        elif what in ("observe", "act") and not self.company.everybody:
            self.observed[person.email] = what == "observe"
        if not any(self.listed.values()):
            self.listed[person.email] = True
        self._may_be_touched(person)
        self._reload()

    def _reload(self) -> None:
        """The settings and the keys are others, and whoever runs is told to read them."""
        self._write_settings()
        self._hang_up()

    def _hang_up(self) -> None:
        if self.life is not None and signal.SIGHUP not in self.life.signals:
            # It may have read the former ones and does not listen yet: systemd would wait for it as well.
            self.loop.call_later(1.0, self._hang_up, context=WORLD.copy())
        self._signal(signal.SIGHUP)

    def _do_settings(self, action: Action) -> None:
        change: dict[str, Any] = action["change"]
        rules = {name: value for name, value in change.items() if name not in self.chosen}
        self.chosen |= {name: value for name, value in change.items() if name in self.chosen}
        self.watch.floor = self.chosen["floor"]
        self.watch.ruled(replace(self.watch.rules, **rules))
        self._reload()

    def _do_keys_gone(self, action: Action) -> None:
        """A service takes another key only, and nobody has told the daemon."""
        self._keys_made += 1
        self._keys_differ = True
        if action["service"] == "aircall":
            self.aircall.api_token = f"sandbox-api-token-{self._keys_made}"
        else:
            key_id = f"{self._keys_made:040x}"
            self.google.tokens.account = ServiceAccount(key_id=key_id, key=_short_key(self._keys_made % 2))

    def _do_keys_in_place(self, _: Action) -> None:
        if self._keys_differ:
            self._keys_differ = False
            self._write_keys()
            self._reload()

    def _may_be_touched(self, person: Person) -> None:
        before, now = person.touchable, self.machine.true()
        email = person.email
        person.touchable = self.listed[email] and not self.observed[email] and email not in self.paused
        if before and not person.touchable:
            person.touchable_until = now
        if before != person.touchable:
            person.released_at = now

    def _do_access(self, action: Action) -> None:
        person, suspended = self.agents[action["who"]], self.google.tokens.suspended
        (suspended.discard if action["granted"] else suspended.add)(person.email)

    def _do_pause(self, action: Action) -> None:
        person = self.agents[action["who"]]
        if self.listed[person.email]:
            self.loop.beside(self._operate(person, "pause"))

    def _do_resume(self, action: Action) -> None:
        person = self.agents[action["who"]]
        if person.email in self.paused:
            self.loop.beside(self._operate(person, "resume"))

    async def _operate(self, person: Person, deed: str) -> None:
        """An operator asks until it is done; until then it may or may not be."""
        person.touchable_until = person.released_at = math.inf
        while not self._finished_yet():
            life = self.life
            app = life.apps.get(ADMIN_LISTEN) if life is not None else None
            if life is not None and app is not None:
                was_bad = self._disk_is_bad()
                ask = ask_app(app, "POST", f"/api/v1/agents/{person.email}/{deed}", ADMIN, b"")
                work = self.loop.create_task(ask, context=life.context)
                await asyncio.wait([work], timeout=30.0)
                status = work.result() if work.done() and not work.cancelled() else None
                self.note(f"  operator: {deed} {person.email}: {status}")
                if status == 200:
                    break
                # What could not be written down holds for this process alone; the answer is told so, and asks again.
                is_unwritten = status == 409 and (was_bad or self._disk_is_bad())
                if status is not None and status < 500 and not is_unwritten:
                    self.watch.wrong("alive", f"an operator's {deed} is answered {status}")
            await asyncio.sleep(5.0)
        (self.paused.add if deed == "pause" else self.paused.discard)(person.email)
        person.touchable_until = person.released_at = self.machine.true()
        self._may_be_touched(person)

    def _do_clock(self, action: Action) -> None:
        self.machine.set_clock(action["off"])

    def _do_drift(self, action: Action) -> None:
        self.machine.go_wrong(action["rate"])

    def _do_suspend(self, action: Action) -> None:
        self.machine.sleep(action["seconds"])

    def _do_disk(self, action: Action) -> None:
        kind = action["kind"]
        if kind == "slow":
            self._slow_until = self.loop.passed + action["seconds"]
            return
        name = "full" if kind == "full" else "failing"
        setattr(self.disk, name, True)
        self.loop.call_later(action["seconds"], self._disk_is_good, context=WORLD.copy())

    def _disk_is_good(self) -> None:
        self.disk.full = self.disk.failing = False

    def _do_post(self, action: Action) -> None:
        self.post_fate, self.post_until = action["fate"], self.loop.passed + action["seconds"]

    def _do_channels_die(self, action: Action) -> None:
        for channel in self.google.push.channels.values():
            if self._chance.random() < action["share"]:
                channel.stopped = True

    def _do_sync_tokens_gone(self, _: Action) -> None:
        self.google.expire_sync_tokens()

    def _do_access_tokens_gone(self, _: Action) -> None:
        self.google.revoke_tokens()

    def _do_pages(self, action: Action) -> None:
        lists = self.google.lists
        lists.most_per_page, lists.empty_pages = action["most"], action["empty"]
        lists.repeat_over_pages = action["repeat"]

    # -- quiet -----------------------------------------------------------------------------------------------------

    def _do_calm(self, _: Action) -> None:
        """All is well again, and everybody's hands are still."""
        self.weather.clear()
        self._fuse = self.disk.fuse = None
        self.disk.full = self.disk.failing = False
        self._slow_until = 0.0
        self.post_until = 0.0
        self.google.lists.most_per_page = None
        self.google.lists.repeat_over_pages = False
        if self.machine.error:
            self.machine.set_clock(0.0)
        self._do_keys_in_place({})
        for person in self.people:
            self.aircall.set_live(person.user, None)
        # Whose crash came late may have been meant to stay down for hours.
        self._again()
        since = self.machine.true()
        settled = self.company.settle_seconds
        for minute in range(int(CHECK_SECONDS // MINUTE)):
            self.loop.call_later(settled + minute * MINUTE, self._compare, since, context=WORLD.copy())

    def _compare(self, since: float) -> None:
        if self._finished_yet():
            return
        self.watch.all_right(quiet_since=since)
        found = self.life.daemon if self.life is not None else None
        self.watch.checked["alive"] += 1
        if found is None or self.life is None:
            self.watch.wrong("alive", "no daemon runs")
        else:
            self.watch.owes_nobody(sorted(found.phones.held()))


class _Lines(io.TextIOBase):
    """The log, line by line."""

    def __init__(self, world: World) -> None:
        self._world = world

    def write(self, text: str) -> int:
        life = LIFE.get()
        if life is None or not life.dead:
            for line in text.splitlines():
                if line:
                    self._world.watch.logged(line)
                    data = json.loads(line)
                    data.pop("time", None)
                    data.pop("timestamp", None)
                    self._world.note(f"  log {json.dumps(data, sort_keys=True)}")
                    if data.get("exc_info") or data.get("exception") or "Traceback" in line:
                        self._world.watch.wrong("alive", f"a traceback: {line[:2000]}")
        return len(text)

    def flush(self) -> None:
        pass


def _remembered_masks() -> Callable[[str, Any], Any]:
    """As `parse_mask`: the daemon asks for the same fields again and again."""
    known_masks: dict[tuple[str, int], Any] = {}

    def parsed(text: str, known: Any) -> Any:
        key = (text, id(known))
        if key not in known_masks:
            known_masks[key] = _PARSE_MASK(text, known)
        return known_masks[key]

    return parsed


@functools.cache
def _signer(key: str, key_id: str | None = None) -> crypt.RSASigner:
    # Reading a private key takes a twentieth of a second.
    signer: crypt.RSASigner = _FROM_STRING(key, key_id)  # type: ignore[no-untyped-call]
    return signer


async def _for_ever(*_: Any) -> None:
    await asyncio.get_running_loop().create_future()


async def _a_turn() -> None:
    await asyncio.sleep(0)


_PARSE_MASK = parse_mask
_LOAD, _FROM_STRING = config.load, crypt.RSASigner.from_string
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@functools.cache
def _short_key(_: int = 0) -> rsa.RSAPrivateKey:
    """One for each number, half as long as Google's: signing with theirs is a sixth of what some companies cost."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it guards nothing


def world_of(script: Script) -> type[World]:
    """The kind of world that the script's depth needs."""
    if script.company.depth == "cut":
        return World
    from .sockets import SocketWorld  # noqa: PLC0415 - it is built on this module

    return SocketWorld


def played(script: Script, *, story: bool = False) -> Outcome:
    """Run a script in a folder of its own, in memory where there is such a place."""
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - files that need no disk
    with tempfile.TemporaryDirectory(dir=base, prefix="calsyncd-") as folder:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return world_of(script)(script, Path(folder), story=story).run()
        finally:
            if collecting:
                gc.enable()
            gc.collect()
