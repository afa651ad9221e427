"""Files of events that people save from their calendars: what events.list of Google answered, and iCalendar.

Either is told by what the file holds, not by its name, and handed on as Google's items, which the daemon's own reading
takes in. No fault's message holds anything of the file but places and names of properties.
"""

from __future__ import annotations

from pathlib import Path

from calsyncd.errors import UserError
from calsyncd.exports.export import Export, ExportError, Pages
from calsyncd.exports.listing import Listing

__all__ = ["Export", "ExportError", "Pages", "read"]

MOST_BYTES = 64 * 1024 * 1024


def read(path: Path) -> Export:
    """What the file holds.

    Raises:
        UserError: it cannot be read as either; exit code 1.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}", exit_code=1) from None
    try:
        return _read(data)
    except ExportError as error:
        raise UserError(f"{path}{error.place}: {error}", exit_code=1) from None


def _read(data: bytes) -> Export:
    if len(data) > MOST_BYTES:
        raise ExportError("is larger than 64 MB: save the events of a few weeks only")
    if data.startswith(b"PK\x03\x04"):
        raise ExportError("is a zip archive: unpack it, and give one of the .ics files in it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExportError("is not UTF-8 text", line=data.count(b"\n", 0, error.start) + 1) from None
    begins = text.lstrip()[:15].upper()
    if not begins:
        raise ExportError("is empty: save the calendar again")
    if begins.startswith("<"):
        raise ExportError(
            "is a web page or XML, and no export: sign in where it comes from, and save the .ics or JSON file itself"
        )
    if begins == "BEGIN:VCALENDAR":
        # Most commands and most files do without it, and it takes a third of a second to load.
        from calsyncd.exports.ics import Calendar  # noqa: PLC0415

        return Calendar(text)
    return Listing(text)
