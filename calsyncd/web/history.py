"""What a request asks of the history, read from its query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calsyncd.core.moments import Moment
from calsyncd.core.past import Cursor, Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multidict import MultiMapping

MAX_PAGE = 1000
MAX_WHOLE = 50_000
"""A longer list is not made whole: it would cost the daemon too much memory."""
MAX_OUTCOMES = 30
MAX_TEXT = 200

WINDOW = ("since", "until")
HISTORY = ("agent", *WINDOW, "outcome", "actor", "limit", "cursor")


def history_query(query: MultiMapping[str]) -> Query:
    """What is asked for; `outcome` may come several times. ValueError says what is wrong with it."""
    _check(query, HISTORY, several={"outcome"})
    outcomes = frozenset(query.getall("outcome", []))
    if len(outcomes) > MAX_OUTCOMES:
        raise ValueError(f"outcome may come {MAX_OUTCOMES} times at most")
    limit = query.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MAX_PAGE):
        raise ValueError(f"limit must be a number from 1 to {MAX_PAGE}")
    since, until = _moments(query)
    return Query(
        agent=query["agent"].lower() if "agent" in query else None,
        since=since,
        until=until,
        outcomes=outcomes,
        actor=query.get("actor"),
        cursor=Cursor.parse(query["cursor"]) if "cursor" in query else Cursor(),
        limit=int(limit) if limit is not None else None,
    )


def window_query(query: MultiMapping[str]) -> tuple[Moment | None, Moment | None]:
    """`since` and `until`; ValueError says what is wrong with them."""
    _check(query, WINDOW)
    return _moments(query)


def _check(query: MultiMapping[str], known: Iterable[str], several: Iterable[str] = ()) -> None:
    for name, value in query.items():
        if name not in known:
            raise ValueError(f"{name[:MAX_TEXT]!r} is not known here; known: {', '.join(known)}")
        if len(value) > MAX_TEXT:
            raise ValueError(f"{name} must be a text of at most {MAX_TEXT} characters")
        if name not in several and len(query.getall(name)) > 1:
            raise ValueError(f"{name} is given twice")


def _moments(query: MultiMapping[str]) -> tuple[Moment | None, Moment | None]:
    return _moment(query, "since"), _moment(query, "until")


def _moment(query: MultiMapping[str], name: str) -> Moment | None:
    if name not in query:
        return None
    try:
        return Moment.parse(query[name])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
