"""Aircall's users: their settings, live states, and every change with its author."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

STATUSES = frozenset({"available", "custom", "unavailable"})
SUBSTATUSES = frozenset({"out_for_lunch", "on_a_break", "in_training", "doing_back_office", "other"})
CALL_STATES = frozenset({"in_call", "after_call_work", "ringing"})

By = Literal["api", "hand"]
ReasonField = Literal["substatus", "state", "neither"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A user's `availability_status`, and the reason where one was given."""

    status: str
    substatus: str | None = None

    @property
    def shown_substatus(self) -> str:
        """What reads show as `substatus`."""
        if self.status != "unavailable":
            return "always_opened"
        return self.substatus or "always_closed"


@dataclass(frozen=True, slots=True)
class Update:
    """One accepted change of a setting; `before == after` where it changed nothing."""

    at: float
    user: int
    email: str
    before: Setting
    after: Setting
    by: By

    @property
    def is_change(self) -> bool:
        """Whether the setting is another one than before."""
        return self.before != self.after


@dataclass(slots=True)
class User:
    """One user with the history of the setting: parallel lists of instants and settings.

    `pending` is an update that waits for the end of a call.
    """

    id: int
    email: str
    name: str
    time_zone: str
    since: list[float]
    settings: list[Setting]
    live: str | None = None
    extension: str = "001"
    extra: dict[str, Any] = field(default_factory=dict)
    pending: Setting | None = None

    @property
    def setting(self) -> Setting:
        """The setting now."""
        return self.settings[-1]

    def setting_at(self, at: float) -> Setting:
        """The setting that was in force at an instant; the first one before the beginning."""
        return self.settings[max(bisect.bisect_right(self.since, at) - 1, 0)]

    def reason_at(self, at: float) -> str | None:
        """The latest reason that was given up to an instant, whatever was set since."""
        count = max(bisect.bisect_right(self.since, at), 1)
        return next((one.substatus for one in reversed(self.settings[:count]) if one.substatus), None)


class Users:
    """The company's users; changes are told to `announce`."""

    def __init__(self, now: Callable[[], float], announce: Callable[[User, Update], None]) -> None:
        self.by_id: dict[int, User] = {}
        self.log: list[Update] = []
        self._now = now
        self._announce = announce

    def add(
        self,
        email: str,
        *,
        user_id: int | None = None,
        name: str | None = None,
        status: str = "available",
        substatus: str | None = None,
        time_zone: str = "Etc/UTC",
        live: str | None = None,
    ) -> User:
        """A new user with this setting."""
        number = user_id or max(self.by_id, default=455) + 1
        user = User(
            id=number,
            email=email,
            name=name or email.partition("@")[0].replace(".", " ").title(),
            time_zone=time_zone,
            since=[self._now()],
            settings=[Setting(status, substatus)],
            live=live,
            extension=f"{len(self.by_id) + 1:03}",
        )
        self.by_id[number] = user
        return user

    def find(self, named: str, *, by_email: bool) -> User | None:
        """The user with this id, or e-mail address where that is allowed."""
        if named.isascii() and named.isdigit():
            return self.by_id.get(int(named))
        if not by_email:
            return None
        return next((user for user in self.by_id.values() if user.email == named), None)

    def put(self, user: User, setting: Setting, by: By) -> Update:
        """Change a setting, log it and announce it."""
        update = Update(self._now(), user.id, user.email, user.setting, setting, by)
        self.log.append(update)
        if update.is_change:
            user.since.append(update.at)
            user.settings.append(setting)
            self._announce(user, update)
        return update


def live_state(user: User, setting: Setting | None = None, *, on_custom: str = "available") -> str:
    """Aircall's read-only `availability` of a user with this setting; `on_custom` is that of Auto."""
    if user.live is not None:
        return user.live
    status = (setting or user.setting).status
    return {"unavailable": "do_not_disturb", "custom": on_custom}.get(status, "available")


def show_user(
    user: User, setting: Setting, origin: str, *, reason: str | None = None, reason_in: ReasonField = "substatus"
) -> dict[str, Any]:
    """A user as v2 shows it with this setting; `reason` is shown whatever the setting, in the field `reason_in`."""
    shown = {
        "id": user.id,
        "direct_link": f"{origin}/v2/users/{user.id}",
        "name": user.name,
        "email": user.email,
        "available": setting.status != "unavailable" and live_state(user) == "available",
        "availability_status": setting.status,
        "created_at": "2019-12-29T10:03:18.000Z",
        "time_zone": user.time_zone,
        "language": "en-US",
        "wrap_up_time": 0,
        "extension": user.extension,
    }
    if reason_in != "neither":
        shown[reason_in] = reason or setting.shown_substatus
    return shown | user.extra
