"""A loss of access that lasts longer than what was read may count, with the real syncer, store, phones and alarms."""

from __future__ import annotations

import asyncio
from pathlib import Path

from calsyncd.errors import Refused
from tests.alarms.test_watch import Company

HOUR = 3600.0
AMY = "a1@x"
WITHDRAWN = Refused("no", service="google", code="consent_withdrawn", status=400)


async def test_a_consent_withdrawn_while_held_for_more_than_a_day(tmp_path: Path) -> None:
    """The hold goes to its known end, 30 h later; from the 24th on nothing begins; consent given again mends all."""
    async with Company(tmp_path, size=1) as company:

        def status() -> str:
            return company.office.aircall.settings[1].availability_status

        company.event(AMY, "retreat", 0.5 * HOUR, 31.5 * HOUR)
        company.event(AMY, "standup", 33 * HOUR, 34 * HOUR)
        company.event(AMY, "review", 36.4 * HOUR, 37 * HOUR)
        await company.begin()
        await company.a_while(HOUR)
        assert status() == "unavailable"

        company.faults = {AMY: WITHDRAWN}
        await company.a_while(HOUR)
        assert [(one["code"], one["who"], one["owner"]) for one in company.watch.alarms()] == [
            ("consent_withdrawn", AMY, "the agent")
        ]
        await company.end()

        await company.a_while(29 * HOUR)
        assert status() == "unavailable"
        await company.a_while(0.6 * HOUR)
        assert status() == "available"
        # What was read of this one is 32 hours old.
        await company.a_while(1.9 * HOUR)
        assert company.time == 33.5 * HOUR
        assert status() == "available"

        company.event(AMY, "new", 2 * HOUR, 3 * HOUR)
        company.faults = {}
        company._watching = asyncio.create_task(company.watch.run())
        await company.a_while(0.75 * HOUR)
        assert company.watch.alarms() == []
        assert company.heard == [(kind, "consent_withdrawn", AMY) for kind in ("raised", "cleared")]
        await company.a_while(1.5 * HOUR)
        assert status() == "unavailable"
        await company.a_while(1.5 * HOUR)
        assert status() == "available"
