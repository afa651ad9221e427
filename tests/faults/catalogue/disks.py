"""Faults of the disk and the database."""

from __future__ import annotations

from tests.faults.catalogue.fault import Fault

FAULTS: tuple[Fault, ...] = ()
