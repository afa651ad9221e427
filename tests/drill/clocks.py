"""What no container can try: a stepped clock, a dead one, a suspend, a machine that was paused."""

from __future__ import annotations

import asyncio
import time

from calsyncd.clock import NOT_BEFORE
from tests.drill.company import ADMIN, START_SECONDS, Company, journal, shown
from tests.drill.findings import Bench, Findings
from tests.drill.guest import Guest

HOUR = 3600.0
JANUARY_1970 = 86_400.0
STEP_SECONDS = 1.0
RESUME_SECONDS = 5.0
STEPS = (1, -1, 8, -8, -1, 1)
"""Hours, one after the other; after each second one the clock is as it was."""


async def clock_steps(bench: Bench, found: Findings) -> None:
    """The clock is set by an hour and by eight, either way: who is due now is so at once."""
    async with bench.guest() as guest, Company(4) as company:
        base = company.now()
        amy, ben, cleo, dan = company.people
        for email, hours in ((amy, 1), (ben, 8), (cleo, 0), (dan, -1)):
            company.meet(email, (base + hours * HOUR - 600, base + hours * HOUR + 1500))
        await company.move_into(guest)
        await company.started(guest)
        found.check("right before the first step", company.wrong() or "all", good=await company.right(30) is not None)
        for hours in STEPS:
            await asyncio.sleep(3)
            late, sent = await _step(guest, company, hours * HOUR)
            seen = f"nobody is right: {company.wrong()}" if late is None else f"{late:.2f} s, {sent} updates"
            good = late is not None and late <= STEP_SECONDS and sent == 2
            found.check(f"{hours:+d} h: right within {STEP_SECONDS:.0f} s by one update each", seen, good=good)
        steps = [line for line in await journal(guest) if line.get("action") == "clock_stepped"]
        found.check(f"{len(STEPS)} steps are logged", len(steps), good=len(steps) >= len(STEPS))
        restarts = (await shown(guest))["NRestarts"]
        found.check("no restart", restarts, good=restarts == "0")


async def _step(guest: Guest, company: Company, by: float) -> tuple[float | None, int]:
    """After how many seconds everybody was right, and how many updates that took in the ten seconds since."""
    company.set_ahead(company.offset + by)
    since = time.time()
    setting = asyncio.create_task(guest.set_clock(by=by))
    late = await company.right(10)
    await setting
    await asyncio.sleep(5)
    return late, len([one for one in company.updates() if since <= one.at <= since + 15])


async def dead_rtc(bench: Bench, found: Findings) -> None:
    """A machine without a battery starts in the past: nothing is written until its clock is set."""
    guest = await bench.alone("base=1970-01-02T00:00:00")
    async with guest, Company(2) as company:
        began = float((await guest.clocks())["now"])
        shown_at_first = time.strftime("%Y-%m-%d", time.gmtime(began))
        found.check(
            "the guest starts in the past, as far as its systemd lets it", shown_at_first, good=began < NOT_BEFORE
        )
        # systemd is not older than itself; a machine without it may be.
        shows = JANUARY_1970
        company.set_ahead(shows - time.time())
        amy, ben = company.people
        company.meet(amy, (shows - 600, shows + 3000))
        real = time.time()
        company.meet(ben, (real - 600, real + 3000))
        await company.move_into(guest)
        await guest.ok("systemctl start calsyncd", START_SECONDS)
        state = (await shown(guest))["ActiveState"]
        found.check("the unit starts all the same", state, good=state == "active")
        await asyncio.sleep(30)
        status, body = await guest.get(f"{ADMIN}/readyz")
        found.check("not ready, and says why", f"{status} {body.strip()}", good=status == 503 and "credible" in body)
        asked = len(company.sandbox.google.requests)
        found.check("the calendars were read meanwhile", f"{asked} requests", good=asked > 0)
        sent = len(company.updates())
        found.check("nobody was set", f"{sent} updates", good=sent == 0)
        company.set_ahead(0.0)
        company.meetings[amy].clear()
        began = time.monotonic()
        setting = asyncio.create_task(guest.set_clock(to=time.time()))
        late = await company.right(60)
        await setting
        seen = f"wrong: {company.wrong()}" if late is None else f"{time.monotonic() - began:.2f} s"
        found.check("the clock is set: right within 30 s", seen, good=late is not None and late <= 30)
        await company.ready(guest, 60)
        found.check("ready again", "yes", good=True)


async def suspend(bench: Bench, found: Findings) -> None:
    """The machine sleeps over several boundaries: right soon after it wakes, without a replay."""
    async with bench.guest() as guest, Company(3) as company:
        amy, ben, cleo = company.people
        await company.move_into(guest)
        await company.started(guest)
        base = company.now() + 90
        # Asleep from base on. Amy wakes into her third meeting, Ben was in one, Cleo's begins and ends meanwhile.
        company.meet(amy, (base + 8, base + 16), (base + 20, base + 28), (base + 32, base + 300))
        company.meet(ben, (base - 40, base + 24))
        company.meet(cleo, (base + 10, base + 30))
        await company.until(base - 2)
        found.check("right before it falls asleep", company.wrong() or "all", good=not company.wrong())
        asleep = company.now()
        await guest.suspend("mem")
        found.check("suspended to memory, as QEMU sees it", "suspended", good=True)
        await company.until(base + 40)
        during = len(company.updates(since=asleep + 1))
        found.check("nothing is sent meanwhile", f"{during} updates", good=during == 0)
        woken = company.now()
        await guest.control("system_wakeup")
        late = await company.right(60)
        seen = f"wrong: {company.wrong()}" if late is None else f"{late:.2f} s"
        good = late is not None and late <= RESUME_SECONDS
        found.check(f"right within {RESUME_SECONDS:.0f} s of waking", seen, good=good)
        await guest.awake()
        await asyncio.sleep(10)
        numbers = [len(company.updates(email, since=woken)) for email in (amy, ben, cleo)]
        found.check("one update for Amy, one for Ben, none for Cleo", numbers, good=numbers == [1, 1, 0])
        clocks = await guest.clocks()
        slept = clocks["boottime"] - clocks["monotonic"]
        found.check("the kernel has slept", f"{slept:.0f} s", good=slept > 30)
        restarts = (await shown(guest))["NRestarts"]
        found.check("the watchdog let it sleep", f"{restarts} restarts", good=restarts == "0")


async def pause(bench: Bench, found: Findings) -> None:
    """The machine stands still for longer than the watchdog allows, as in a migration; its clock is set after that."""
    async with bench.guest() as guest, Company(2) as company:
        amy, ben = company.people
        await company.move_into(guest)
        await company.started(guest)
        base = company.now() + 90
        company.meet(amy, (base + 10, base + 40), (base + 60, base + 300))
        company.meet(ben, (base - 40, base + 50))
        await company.until(base)
        found.check("right before the pause", company.wrong() or "all", good=not company.wrong())
        await guest.control("stop")
        await company.until(base + 75)
        await guest.control("cont")
        resumed = company.now()
        behind = resumed - float((await guest.clocks())["now"])
        found.check("the guest's clock stood still as well", f"{behind:.0f} s behind", good=behind > 60)
        resumed = company.now()
        setting = asyncio.create_task(guest.set_clock(to=resumed))
        late = await company.right(60)
        await setting
        seen = f"wrong: {company.wrong()}" if late is None else f"{late:.2f} s"
        good = late is not None and late <= RESUME_SECONDS
        found.check(f"right within {RESUME_SECONDS:.0f} s of the clock's being set", seen, good=good)
        await asyncio.sleep(10)
        numbers = [len(company.updates(email, since=resumed - 5)) for email in (amy, ben)]
        found.check("one update each", numbers, good=numbers == [1, 1])
        properties = await shown(guest)
        found.check("running", properties["ActiveState"], good=properties["ActiveState"] == "active")
