"""Every fault of the world that is known, what happens then, and what proves it: docs/reliability.md, as data."""

from __future__ import annotations

from tests.faults.catalogue import aircall, clocks, disks, google, network, processes, secrets, webhooks
from tests.faults.catalogue.fault import Fault

SECTIONS: dict[str, tuple[Fault, ...]] = {
    "Process": processes.FAULTS,
    "Clock": clocks.FAULTS,
    "Disk and database": disks.FAULTS,
    "Network": network.FAULTS,
    "Google": google.FAULTS,
    "Aircall": aircall.FAULTS,
    "Webhooks": webhooks.FAULTS,
    "Secrets and settings": secrets.FAULTS,
}
"""By what is at fault, in the manual's order."""
