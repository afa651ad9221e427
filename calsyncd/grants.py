"""What was granted, watched: files of the vault that cannot be read, its key, and who is leaving and cannot.

The vault's files are people's to mend: put back from a backup, or deleted. So they are read again every few minutes,
and at each reload; what was mended or deleted counts from then on, without a restart. Where their folder is not there
or cannot be looked through, nothing counts as deleted. A key that is lost while this process has it is told of before
the next one needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator

from calsyncd.aircall.authorization import CONTEXT, Installed
from calsyncd.clock import Clock
from calsyncd.connections import Connections, file_of
from calsyncd.core.alarms import Wrong
from calsyncd.errors import UserError
from calsyncd.logs import get_logger
from calsyncd.vault import Vault, is_credential, name_of

INSTALLATION = "Aircall's installation"
"""Whose a fault of its file is."""

LOOK_SECONDS = 300.0
DISCONNECT_SECONDS = 3600.0
"""So long Google may be out of reach for whoever disconnects, before somebody is told: twelve tries."""

log = get_logger(__name__)


class Grants:
    """Looks after the vault. `connections` and `installed` are None where nothing of that kind is granted.

    `mended(email)` is called for each account that can be read again, `changed` with the accounts that are gone where
    any are or a file was mended, and `regained` where Aircall's installation can be read again.
    """

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        *,
        connections: Connections | None,
        installed: Installed | None,
        mended: Callable[[str], Awaitable[None]],
        changed: Callable[[Collection[str]], None],
        regained: Callable[[], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._connections = connections
        self._installed = installed
        self._mended = mended
        self._changed = changed
        self._regained = regained
        self._faults: dict[str, tuple[str, float]] = {}
        self._wanted = asyncio.Event()

    async def keep(self) -> None:
        """Look every few minutes, for ever."""
        while True:
            await self.look()
            waking = asyncio.create_task(self._wanted.wait())
            sleeping = asyncio.create_task(self._clock.sleep(LOOK_SECONDS))
            try:
                await asyncio.wait({waking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waking.cancel()
                sleeping.cancel()
            self._wanted.clear()

    def look_soon(self) -> None:
        """Somebody may have mended something."""
        self._wanted.set()

    async def look(self) -> None:
        """Read all files once, and take up what has changed."""
        faults, contexts = await asyncio.to_thread(self._found)
        now = self._clock.now()
        for name, fault in faults.items():
            if name not in self._faults:
                log.error(fault, action="vault_damaged")
        mended = self._faults.keys() - faults.keys()
        for name in sorted(mended):
            log.info(f"{name} can be read again, or is gone", action="vault_mended", file=name)
        self._faults = {name: (fault, self._faults.get(name, ("", now))[1]) for name, fault in faults.items()}
        if self._installed is not None and self._installed.current is None and self._installed.reread():
            await self._regained()
        if self._connections is not None and contexts is not None:
            back, gone = self._connections.reread(faults, contexts)
            here = (email for email in self._connections.connected() if file_of(email) in mended)
            await asyncio.gather(*map(self._mended, sorted({*back, *here} if mended else back)))
            if gone or mended:
                self._changed(gone)

    def _found(self) -> tuple[dict[str, str], list[str] | None]:
        """What cannot be read, by its name, and what the other files hold; None where that cannot be told."""
        contexts: list[str] | None = None
        try:
            self._vault.demand_folder()
            faults, contexts = self._vault.faults(), self._vault.contexts()
        except (UserError, OSError) as error:
            # What was found before is as likely there still.
            faults = {name: fault for name, (fault, _) in self._faults.items()}
            faults[self._vault.folder.name] = str(error)
        key, fault = self._vault.key_file.name, self._vault.fault_of_key()
        if fault is not None:
            faults[key] = fault
        else:
            faults.pop(key, None)
        return faults, contexts

    def wrong(self, agents: Iterable[str]) -> Iterator[Wrong]:
        """What is wrong now: with one of the `agents`, or with Aircall's installation, else by the file's name."""
        if self._faults:
            whose = {name_of(CONTEXT): INSTALLATION, **{file_of(email): email for email in agents}}
            for name, (fault, since) in self._faults.items():
                who = whose.get(name, f"credentials/{name}" if is_credential(name) else name)
                yield Wrong("vault", who, since, who, fault)
        leaving = self._connections.leaving_since() if self._connections is not None else {}
        for email, since in leaving.items():
            if self._clock.now() - since >= DISCONNECT_SECONDS:
                yield Wrong("disconnect_waits", email, since, email)
