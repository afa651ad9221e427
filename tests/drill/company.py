"""A company whose calsyncd runs in the guest: both services on this machine, meetings, who is as they should be."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from yarl import URL

from calsyncd.sandbox.aircall_users import Update
from calsyncd.sandbox.world import Sandbox
from tests.drill.guest import Guest, GuestError

ETC = "/etc/calsyncd"
UNITS = "/etc/systemd/system"
ADMIN = "http://127.0.0.1:8771"
NAMES = ("amy", "ben", "cleo", "dan", "eva", "finn", "gus", "hana", "ivo", "jo", "kai", "lea")
START_SECONDS = 300.0
CREDENTIALS = r"s/^#LoadCredential=\(google\|aircall\)/LoadCredential=\1/"
"""For sed: the eighth of README's ten steps, word by word."""

_PROXY = "[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd --connections-max=1024 10.0.2.2:{port}\n"
_SOCKET = "[Socket]\nListenStream=127.0.0.1:{port}\nBacklog=1024\n[Install]\nWantedBy=sockets.target\n"

Span = tuple[float, float]


@dataclass
class Company:
    """Both services on loopback; `set_ahead` says by how much the time that they tell is ahead of this machine's.

    What they keep has this machine's time: a history that is put back would show what was long before. The guest's
    loopback leads to them, so that its settings are those of a machine that has them itself.
    """

    number: int = 3
    offset: float = 0.0
    meetings: dict[str, list[Span]] = field(default_factory=dict)
    _events: dict[str, list[str]] = field(default_factory=dict)
    _sandbox: Sandbox | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="drill-company-")
        self._sandbox = Sandbox()
        self._sandbox.google.tokens._now = self.now
        await self._sandbox.__aenter__()
        for number, name in enumerate(NAMES[: self.number], start=1):
            self._sandbox.add_agent(f"{name}@example.com", user_id=number)
            self.meetings[f"{name}@example.com"] = []
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.sandbox.__aexit__(kind, error, trace)
        assert self._folder is not None
        self._folder.cleanup()

    @property
    def sandbox(self) -> Sandbox:
        """Both services."""
        assert self._sandbox is not None
        return self._sandbox

    @property
    def people(self) -> list[str]:
        """Their addresses; the n-th is user n of Aircall, counted from 1."""
        return list(self.meetings)

    def now(self) -> float:
        """The time that both services tell, epoch seconds."""
        return time.time() + self.offset

    def set_ahead(self, seconds: float) -> None:
        """Let both tell another time, in their answers' `Date` and where a signature must be fresh."""
        self.offset = self.sandbox.google.clock_skew = self.sandbox.aircall.clock_skew = seconds

    def meet(self, email: str, *spans: Span) -> None:
        """Put meetings into a calendar, by epoch seconds; their edges are whole seconds, as Google's are."""
        for span in spans:
            start, end = (float(round(at)) for at in span)
            self.meetings[email].append((start, end))
            times = {"start": start, "end": end}
            event = {name: {"dateTime": datetime.fromtimestamp(at, UTC).isoformat()} for name, at in times.items()}
            made = self.sandbox.google.insert(email, {"summary": "x", **event})
            self._events.setdefault(email, []).append(str(made["id"]))

    def cancel(self, email: str) -> None:
        """Take all meetings out of a calendar."""
        for event in self._events.pop(email, ()):
            self.sandbox.google.delete(email, event)
        self.meetings[email].clear()

    def wanted(self, email: str, at: float) -> str:
        """What they should be at an instant."""
        return "unavailable" if any(start <= at < end for start, end in self.meetings[email]) else "available"

    def status(self, email: str) -> str:
        """What Aircall has."""
        return self.sandbox.aircall.setting(self.people.index(email) + 1).status

    def wrong(self) -> list[str]:
        """Who is not as they should be now."""
        return [email for email in self.people if self.status(email) != self.wanted(email, self.now())]

    def updates(self, email: str | None = None, *, since: float = 0.0) -> list[Update]:
        """What was set by calsyncd since an instant of this machine's time, of one or of all."""
        number = None if email is None else self.people.index(email) + 1
        log = self.sandbox.aircall.log
        return [one for one in log if one.by == "api" and one.at >= since and number in {None, one.user}]

    async def right(self, within: float) -> float | None:
        """After how many seconds everybody was right; None where somebody is not after `within`."""
        began = time.monotonic()
        while time.monotonic() - began <= within:
            if not self.wrong():
                return time.monotonic() - began
            await asyncio.sleep(0.01)
        return None

    async def until(self, at: float) -> None:
        """Return at that instant of the company's clock."""
        await asyncio.sleep(max(0.0, at - self.now()))

    async def move_into(self, guest: Guest, **more: Any) -> None:
        """Put settings, secrets and the way to both services into the guest, in place of what was; starts nothing.

        `more` is merged into the settings.
        """
        assert self._folder is not None
        folder = Path(self._folder.name)
        secrets = {"google": {"service_account_file": "google.json"}, "aircall": {"api_token_file": "aircall-token"}}
        extra: dict[str, Any] = {"state_dir": "/var/lib/calsyncd", **secrets}
        for key, value in more.items():
            extra[key] = {**extra[key], **value} if isinstance(extra.get(key), dict) else value
        config = self.sandbox.write_config(folder, self.people, extra=extra)
        self.find(guest)
        stopped = "calsyncd.socket calsyncd-admin.socket calsyncd calsyncd-release.timer"
        await guest.run(f"systemctl disable --now {stopped} drill-google.socket drill-aircall.socket")
        await guest.ok(f"rm -rf {ETC} /var/lib/private/calsyncd* /var/lib/calsyncd* {UNITS}/calsyncd.service.d")
        await guest.put(f"{ETC}/config.yaml", config.read_text(encoding="utf-8"))
        for name in ("google.json", "aircall-token"):
            await guest.put(f"{ETC}/{name}", (folder / name).read_text(encoding="utf-8"), 0o600)
        for name, origin in (("google", self.sandbox.google.origin), ("aircall", self.sandbox.aircall.origin)):
            port = URL(origin).port
            await guest.put(f"{UNITS}/drill-{name}.socket", _SOCKET.format(port=port))
            await guest.put(f"{UNITS}/drill-{name}.service", _PROXY.format(port=port))
        await guest.ok(f"sed -i '{CREDENTIALS}' {UNITS}/calsyncd.service && systemctl daemon-reload")
        if guest.emulated:
            # Python alone takes ten times as long to start there.
            await guest.put(f"{UNITS}/calsyncd.service.d/drill.conf", "[Service]\nTimeoutStartSec=10min\n")
            await guest.ok("systemctl daemon-reload")
        await guest.ok("systemctl stop drill-google.service drill-aircall.service || true")
        await guest.ok("systemctl enable drill-google.socket drill-aircall.socket")
        await guest.ok("systemctl restart drill-google.socket drill-aircall.socket && sync")
        await guest.set_clock(to=self.now())

    def find(self, guest: Guest) -> None:
        """Let notifications go to the guest, whose ports are others after each boot."""
        self.sandbox.deliver_to = f"http://127.0.0.1:{guest.notify_port}"

    async def started(self, guest: Guest) -> float:
        """Start the unit; returns after how many seconds `systemctl start` returned, once every calendar is read."""
        began = time.monotonic()
        done = await guest.run("systemctl start calsyncd", START_SECONDS)
        if done.status:
            said = await guest.run("journalctl --unit=calsyncd --output=cat --no-pager --lines=12")
            raise GuestError(f"calsyncd did not start: {done.err.strip()} {said.out}")
        took = time.monotonic() - began
        await self.ready(guest)
        return took

    async def ready(self, guest: Guest, within: float = START_SECONDS) -> None:
        """Return when the daemon says that it does all that it should."""
        answer = (0, "")
        try:
            async with asyncio.timeout(within):
                while (answer := await guest.get(f"{ADMIN}/readyz"))[0] != 200:
                    await asyncio.sleep(2)
        except TimeoutError:
            raise GuestError(f"not ready after {within:.0f} s: {answer}") from None


async def shown(guest: Guest, unit: str = "calsyncd") -> dict[str, str]:
    """The properties of a unit."""
    lines = (await guest.ok(f"systemctl show {unit}")).splitlines()
    return dict(line.partition("=")[::2] for line in lines)


async def until_shown(guest: Guest, name: str, value: str, within: float) -> float:
    """After how many seconds the unit's property had this value; `GuestError` if not in time."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        if (await guest.ok(f"systemctl show --value --property={name} calsyncd")) == value:
            return time.monotonic() - began
        await asyncio.sleep(1)
    raise GuestError(f"{name} is not {value} after {within:.0f} s")


async def journal(guest: Guest) -> list[dict[str, Any]]:
    """What the daemon has logged since the guest was booted."""
    text = await guest.ok("journalctl --unit=calsyncd --output=cat --no-pager")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
