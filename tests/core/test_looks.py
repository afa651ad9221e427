"""How old a look may be, when everybody is looked at, and when the list is cheaper."""

from __future__ import annotations

import pytest

from calsyncd.core.looks import fresh_seconds, is_due_before_crowd, list_before, saves, sweep_seconds

MINUTE = 60.0


@pytest.mark.parametrize(
    ("pages", "told", "crowded", "expected"),
    [
        pytest.param(1, False, False, 5, id="one page: each boundary has its own look"),
        pytest.param(1, True, False, 5, id="whatever webhooks tell"),
        pytest.param(0, False, False, 5, id="no page is known yet"),
        pytest.param(2, False, False, 300, id="two pages"),
        pytest.param(5, False, False, 750, id="five pages"),
        pytest.param(20, False, False, 900, id="never older than what a way back may rely on"),
        pytest.param(2, True, False, 1800, id="webhooks would tell"),
        pytest.param(20, True, False, 1800, id="in a big company too"),
        pytest.param(1, False, True, 2700, id="in a crowd nobody is looked at"),
        pytest.param(20, True, True, 5400, id="nor with webhooks"),
    ],
)
def test_how_old_a_look_may_be(pages: int, expected: float, *, told: bool, crowded: bool) -> None:
    """In seconds."""
    assert expected == fresh_seconds(pages, told=told, crowded=crowded)


@pytest.mark.parametrize(
    ("pages", "told", "expected"),
    [(1, False, 600), (2, False, 600), (5, False, 1125), (20, False, 1350), (5, True, 2700)],
)
def test_when_everybody_is_looked_at_again(pages: int, expected: float, *, told: bool) -> None:
    """Ten minutes at least, and half as long again as looks are fresh."""
    assert expected == sweep_seconds(pages, told=told)


@pytest.mark.parametrize(
    ("wanted", "coming", "pages", "outdated", "expected"),
    [
        pytest.param(1, 0, 1, False, False, id="one look costs as much"),
        pytest.param(2, 0, 1, False, True, id="two looks or one page"),
        pytest.param(3, 0, 3, False, False, id="three looks or three pages"),
        pytest.param(1, 5, 3, False, False, id="those to come are served by the last list"),
        pytest.param(1, 5, 3, True, True, id="those to come would want one too"),
        pytest.param(1, 2, 3, True, False, id="but not enough of them"),
        pytest.param(0, 50, 3, True, False, id="nobody wants one now"),
    ],
)
def test_when_the_list_is_cheaper(wanted: int, coming: int, pages: int, *, outdated: bool, expected: bool) -> None:
    """Than to look alone at each."""
    assert expected == saves(wanted, coming, pages, outdated=outdated)


@pytest.mark.parametrize(
    ("early", "pages", "per_minute", "before"), [(1, 1, 100, 122), (0, 1, 100, 62), (2, 20, 100, 182), (1, 50, 20, 242)]
)
def test_a_crowds_list_is_read_in_the_quiet(early: int, pages: int, per_minute: int, before: float) -> None:
    """Its requests are there again when the first go early: a window and a moment, and the minutes that it takes."""
    crowd = 1000

    at = list_before(crowd, early, pages, per_minute)

    assert before == crowd * MINUTE - at
    assert at + 61 <= (crowd - early) * MINUTE


@pytest.mark.parametrize(
    ("pages", "told", "quiet", "age"),
    [
        pytest.param(1, False, True, 5, id="in the quiet, of one page"),
        pytest.param(20, False, True, 5, id="in the quiet nobody tells of a change: look again"),
        pytest.param(2, True, True, 1500, id="unless webhooks would tell: five minutes before it is too old"),
        pytest.param(40, True, True, 3300, id="of many pages later"),
        pytest.param(1, True, True, -295, id="of one page a look is never fresh for so long"),
        pytest.param(20, False, False, 1800, id="where it is not quiet, only what would be too old in the crowd"),
        pytest.param(20, True, False, 4500, id="and later while webhooks tell"),
    ],
)
def test_when_everybody_is_looked_at_before_a_crowd(pages: int, age: float, *, told: bool, quiet: bool) -> None:
    """Older than so, and not at it."""
    due = [is_due_before_crowd(at, pages, told=told, quiet=quiet) for at in (age, age + 0.1)]

    assert due == [False, True]


def test_pages_are_swept_less_often_only_where_webhooks_tell_of_more_than_one() -> None:
    """Of one page a list is cheap, and it may be looked at in a moment."""
    assert [600, 600, 2700] == [sweep_seconds(pages, told=told) for pages, told in ((1, True), (2, False), (2, True))]


@pytest.mark.parametrize(("pages", "fresh"), [(20, 1800), (30, 2700), (60, 5400), (90, 5400)])
def test_webhooks_let_a_look_be_older_by_the_page(pages: int, fresh: float) -> None:
    """Half an hour at least, an hour and a half at most."""
    assert fresh == fresh_seconds(pages, told=True, crowded=False)
