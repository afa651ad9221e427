"""Where the settings are, and by one line of them the state: asked before anything else is loaded."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from calsyncd.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_CONFIG_BYTES = 1024 * 1024
PLACES = (Path("config.yaml"), Path("/etc/calsyncd/config.yaml"))
"""Where the settings are looked for when neither `--config` nor $CALSYNCD_CONFIG says it."""

_STATE_DIR = re.compile(r"""^state_dir:[ \t]+(?:"([^"\n]*)"|'([^'\n]*)'|([^#\n]*))""", re.MULTILINE)


def find(explicit: Path | None, env: Mapping[str, str], *, places: Sequence[Path] = PLACES) -> Path:
    """The settings' path: as given, else $CALSYNCD_CONFIG, else the first of `places` that exists.

    Raises:
        UserError: there is none; the message names the places.
    """
    if explicit is not None:
        return explicit
    if env.get("CALSYNCD_CONFIG"):
        return Path(env["CALSYNCD_CONFIG"])
    for place in places:
        if os.path.lexists(place):
            return place
    looked = ", ".join(str(place if place.is_absolute() else f"./{place}") for place in places)
    raise UserError(
        f"no settings found: --config is not given, $CALSYNCD_CONFIG is not set, and there is no {looked}; "
        "copy config.example.yaml to one of them"
    )


def likely_state_dir(path: Path, env: Mapping[str, str]) -> Path | None:
    """The state directory, if the settings at `path` say it as nearly all do; None where they cannot be read.

    Only for what may be begun in vain: what holds is said by the settings once they are understood.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    except OSError:
        return None
    if text is None or len(text) > MAX_CONFIG_BYTES:
        return None
    found = _STATE_DIR.search(text)
    said = next((one.strip() for one in found.groups() if one), "") if found else ""
    given = said or env.get("STATE_DIRECTORY", "").split(":")[0] or "state"
    return Path(os.path.abspath(path)).parent / given  # noqa: PTH100 - as the settings take it: links stay


def is_same_folder(one: Path, other: Path) -> bool:
    """Whether both lead to one folder, through whatever links; it need not be there."""
    return one.resolve() == other.resolve()
