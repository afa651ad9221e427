"""A file of rules alone: what stands under `rules:` in the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from calsyncd.config import ConfigError, Rules, load_rules


def written(folder: Path, text: str) -> Path:
    """A file of rules."""
    file = folder / "rules.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("text", ["lead: 5m\ntentative: false\n", "rules:\n  lead: 5m\n  tentative: false\n"])
def test_with_and_without_the_key(tmp_path: Path, text: str) -> None:
    """A part that was copied from the settings is read with its key as without; what is not said is the default."""
    rules = load_rules(written(tmp_path, text))

    assert Rules(lead=300.0, tentative=False) == rules


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            'leed: 5m\nignore_titles:\n  - "/(/"\nworking_hours: {from: 9}\n',
            [
                "1:1: leed: unknown key (did you mean lead?)",
                "3:5: ignore_titles[0]: not a regular expression that RE2 knows (missing ): ()",
                "4:1: working_hours.to: is missing, and has no default",
                '4:23: working_hours.from: expected a time of day in quotes such as "09:00"',
            ],
        ),
        ("rules:\n  lead: 13h\n", ["2:9: lead: must be between 0s and 12h"]),
        ("level: info\n", ["1:1: level: unknown key (known here: tentative, unanswered, "]),
        ("lead: 5m\nlead: 6m\n", ["2:1: lead: given twice"]),
        ("", ["1:1: the file is empty"]),
    ],
)
def test_faults(tmp_path: Path, text: str, faults: list[str]) -> None:
    """Faults are told in the same words as those of the settings, each at its place."""
    file = written(tmp_path, text)

    with pytest.raises(ConfigError) as raised:
        load_rules(file)

    told = [line.removeprefix(f"{file}:") for line in raised.value.lines()]
    assert [line[: len(fault)] for line, fault in zip(told, faults, strict=True)] == faults
