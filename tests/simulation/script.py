"""What happens in a run, drawn by its seed: plain data, of which any part can be left out, and the rest run again."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from .weather import KINDS, Kind

Depth = Literal["cut", "http"]
Action = dict[str, Any]

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0
OPENED = 1_800_000_000.0 - 1_800_000_000.0 % DAY
CHECK_SECONDS = 6 * MINUTE


@dataclass(frozen=True, slots=True)
class Company:
    """Who there is, and how the daemon is set up."""

    seed: int
    depth: Depth
    days: int
    agents: int
    strangers: int
    per_minute: int
    poll: float
    poll_without_push: float
    push: bool
    webhooks: bool
    bridge: float
    enforce: bool
    titles: bool
    observed: int
    disk_seconds: float
    vitals: float
    token_life: int
    everybody: bool = False
    floor: int = 0

    @property
    def calm_at(self) -> float:
        """When in each day all becomes quiet, so that everybody is right before the next one begins."""
        return min(19.5 * HOUR, DAY - self.settle_seconds - CHECK_SECONDS - MINUTE)

    @property
    def settle_seconds(self) -> float:
        """How long it may take, once all is quiet, until everybody is right.

        A poll interval, a quarter longer at most so that not all march in step; the longest pause of a request that
        failed (64 s) and of a refused one's own; a second reading of what suddenly is empty (60 s); the two looks
        after a lost answer (5 and 60 s), in a budget turn of 60 s.
        """
        return 1.25 * max(self.poll, self.poll_without_push) + 64.0 + 60.0 + 65.0 + 61.0 + self.vitals


@dataclass(frozen=True, slots=True)
class Script:
    """A company and what happens to it, in order of `at`, in seconds since the run began."""

    company: Company
    actions: tuple[Action, ...] = field(repr=False)

    def dumped(self) -> str:
        """As JSON."""
        return json.dumps({"company": asdict(self.company), "actions": self.actions})

    @classmethod
    def read(cls, text: str) -> Script:
        """What `dumped` wrote."""
        data = json.loads(text)
        return cls(Company(**data["company"]), tuple(data["actions"]))

    def with_actions(self, actions: tuple[Action, ...]) -> Script:
        """The same company with other events."""
        return Script(self.company, actions)


def drawn(seed: int, depth: Depth = "cut", *, days: int | None = None, agents: int | None = None) -> Script:
    """The script of a seed; the same in every process."""
    chance = random.Random(f"script {depth} {seed}")
    full = chance.random()
    cut = depth == "cut"
    push = chance.random() < 0.85
    size = agents or chance.choice((1, 3, 10, 25, 40, 60, 80, 200, 500) if cut else (2, 4, 8, 25, 60, 100, 200))
    large = size > 80
    company = Company(
        seed=seed,
        depth=depth,
        days=days or (1 if full < 0.01 else chance.choice((2, 3, 7, 14, 14) if cut else (1, 2, 3))),
        agents=size,
        strangers=chance.randint(1, 4),
        per_minute=100 if large else chance.choice((30, 60, 100, 100, 120)),
        poll=14_400.0 if large else chance.choice((1800.0 if cut else 600.0, 3600.0, 14_400.0, 14_400.0)),
        poll_without_push=chance.choice((3600.0 if large else 600.0, 3600.0, 14_400.0) if push else _unpushed(large)),
        push=push,
        webhooks=large or chance.random() < 0.8,
        bridge=chance.choice((0.0, 0.0, 300.0)),
        enforce=chance.random() < 0.25,
        titles=chance.random() < 0.5,
        observed=chance.choice((0, 0, 1)),
        disk_seconds=chance.choice((0.0, 0.0, 0.0, 0.02, 0.3)),
        # The pulse, the mark of life and such look at the process alone: most runs have them rarely, for speed.
        vitals=5.0 if full < 0.01 else 1800.0 if large else 600.0,
        token_life=chance.choice((3599, 21_600, 86_399, 86_399)) if cut else 3599,
    )
    if large and cut:
        # A sixth of such a run would be signing for tokens.
        company = replace(company, token_life=86_399)
    chosen = _with_a_roster(company, chance)
    return Script(chosen, tuple(_Drawer(chosen, chance).actions()))


def _unpushed(large: bool) -> tuple[float, float]:
    return (7200.0, 14_400.0) if large else (1800.0, 7200.0)


def _with_a_roster(company: Company, chance: random.Random) -> Company:
    """Some name no agents but say `all`, and some keep a few on the phones."""
    if chance.random() < 0.2:
        return replace(company, everybody=True, observed=0)
    if company.agents > 2 and chance.random() < 0.2:
        return replace(company, floor=chance.randint(1, 2))
    return company


class _Drawer:
    def __init__(self, company: Company, chance: random.Random) -> None:
        self.company = company
        self.chance = chance
        self.drawn: list[Action] = []
        self.count = 0
        self.usual = self.busy = chance.choice((0.6, 1.0, 2.0, 4.0) if company.agents <= 80 else (0.3, 0.6))
        # An outage of hours costs a large company's run as much as a month of its life.
        self.wild = chance.choice((0.0, 0.5, 1.0, 1.0, 2.0) if company.agents <= 80 else (0.0, 0.2, 0.2, 0.5))

    def actions(self) -> list[Action]:
        for day in range(self.company.days):
            self._day(day)
        self.drawn.sort(key=lambda one: (one["at"], one["number"]))
        return self.drawn

    def _do(self, at: float, do: str, **options: Any) -> None:
        self.count += 1
        self.drawn.append({"at": round(at, 3), "do": do, "number": self.count, **options})

    def _often(self, mean: float) -> int:
        """So many times, `mean` on average."""
        whole = int(mean)
        return sum(self.chance.random() < mean / (whole + 1) for _ in range(whole + 1))

    def _day(self, day: int) -> None:
        chance, base = self.chance, day * DAY
        calm = base + self.company.calm_at
        quiet = calm + self.company.settle_seconds + CHECK_SECONDS
        self.busy = self.usual if day % 7 < 5 else 0.1
        for who in range(self.company.agents):
            self._meetings(who, base, calm, quiet)
        if chance.random() < 0.15:
            at = base + chance.uniform(8, 17) * HOUR // 900 * 900
            for who in range(self.company.agents):
                self._do(base + 300, "meet", who=who, key=f"h{day}n{who}", start=at, minutes=30, kind="plain")
        hours = (base + 7 * HOUR, calm)
        for who in range(self.company.agents + self.company.strangers):
            for _ in range(self._often(0.4 if day % 7 < 5 else 0.05)):
                status = chance.choice(("available", "custom", "unavailable", "available"))
                self._do(chance.uniform(*hours), "choose", who=who, status=status, reason=chance.random() < 0.3)
            for _ in range(self._often(0.25 if day % 7 < 5 else 0.02)):
                at = chance.uniform(*hours)
                state = chance.choice(("in_call", "after_call_work", "offline", "ringing"))
                self._do(at, "live", who=who, state=state)
                self._do(min(calm, at + chance.expovariate(1 / 400.0)), "live", who=who, state=None)
        if self.wild:
            self._troubles(base, calm)
        self._do(calm, "calm")

    def _meetings(self, who: int, base: float, calm: float, quiet: float) -> None:
        chance = self.chance
        for _ in range(self._often(self.busy)):
            self.count += 1
            key = f"m{self.count}n{who}"
            start = base + chance.uniform(7.5, 19) * HOUR
            start = start // 900 * 900 if chance.random() < 0.8 else float(round(start))
            minutes = chance.choice((5, 15, 30, 30, 60, 60, 120))
            kind = chance.choice(("plain",) * 8 + ("tentative", "transparent", "all_day", "weekly", "daily", "invited"))
            told = chance.choice(
                (base + 60 + chance.uniform(0, 6 * HOUR), start - chance.uniform(0, 7200.0), start + 60)
            )
            told = min(max(told, base + 60), calm - 60)
            self._do(told, "meet", who=who, key=key, start=start, minutes=minutes, kind=kind)
            if chance.random() < 0.2:
                # Back to back, nested, or overlapping.
                beside = start + chance.choice((minutes * 60, minutes * 60, 60, minutes * 30))
                length = chance.choice((5, 15, 30))
                self._do(told, "meet", who=who, key=f"{key}x", start=beside, minutes=length, kind="plain")
            for _ in range(self._often(0.35)):
                change = chance.choice(("cancel", "shorten", "extend", "move", "decline", "free", "accept", "instance"))
                at = min(max(start + chance.uniform(-3600, minutes * 60), told + 1), calm - 1)
                self._do(at, "edit", who=who, key=key, change=change, by=chance.choice((300, 900, 3600)))
        if chance.random() < (0.3 if self.busy > 0.1 else 0.05):
            self.count += 1
            start = calm - chance.uniform(0, 1800)
            at = min(base + 3600 + chance.uniform(0, 12 * HOUR), start - 1)
            lasting = (quiet - start) / 60 + chance.uniform(1, 120)
            self._do(at, "meet", who=who, key=f"q{self.count}n{who}", start=start, minutes=lasting, kind="plain")

    def _troubles(self, base: float, calm: float) -> None:
        chance, wild = self.chance, self.wild
        hours = (base + HOUR, calm - HOUR)

        def when() -> float:
            return chance.uniform(*hours) if chance.random() < 0.7 else chance.uniform(base + 8 * HOUR, calm)

        for _ in range(self._often(2 * wild)):
            kinds: list[Kind] = chance.sample(KINDS, chance.randint(1, 4))
            seconds = chance.choice((20.0, 120.0, 600.0, 2400.0))
            self._do(
                when(),
                "trouble",
                service=chance.choice(("google", "aircall")),
                kinds=kinds,
                share=chance.choice((0.1, 0.4, 1.0)),
                seconds=seconds,
                late=chance.choice((3.0, 12.0, 30.0, 50.0)),
            )
        if chance.random() < 0.15 * wild:
            kind = chance.choice(("unreachable", "503", "lost", "500"))
            at = chance.uniform(base + 6 * HOUR, calm - 4 * HOUR)
            for service in chance.choice((("google",), ("aircall",), ("google", "aircall"))):
                self._do(
                    at,
                    "trouble",
                    service=service,
                    kinds=[kind],
                    share=1.0,
                    seconds=chance.uniform(1, 4) * HOUR,
                    late=20.0,
                )
        for _ in range(self._often(1.2 * wild)):
            self._do(
                when(),
                "crash",
                turns=chance.choice((None, chance.randint(0, 60), chance.randint(0, 2000))),
                writes=chance.randint(0, 12),
                down=chance.choice((0.3, 2.0, 30.0, 600.0, 5000.0)),
            )
        for _ in range(self._often(0.25 * wild)):
            self._do(when(), "stop", down=chance.choice((0.5, 5.0, 120.0)))
        for _ in range(self._often(0.3 * wild)):
            self._do(when(), "reload", what=chance.choice(("same", "leave", "join", "observe", "act")), who=self._who())
        for _ in range(self._often(0.3 * wild)):
            self._do(when(), "settings", change=self._change())
        for _ in range(self._often(0.1 * wild)):
            at = when()
            self._do(at, "keys gone", service=chance.choice(("google", "aircall")))
            self._do(min(at + chance.choice((0.5, 60.0, 3000.0)), calm), "keys in place")
        for _ in range(self._often(0.12 * wild)):
            off = chance.choice((-3600.0, -40.0, -5.0, 5.0, 40.0, 3600.0))
            at = when()
            self._do(at, "clock", off=off)
            self._do(min(at + chance.uniform(30, 4000), calm), "clock", off=0.0)
        for _ in range(self._often(0.06 * wild)):
            self._do(when(), "drift", rate=chance.choice((-1e-3, 1e-4, 5e-3)))
        for _ in range(self._often(0.12 * wild)):
            self._do(when(), "suspend", seconds=chance.choice((20.0, 200.0, 3000.0)))
        for _ in range(self._often(0.25 * wild)):
            self._do(when(), "disk", kind=chance.choice(("full", "eio", "slow")), seconds=chance.choice((1, 30, 900)))
        for _ in range(self._often(0.5 * wild)):
            self._do(
                when(), "post", fate=chance.choice(("lost", "twice", "late", "mixed")), seconds=chance.uniform(60, 7200)
            )
        for _ in range(self._often(0.3 * wild)):
            self._do(when(), "channels die", share=chance.choice((0.3, 1.0)))
        for _ in range(self._often(0.3 * wild)):
            self._do(when(), chance.choice(("sync tokens gone", "access tokens gone")))
        for _ in range(self._often(0.4 * wild)):
            at = when()
            who = self._who()
            self._do(at, "access", who=who, granted=False)
            self._do(min(at + chance.choice((90.0, 4000.0, 20_000.0)), calm), "access", who=who, granted=True)
        for _ in range(self._often(0.4 * wild)):
            at = when()
            who = self._who()
            self._do(at, "pause", who=who)
            self._do(min(at + chance.choice((60.0, 1800.0, 7200.0)), calm), "resume", who=who)
        for _ in range(self._often(0.3 * wild)):
            most = chance.choice((1, 2, 5))
            self._do(when(), "pages", most=most, empty=chance.choice((0, 2)), repeat=chance.random() < 0.5)

    def _change(self) -> Action:
        """One of the settings, and what it becomes."""
        values: dict[str, tuple[float, ...]] = {
            "minimum": (0.0, 600.0, 1800.0),
            "lead": (0.0, 120.0, 600.0),
            "lag": (0.0, 120.0, 600.0),
            "bridge": (0.0, 300.0, 900.0),
            "enforce": (False, True),
            "floor": (0, 1, 2) if self.company.agents > 2 else (0,),
            "per_minute": (100, 120) if self.company.agents > 80 else (30, 60, 100, 120),
            "horizon": (2 * DAY, 14 * DAY),
        }
        name = self.chance.choice(list(values))
        return {name: self.chance.choice(values[name])}

    def _who(self) -> int:
        return self.chance.randrange(self.company.agents)
