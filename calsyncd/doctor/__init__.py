"""`calsyncd doctor`: whether all that calsyncd needs is there, and what to do where it is not.

A check is data (`checks`): a name, what it looks at, and a function that finds. Each service has a module of its own;
`examine` runs them in order. What is found is printed by the command.
"""

from calsyncd.doctor.checks import Check, Finding, Outcome
from calsyncd.doctor.examined import Examined, opened
from calsyncd.doctor.examining import CHECKS, examine

__all__ = ["CHECKS", "Check", "Examined", "Finding", "Outcome", "examine", "opened"]
