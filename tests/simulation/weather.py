"""What becomes of requests on their way, by the troubles that are on; the same for both depths."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Literal

from calsyncd.sandbox.faults import Fault

Kind = Literal[
    "fine",
    "slow",
    "unreachable",
    "lost",
    "landed",
    "late",
    "cut",
    "half",
    "html",
    "wrong",
    "empty",
    "429",
    "500",
    "503",
    "503 landed",
    "401",
]

KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
FOR_EVER_SECONDS = 30.0
ANYTHING = re.compile("")

GENTLE: tuple[Kind, ...] = ("fine", "slow", "unreachable", "cut", "503", "429")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Until `until`, of each of the service's requests this `share` meets one of `kinds`; `late` ones land then."""

    service: str
    kinds: tuple[Kind, ...]
    share: float
    until: float
    late: float = 20.0


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a request: it takes so long to arrive and to be answered."""

    kind: Kind
    there: float
    back: float


class Weather:
    """The troubles that are on, by the loop's time."""

    def __init__(self, seed: int) -> None:
        self.troubles: list[Trouble] = []
        self.latency = 0.05
        self._chance = random.Random(f"weather {seed}")
        self.met: dict[Kind, int] = {}

    def clear(self) -> None:
        """All is well."""
        self.troubles.clear()
        self.latency = 0.05

    def fate(self, service: str, now: float, *, writes: bool) -> Fate:
        """That of a request that leaves now."""
        there = self.latency * (0.5 + self._chance.random())
        kind: Kind = "fine"
        if self.troubles:
            self.troubles = [one for one in self.troubles if one.until > now]
            for one in self.troubles:
                if one.service == service and self._chance.random() < one.share:
                    kind = self._chance.choice(one.kinds)
                    if kind == "late":
                        there = one.late if writes else 1.0
                    elif kind == "slow":
                        there = self._chance.choice((0.5, 2.0, 4.0))
                    break
        self.met[kind] = self.met.get(kind, 0) + 1
        return Fate(kind, there, self.latency / 2)


class FaultyServer:
    """In place of a sandbox's `Faults`: each request meets its fate at the server."""

    def __init__(self, service: str, weather: Weather, now: object) -> None:
        self._service = service
        self._weather = weather
        self._now = now

    def take(self, line: str) -> Fault | None:
        """What the server does with this request."""
        assert callable(self._now)
        fate = self._weather.fate(self._service, self._now(), writes=not line.startswith("GET"))
        return fault_of(fate)

    def clear(self) -> None:
        """Troubles end with the weather."""


def fault_of(fate: Fate) -> Fault:
    """The fate as a server can bring it about."""

    def fault(**options: object) -> Fault:
        return Fault(match=ANYTHING, left=1, **options)  # type: ignore[arg-type]

    match fate.kind:
        case "fine" | "slow":
            return fault(delay=fate.there)
        case "unreachable" | "cut":
            return fault(delay=fate.there, cut=True, landed=fate.kind == "cut")
        case "lost":
            return fault(delay=FOR_EVER_SECONDS, cut=True)
        case "landed" | "late":
            return fault(delay=max(fate.there, FOR_EVER_SECONDS), cut=True, landed=True)
        case "half":
            return fault(delay=fate.there, truncate=True)
        case "503 landed":
            return fault(delay=fate.there, status=503, body=b"{}", landed=True)
        case _:
            status, body, headers = false_answer(fate.kind)
            return fault(delay=fate.there, status=status, body=body, headers=headers)


def false_answer(kind: Kind) -> tuple[int, bytes, dict[str, str]]:
    """(status, body, headers) of an answer that the service's own handler did not make."""
    match kind:
        case "html":
            return 200, b"<html><body>Welcome to the hotel's wireless</body></html>", {}
        case "wrong":
            return 200, b'[{"users": null, "items": 7, "user": {"id": "x"}}]', {}
        case "empty":
            return 200, b"", {}
        case "429":
            return 429, b"{}", {"Retry-After": "20"}
        case "401":
            return 401, b'{"error": {"code": 401, "message": "Invalid Credentials"}}', {}
        case _:
            return int(kind[:3]), b"<html>Bad Gateway</html>", {}
