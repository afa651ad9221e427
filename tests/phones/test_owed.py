"""What is owed, as the metrics tell it: who is wrong while they are, what passed by, and what the budget explains."""

from __future__ import annotations

from tests.phones.company import Office, amy, down, team

AMY = "amy@x"


def value(office: Office, name: str, **labels: str) -> float:
    """A metric, brought up to date."""
    office.phones.measure()
    found = office.metrics.registry.get_sample_value(name, labels)
    assert found is not None
    return found


def wrong(office: Office) -> tuple[int, int]:
    """Seconds of ringing in a meeting, and of being unreachable after it; whole ones."""
    ringing, unreachable = (
        round(value(office, "calsyncd_wrong_state_seconds_total", kind=kind)) for kind in ("ringing", "unreachable")
    )
    return ringing, unreachable


async def test_ringing_is_counted_while_it_lasts_and_once() -> None:
    """Aircall is away when a meeting begins: each look at the metrics finds more, and the update adds no more to it."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, 3600))
        await office.until(50)
        office.aircall.all_fail(down())
        seen = []
        for second in (60, 90, 120, 360):
            await office.until(second)
            seen.append((wrong(office)[0], round(value(office, "calsyncd_owed_age_seconds"))))
        office.aircall.all_fail(None)
        await office.until(420)

        assert seen == [(0, 0), (30, 30), (60, 60), (300, 300)]
        late = value(office, "calsyncd_boundary_lateness_seconds_sum")
        assert 300 < late < 345
        assert wrong(office) == (round(late), 0)
        assert value(office, "calsyncd_owed_age_seconds") == 0
        assert value(office, "calsyncd_boundary_lateness_beyond_budget_seconds_sum") == late


async def test_unreachable_is_counted_while_it_lasts() -> None:
    """Aircall is away when a meeting ends, until it is back."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, 600))
        await office.until(590)
        office.aircall.all_fail(down())
        await office.until(700)
        during = wrong(office)
        office.aircall.all_fail(None)
        await office.until(800)

        assert during == (0, 100)
        assert wrong(office) == (0, round(value(office, "calsyncd_boundary_lateness_seconds_sum")))


async def test_a_meeting_that_passed_by_is_dropped() -> None:
    """Aircall was away for all of it: no lateness was measured, so it is counted as dropped, with all its seconds."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, 360))
        await office.until(50)
        office.aircall.all_fail(down())
        await office.until(400)
        office.aircall.all_fail(None)
        await office.until(500)

        assert value(office, "calsyncd_updates_total", result="dropped") == 1
        assert value(office, "calsyncd_updates_total", result="left_out") == 0
        assert value(office, "calsyncd_boundary_lateness_seconds_count") == 0
        assert wrong(office) == (300, 0)


async def test_what_is_as_it_should_be_drops_nothing() -> None:
    """Two meetings in time: nothing was wrong, dropped, or rationed."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, 360), (600, 900))
        await office.until(1000)

        assert value(office, "calsyncd_boundary_lateness_seconds_count") == 4
        assert wrong(office) == (0, 0)
        assert [value(office, "calsyncd_updates_total", result=result) for result in ("dropped", "left_out")] == [0, 0]


async def test_an_own_choice_drops_nothing() -> None:
    """Whoever is found unavailable by their own choice, after an outage, was not left waiting."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, 3600))
        await office.until(50)
        office.aircall.all_fail(down())
        await office.until(200)
        office.aircall.by_hand(1, "unavailable")
        office.aircall.all_fail(None)
        await office.until(400)

        assert value(office, "calsyncd_updates_total", result="dropped") == 0
        assert value(office, "calsyncd_owed_updates") == 0


async def test_a_crowd_is_late_by_the_budget_alone() -> None:
    """Sixty are due at once, and twenty requests a minute: minutes late, and within two seconds but for the budget."""
    agents = team(60)
    async with Office(agents, per_minute=20) as office:
        for agent in agents:
            office.meet(agent.email, (600, 7200))
        await office.until(1800)

        count = value(office, "calsyncd_boundary_lateness_seconds_count")
        assert count == 60
        assert value(office, "calsyncd_boundary_lateness_seconds_bucket", le="2.0") < 60
        assert value(office, "calsyncd_boundary_lateness_beyond_budget_seconds_bucket", le="2.0") == 60


async def test_a_slow_aircall_is_not_the_budget() -> None:
    """Answers that take five seconds are late by themselves, also in a crowd."""
    agents = team(30)
    async with Office(agents, per_minute=20) as office:
        for agent in agents:
            office.meet(agent.email, (600, 7200))
        await office.until(500)
        office.aircall.all_latencies(5.0)
        await office.until(1800)

        assert value(office, "calsyncd_boundary_lateness_beyond_budget_seconds_count") == 30
        assert value(office, "calsyncd_boundary_lateness_beyond_budget_seconds_bucket", le="2.0") < 20


async def test_what_the_budget_cannot_serve_is_left_out() -> None:
    """Forty have a short meeting at once, and there are five requests a minute: who was not served is not "dropped"."""
    agents = team(40)
    async with Office(agents, per_minute=5) as office:
        for agent in agents:
            office.meet(agent.email, (1200, 1320))
        await office.until(3600)

        assert value(office, "calsyncd_updates_total", result="left_out") > 10
        assert value(office, "calsyncd_updates_total", result="dropped") == 0
        assert wrong(office)[0] > 600
