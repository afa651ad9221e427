"""Pages of lists that are in memory, by key: they stay right while entries come and go between two of them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from calsyncd.web.asked import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PAGING = ("limit", "cursor")
MAX_PAGE = 1000

Key = tuple[int | str, ...]
"""What orders a list and names its entries; the cursor holds that of the last entry told."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for: at most `limit` entries beyond `after`; both None for the whole list."""

    limit: int | None = None
    after: Key | None = None

    @classmethod
    def of(cls, query: Mapping[str, str], shape: Key) -> Page:
        """The page that a query asks for; `shape` is an example of the list's keys."""
        after = _parsed(query["cursor"], shape) if "cursor" in query else None
        return cls(limit_of(query.get("limit")), after)

    @property
    def whole(self) -> bool:
        """Whether no pages are asked for."""
        return self.limit is None and self.after is None

    def take(self, entries: Iterable[T], key: Callable[[T], Key]) -> tuple[list[T], dict[str, Any]]:
        """The entries of this page, and what the answer says beside them: `cursor`, null on the last page.

        The whole list is told in the order in which it is, pages are by key.
        """
        if self.whole:
            return list(entries), {}
        after = self.after
        left = sorted((one for one in entries if after is None or key(one) > after), key=key)
        told = left if self.limit is None else left[: self.limit]
        return told, {"cursor": _cursor(key(told[-1])) if len(told) < len(left) else None}


def limit_of(text: str | None) -> int | None:
    """How many entries a page is to have, if that is said."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_PAGE):
        raise Fault(400, "bad_request", f"limit must be a number from 1 to {MAX_PAGE}")
    return int(text[:9])


def _cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _parsed(text: str, shape: Key) -> Key:
    try:
        key = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or [type(one) for one in key] != [type(one) for one in shape]:
        raise Fault(400, "bad_request", "the cursor is none that this list has given out")
    return tuple(key)
