"""The power goes, again and again, in a busy minute."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time

from tests.drill.company import ADMIN, Company
from tests.drill.findings import Bench, Findings
from tests.drill.guest import Guest

CUTS = int(os.environ.get("CALSYNCD_CUTS", "6"))
CUT_SECONDS = 400.0
"""What a cut may take with its busy minute and its boot, which is emulated on most machines."""
PEOPLE = 12
BUSY_SECONDS = 40.0
"""How long meetings begin and end, from when the daemon acts."""
RIGHT_SECONDS = 30.0

_INTEGRITY = """
import sqlite3
for name in ("calsyncd.db",):
    base = sqlite3.connect(f"/var/lib/private/calsyncd/{name}")
    print(base.execute("PRAGMA integrity_check").fetchone()[0])
"""


async def power_cuts(bench: Bench, found: Findings) -> None:
    """QEMU is killed at random instants of a busy minute; each time the same disk is booted again.

    What the guest had not flushed is lost, in its memory and in the disk's. Half of those
    who are held have their meetings cancelled while the power is off: that they are owed stands in the ledger alone.
    """
    chance = random.Random(7)
    lost: list[str] = []
    sound: list[str] = []
    held = 0
    async with Company(PEOPLE) as company:
        guest = await bench.alone()
        await guest.boot()
        try:
            await company.move_into(guest)
            await guest.ok("systemctl enable calsyncd && sync")
            await company.started(guest)
            for cut in range(CUTS):
                _busy(company)
                await asyncio.sleep(chance.uniform(4, BUSY_SECONDS - 5))
                await guest.cut()
                began = time.monotonic()
                while_off = [email for email in company.people if company.status(email) == "unavailable"]
                held += len(while_off)
                for email in while_off[::2]:
                    company.cancel(email)
                await _boot_again(guest, company)
                late = await company.right(RIGHT_SECONDS)
                # Boundaries of the busy time may lie within: right is who is so at some instant, and in the end.
                await company.until(
                    max((end for spans in company.meetings.values() for _, end in spans), default=0) + 3
                )
                final = await company.right(RIGHT_SECONDS)
                if late is None or final is None:
                    lost.append(f"cut {cut + 1}: {company.wrong()}")
                sound.append(await guest.ok(f"python3 -c '{_INTEGRITY}'"))
                took = time.monotonic() - began
                print(
                    f"  cut {cut + 1}: {len(while_off)} held, {took:.0f} s, {company.wrong() or 'all right'}",
                    flush=True,
                )
                for email in company.people:
                    company.cancel(email)
            expected = f"after each of {CUTS} cuts everybody is right within {RIGHT_SECONDS:.0f} s of ready"
            found.check(expected, lost or f"all, {held} held when it went", good=not lost and held > 0)
            found.check("the database is sound after each", sorted(set(sound)), good=set(sound) == {"ok"})
            _, body = await guest.get(f"{ADMIN}/api/v1/overview")
            owed = json.loads(body)["owed"]["count"]
            found.check("nothing is owed in the end", f"{owed} owed", good=owed == 0)
        finally:
            await guest.cut()


async def _boot_again(guest: Guest, company: Company) -> None:
    await guest.boot()
    company.find(guest)
    await company.ready(guest)


def _busy(company: Company) -> None:
    """Everybody goes in and out of meetings for a while, each at their own rhythm: about a boundary a second."""
    begin = company.now() + 2
    for number, email in enumerate(company.people):
        at = begin + number % 6
        while at < begin + BUSY_SECONDS:
            company.meet(email, (at, at + 8))
            at += 20
