"""What a drill expected and saw."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.drill.guest import Guest
from tests.drill.image import Image


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    expected: str
    seen: str
    good: bool


@dataclass(slots=True)
class Findings:
    """All that one drill looked at."""

    rows: list[Finding] = field(default_factory=list)

    def check(self, expected: str, seen: object, *, good: bool) -> None:
        """Note what was seen, and whether it is what was expected."""
        self.rows.append(Finding(expected, str(seen), bool(good)))
        print(f"  {'ok  ' if good else 'FAIL'} {expected}: {seen}", flush=True)

    @property
    def good(self) -> bool:
        """Whether something was looked at, and all of it was as expected."""
        return bool(self.rows) and all(row.good for row in self.rows)


@dataclass
class Bench:
    """Where drills get their guests from, one at a time."""

    image: Image
    folder: Path
    _guest: Guest | None = None
    _count: int = 0

    @asynccontextmanager
    async def guest(self) -> AsyncIterator[Guest]:
        """A running guest, with a fresh disk. It runs on after the drill, so that it can be asked what went wrong."""
        self._guest = await self.alone()
        yield await self._guest.__aenter__()

    async def alone(self, rtc: str = "base=utc") -> Guest:
        """A guest for one drill, beside which no other runs; with a disk of its own, and not yet switched on."""
        await self.close()
        return self._made(rtc)

    def _made(self, rtc: str = "base=utc") -> Guest:
        self._count += 1
        folder = self.folder / f"guest-{self._count}"
        folder.mkdir()
        return Guest(self.image, folder, rtc)

    async def told(self) -> str:
        """The last that the last guest's daemon logged, for whoever looks why a drill failed."""
        if self._guest is None:
            return ""
        said = await self._guest.run("journalctl --unit=calsyncd --output=short-precise --no-pager --lines=40")
        return said.out

    async def close(self) -> None:
        """Switch the guest off."""
        if self._guest is not None:
            await self._guest.cut()
            self._guest = None


Drill = Callable[[Bench, Findings], Awaitable[None]]
