"""The shape of the answer to "why?"."""

from __future__ import annotations

from typing import Any

import pytest

from calsyncd.config.rules import Rules
from calsyncd.explainer import rules_view


@pytest.mark.parametrize(
    "given",
    [
        {},
        {
            "lag": "2m",
            "tentative": False,
            "focus_time": "do_not_disturb",
            "ignore_titles": ["lunch"],
            "only_colors": ["sage", "tomato"],
            "substatus_by_title": {"coaching": "in_training"},
            "substatus_by_type": {"all_day": "other"},
            "on_manual_change": "enforce",
            "working_hours": {"timezone": "Europe/Paris", "days": ["mon", "sat"], "from": "09:30", "to": "24:00"},
        },
    ],
)
def test_the_rules_in_force_are_told_by_the_keys_of_the_settings(given: dict[str, Any]) -> None:
    """Typed into the settings as they are told, they are the same rules."""
    rules = Rules.model_validate(given).in_force()
    told = rules_view(rules)

    assert set(told) == set(Rules.model_fields)
    assert Rules.model_validate(told).in_force() == rules
