"""The file of alarms: what is raised, and what of it is still to be sent to whom.

It is written whole at each change. Lost or damaged, it costs that what is wrong is raised once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from calsyncd.core.alarms import Alarm
from calsyncd.logs import get_logger
from calsyncd.state import replace_file
from calsyncd.view import time_out

FILE = "alarms.json"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """What was written down: the raised alarms, and for each way of sending the messages that have not gone."""

    alarms: tuple[Alarm, ...] = ()
    unsent: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)


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
        body = {"alarms": [asdict(alarm) for alarm in known.alarms], "unsent": dict(known.unsent)}
        replace_file(self._path, json.dumps(body, indent=1).encode())


def _known(body: dict[str, Any]) -> Known:
    unsent = {str(name): [dict(message) for message in messages] for name, messages in body["unsent"].items()}
    return Known(tuple(_alarm(one) for one in body["alarms"]), unsent)


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
