"""While Google answers nobody, all calendars together ask no oftener than a day's requests last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from calsyncd.errors import Refused, ServiceError, Unavailable
from tests.calendars.diary import Diary

EVERYBODY = [f"agent{number}@example.com" for number in range(20)]
A_REQUEST_SECONDS = 10.0
HOUR = 3600.0


@pytest.fixture
async def diary(tmp_path: Path) -> AsyncIterator[Diary]:
    """Twenty calendars that were read, and a request every ten seconds."""
    async with Diary(tmp_path, requests_per_day=8640) as diary:
        for number, email in enumerate(EVERYBODY):
            diary.event(email, f"e{number}", 60.0, 120.0)
        diary.follow(*EVERYBODY)
        await diary.a_while(5.0)
        assert len(diary.told) == len(EVERYBODY)
        forget(diary)
        yield diary


def down(_subject: str) -> ServiceError | None:
    """Nobody is answered."""
    return Unavailable("google is down", service="google", code="unavailable", status=503)


def forget(diary: Diary) -> None:
    """Count what is asked from now on."""
    diary.google.lists.clear()
    diary.google.asked.clear()


async def test_an_outage_costs_no_more_than_its_share_of_the_day(diary: Diary) -> None:
    """Each alone would ask every minute: twenty of them five times as often as the settings grant."""
    diary.google.shut_out = down
    await diary.a_while(HOUR)
    forget(diary)

    await diary.a_while(4 * HOUR)

    assert 0.7 < len(diary.google.lists) / (4 * HOUR / A_REQUEST_SECONDS) < 1.3


async def test_the_first_that_is_answered_frees_the_others(diary: Diary) -> None:
    """One asks within seconds of the end, and the others then as if each had failed alone."""
    diary.google.shut_out = down
    await diary.a_while(2 * HOUR)
    diary.google.shut_out = lambda _subject: None
    forget(diary)
    over = diary.time

    await diary.a_while(90.0)

    assert set(diary.google.asked) == set(EVERYBODY)
    read = [calendar.failures for calendar in diary.syncer.calendars.values()]
    assert read == [0] * len(EVERYBODY)
    assert diary.google.lists[0][0] - over < 2 * A_REQUEST_SECONDS
    assert diary.google.lists[len(EVERYBODY) - 1][0] - over < 64.0


async def test_whoever_fails_alone_is_asked_as_before(diary: Diary) -> None:
    """Google answers the others: one calendar's trouble waits for nobody's budget."""
    diary.google.shut_out = lambda subject: down(subject) if subject == EVERYBODY[0] else None
    await diary.a_while(HOUR)
    forget(diary)

    await diary.a_while(HOUR)

    tries = diary.google.asked.count(EVERYBODY[0])
    assert HOUR / 70.0 < tries < HOUR / 30.0


async def test_whoever_left_meanwhile_is_not_waited_for(diary: Diary) -> None:
    """Of twenty who fail nineteen leave the settings: the last one is asked as often as one alone."""
    diary.google.shut_out = down
    await diary.a_while(2 * HOUR)
    diary.follow(EVERYBODY[0])
    await diary.a_while(HOUR)
    forget(diary)

    await diary.a_while(HOUR)

    assert HOUR / 70.0 < len(diary.google.lists) < HOUR / 30.0


async def test_a_refusal_is_an_answer(diary: Diary) -> None:
    """Who is refused has its own pause; that somebody is answered so lets the others ask again."""
    diary.google.shut_out = down
    await diary.a_while(2 * HOUR)
    refused = Refused("no such calendar", service="google", code="not_found", status=404)
    diary.google.shut_out = lambda subject: refused if subject == EVERYBODY[0] else None

    await diary.a_while(300.0)

    assert [one.failures > 0 for one in diary.syncer.calendars.values()] == [True] + [False] * 19
