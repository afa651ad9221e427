"""The file of alarms: what is raised, what of it is still to be sent to whom, and what will be raised if it lasts.

It is written whole at each change. Lost or damaged, it costs that what is wrong is raised once more, or a day later.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from calsyncd.core.alarms import Alarm, Pending
from calsyncd.files import replace_file
from calsyncd.logs import get_logger
from calsyncd.view import time_out

FILE = "alarms.json"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """What was written down: the raised alarms, the messages that have not gone, by way of sending, and what pends."""

    alarms: tuple[Alarm, ...] = ()
    unsent: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    pending: tuple[Pending, ...] = ()


class Kept:
    """`folder`/alarms.json."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def load(self) -> Known:
        """What was written down last; nothing, and a word in the log, where that cannot be read."""
        try:
            raw = self._path.read_bytes() if self._path.exists() else None
            return Known() if raw is None else _known(json.loads(raw))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            log.warning(
                f"{self._path.name} cannot be read: what is wrong now is raised anew",
                action="alarms_lost",
                file=str(self._path),
                why=type(error).__name__,
            )
            return Known()

    def write(self, known: Known) -> None:
        """Put this in its place. OSError if that cannot be written."""
        body = {
            "alarms": [asdict(alarm) for alarm in known.alarms],
            "unsent": dict(known.unsent),
            "pending": [asdict(one) for one in known.pending],
        }
        replace_file(self._path, json.dumps(body, indent=1).encode())


def _known(body: dict[str, Any]) -> Known:
    unsent = {str(name): [dict(message) for message in messages] for name, messages in body["unsent"].items()}
    # A file that an older version wrote has none.
    pending = tuple(_pending(one) for one in body.get("pending", ()))
    return Known(tuple(_alarm(one) for one in body["alarms"]), unsent, pending)


def _pending(body: dict[str, Any]) -> Pending:
    seconds = float(body["seconds"])
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError("no time that a trouble can have lasted")
    return Pending(str(body["code"]), str(body["who"]), seconds)


def _alarm(body: dict[str, Any]) -> Alarm:
    since, raised_at = float(body["since"]), float(body["raised_at"])
    # Times that cannot be shown are as damaged as none.
    time_out(since), time_out(raised_at)
    return Alarm(
        code=str(body["code"]),
        who=str(body["who"]),
        since=since,
        message=str(body["message"]),
        do=str(body["do"]),
        owner=str(body["owner"]),
        raised_at=raised_at,
    )
