"""The agents' calendars: what each last said, how it is read again, and how Google tells that it changed."""

from calsyncd.calendars.calendar import Calendar, key_of
from calsyncd.calendars.others import Others
from calsyncd.calendars.push import Push
from calsyncd.calendars.storm import StormGuard
from calsyncd.calendars.syncer import Pace, Syncer

__all__ = ["Calendar", "Others", "Pace", "Push", "StormGuard", "Syncer", "key_of"]
