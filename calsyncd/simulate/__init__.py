"""`calsyncd simulate`: a day of events under given rules, without a daemon and without Aircall."""

from calsyncd.simulate.command import Wish, simulated
from calsyncd.simulate.show import as_json, as_text

__all__ = ["Wish", "as_json", "as_text", "simulated"]
