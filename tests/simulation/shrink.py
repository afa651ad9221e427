"""What is left of a failing script when everything is left out without which it fails as well."""

from __future__ import annotations

from collections.abc import Callable

from .script import Action, Script


def shrunk(script: Script, fails: Callable[[Script], bool], *, most: int = 200) -> Script:
    """The script with fewer of its actions, which still `fails`; it is run `most` times at most.

    Halves are left out, then quarters, and so on to single actions. That all becomes quiet at the end of each day is
    no action to be left out: without it nobody can say what is right.
    """
    actions = list(script.actions)
    runs = 0
    piece = len(actions)
    while piece >= 1 and runs < most:
        at, fewer = 0, False
        while at < len(actions) and runs < most:
            rest = [one for index, one in enumerate(actions) if not at <= index < at + piece or one["do"] == "calm"]
            if len(rest) == len(actions):
                at += piece
                continue
            runs += 1
            if fails(script.with_actions(tuple(rest))):
                actions, fewer = rest, True
            else:
                at += piece
        if piece == 1 and not fewer:
            break
        piece = max(1, piece // 2) if not fewer or piece > 1 else 1
    return script.with_actions(tuple(actions))


def told(actions: tuple[Action, ...]) -> list[str]:
    """The actions, one a line, for people."""
    lines = []
    for one in actions:
        rest = " ".join(f"{name}={value}" for name, value in one.items() if name not in ("at", "do", "number"))
        day, second = divmod(one["at"], 86400)
        lines.append(f"day {day:.0f} {second / 3600:5.2f} h  {one['do']} {rest}")
    return lines
