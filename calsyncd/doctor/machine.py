"""This machine: the disk, the vault, the clock."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from calsyncd.clock import CORRECT_FROM_SECONDS, DATE_TOLERANCE_SECONDS
from calsyncd.doctor.checks import Check, Finding, failed, good, note
from calsyncd.doctor.examined import Examined
from calsyncd.errors import ServiceError, UserError
from calsyncd.vault import Vault, holds_credentials

LEAST_FREE_BYTES = 50 * 1024 * 1024
SLOW_SYNC_SECONDS = 0.2


async def disk(examined: Examined) -> list[Finding]:
    """Whether the state directory can be written, is nobody else's, has room, and syncs."""
    folder = examined.state_dir
    if not folder.is_dir():
        above = next(parent for parent in folder.parents if parent.is_dir())
        if os.access(above, os.W_OK):
            return [note(f"{folder} is not there yet: it is made at the first start")]
        return [failed(f"{folder} is not there, and this user cannot make it", "make it, or set state_dir")]
    try:
        seconds = _seconds_to_sync(folder, examined)
    except OSError as error:
        return [
            failed(
                f"{folder}: nothing can be written and synced ({error.strerror})",
                "free space, or give the folder to the user as whom calsyncd runs",
            )
        ]
    found = []
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o007:
        found.append(failed(f"{folder}: others can enter it (mode {mode:04o})", f"chmod 0700 {folder}"))
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        found.append(failed(f"{folder}: {_size(free)} free", "free space: the ledger must always be writable"))
    if seconds > SLOW_SYNC_SECONDS:
        found.append(note(f"{folder}: a sync takes {seconds * 1000:.0f} ms", "put state_dir on a faster disk"))
    return found or [good(f"{folder}: {_size(free)} free, a sync takes {seconds * 1000:.0f} ms")]


async def vault(examined: Examined) -> list[Finding]:
    """Whether what was granted can be read."""
    folder = examined.settings.credentials
    try:
        if not holds_credentials(folder):
            return [good("nothing was granted yet")]
        opened = Vault.open(folder, examined.key_file)
        found = [failed(fault, "") for fault in opened.faults().values()]
        outdated = opened.outdated()
    except UserError as error:
        what, _, do = str(error).partition(": ")
        return [failed(f"{what}: the vault cannot be opened", do)]
    if outdated:
        found.append(
            failed(f"{outdated} credentials hold to an older key", "restart calsyncd, or `calsyncd rotate-key`")
        )
    return found or [good(f"{len(opened.contexts())} credentials, all of the newest key")]


async def clock(examined: Examined) -> list[Finding]:
    """Whether our clock agrees with the services'. Any answer carries the time."""
    settings = examined.settings
    for service, url in (("google", settings.google.api_url), ("aircall", f"{settings.aircall.api_url}/v1/ping")):
        try:
            await examined.http.request(service, "clock", "GET", url)
        except ServiceError:
            # Whatever it answered had a date; if it did not answer, the checks of that service say why.
            continue
    ahead = examined.dates.ahead
    if not ahead:
        return [
            failed("neither Google nor Aircall tells the time", "is this machine allowed out? is HTTPS_PROXY needed?")
        ]
    named = " and ".join(f"{service.title()}" for service in ahead)
    if len(ahead) > 1 and max(ahead.values()) - min(ahead.values()) > DATE_TOLERANCE_SECONDS:
        return [note("Google's and Aircall's clocks differ, so that ours is not judged", "look again in a few minutes")]
    off = sum(ahead.values()) / len(ahead)
    if abs(off) <= DATE_TOLERANCE_SECONDS:
        return [good(f"ours agrees with {named}")]
    way = "behind" if off > 0 else "ahead of"
    worse = "; Google refuses keys by it" if abs(off) > CORRECT_FROM_SECONDS else ""
    return [failed(f"ours is {abs(off):.0f} s {way} {named}{worse}", "set it: timedatectl set-ntp true", code="clock")]


def _seconds_to_sync(folder: Path, examined: Examined) -> float:
    began = examined.clock.monotonic()
    with tempfile.NamedTemporaryFile(dir=folder, prefix="doctor-") as file:
        file.write(b"x" * 4096)
        file.flush()
        os.fsync(file.fileno())
    return examined.clock.monotonic() - began


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"


CHECKS = (
    Check("disk", "the state directory", disk),
    Check("vault", "the vault", vault),
    Check("clock", "the clock", clock),
)
