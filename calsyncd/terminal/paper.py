"""What a text is written on: how wide it is, and whether it shows colours and more than ASCII."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

import click

NARROWEST, WIDEST = 60, 200
EN_DASH = "\N{EN DASH}"
_ASCII = str.maketrans({EN_DASH: "-", "…": "..."})
_PROBE = f"█▌▐░▓─│╷▼▲·{EN_DASH}…→"


@dataclass(frozen=True, slots=True)
class Paper:
    """An output; without a terminal it has no end of the line to mind."""

    terminal: bool = False
    width: int = 80
    unicode: bool = True
    colour: bool = False

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str]) -> Paper:
        """What `stream` is. Colours are for terminals only, and not where NO_COLOR or TERM=dumb say so."""
        terminal = stream.isatty()
        try:
            _PROBE.encode(stream.encoding or "ascii")
            unicode = True
        except (UnicodeEncodeError, LookupError):
            unicode = False
        colour = terminal and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
        width = shutil.get_terminal_size().columns
        return cls(terminal, max(NARROWEST, min(WIDEST, width)), unicode, colour)

    def ink(self, text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
        """The text in a colour, where there are colours."""
        if not self.colour or not (colour or bold or dim):
            return text
        return click.style(text, fg=colour, bold=bold or None, dim=dim or None)

    def wrapped(self, text: str, first: str = "", rest: str = "") -> str:
        """The text between words in lines as wide as the terminal, begun by `first` and `rest`; one line elsewhere."""
        if not self.terminal:
            return first + text
        lines = textwrap.wrap(
            text,
            self.width - 1,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return "\n".join(lines)

    def sign(self, unicode: str, ascii_: str) -> str:
        """The first, or the second where only ASCII is shown."""
        return unicode if self.unicode else ascii_

    def text(self, text: str) -> str:
        """Somebody else's words in one line, without what a terminal would obey, and in ASCII where need be."""
        clean = "".join(letter if letter.isprintable() else " " for letter in text)
        return clean if self.unicode else clean.translate(_ASCII).encode("ascii", "replace").decode()
