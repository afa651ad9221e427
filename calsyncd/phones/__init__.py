"""The agents' phones: who they are, what each needs now, and the requests that give it to them."""

from calsyncd.phones.agent import FOREVER, Agent
from calsyncd.phones.calls import Calls
from calsyncd.phones.crowds import Spending
from calsyncd.phones.outages import Outages
from calsyncd.phones.phones import Phones
from calsyncd.phones.presence import Presence
from calsyncd.phones.record import Record
from calsyncd.phones.roster import Roster
from calsyncd.phones.webhooks import Webhooks
from calsyncd.phones.wishes import Wishes

__all__ = [
    "FOREVER",
    "Agent",
    "Calls",
    "Outages",
    "Phones",
    "Presence",
    "Record",
    "Roster",
    "Spending",
    "Webhooks",
    "Wishes",
]
