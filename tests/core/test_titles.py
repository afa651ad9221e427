"""Titles against the patterns of the settings: what matches, whatever is written in a title, and in linear time."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.titles import MOST_CHARACTERS, fault, matched, plain

EXAMPLES = int(os.environ.get("CALSYNCD_RULES_EXAMPLES", "0")) or 200


@pytest.mark.parametrize(
    ("pattern", "title"),
    [
        pytest.param("lunch", "Lunch", id="capital"),
        pytest.param("LUNCH", "late lunch with Bo", id="in the middle"),
        pytest.param("strasse", "Hauptstraße 4", id="sharp s"),
        pytest.param("straße", "HAUPTSTRASSE 4", id="sharp s in capitals"),
        pytest.param("café", "CAFE\u0301 at noon", id="decomposed title"),
        pytest.param("cafe\u0301", "Café", id="decomposed pattern"),
        pytest.param("istanbul", "İSTANBUL", id="capital i with a dot"),
        pytest.param("İSTANBUL", "istanbul", id="capital i with a dot in the pattern"),
        pytest.param("istanbul", "I\u0307STANBUL", id="capital i with a dot, decomposed"),
        pytest.param("toplantı", "TOPLANTI", id="i without a dot"),  # noqa: RUF001 - what is tested
        pytest.param("ΟΔΟΣ", "οδος", id="final sigma"),
        pytest.param("file", "\ufb01le review", id="ligature"),
        pytest.param("abc", "ＡＢＣ", id="full width"),  # noqa: RUF001 - what is tested
        pytest.param("📞", "📞 callbacks", id="emoji"),
        pytest.param("/", "in/out", id="a slash alone is a text"),
        pytest.param("/caf\u00e9$/", "cafe\u0301", id="regex, decomposed title"),
        pytest.param("/caf[e\u0301]$/", "caf\u00e9", id="regex, decomposed pattern"),
        pytest.param("\u00e9" * 40, "e\u0301" * 40, id="many letters with a mark each"),
        pytest.param(
            "a" + "\u0301" * 30 + "b", "a" + "\u0301" * 30 + "b", id="a letter with as many marks as are read"
        ),
        pytest.param("lunch", "a" + "\u0301\u0323" * 99 + "lunch", id="behind a heap of marks"),
        pytest.param("/^$/", "", id="regex for no title"),
        pytest.param("/a.b/", "a\0b", id="regex over a null character"),
        pytest.param("/Lunch|Dinner/i", "DINNER", id="regex, whatever the case"),
        pytest.param("/a/b/", "a/b", id="regex with a slash inside"),
        pytest.param("/call/", "call \ud83d", id="regex, half a character in the title"),
        pytest.param("call", "call \ud83d", id="text, half a character in the title"),
    ],
)
def test_a_title_matches(pattern: str, title: str) -> None:
    """As a person reads it."""
    assert fault(pattern) is None
    assert (pattern,) == matched([pattern], title)


@pytest.mark.parametrize(
    ("pattern", "title"),
    [
        pytest.param("lunch", "", id="no title"),
        pytest.param("lunch", "lun ch", id="broken up"),
        pytest.param("cafe", "café", id="another letter"),
        pytest.param("/lunch/", "Lunch", id="a regex heeds the case"),
        pytest.param("/^lunch$/", "lunch at one", id="anchored"),
        pytest.param("a.c", "abc", id="a text is no regex"),
        pytest.param("lunch/i", "lunch", id="a text that only ends like a regex"),
    ],
)
def test_a_title_does_not_match(pattern: str, title: str) -> None:
    """Nothing is guessed."""
    assert fault(pattern) is None
    assert () == matched([pattern], title)


def test_the_patterns_that_match_are_told_in_the_order_asked() -> None:
    """And as they were typed."""
    assert ("Lunch", "/^l/i") == matched(["dinner", "Lunch", "/^l/i"], "lunch")


@pytest.mark.parametrize(
    "pattern", ["", "  ", "//", "/i", "//i", "/[/", "/(?=x)/", r"/(a)\1/", "/(a{999}){999}/", "a\nb"]
)
def test_a_pattern_is_refused(pattern: str) -> None:
    """With a sentence for the person who wrote it."""
    assert fault(pattern)


def test_a_pattern_may_be_so_long_and_no_longer() -> None:
    """Settings are written by people."""
    assert fault("x" * MOST_CHARACTERS) is None
    assert fault("x" * (MOST_CHARACTERS + 1))


# -- against a definition ----------------------------------------------------------------------------------------------

letters = st.text(st.sampled_from("abIiİıſsSßẞéÉe\u0301\u0307\u0323Σσςﬁf KkÅ漢📞/ "), max_size=8)  # noqa: RUF001
anything = st.text(max_size=12)


def contains(title: str, pattern: str) -> bool:
    """What is meant: some stretch of the title reads as the pattern, letter by letter of the full case folding."""

    def read(text: str) -> list[str]:
        folded = unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i").replace("\u0131", "i")
        return list(unicodedata.normalize("NFKC", folded))

    whole, part = read(title), read(pattern)
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))


@settings(deadline=None, max_examples=EXAMPLES)
@given(title=letters | anything, pattern=letters | anything)
def test_a_text_matches_where_it_is_contained(title: str, pattern: str) -> None:
    """And nowhere else."""
    if fault(pattern) is not None or pattern.startswith("/"):
        return

    assert contains(title, pattern) == bool(matched([pattern], title))


@settings(deadline=None, max_examples=EXAMPLES)
@given(
    before=letters,
    pattern=st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=6),
    after=letters,
    change=st.sampled_from([str.upper, str.lower, str.title, str.swapcase, str.casefold]),
    form=st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]),
)
def test_a_title_that_holds_the_text_matches_however_it_is_written(
    before: str, pattern: str, after: str, change: Callable[[str], str], form: str
) -> None:
    """In capitals or not, composed or not. Letters are set apart: what comes before and after changes none."""
    title = unicodedata.normalize(form, change(f"{before} {pattern} {after}"))  # type: ignore[arg-type]

    assert (pattern,) == matched([pattern], title)


# -- in linear time ----------------------------------------------------------------------------------------------------

HOSTILE: dict[str, tuple[str, Callable[[int], str]]] = {
    "regex that backtracks": ("/(a+)+$/", lambda n: "a" * n + "!"),
    "regex with many ways": ("/(a|aa|a?)*b(a|aa|a?)*$/", lambda n: "a" * n),
    "regex of counted pieces": ("/(.{1,50}x){1,15}$/i", lambda n: "ax" * (n // 2) + "!"),
    "text that nearly matches": ("a" * 100 + "b", lambda n: "a" * n),
    "marks out of order": ("lunch", lambda n: "a" + "\u0301" * (n // 2) + "\u0323" * (n // 2)),
    "marks by turns": ("/lunch/", lambda n: "a" + "\u0301\u0323" * (n // 2)),
    "what one character stands for": ("lunch", lambda n: "\ufdfa" * n),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_pattern_and_no_title_take_more_than_linear_time(name: str) -> None:
    """Eight times the length takes eight times as long; a quadratic step would take sixty-four times."""
    pattern, title = HOSTILE[name]
    assert fault(pattern) is None

    def took(length: int) -> float:
        text = title(length)
        best = float("inf")
        for _ in range(3):
            begun = time.thread_time()
            matched([pattern], text)
            best = min(best, time.thread_time() - begun)
        return best

    took(1000)
    assert took(16_000) < 24 * max(took(2_000), 1e-4)


def test_what_is_compared_is_the_same_whatever_the_case() -> None:
    """Of every single character."""
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]

    assert [] == [one for one in characters if len({plain(one), plain(one.upper()), plain(one.lower())}) > 1]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "expected a text that titles contain, or a regular expression such as /lunch|dinner/"),
        (" ", "expected a text that titles contain, or a regular expression such as /lunch|dinner/"),
        ("a\nb", "holds what cannot be printed, such as a new line"),
        ("/a", "a regular expression ends with / or /i; for a text that begins with a slash write /[/]text/"),
        ("//", "the regular expression is empty and would match every title"),
        ("/", None),
        ("lunch", None),
    ],
)
def test_what_is_wrong_with_a_pattern_is_said(pattern: str, said: str | None) -> None:
    """To the letter: it is shown to whoever wrote the settings."""
    assert said == fault(pattern)
