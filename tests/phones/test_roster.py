"""That what the roster does once for everybody takes as many steps as there are agents, and not their square."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from calsyncd.core.model import Setting
from calsyncd.core.plan import Entry, Held
from calsyncd.phones import Agent, Roster

NOW = 1_800_000_000.0
HELD = Held(Setting("unavailable"), Setting("available"), NOW - 60.0, NOW - 60.0, NOW + 60.0)


def email(number: int) -> str:
    """One agent's address."""
    return f"agent{number}@example.com"


def steps(work: Callable[[], object]) -> int:
    """How many instructions of Python it takes."""
    count = 0

    def note(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def named(count: int, *, by_id: bool = False) -> list[Agent]:
    """Whom the settings name, by e-mail address unless `by_id`."""
    return [Agent(email(number), number if by_id else email(number)) for number in range(count)]


def listed(count: int) -> int:
    """Aircall's users are heard of for the first time."""
    roster = Roster(lambda: NOW)
    roster.configure(named(count))
    return steps(lambda: roster.list_users({number: email(number) for number in range(count)}))


def restored(count: int) -> int:
    """Everybody was held when the last process ended."""
    roster = Roster(lambda: NOW)
    roster.configure(named(count, by_id=True))
    entries = [Entry(number, email(number), HELD, NOW) for number in reversed(range(count))]
    return steps(lambda: roster.restore(entries, (), {}))


def renamed(count: int) -> int:
    """Everybody has another address, half of them while they are held."""
    roster = Roster(lambda: NOW)
    roster.configure(named(count, by_id=True))
    roster.restore([Entry(number, email(number), HELD, NOW) for number in range(0, count, 2)], (), {})
    return steps(lambda: roster.configure([Agent(f"new-{email(number)}", number) for number in range(count)]))


def bound_anew(count: int) -> int:
    """The settings name everybody by their address who were named by Aircall's id."""
    roster = Roster(lambda: NOW)
    roster.directory = {number: email(number) for number in range(count)}
    roster.configure(named(count, by_id=True))
    return steps(lambda: roster.configure(named(count)))


@pytest.mark.parametrize("what", [listed, restored, renamed, bound_anew])
def test_it_grows_with_the_agents_alone(what: Callable[[int], int]) -> None:
    """Four times as many agents, four times as many steps."""
    assert what(800) < 4.5 * what(200)
