"""Faults on demand: what a server does instead of, or on top of, its real answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Json = dict[str, object]


@dataclass(slots=True)
class Fault:
    """One rule: while `left` is not 0, a request that matches is treated as the fields say.

    Without status, body, `cut` or `truncate` only the delay applies and the real answer follows.
    """

    match: re.Pattern[str] | Callable[[str], bool]
    left: int | None
    status: int | None = None
    body: bytes | None = None
    content_type: str = "application/json; charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    truncate: bool = False
    landed: bool = False

    @property
    def answers(self) -> bool:
        """Whether the fault brings an answer of its own."""
        return self.status is not None or self.body is not None

    @property
    def handles(self) -> bool:
        """Whether the real handler runs, so that the request takes effect."""
        return self.landed or not (self.answers or self.cut)

    def matches(self, line: str) -> bool:
        """Whether the rule is for this `METHOD path?query`."""
        if callable(self.match):
            return self.match(line)
        return self.match.search(line) is not None


class Faults:
    """The rules of one server, in the order in which they were given."""

    def __init__(self, shape: Callable[[int, str | None], Json]) -> None:
        self._shape = shape
        self._rules: list[Fault] = []

    def fail(
        self,
        match: str | Callable[[str], bool] = "",
        *,
        times: int | None = 1,
        status: int | None = None,
        reason: str | None = None,
        body: str | bytes | Json | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        cut: bool = False,
        truncate: bool = False,
        landed: bool = False,
    ) -> None:
        """Treat the next `times` requests that match (None: all of them) in this way.

        Args:
            match: a regular expression searched in `METHOD path?query`, or a predicate of it.
            times: how many requests; None until `clear`.
            status: answer with this status, in the service's own error shape unless `body` is given.
            reason: the reason named in that shape.
            body: this body instead: a dict becomes JSON, text that starts with `<` is HTML, "" is an empty body.
            content_type: overrides the type that follows from the body.
            headers: added to the answer.
            delay: seconds before anything is done.
            cut: reset the connection instead of answering.
            truncate: send half of the answer, then close the connection.
            landed: let the request take effect before its answer is replaced or lost.
        """
        raw: bytes | None = None
        kind = "application/json; charset=UTF-8"
        if isinstance(body, dict):
            raw = json.dumps(body).encode()
        elif body is not None:
            raw = body.encode() if isinstance(body, str) else body
            kind = "text/html; charset=UTF-8" if raw.lstrip().startswith(b"<") else kind
        elif status is not None:
            raw = json.dumps(self._shape(status, reason)).encode()
        self._rules.append(
            Fault(
                match=match if callable(match) else re.compile(match),
                left=times,
                status=status,
                body=raw,
                content_type=content_type or kind,
                headers=dict(headers or {}),
                delay=delay,
                cut=cut,
                truncate=truncate,
                landed=landed,
            )
        )

    def clear(self) -> None:
        """Forget every rule."""
        self._rules.clear()

    def take(self, line: str) -> Fault | None:
        """The first rule for this request, counted down."""
        for rule in self._rules:
            if rule.left != 0 and rule.matches(line):
                if rule.left is not None:
                    rule.left -= 1
                return rule
        return None
