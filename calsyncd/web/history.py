"""What a request asks of the history, read from its query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calsyncd.core.moments import Moment
from calsyncd.core.past import Cursor, Query
from calsyncd.web.asked import check_query
from calsyncd.web.paging import limit_of

if TYPE_CHECKING:
    from multidict import MultiMapping

MAX_WHOLE = 50_000
"""A longer list is not made whole: it would cost the daemon too much memory."""
MAX_OUTCOMES = 30

WINDOW = ("since", "until")
HISTORY = ("agent", *WINDOW, "outcome", "actor", "limit", "cursor")


def history_query(query: MultiMapping[str]) -> Query:
    """What is asked for; `outcome` may come several times. ValueError says what is wrong with it."""
    check_query(query, HISTORY, several={"outcome"})
    outcomes = frozenset(query.getall("outcome", []))
    if len(outcomes) > MAX_OUTCOMES:
        raise ValueError(f"outcome may come {MAX_OUTCOMES} times at most")
    since, until = _moments(query)
    return Query(
        agent=query["agent"].lower() if "agent" in query else None,
        since=since,
        until=until,
        outcomes=outcomes,
        actor=query.get("actor"),
        cursor=Cursor.parse(query["cursor"]) if "cursor" in query else Cursor(),
        limit=limit_of(query.get("limit")),
    )


def window_query(query: MultiMapping[str]) -> tuple[Moment | None, Moment | None]:
    """`since` and `until`; ValueError says what is wrong with them."""
    check_query(query, WINDOW)
    return _moments(query)


def _moments(query: MultiMapping[str]) -> tuple[Moment | None, Moment | None]:
    return _moment(query, "since"), _moment(query, "until")


def _moment(query: MultiMapping[str], name: str) -> Moment | None:
    if name not in query:
        return None
    try:
        return Moment.parse(query[name])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
