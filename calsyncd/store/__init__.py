"""The only SQL: a cache of what Google and Aircall said, and the history of what was done."""

from calsyncd.store.ahead import DATABASE, Ahead
from calsyncd.store.store import Store, StoreUnavailableError

__all__ = ["DATABASE", "Ahead", "Store", "StoreUnavailableError"]
