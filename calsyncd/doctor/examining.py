"""All checks, in the order in which one explains the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from calsyncd.doctor import aircall, google, machine, public, undoing
from calsyncd.doctor.checks import Check, Finding, Outcome, failed, note, refused
from calsyncd.doctor.examined import Examined
from calsyncd.errors import ServiceError

CHECKS = (*machine.CHECKS, *undoing.CHECKS, *aircall.CHECKS, *google.CHECKS, *public.CHECKS)


async def examine(examined: Examined, begun: Callable[[Check], None]) -> AsyncIterator[tuple[Check, list[Finding]]]:
    """Each check and what it found, as soon as it has; `begun` is told before each."""
    wrong: dict[str, Check] = {}
    for check in CHECKS:
        cause = wrong.get(check.needs)
        if cause is not None:
            yield check, [note(f"not tried: first {cause.title} are to be mended")]
            continue
        if not check.rare:
            begun(check)
        try:
            found = await check.look(examined)
        except ServiceError as error:
            found = [refused(error)]
        except OSError as error:
            what = f"{error.filename or check.title} cannot be looked at ({error.strerror})"
            found = [failed(what, "run this as root, or as the user as whom calsyncd runs")]
        if any(one.outcome is Outcome.FAILED for one in found):
            wrong[check.name] = check
        if found or not check.rare:
            yield check, found
