"""An agent's day, drawn and listed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.terminal.paper import Paper
from calsyncd.terminal.timeline import lines, picture

from .days import event, timeline

SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)

BUSY: dict[str, Any] = timeline(
    now="15:32",
    events=[
        event("00:00", "00:00+1", "shown as free", all_day=True),
        event("22:00-1", "01:30"),
        event("10:00", "10:30"),
        event("10:15", "11:00", "declined"),
        event("15:20", "15:50"),
        event("23:00", "02:00+1", "outside of the working hours"),
    ],
    spans=[("22:00-1", "01:30"), ("10:00", "10:30"), ("15:20", "15:50")],
    settings=[
        ("00:00", "01:30", "unavailable", "calsyncd"),
        ("01:30", "10:00", "custom", "calsyncd"),
        ("10:00", "10:30", "unavailable", "calsyncd"),
        ("10:30", "12:00", "custom", "calsyncd"),
        ("12:00", "13:00", "unavailable", "aircall"),
        ("13:00", "15:20", "custom", "aircall"),
        ("15:20", "15:32", "unavailable", "calsyncd"),
    ],
)


DASH = "\N{EN DASH}"

PICTURE_80 = f"""
 amy@example.com · Saturday, 21 November 2026 · Europe/Paris

              00   02   04   06   08   10   12   14   16   18   20   22
              ╷    ╷    ╷    ╷    ╷    ╷    ╷    ╷  ▼ ╷    ╷    ╷    ╷
 all day      ░░░░░░░░░░░░░░░░░░░░░░ shown as free ░░░░░░░░░░░░░░░░░░░░░░░
 …{DASH}01:30      ████ ·    ·    ·    ·    ·    ·    ·  │ ·    ·    ·    ·
 10:00{DASH}10:30  ·    ·    ·    ·    ·    █    ·    ·  │ ·    ·    ·    ·
 10:15{DASH}11:00  ·    ·    ·    ·    ·    ░░░ declined │ ·    ·    ·    ·
 15:20{DASH}15:50  ·    ·    ·    ·    ·    ·    ·    ·  ▐▌·    ·    ·    ·
 23:00{DASH}…      ·    ·    ·    ·    ·    ·  outside of the working hours ░░░
 wanted       ████ ·    ·    ·    ·    █    ·    ·  ▐▌·    ·    ·    ·
 set          ████─────────────────────█────▓▓▓─────▐ ·    ·    ·    ·
                                                    ▲ now 15:32

 events       █ count  ░ do not count
 set          █ unavailable by calsyncd  ▓ unavailable by others
              ─ available or Auto
"""

PICTURE_60 = f"""
 amy@example.com · Saturday, 21 November 2026 · Europe/Paris

              00    04    08    12    16    20
              ╷     ╷     ╷     ╷    ▼╷     ╷
 all day      ░░░░░░░░░░ shown as free ░░░░░░░░░░░
 …{DASH}01:30      ██    ·     ·     ·    │·     ·
 10:00{DASH}10:30  ·     ·     ·  █  ·    │·     ·
 10:15{DASH}11:00  ·     ·     ·  ░░ declined    ·
 15:20{DASH}15:50  ·     ·     ·     ·    █·     ·
 23:00{DASH}…      ·    outside of the working hours ░░
 wanted       ██    ·     ·  █  ·    █·     ·
 set          ██─────────────█──▓▓───▌·     ·
                                     ▲ now 15:32

 events       █ count  ░ do not count
 set          █ unavailable by calsyncd
              ▓ unavailable by others  ─ available or Auto
"""

PICTURE_ASCII = """
 amy@example.com | Saturday, 21 November 2026 | Europe/Paris

              00   02   04   06   08   10   12   14   16   18   20   22
              '    '    '    '    '    '    '    '  v '    '    '    '
 all day      :::::::::::::::::::::: shown as free :::::::::::::::::::::::
 ..-01:30     #### .    .    .    .    .    .    .  | .    .    .    .
 10:00-10:30  .    .    .    .    .    #    .    .  | .    .    .    .
 10:15-11:00  .    .    .    .    .    ::: declined | .    .    .    .
 15:20-15:50  .    .    .    .    .    .    .    .  ##.    .    .    .
 23:00-..     .    .    .    .    .    .  outside of the working hours :::
 wanted       #### .    .    .    .    #    .    .  ##.    .    .    .
 set          ####---------------------#----%%%-----# .    .    .    .
                                                    ^ now 15:32

 events       # count  : do not count
 set          # unavailable by calsyncd  % unavailable by others
              - available or Auto
"""

LINES = """
amy@example.com, Saturday, 21 November 2026, Europe/Paris
event   all day                 does not count: shown as free  (event x7f of primary)
event   2026-11-20 22:00-01:30  counts  (event x7f of primary)
event   10:00-10:30             counts  (event x7f of primary)
event   10:15-11:00             does not count: declined  (event x7f of primary)
event   15:20-15:50             counts  (event x7f of primary)
event   23:00-2026-11-22 02:00  does not count: outside of the working hours  (event x7f of primary)
wanted  2026-11-20 22:00-01:30  unavailable
wanted  10:00-10:30             unavailable
wanted  15:20-15:50             unavailable
set     00:00-01:30             unavailable  by calsyncd: a meeting
set     01:30-10:00             Auto  by calsyncd: a meeting
set     10:00-10:30             unavailable  by calsyncd: a meeting
set     10:30-12:00             Auto  by calsyncd: a meeting
set     12:00-13:00             unavailable  by aircall
set     13:00-15:20             Auto  by aircall
set     15:20-15:32             unavailable  by calsyncd: a meeting
now     15:32
"""


def drawn(body: dict[str, Any], width: int = 80, *, unicode: bool = True, colour: bool = False) -> str:
    """The picture as one text."""
    return "\n".join(picture(body, Paper(terminal=True, width=width, unicode=unicode, colour=colour)))


def row(text: str, label: str) -> str:
    """What stands behind a label."""
    return next(line.strip()[len(label) :].strip() for line in text.splitlines() if line.strip().startswith(label))


def test_a_day_in_eighty_columns() -> None:
    """Events with why they do not count, what is wanted, what was set, and now."""
    assert drawn(BUSY) == PICTURE_80.strip("\n")


def test_a_day_in_sixty_columns() -> None:
    """It is smaller, and nothing is missing."""
    assert drawn(BUSY, 60) == PICTURE_60.strip("\n")


def test_a_day_in_ascii() -> None:
    """Where the output's encoding knows no more."""
    assert drawn(BUSY, unicode=False) == PICTURE_ASCII.strip("\n")
    assert drawn(BUSY, unicode=False).isascii()


def test_a_day_in_lines() -> None:
    """One fact a line, with exact times, for programs and for files."""
    assert "\n".join(lines(BUSY, Paper())) == LINES.strip("\n")


@pytest.mark.parametrize("width", range(60, 201, 7))
def test_every_width_is_kept(width: int) -> None:
    """No line is longer than the terminal is wide; the reasons can be read whole, and the colours add no width."""
    plain, coloured = drawn(BUSY, width), drawn(BUSY, width, colour=True)

    assert max(map(len, plain.splitlines())) <= width
    for why in ("shown as free", "declined", "outside of the working hours"):
        assert why in plain
    assert "\x1b[" in coloured
    assert "\x1b[31m" not in coloured, "red is for trouble"
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_the_future_and_the_past_have_no_now() -> None:
    """And of the future nothing was set yet; of the past it may not be known."""
    for now, said in (("12:00-1", "nothing yet"), ("12:00+1", "not known")):
        text = drawn(timeline(now=now, events=[event("10:00", "10:30")], spans=[("10:00", "10:30")]))
        assert "now" not in text.replace("not known", "")
        assert "▼" not in text
        assert row(text, "set").startswith(said)
        assert "now " not in "\n".join(lines(timeline(now=now), Paper()))


def test_a_day_without_events() -> None:
    """Says so, in both ways."""
    body = timeline(now="12:00", settings=[("00:00", "12:00", "available", "aircall")])

    assert "no events" in drawn(body)
    assert "wanted" not in drawn(body)
    assert lines(body, Paper())[1:] == [
        "event  none",
        "set    00:00-12:00  available  by aircall",
        "now    12:00",
    ]


def ruler(text: str) -> list[str]:
    """The hours that are marked."""
    return text.splitlines()[2].split()


def test_a_day_of_23_hours() -> None:
    """The hour that the clock skips is not there, and what comes after it stands at its own mark."""
    body = timeline(now="12:00", day=SPRING, events=[event("01:00", "03:00"), event("22:00", "23:00")])
    text = drawn(body, 120)

    assert "a day of 23 hours" in text
    assert ruler(text) == [f"{hour:02}" for hour in range(24) if hour != 2]
    marks, bar = text.splitlines()[2], text.splitlines()[5]
    assert bar.index("█") == marks.index("22")
    assert text.splitlines()[4].count("█") == marks.index("03") - marks.index("01") == 4


def test_a_day_of_25_hours() -> None:
    """The hour that comes twice is there twice, and says which it is."""
    body = timeline(
        now="12:00",
        day=AUTUMN,
        events=[event("02:30", "02:30*")],
        settings=[("00:00", "02:30", "custom", "aircall"), ("02:30", "02:30*", "unavailable", "calsyncd")],
    )
    text = drawn(body, 130)

    assert "a day of 25 hours" in text
    assert ruler(text)[:5] == ["00", "01", "02", "02", "03"]
    assert f"02:30+02:00{DASH}02:30+01:00" in text
    assert text.splitlines()[4].count("█") == 4
    assert "event  02:30+02:00-02:30+01:00  counts  (event x7f of primary)" in lines(body, Paper())


def test_half_an_hours_change_and_half_an_hours_zone() -> None:
    """Lord Howe's clock is set by half an hour; India's hours begin at half past UTC's."""
    howe = drawn(timeline(now="12:00", zone="Australia/Lord_Howe", day=date(2026, 10, 4)), 120)
    india = drawn(timeline(now="12:00", zone="Asia/Kolkata"), 120)

    assert "a day of 23.5 hours" in howe
    # Its clock goes from 02:00 to 02:30.
    assert ruler(howe) == [f"{hour:02}" for hour in range(24) if hour != 2]
    assert ruler(india) == [f"{hour:02}" for hour in range(24)]


def test_overlapping_and_tiny_events_are_all_seen() -> None:
    """A row each; what is shorter than the picture can show is as short as it can; without length too."""
    body = timeline(
        now="23:59",
        events=[event("09:00", "17:00"), event("10:00", "10:01"), event("10:00", "10:00", "has no length")],
        settings=[("00:00", "10:00", "custom", None), ("10:00", "10:01", "unavailable", "calsyncd")],
    )
    rows = drawn(body).splitlines()[4:9]

    assert (rows[0].count("█"), rows[0].count("▐"), rows[0].count("▌")) == (19, 1, 1)
    assert rows[1].count("▌") == 1
    assert "░ has no length" in rows[2]
    assert "▌" in rows[4]


def test_a_long_reason_has_a_line_of_its_own_where_there_is_no_room() -> None:
    """Beside a long event in a narrow terminal."""
    why = "no title contains any of those that only_titles has"
    body = timeline(now="12:00", events=[event("06:00", "20:00", why)])

    narrow = drawn(body, 70).splitlines()

    assert [line.strip() for line in narrow[4:6]][1] == why
    assert why in drawn(body, 200).splitlines()[4]


def test_somebody_elses_words_move_no_cursor() -> None:
    """Whatever a terminal would obey is blanked."""
    body = timeline(now="12:00", events=[event("06:00", "07:00", "why \x1b[2J\r\x07not")])

    assert "why  [2J  not" in drawn(body)
    assert all("\x1b" not in line and "\r" not in line for line in lines(body, Paper()))


@given(
    st.lists(st.tuples(st.integers(-600, 2000), st.integers(0, 900), st.booleans()), max_size=6),
    st.integers(60, 200),
    st.sampled_from([SPRING, AUTUMN, date(2026, 11, 21)]),
    st.booleans(),
)
def test_any_day_can_be_drawn(many: list[tuple[int, int, bool]], width: int, day: date, unicode: bool) -> None:
    """Within its width, with a row for each event and something drawn in it."""
    body = timeline(now="12:00", day=day)
    low = _epoch(body["from"])
    body["events"] = [
        event(_time(low + 60 * start), _time(low + 60 * (start + length)), "declined" if free else None)
        for start, length, free in many
        if start < 1380 and start + length > 0
    ]

    text = drawn(body, width, unicode=unicode)

    assert max(map(len, text.splitlines())) <= width
    bars = [line for line in text.splitlines()[4:] if re.match(rf" \S+[{DASH}-]\S+ ", line)]
    assert len(bars) == len(body["events"])
    assert all(re.search(r"[█▌▐░#:]", line.split(maxsplit=1)[1]) for line in bars)


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
