"""Drills: the shipped units in a virtual machine, whose clock, sleep and power are ours. `make drill` runs them.

`DRILLS` has all by name; docs/reliability.md names them as `drill: NAME`.
"""

from __future__ import annotations

from tests.drill.clocks import clock_steps, dead_rtc, pause, suspend
from tests.drill.findings import Drill
from tests.drill.power import power_cuts
from tests.drill.units import dead_man, memory, sockets, unit, watchdog

DRILLS: dict[str, Drill] = {
    "unit": unit,
    "sockets": sockets,
    "watchdog": watchdog,
    "memory": memory,
    "clock-steps": clock_steps,
    "suspend": suspend,
    "pause": pause,
    "dead-man": dead_man,
    "dead-rtc": dead_rtc,
    "power-cuts": power_cuts,
}
