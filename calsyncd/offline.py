"""What must also work without a running daemon: in a process of its own, with the daemon's parts and no listener."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from calsyncd.config import Settings
from calsyncd.daemon import STOP_SECONDS, Daemon
from calsyncd.errors import ServiceError, UserError
from calsyncd.ledger import has_run
from calsyncd.state import give_to_owner


async def release_without_daemon(
    settings: Settings, path: Path, environ: Mapping[str, str], actor: str = "command line"
) -> dict[str, Any]:
    """Put everybody back who is held and leave all paused, in this process.

    UserError 75 if a daemon runs, 78 where no daemon ever ran: then the debts are in another state directory.
    """
    if not has_run(settings.state_dir):
        raise UserError(
            f"{settings.state_dir}: no calsyncd ever ran with this state directory: nobody can be put back from here;"
            " if the service has another one, name it as state_dir in the settings, or in $STATE_DIRECTORY"
        )
    daemon = Daemon(settings, path, environ, only_releases=True)
    async with without_daemon(daemon):
        return await daemon.control.release_all(actor)


async def forget_without_daemon(
    settings: Settings, path: Path, environ: Mapping[str, str], email: str, *, actor: str, reason: str
) -> dict[str, Any]:
    """Erase all that is kept of somebody, in this process. UserError as `Control.forget`, 75 if a daemon runs."""
    if not has_run(settings.state_dir):
        raise UserError(
            f"{settings.state_dir}: no calsyncd ever ran with this state directory: it keeps nothing of anybody; if the"
            " service has another one, name it as state_dir in the settings, or in $STATE_DIRECTORY"
        )
    daemon = Daemon(settings, path, environ)
    async with without_daemon(daemon):
        return await daemon.control.forget(email, actor, reason)


@contextlib.asynccontextmanager
async def without_daemon(daemon: Daemon) -> AsyncIterator[None]:
    """A daemon that only puts back whoever is to be put back, for so long. UserError 75 if another one runs."""
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(give_to_owner, daemon.settings.state_dir)
        journal = await stack.enter_async_context(daemon.built())
        await daemon.keep_settings()
        for agent in daemon.roster.agents.values():
            agent.ready = True
        loop = asyncio.create_task(daemon.scheduler.run(), name="loop")
        try:
            await daemon.clock.sleep(0)
            yield
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            daemon.phones.stop()
            await daemon.scheduler.finish(STOP_SECONDS)
            with contextlib.suppress(ServiceError):
                await journal.flush()
