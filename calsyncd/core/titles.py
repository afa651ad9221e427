"""What the settings say of titles: a text that is contained, whatever its case, or a regular expression in slashes.

Titles are matched where Google's answer is read, and let go of: only the patterns that matched are kept. The engine is
linear in the title's length (RE2), so that no pattern can stall the process; what RE2 does not know, such as
look-around and back-references, is a fault of the settings.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import re2

MOST_CHARACTERS = 200
"""Of a pattern."""

MOST_MARKS = 30
"""On one letter, as in Unicode's stream-safe text (UAX #15); to bring more of them in order takes their square."""

_MEMORY_BYTES = 1 << 20


def matched(patterns: Iterable[str], title: str) -> tuple[str, ...]:
    """Those of `patterns` that the title matches; it may be any text that JSON can hold."""
    safe = _safe(title)
    composed, read = unicodedata.normalize("NFC", safe), plain(safe)
    return tuple(pattern for pattern in patterns if _matcher(pattern)(composed, read))


def fault(pattern: str) -> str | None:
    """What is wrong with a pattern, for the person who wrote it; None if nothing is."""
    if not pattern.strip():
        return "expected a text that titles contain, or a regular expression such as /lunch|dinner/"
    if not pattern.isprintable():
        return "holds what cannot be printed, such as a new line"
    if len(pattern) > MOST_CHARACTERS:
        return f"is longer than {MOST_CHARACTERS} characters"
    expression = _expression(pattern)
    if expression is None:
        if len(pattern) > 1 and pattern.startswith("/"):
            return "a regular expression ends with / or /i; for a text that begins with a slash write /[/]text/"
        return None
    if not expression[0]:
        return "the regular expression is empty and would match every title"
    try:
        _compiled(*expression)
    except re2.error as error:
        what = error.args[0] if error.args else error
        text = what.decode(errors="replace") if isinstance(what, bytes) else str(what)
        return f"not a regular expression that RE2 knows ({text})"
    return None


def plain(text: str) -> str:
    """The text as it is compared: without regard to case and to how its letters are encoded.

    Turkish has an i without a dot, and a capital one with it: here each is an i.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i").replace("\u0131", "i")
    return unicodedata.normalize("NFKC", folded)


def _safe(title: str) -> str:
    """The title without halves of characters, which JSON can name and no encoding write, and without heaps of marks."""
    if title.isascii():
        return title
    kept: list[str] = []
    marks = 0
    for character in title.encode("utf-8", "replace").decode():
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def _expression(pattern: str) -> tuple[str, bool] | None:
    """What stands between the slashes, and whether an `i` behind them ignores the case; None for a plain text."""
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith(("/", "/i")):
        body = pattern[1:].removesuffix("i") if pattern.endswith("/i") else pattern[1:]
        return body.removesuffix("/"), pattern.endswith("/i")
    return None


def _compiled(expression: str, ignore_case: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    options.case_sensitive = not ignore_case
    return re2.compile(unicodedata.normalize("NFC", expression), options)


@lru_cache(maxsize=4096)
def _matcher(pattern: str) -> Callable[[str, str], bool]:
    """Asked with a title composed, and as it is compared with a text."""
    expression = _expression(pattern)
    if expression is None:
        wanted = plain(pattern)
        return lambda _, read: wanted in read
    regex = _compiled(*expression)
    return lambda composed, _: regex.search(composed) is not None
