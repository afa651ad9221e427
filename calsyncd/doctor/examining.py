"""All checks, in the order in which one explains the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from calsyncd.doctor import aircall, google, machine, public
from calsyncd.doctor.checks import Check, Finding, failed, refused
from calsyncd.doctor.examined import Examined
from calsyncd.errors import ServiceError

CHECKS = (*machine.CHECKS, *aircall.CHECKS, *google.CHECKS, *public.CHECKS)


async def examine(examined: Examined, begun: Callable[[Check], None]) -> AsyncIterator[tuple[Check, list[Finding]]]:
    """Each check and what it found, as soon as it has; `begun` is told before each."""
    for check in CHECKS:
        begun(check)
        try:
            yield check, await check.look(examined)
        except ServiceError as error:
            yield check, [refused(error)]
        except OSError as error:
            what = f"{error.filename or check.title} cannot be looked at ({error.strerror})"
            yield check, [failed(what, "run this as root, or as the user as whom calsyncd runs")]
