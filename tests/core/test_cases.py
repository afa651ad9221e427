"""Hand-written cases: Google's items, rules as they are typed, and what comes of them; told.py has the notation.

Each case of cases/*.yaml has a name, an `event` or `events` (laid over the file's `base`), perhaps `rules` (or several:
the company's, a team's, the agent's), the calendar's `zone`, the `agent_zone`, ids to `skip` and what to `extend`;
and what is expected: `spans` (`busy` are those of the file), `not` for what is not counted, `unreadable` or `gone`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from calsyncd.core.byhand import ByHand, Extension
from calsyncd.core.sync import Fetch, parse_event

from .told import Item, rules_of, span_of, tell

FILES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
LOADED = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
CASES = [
    pytest.param(file, case, id=f"{theme}: {case['name']}") for theme, file in LOADED.items() for case in file["cases"]
]
KEYS = {
    "name",
    "event",
    "events",
    "rules",
    "zone",
    "agent_zone",
    "skip",
    "extend",
    "spans",
    "not",
    "unreadable",
    "gone",
}


@pytest.mark.parametrize(("file", "case"), CASES)
def test_a_case(file: dict[str, Any], case: dict[str, Any]) -> None:
    """Spans with their reasons, or nothing with its words; and no title in any of it."""
    assert set(case) <= KEYS
    items: list[Item] = [{**file["base"], **one} for one in case.get("events") or [case["event"]]]
    zone = case.get("zone", "Europe/Berlin")
    given = case.get("rules", {})
    rules = rules_of(given if isinstance(given, list) else [given])
    if "gone" in case:
        fetch = Fetch(now=0.0, horizon=1.0, quota_user="q", reads=rules.reads)
        changes = fetch.feed({"items": items, "nextSyncToken": "t", "timeZone": zone})
        assert changes is not None
        assert (frozenset({items[0]["id"]}), ()) == (changes.gone, changes.events + changes.skipped)
        return
    if "unreadable" in case:
        with pytest.raises(ValueError, match=f"^{case['unreadable']}$"):
            parse_event(items[0], zone, rules.reads)
        return

    extension = Extension(*span_of(case["extend"], "")[:3]) if "extend" in case else None
    by_hand = ByHand(tuple((name, math.inf) for name in case.get("skip", ())), extension)
    told = tell(items, zone, rules, case.get("agent_zone"), by_hand)

    spans = case.get("spans", [])
    only = items[0]["id"]
    expected = [span_of(text, only) for text in ([file["busy"]] if spans == "busy" else spans)]
    refused = case.get("not", {})
    assert ({only: refused} if isinstance(refused, str) else refused) == told.refused
    assert expected == told.spans
    shown = repr((told.events, told.timeline, told.refused))
    assert not [item["summary"] for item in items if item.get("summary") and item["summary"] in shown]


def test_there_are_enough_cases_and_no_name_twice() -> None:
    """Each says one thing."""
    names = [f"{theme}: {case['name']}" for theme, file in LOADED.items() for case in file["cases"]]

    assert len(names) >= 200
    assert len(set(names)) == len(names)
