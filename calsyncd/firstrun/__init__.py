"""`calsyncd init`: asks, tests each answer against the services themselves, writes settings that `check` accepts."""

from calsyncd.firstrun.answers import Asker, Given, Incomplete
from calsyncd.firstrun.interview import first_run

__all__ = ["Asker", "Given", "Incomplete", "first_run"]
