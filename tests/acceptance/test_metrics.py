"""What a running daemon tells Prometheus: all that is promised, and each moves by what it is about."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running

AMY, BOB = "amy@example.com", "bob@example.com"
OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")

Values = dict[tuple[str, ...], float]


def meeting(sandbox: Sandbox, who: str, start: float, end: float) -> None:
    """A meeting from `start` to `end` seconds from now."""
    at = time.time()
    times = {"start": {"dateTime": second(at + start)}, "end": {"dateTime": second(at + end)}}
    sandbox.google.insert(who, {"summary": "x", **times})


async def exposed(daemon: Running) -> str:
    """What Prometheus scrapes."""
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.admin}/metrics") as answer:
        assert answer.status == 200
        return await answer.text()


async def until(daemon: Running, wanted: Callable[[Values], bool]) -> Values:
    """The first scrape that is as wanted: values by name and the labels' values."""
    values: Values = {}
    try:
        async with asyncio.timeout(15):
            while True:
                families = text_string_to_metric_families(await exposed(daemon))
                values = {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}
                if wanted(values):
                    return values
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"never: {values}") from None


async def test_each_metric_is_fed(sandbox: Sandbox, launch: Callable[..., Awaitable[Running]]) -> None:
    """A meeting in time, and one whose updates Aircall refuses for a while; then all that is promised is there."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    daemon = await launch([AMY, BOB])
    first = await until(daemon, lambda now: now["calsyncd_channels", "healthy"] == 2)
    assert first["calsyncd_channels", "off"] == 0
    assert first["calsyncd_push_configured",] == 1
    assert first["calsyncd_stances", "free"] == 2

    sandbox.aircall.fail("PUT .*/users/2", times=None, status=503, body="")
    meeting(sandbox, AMY, -1, 5)
    meeting(sandbox, BOB, -1, 3600)
    during = await until(
        daemon, lambda now: now["calsyncd_owed_updates",] == 1 and now["calsyncd_stances", "held"] == 1
    )
    assert during["calsyncd_owed_age_seconds",] > 0
    later = await until(
        daemon,
        lambda now: (
            now["calsyncd_wrong_state_seconds_total", "ringing"]
            > during["calsyncd_wrong_state_seconds_total", "ringing"]
        ),
    )
    # An update that was answered so may have been made.
    assert later["calsyncd_updates_total", "unknown"] >= 1
    sandbox.aircall.faults.clear()
    sandbox.aircall.fail("PUT .*/users/1", times=1, status=503, body="")
    after = await until(
        daemon,
        lambda now: (
            now["calsyncd_boundary_lateness_seconds_count",] == 3
            and now["calsyncd_owed_updates",] == 0
            and now["calsyncd_loop_lag_seconds_count",] >= 3
        ),
    )

    assert after["calsyncd_wrong_state_seconds_total", "unreachable"] > 0
    assert after["calsyncd_boundary_lateness_beyond_budget_seconds_count",] == 3
    assert after["calsyncd_boundary_lateness_seconds_sum",] > 0.2
    assert after["calsyncd_updates_total", "done"] == 3
    assert after["calsyncd_updates_total", "dropped"] == 0
    assert after["calsyncd_owed_age_seconds",] == 0
    assert after["calsyncd_notifications_total", "genuine"] >= 2
    assert (
        after["calsyncd_syncs_total", "baseline", "changed"] + after["calsyncd_syncs_total", "baseline", "unchanged"]
        == 2
    )
    assert after["calsyncd_syncs_total", "delta", "changed"] >= 2
    assert 0 < after["calsyncd_calendar_age_seconds",] < 60
    assert 0 < after["calsyncd_budget_remaining",] < 100
    assert after["calsyncd_http_requests_total", "users.update", "aircall", "200"] == 3
    assert after["calsyncd_http_requests_total", "users.update", "aircall", "503"] >= 2
    assert after["calsyncd_http_requests_total", "events.list", "google", "200"] >= 4
    assert after["calsyncd_http_request_seconds_count",] > 8
    assert abs(after["calsyncd_clock_skew_seconds",]) < 1
    assert after["calsyncd_healthy",] == 1
    assert time.time() - after["process_start_time_seconds",] < 60

    names = {re.sub(r"_(bucket|count|sum)\Z", "", key[0]) for key in after}
    _, _, section = OPERATIONS.partition("\n## Metrics\n")
    assert names == set(re.findall(r"^\| `(\w+)", section.partition("\n## ")[0], re.MULTILINE))
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian's package prometheus) is not installed: the exposition was NOT checked")
    checking = await asyncio.create_subprocess_exec(
        promtool,
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await checking.communicate((await exposed(daemon)).encode())
    assert (checking.returncode, said) == (0, b"")
