"""Push channels: when they are opened, renewed and stopped, how far they are trusted, and who may speak for one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.channels import (
    Channel,
    Health,
    Upkeep,
    calendar_in_uri,
    health,
    is_genuine,
    poll_interval,
    renew_at,
    token_of,
    upkeep,
)

NOW = 1_800_000_000.0
DAY = 86400.0
HERE = "https://calsync.example.com/webhooks/google/notifications"
ELSEWHERE = "https://old.example.com/webhooks/google/notifications"
KEY = b"k" * 32
MINUTE = 60.0


def channel(name: str, age: float, *, verified: bool = True, address: str = HERE, life: float = 7 * DAY) -> Channel:
    """A channel that Google answered for, opened `age` seconds ago."""
    created_at = NOW - age
    return Channel(
        id=name,
        calendar="amy primary",
        address=address,
        created_at=created_at,
        resource="resource",
        expires_at=created_at + life,
        renew_at=created_at + life / 2,
        verified_at=created_at + 1 if verified else None,
    )


def unanswered(name: str, age: float, *, verified: bool = False) -> Channel:
    """A channel of which Google's answer has not come; its first message may have."""
    return Channel(name, "amy primary", HERE, NOW - age, verified_at=NOW - age + 1 if verified else None)


def done(needed: Upkeep) -> tuple[bool, list[str], list[str]]:
    """What is to be done: (create, stop, forget)."""
    return needed.create, [each.id for each in needed.stop], [each.id for each in needed.forget]


# -- upkeep ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], (True, [], []), id="none: one is opened"),
        pytest.param([channel("a", 60)], (False, [], []), id="one that is verified and young: nothing"),
        pytest.param([channel("a", 60, verified=False)], (False, [], []), id="one that is not verified yet: nothing"),
        pytest.param(
            [channel("a", 10 * MINUTE, verified=False)],
            (True, [], []),
            id="one that is not verified in ten minutes: another",
        ),
        pytest.param([channel("a", 4 * DAY)], (True, [], []), id="one whose successor is due: it stays, another opens"),
        pytest.param(
            [channel("a", 4 * DAY), channel("b", 60, verified=False)],
            (False, [], []),
            id="its successor is not verified: both stay",
        ),
        pytest.param(
            [channel("a", 4 * DAY), channel("b", 60)], (False, ["a"], []), id="its successor is verified: it is stopped"
        ),
        pytest.param(
            [channel("b", 60), channel("a", 4 * DAY)], (False, ["a"], []), id="whatever the order of the rows"
        ),
        pytest.param([channel("a", 7 * DAY)], (True, [], ["a"]), id="expired: forgotten, and another opens"),
        pytest.param(
            [channel("a", 7 * DAY), channel("b", 60, verified=False)],
            (False, [], ["a"]),
            id="expired before its successor is verified",
        ),
        pytest.param([unanswered("a", 59)], (False, [], []), id="unanswered and young: its answer is waited for"),
        pytest.param([unanswered("a", 60)], (True, [], ["a"]), id="unanswered for a minute: forgotten"),
        pytest.param(
            [channel("a", 4 * DAY), unanswered("b", 60)],
            (True, [], ["b"]),
            id="a successor that stays unanswered: another, and the old one stays",
        ),
        pytest.param(
            [channel("a", 4 * DAY), unanswered("b", 30)], (False, [], []), id="a successor that is asked for: both stay"
        ),
        pytest.param(
            [unanswered("a", 9 * MINUTE, verified=True)],
            (False, [], []),
            id="unanswered, and its first message came: it lives",
        ),
        pytest.param(
            [unanswered("a", 10 * MINUTE, verified=True)],
            (True, [], []),
            id="nobody knows its end: one with a known end follows it",
        ),
        pytest.param(
            [replace(unanswered("a", 4 * DAY, verified=True), expires_at=NOW + 3 * DAY)],
            (True, [], []),
            id="its end came with a message: it is renewed half-way as any other",
        ),
        pytest.param(
            [replace(unanswered("a", DAY, verified=True), expires_at=NOW + 6 * DAY)],
            (False, [], []),
            id="its end came with a message, and is far",
        ),
        pytest.param(
            [channel("a", 4 * DAY, address=ELSEWHERE)], (True, ["a"], []), id="the address changed: stopped and opened"
        ),
        pytest.param(
            [channel("a", 60), channel("b", 4 * DAY, address=ELSEWHERE)],
            (False, ["b"], []),
            id="one here, one at the old address",
        ),
        pytest.param(
            [channel("a", 4 * DAY), channel("b", 10 * MINUTE, verified=False)],
            (True, ["b"], []),
            id="the successor was never verified: it is the one that goes, the old one works",
        ),
        pytest.param(
            [channel("a", 20 * MINUTE, verified=False), channel("b", 10 * MINUTE, verified=False)],
            (True, ["a"], []),
            id="neither was ever verified: the older goes",
        ),
        pytest.param(
            [channel("a", 4 * DAY), channel("b", 9 * MINUTE, verified=False), channel("c", 60, verified=False)],
            (False, ["b"], []),
            id="three: of the older ones the verified stays",
        ),
        pytest.param(
            [channel("a", 5 * DAY), channel("b", 4 * DAY), channel("c", 60, verified=False)],
            (False, ["a"], []),
            id="three, two verified: the younger of them stays",
        ),
        pytest.param(
            [channel("a", 4 * DAY), channel("b", 120), channel("c", 60)],
            (False, ["a", "b"], []),
            id="three verified: the newest stays",
        ),
    ],
)
def test_upkeep(rows: list[Channel], expected: tuple[bool, list[str], list[str]]) -> None:
    """What a calendar's channels need."""
    assert expected == done(upkeep(rows, HERE, NOW))


def test_without_push_everything_is_stopped() -> None:
    """No address, no channel."""
    rows = [channel("a", 60), channel("b", 8 * DAY), unanswered("c", 30)]

    assert (False, ["a", "c"], ["b"]) == done(upkeep(rows, None, NOW))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([channel("a", 0)], NOW + 3.5 * DAY),
        ([channel("a", 0, verified=False)], NOW + 10 * MINUTE),
        ([unanswered("a", 20)], NOW + 40),
        ([unanswered("a", 20, verified=True)], NOW + 40),
        ([channel("a", 4 * DAY), unanswered("b", 20)], NOW + 40),
        ([channel("a", 7 * DAY - 5), channel("b", 60, verified=False)], NOW + 5),
    ],
)
def test_upkeep_is_due_again_at_the_next_thing_that_changes(rows: list[Channel], expected: float) -> None:
    """A renewal, an end, an answer that does not come, a first message that does not come."""
    assert expected == upkeep(rows, HERE, NOW).again


drawn_channels = st.builds(
    Channel,
    id=st.uuids().map(str),
    calendar=st.just("amy primary"),
    address=st.sampled_from([HERE, ELSEWHERE]),
    created_at=st.floats(NOW - 8 * DAY, NOW),
    resource=st.none() | st.just("resource"),
    expires_at=st.none() | st.floats(NOW - DAY, NOW + 8 * DAY),
    renew_at=st.none() | st.floats(NOW - DAY, NOW + 8 * DAY),
    verified_at=st.none() | st.floats(NOW - 8 * DAY, NOW),
)


@settings(deadline=None, max_examples=200)
@given(rows=st.lists(drawn_channels, max_size=5))
def test_upkeep_never_leaves_more_than_two_nor_stops_the_last_that_works(rows: list[Channel]) -> None:
    """And never asks for the past."""
    needed = upkeep(rows, HERE, NOW)
    gone = {each.id for each in (*needed.stop, *needed.forget)}
    kept = [each for each in rows if each.id not in gone]
    works = [each for each in rows if each.lives(NOW) and each.address == HERE and each.verified_at is not None]

    assert len(kept) + needed.create <= 2
    assert len(kept) + needed.create >= 1
    assert all(each.lives(NOW) for each in kept)
    assert bool(works) == any(each.verified_at is not None for each in kept)
    assert needed.again is None or needed.again > NOW


def test_a_channels_life_from_opening_to_opening() -> None:
    """Walked through its seven days with successors that are verified at once: never dark, never more than two."""
    rows = [channel("0", 0)]
    now, opened = NOW, 0
    while now < NOW + 30 * DAY:
        needed = upkeep(rows, HERE, now)
        rows = [each for each in rows if each not in (*needed.stop, *needed.forget)]
        if needed.create:
            opened += 1
            new = channel(str(opened), NOW - now)
            rows.append(new)
        assert 1 <= len(rows) <= 2
        assert any(each.lives(now) and each.verified_at is not None for each in rows)
        now = upkeep(rows, HERE, now).again or now + 1

    assert 8 == opened


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 3.5), (0.5, 4.375), (0.999999, 5.25)])
def test_a_successor_is_due_between_a_half_and_three_quarters(chance: float, expected: float) -> None:
    """So that not all calendars renew in the same minute."""
    assert NOW + expected * DAY == pytest.approx(renew_at(NOW, NOW + 7 * DAY, chance), abs=1)


# -- health ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "wanted", "missed_ago", "heard_ago", "expected"),
    [
        pytest.param([channel("a", 60)], False, None, 0, "off", id="no push is wanted"),
        pytest.param([], True, None, 0, "unverified", id="no channel yet"),
        pytest.param([unanswered("a", 10)], True, None, 0, "unverified", id="asked for"),
        pytest.param([channel("a", 60, verified=False)], True, None, 0, "unverified", id="no first message yet"),
        pytest.param([channel("a", 8 * DAY)], True, None, 0, "expired", id="all expired"),
        pytest.param([channel("a", 60)], True, None, 0, "healthy", id="verified"),
        pytest.param([channel("a", 8 * DAY), channel("b", 60)], True, None, 0, "healthy", id="one of two lives"),
        pytest.param(
            [channel("a", 4 * DAY), channel("b", 60, verified=False)], True, None, 0, "healthy", id="the old one works"
        ),
        pytest.param([channel("a", DAY)], True, 31, 3600, "silent", id="a poll found what nobody had told"),
        pytest.param([channel("a", DAY)], True, 29, 3600, "healthy", id="it may be told yet"),
        pytest.param([channel("a", DAY)], True, 31, 90, "healthy", id="it was told shortly before"),
        pytest.param([channel("a", DAY)], True, 31, 10, "healthy", id="it was told shortly after"),
        pytest.param([channel("a", DAY)], True, 3600, 60, "healthy", id="it was heard from since"),
    ],
)
def test_health(
    rows: list[Channel], *, wanted: bool, missed_ago: float | None, heard_ago: float, expected: Health
) -> None:
    """How far push is to be trusted."""
    missed_at = None if missed_ago is None else NOW - missed_ago

    assert expected == health(rows, wanted=wanted, heard_at=NOW - heard_ago, missed_at=missed_at, now=NOW)


@pytest.mark.parametrize(
    ("push", "with_push", "calendars", "requests", "expected"),
    [
        pytest.param("healthy", None, 10, 500_000, 300, id="automatic behind push"),
        pytest.param("healthy", None, 2000, 500_000, 384, id="stretched to keep the day's allowance"),
        pytest.param("healthy", None, 100_000, 500_000, 3600, id="to an hour at most"),
        pytest.param("healthy", 60.0, 100_000, 500_000, 60, id="as chosen"),
        pytest.param("unverified", None, 10, 500_000, 120, id="without push"),
        pytest.param("expired", 60.0, 10, 500_000, 120, id="without push, whatever was chosen for it"),
        pytest.param("silent", None, 2000, 500_000, 384, id="without push, stretched"),
        pytest.param("off", None, 10, 0, 3600, id="an allowance of nothing"),
    ],
)
def test_poll_interval(push: Health, with_push: float | None, calendars: int, requests: int, expected: float) -> None:
    """The pace of the poll that stands behind push."""
    found = poll_interval(push, with_push=with_push, without_push=120.0, calendars=calendars, requests_per_day=requests)

    assert expected == pytest.approx(found)


# -- genuineness -------------------------------------------------------------------------------------------------------


def test_a_token_is_genuine_for_its_channel_and_key_only() -> None:
    """It proves itself, though the database be lost."""
    token = token_of(KEY, "channel-1")

    assert is_genuine(KEY, "channel-1", token)
    assert not is_genuine(KEY, "channel-2", token)
    assert not is_genuine(b"x" * 32, "channel-1", token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "c1.",
        "\u00e9",
        "\u2028",
        "\ud800",
        "\0",
        "x" * 100_000,
        "398348u3tu83ut8uu38",
        token_of(KEY, "channel-1") + "=",
        token_of(KEY, "channel-1").upper(),
        token_of(KEY, "channel-1")[3:],
        token_of(KEY, "channel-1")[:-1],
        f" {token_of(KEY, 'channel-1')}",
        "c1.\u00e9" + token_of(KEY, "channel-1")[4:],
    ],
)
def test_any_other_token_is_not_genuine_and_breaks_nothing(token: str) -> None:
    """Of any length, in any alphabet."""
    assert not is_genuine(KEY, "channel-1", token)


@settings(deadline=None, max_examples=100)
@given(channel_id=st.text(max_size=40), token=st.text(max_size=60))
def test_no_token_is_guessed(channel_id: str, token: str) -> None:
    """Nor does any channel id break the question."""
    assert not is_genuine(KEY, channel_id, token)
    assert is_genuine(KEY, channel_id, token_of(KEY, channel_id))


def test_a_token_fits_into_googles_256_characters() -> None:
    """And into a header."""
    token = token_of(KEY, "01234567-89ab-cdef-0123456789ab")

    assert len(token) <= 256
    assert token.isascii()
    assert token.isprintable()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://www.googleapis.com/calendar/v3/calendars/me%40example.com/events?alt=json", "me@example.com"),
        ("https://www.googleapis.com/calendar/v3/calendars/primary/events", "primary"),
        ("/calendar/v3/calendars/a%2Fb/events", "a/b"),
        ("https://www.googleapis.com/calendar/v3/users/me/calendarList", None),
        ("https://www.googleapis.com/calendar/v3/calendars", None),
        ("https://www.googleapis.com/calendar/v3/calendars/", None),
        ("https://www.googleapis.com/calendar/v3/calendars//events", None),
        ("https://[broken/calendars/x/events", None),
        ("calendars/\u00e9%ff/events", "\u00e9\ufffd"),
        ("", None),
    ],
)
def test_the_calendar_in_a_resource_uri(uri: str, expected: str | None) -> None:
    """Or none, whatever the header holds."""
    assert expected == calendar_in_uri(uri)


def test_who_cannot_be_reached_hears_nothing_whatever_is_open() -> None:
    """Only what was verified and lives is silent; what was never heard is unverified."""
    told = {"wanted": True, "heard_at": NOW, "missed_at": None, "now": NOW}

    assert health([channel("a", DAY)], **told, unreachable=True) == "silent"  # type: ignore[arg-type]
    assert health([channel("a", DAY)], **told, unreachable=False) == "healthy"  # type: ignore[arg-type]
    assert health([channel("a", DAY, verified=False)], **told, unreachable=True) == "unverified"  # type: ignore[arg-type]
    assert health([channel("a", 8 * DAY)], **told, unreachable=True) == "expired"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("missed_ago", "heard_before", "expected"),
    [(30.0, 60.1, "silent"), (29.9, 60.1, "healthy"), (30.0, 60.0, "healthy")],
)
def test_a_miss_counts_from_half_a_minute_on_unless_it_was_announced_a_minute_before(
    missed_ago: float, heard_before: float, expected: Health
) -> None:
    """At the bounds themselves."""
    missed_at = NOW - missed_ago

    assert expected == health(
        [channel("a", DAY)], wanted=True, heard_at=missed_at - heard_before, missed_at=missed_at, now=NOW
    )
