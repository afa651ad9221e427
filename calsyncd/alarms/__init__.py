"""Alarms: what is wrong is gathered, compared with what was raised, written down, shown, and sent to whom it is for."""

from __future__ import annotations

from calsyncd.alarms.kept import Kept
from calsyncd.alarms.looking import Facts, Lag, Looking, dead
from calsyncd.alarms.sending import Command, Outbox, Post
from calsyncd.alarms.watch import Watch

__all__ = ["Command", "Facts", "Kept", "Lag", "Looking", "Outbox", "Post", "Watch", "dead"]
