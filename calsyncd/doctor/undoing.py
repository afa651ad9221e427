"""Puts back whom a probe that was killed has left changed, and says so."""

from __future__ import annotations

from calsyncd.core.wording import status_word
from calsyncd.doctor.checks import Check, Finding, failed, note
from calsyncd.doctor.examined import Examined
from calsyncd.doctor.left import Left, Note, notes
from calsyncd.doctor.listener import sweep
from calsyncd.doctor.probe import Probe
from calsyncd.doctor.testuser import refuse_followed
from calsyncd.doctor.wire import word
from calsyncd.errors import UserError


async def undo(examined: Examined) -> list[Finding]:
    """Nothing where no probe was killed. A probe that is under way is left alone."""
    found = []
    for one in notes(examined.state_dir):
        try:
            left = one.read()
            if left is not None:
                with one.held():
                    found.append(await _undone(examined, one, left))
        except UserError as error:
            found.append(failed(str(error), ""))
    return found


async def _undone(examined: Examined, kept: Note, left: Left) -> Finding:
    was = status_word(word(left.before.availability_status))
    killed = f"the probe of {left.since} was killed and left {left.email} changed"
    try:
        await refuse_followed(examined, left.email)
    except UserError as error:
        return failed(f"{killed}: {error}", f"pause them, and run this again; they were set to {was}")
    end = await Probe(examined, left.user, lambda _: None).undo(left)
    if end == "failed":
        return failed(f"{killed}, and Aircall does not take the way back", f"set them to {was} in Aircall by hand")
    kept.end()
    await sweep(examined)
    return note(
        {
            "done": f"{killed}: they are back at {was}",
            "was": f"{killed}: they are at {was} again already",
            "other": f"{killed}: somebody has set them otherwise since, and that stays; they were at {was}",
        }[end]
    )


CHECKS = (Check("probe", "what a probe has left", undo, rare=True),)
