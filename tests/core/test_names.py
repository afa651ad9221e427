"""Addresses in texts."""

from __future__ import annotations

import pytest

from calsyncd.core.names import naming


@pytest.mark.parametrize("text", ["amy@x.org", "for Amy@X.org.", "amy@x.org (Aircall user 3)", "<amy@x.org>, at once"])
def test_it_is_named(text: str) -> None:
    """Alone, in a sentence, at its end."""
    assert naming("amy@x.org").search(text)


@pytest.mark.parametrize(
    "text", ["", "tamy@x.org", "d.amy@x.org", "a+amy@x.org", "amy@x.org.au", "amy@x.orgs", "amy@xxorg"]
)
def test_somebody_else_is(text: str) -> None:
    """A longer address is another one."""
    assert not naming("amy@x.org").search(text)
