"""Google's items and rules as they are typed, what is expected, and what the program says: for cases and manual.

A span is written as `2026-05-18T10:00+02:00 10:30 in_training mtg1`: from, to (of the same day and offset where only
the clock is told), the reason if there is one, the event where there are several. What is not counted is written as
its words, and in brackets the key of the rule that decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from calsyncd.config import rules as config
from calsyncd.config.yamlnodes import parse
from calsyncd.core.byhand import NOTHING, ByHand
from calsyncd.core.model import Event, Span
from calsyncd.core.rules import Rules
from calsyncd.core.sync import parse_event
from calsyncd.core.timeline import Timeline
from calsyncd.view import Diary

Item = dict[str, Any]
When = tuple[datetime, datetime]


@dataclass(frozen=True)
class Told:
    """What the program says of a day."""

    events: tuple[Event, ...]
    timeline: Timeline
    refused: dict[str, str]

    @property
    def spans(self) -> list[tuple[float, float, str | None, str]]:
        """(start, end, reason, event) of each span."""
        return [_plain(span) for span in self.timeline.spans]


def _plain(span: Span) -> tuple[float, float, str | None, str]:
    assert span.setting.availability_status == "unavailable"
    return span.start, span.end, span.setting.substatus, span.event


def rules_of(layers: Iterable[object]) -> Rules:
    """Rules as they are typed in config.yaml, the later laid over the earlier, as decisions are made by them."""
    typed = [yaml.safe_dump(layer, allow_unicode=True, sort_keys=False) for layer in layers]
    read = []
    for text in typed:
        root, faults = parse(text.encode())
        assert not faults
        read.append(config.Rules.model_validate(root.plain()))
    return config.laid_over(read).in_force()


def tell(
    items: Sequence[Item], zone: str, rules: Rules, agent_zone: str | None = None, by_hand: ByHand = NOTHING
) -> Told:
    """The items of one calendar of that zone, as the daemon reads and shows them."""
    events = tuple(parse_event(item, zone, rules.reads) for item in items)
    diary = Diary(tuple(("primary", event) for event in events), rules.at_home_in(agent_zone or "", zone), by_hand)
    timeline = diary.timeline
    refused = {
        event.id: verdict.words + (f" ({verdict.rule})" if verdict.rule else "")
        for event in events
        if not (verdict := diary.verdict("primary", event, timeline)).counts
    }
    return Told(events, timeline, refused)


def span_of(text: str, only: str) -> tuple[float, float, str | None, str]:
    """What is written of a span; `only` is the event that is meant where none is named."""
    start_text, end_text, *rest = text.split()
    start = datetime.fromisoformat(start_text)
    if "T" not in end_text:
        end_text = f"{start_text[:11]}{end_text}{start_text[-6:]}"
    reasons = [word for word in rest if "_" in word or word == "other"]
    names = [word for word in rest if word not in reasons]
    return (
        start.timestamp(),
        datetime.fromisoformat(end_text).timestamp(),
        reasons[0] if reasons else None,
        names[0] if names else only,
    )
