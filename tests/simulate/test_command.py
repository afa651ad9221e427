"""`calsyncd simulate` as a user calls it: files, rules, days, what is printed, and what never is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calsyncd.cli import main

PLANTED = "Planted"
AMY = "amy@example.com"

ITEMS: list[dict[str, Any]] = [
    {
        "id": "standup",
        "summary": f"{PLANTED} standup",
        "start": {"dateTime": "2026-10-25T10:00:00+01:00"},
        "end": {"dateTime": "2026-10-25T10:30:00+01:00"},
    },
    {
        "id": "declined",
        "summary": f"{PLANTED} review",
        "start": {"dateTime": "2026-10-25T10:15:00+01:00"},
        "end": {"dateTime": "2026-10-25T11:15:00+01:00"},
        "attendees": [{"email": AMY, "self": True, "responseStatus": "declined"}],
    },
    {
        "id": "phone",
        "summary": f"{PLANTED} #phone",
        "start": {"dateTime": "2026-10-25T14:00:00+01:00"},
        "end": {"dateTime": "2026-10-25T15:00:00+01:00"},
    },
    {
        "id": "free",
        "summary": f"{PLANTED} birthday",
        "transparency": "transparent",
        "start": {"date": "2026-10-25"},
        "end": {"date": "2026-10-26"},
    },
    {
        "id": "night",
        "summary": f"{PLANTED} \x1b[2Jnight",
        "start": {"dateTime": "2026-10-25T02:30:00+02:00"},
        "end": {"dateTime": "2026-10-25T02:30:00+01:00"},
    },
]

ICS = f"""BEGIN:VCALENDAR
VERSION:2.0
X-WR-TIMEZONE:Europe/Paris
BEGIN:VEVENT
UID:standup
DTSTART;TZID=Europe/Paris:20261002T100000
DTEND;TZID=Europe/Paris:20261002T103000
RRULE:FREQ=DAILY
SUMMARY:{PLANTED} standup
END:VEVENT
BEGIN:VEVENT
UID:declined
DTSTART:20261025T091500Z
DTEND:20261025T101500Z
ATTENDEE;PARTSTAT=DECLINED:mailto:{AMY}
SUMMARY:{PLANTED} review
END:VEVENT
BEGIN:VEVENT
UID:phone
DTSTART:20261025T130000Z
DURATION:PT1H
SUMMARY:{PLANTED} #phone
END:VEVENT
BEGIN:VEVENT
UID:free
DTSTART;VALUE=DATE:20261025
SUMMARY:{PLANTED} birthday
TRANSP:TRANSPARENT
END:VEVENT
BEGIN:VEVENT
UID:night
DTSTART:20261025T003000Z
DTEND:20261025T013000Z
SUMMARY:{PLANTED} night
END:VEVENT
BEGIN:VEVENT
UID:hourly
DTSTART:20261025T003000Z
RRULE:FREQ=HOURLY
SUMMARY:{PLANTED} hourly
END:VEVENT
END:VCALENDAR
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in a folder with a day's events and two files of rules: (exit status, stdout, stderr)."""
    (tmp_path / "day.json").write_text(json.dumps({"timeZone": "Europe/Paris", "items": ITEMS}))
    (tmp_path / "day.ics").write_text(ICS)
    (tmp_path / "now.yaml").write_text("{}\n")
    (tmp_path / "new.yaml").write_text(
        'ignore_titles: ["#PHONE"]\nworking_hours: {from: "09:00", to: "18:00", days: [sun]}\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALSYNCD_CONFIG", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["calsyncd", "simulate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def test_one_set_of_rules(run: Run) -> None:
    """The day, its spans, what they cost, and what was kept out by which rule; hours that come twice are told apart."""
    status, out, err = run("--events", "day.json", "--day", "2026-10-25", "--rules", "new.yaml")

    assert (0, "") == (status, err)
    assert (
        """\
Sunday, 2026-10-25, Europe/Paris (25 h): 5 events in day.json
Rules: new.yaml

2 updates, 30 min unavailable
  10:00-10:30  30 min  unavailable

1 event counts
  10:00-10:30

shown as free: 1 event, 25 h
  all day

working_hours: 1 event, 1 h
  02:30+0200-02:30+0100  outside of the working hours

declined: 1 event, 1 h
  10:15-11:15

ignore_titles: 1 event, 1 h
  14:00-15:00  its title matches #PHONE
"""
        == out
    )


def test_two_sets_side_by_side(run: Run) -> None:
    """What differs comes first."""
    status, out, _ = run("--events", "day.json", "--day", "2026-10-25", "--rules", "now.yaml", "--rules", "new.yaml")

    assert 0 == status
    assert (
        """\
Rules A: now.yaml
Rules B: new.yaml

                     A           B
  updates            6           2
  unavailable        2 h 30 min  30 min
  events that count  3           1

Where they differ
  02:30+0200-02:30+0100  1 h  A unavailable  B free
  14:00-15:00            1 h  A unavailable  B free

Events that count under one of them only
  02:30+0200-02:30+0100  A: counts  B: outside of the working hours
  14:00-15:00            A: counts  B: its title matches #PHONE

Under A, now.yaml
"""
        in out
    )
    assert out.index("Under A, now.yaml\n\n6 updates") < out.index("Under B, new.yaml\n\n2 updates")


def test_equal_sets(run: Run) -> None:
    """Nothing differs, and that is said."""
    _, out, _ = run("--events", "day.json", "--day", "2026-10-25", "--rules", "now.yaml", "--rules", "now.yaml")

    assert "\nNo minute of the day differs.\n" in out


def test_json_and_ics_tell_the_same(run: Run) -> None:
    """The same day in both forms has the same spans, updates and hours kept out; what cannot be read is told."""
    rules = ("--rules", "now.yaml", "--rules", "new.yaml")
    listed = json.loads(run("--events", "day.json", "--day", "2026-10-25", "--json", *rules)[1])
    saved = json.loads(run("--events", "day.ics", "--agent", AMY, "--day", "2026-10-25", "--json", *rules)[1])

    assert ([], 1) == (listed.pop("unreadable"), len(saved.pop("unreadable")))
    for body in (listed, saved):
        for one in body["sets"]:
            for event in [*one["spans"], *one["events"]]:
                name = event.pop("event", None) or event.pop("id")
                event["name"] = name.partition("_")[0]
    assert listed == saved
    assert ["2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"] == [listed["from"], listed["to"]]
    assert [6, 2] == [one["updates"] for one in listed["sets"]]
    assert {
        "start": "2026-10-25T13:00:00.000Z",
        "end": "2026-10-25T14:00:00.000Z",
        "wanted": [{"availability_status": "unavailable", "substatus": None}, None],
    } == listed["differences"][1]


@pytest.mark.parametrize("name", ["day.json", "day.ics"])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_titles_are_shown_only_when_they_are_asked_for(run: Run, name: str, form: list[str]) -> None:
    """Also where a rule reads them, and where an event cannot be read; then without what moves a terminal's cursor."""
    call = ("--events", name, "--day", "2026-10-25", "--rules", "now.yaml", "--rules", "new.yaml", *form)

    assert PLANTED not in "".join(run(*call)[1:])
    _, out, err = run(*call, "--titles")
    assert f"{PLANTED} review" in out
    assert "\x1b" not in out
    assert PLANTED not in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("--day today", 2, "give --events FILE, or --fetch with --agent EMAIL"),
        ("--events day.json --fetch", 2, "give --events FILE, or --fetch with --agent EMAIL"),
        ("--fetch", 2, "--fetch needs --agent EMAIL"),
        ("--events day.json --rules now.yaml --rules now.yaml --rules now.yaml", 2, "--rules can be given twice"),
        ("--events day.json --day 25.10.2026", 2, "--day: expected a date such as"),
        ("--events day.json --zone Nowhere/Land", 2, "expected a zone such as Europe/Paris"),
        ("--events nothing.json", 1, "nothing.json: cannot be read: No such file or directory"),
        ("--events new.yaml", 1, "new.yaml:1:1: is neither JSON nor iCalendar here"),
        ("--events day.json --rules settings", 78, "no settings found"),
        ("--fetch --agent amy@example.com", 78, "no settings found"),
        ("--events day.json --config nothing.yaml", 78, "nothing.yaml:1:1: "),
        ("--events day.json --rules nothing.yaml", 78, "nothing.yaml:1:1: "),
        ("--events day.json --rules day.ics", 78, "day.ics:"),
    ],
)
def test_what_cannot_be_done(run: Run, arguments: str, status: int, message: str) -> None:
    """A sentence says why, and the exit status what kind of fault it is."""
    ended, out, err = run(*arguments.split())

    assert status == ended
    assert message in out + err
    assert PLANTED not in out + err


def test_without_settings_and_rules(run: Run) -> None:
    """The defaults count, and that is said."""
    _, out, _ = run("--events", "day.json", "--day", "2026-10-25")

    assert "\nRules: the defaults: no settings found\n\n6 updates, 2 h 30 min unavailable\n" in out


@pytest.mark.parametrize(
    ("zone", "rules", "header"),
    [
        (None, "now.yaml", "Sunday, 2026-10-25, UTC (24 h)"),
        (None, "tokyo.yaml", "Sunday, 2026-10-25, Asia/Tokyo (24 h)"),
        ("America/New_York", "tokyo.yaml", "Sunday, 2026-10-25, America/New_York (24 h)"),
    ],
)
def test_the_zone_of_the_day(run: Run, tmp_path: Path, zone: str | None, rules: str, header: str) -> None:
    """As given; else the calendar's, that of the working hours, or UTC."""
    (tmp_path / "tokyo.yaml").write_text('working_hours: {timezone: Asia/Tokyo, from: "09:00", to: "18:00"}\n')
    (tmp_path / "bare.json").write_text(json.dumps(ITEMS))
    more = ("--zone", zone) if zone else ()

    status, out, _ = run("--events", "bare.json", "--day", "2026-10-25", "--rules", rules, *more)

    assert (0, header) == (status, out.partition(":")[0])


def test_the_manuals_example(run: Run, tmp_path: Path) -> None:
    """docs/operations.md shows what the program prints of such a day."""
    manual = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    example = manual.partition("$ calsyncd simulate")[2].partition("```")[0]
    times = {"standup": ("10:00", "10:30"), "lunch": ("12:00", "13:00"), "#phone": ("14:00", "15:00")}
    meetings = [
        {"id": f"e{number}", "summary": name}
        | {side: {"dateTime": f"2026-11-18T{clock}:00+01:00"} for side, clock in zip(("start", "end"), of, strict=True)}
        for number, (name, of) in enumerate(times.items())
    ]
    free = {"id": "free", "transparency": "transparent", "start": {"date": "2026-11-18"}, "end": {"date": "2026-11-19"}}
    (tmp_path / "amy.ics").write_text(json.dumps({"timeZone": "Europe/Paris", "items": [*meetings, free]}))
    (tmp_path / "new.yaml").write_text('ignore_titles: ["#phone"]\nsubstatus_by_title: {lunch: out_for_lunch}\n')

    _, out, _ = run("--events", "amy.ics", "--day", "2026-11-18", "--rules", "now.yaml", "--rules", "new.yaml")

    shown = out.partition("\nUnder A")[0].replace("now.yaml", "/etc/calsyncd/config.yaml, of amy@example.com")
    assert shown.rstrip() == example.partition("\n")[2].rstrip()
