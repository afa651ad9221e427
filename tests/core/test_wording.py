"""Whole explanations, to the letter: wording.txt has the sentences of each of `wording_cases.CASES`."""

from __future__ import annotations

from pathlib import Path

import pytest

from calsyncd.core.wording import name_of, sentences, status_word

from .wording_cases import CASES


def _expected() -> dict[str, list[str]]:
    """By the name of the case: the lines under it."""
    told: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / "wording.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            said = told.setdefault(line[2:], [])
        elif line:
            said.append(line)
    return told


EXPECTED = _expected()


@pytest.mark.parametrize("name", CASES)
def test_what_is_said(name: str) -> None:
    """Each sentence, and in this order."""
    assert EXPECTED[name] == list(sentences(CASES[name]))


def test_there_is_no_case_without_its_sentences() -> None:
    """Nor the other way round."""
    assert list(CASES) == list(EXPECTED)


@pytest.mark.parametrize(
    ("status", "substatus", "word"),
    [
        ("custom", None, "Auto"),
        ("available", None, "available"),
        (None, None, "not known"),
        ("unavailable", "out_for_lunch", "unavailable (out for lunch)"),
        ("unavailable", "always_opened", "unavailable"),
    ],
)
def test_a_setting_as_people_call_it(status: str | None, substatus: str | None, word: str) -> None:
    """With the reason, where it is one that can be put."""
    assert word == status_word(status, substatus)


@pytest.mark.parametrize(
    ("email", "name"),
    [
        ("amy@example.com", "Amy"),
        ("amy.de_la.cruz@example.com", "Amy De La Cruz"),
        ("..x@y@z", "X"),
        ("", ""),
    ],
)
def test_an_agent_as_people_call_them(email: str, name: str) -> None:
    """By the part of the address before the @."""
    assert name == name_of(email)
