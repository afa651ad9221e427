"""What is wrong with what was granted becomes an alarm, and is over by itself: real files, a real revocation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from structlog.testing import capture_logs

from calsyncd.aircall.authorization import CONTEXT, Installation, Installed
from calsyncd.connections import file_of
from calsyncd.core.alarms import Alarms
from calsyncd.grants import DISCONNECT_SECONDS, Grants
from calsyncd.sandbox.world import Sandbox
from calsyncd.vault import name_of

from .company import AMY, BOB, Browser, Company


class Watched:
    """A company's grants under watch; `told` is what the rest of the daemon was told."""

    def __init__(self, company: Company) -> None:
        self.told: list[str] = []
        self.installed = Installed(company.vault)
        self.grants = Grants(
            company.clock,
            company.vault,
            connections=company.connections,
            installed=self.installed,
            mended=self._mended,
            changed=lambda: self.told.append("changed"),
            regained=self._regained,
        )

    async def _mended(self, email: str) -> None:
        self.told.append(email)

    async def _regained(self) -> None:
        self.told.append("aircall")

    @property
    def wrong(self) -> list[tuple[str, str]]:
        """(code, who) of what is wrong."""
        return [(one.code, one.who) for one in self.grants.wrong([AMY, BOB])]

    async def look(self) -> list[str]:
        """Look once; the actions that were logged."""
        self.told.clear()
        with capture_logs() as lines:
            await self.grants.look()
        return [line["action"] for line in lines]


def file(company: Company, name: str) -> Path:
    """A credential's."""
    return company.folder / "credentials" / name


async def test_a_credential_that_cannot_be_read(company: Company, browser: Browser) -> None:
    """By its agent or its name, once in the log; put back or deleted, it is over without a restart."""
    await browser.through()
    await browser.through(BOB)
    good = {email: file(company, file_of(email)).read_bytes() for email in (AMY, BOB)}
    for path in (file(company, file_of(AMY)), file(company, "0" * 32)):
        path.write_bytes(b"damaged")
    company.start()
    watched = Watched(company)

    assert await watched.look() == ["vault_damaged", "vault_damaged"]
    assert await watched.look() == []
    assert sorted(watched.wrong) == [("vault", AMY), ("vault", f"credentials/{'0' * 32}")]
    alarms = Alarms([])
    for at in range(0, 90, 5):
        alarms.show(watched.grants.wrong([AMY, BOB]), 1000.0 + at, agents=2, doubted=lambda _: ())
    message = alarms.raised["vault", AMY].message
    assert message.startswith(f"a credential in the vault cannot be read: {file(company, file_of(AMY))}: not ")
    assert alarms.raised["vault", AMY].owner == "operator"

    file(company, file_of(AMY)).write_bytes(good[AMY])
    file(company, "0" * 32).unlink()
    assert await watched.look() == ["vault_mended", "vault_mended"]
    assert watched.wrong == []
    assert watched.told == [AMY, "changed"]
    assert company.connections.connected() == [AMY, BOB]

    file(company, file_of(BOB)).write_bytes(b"damaged")
    await watched.look()
    assert (watched.wrong, company.connections.connected()) == ([("vault", BOB)], [AMY, BOB])
    file(company, file_of(BOB)).unlink()
    await watched.look()
    assert (watched.wrong, watched.told, company.connections.connected()) == ([], ["changed"], [AMY])


async def test_the_installation_that_can_be_read_again(company: Company) -> None:
    """Aircall is asked by it at once."""
    await Installed(company.vault).keep(Installation("token", 7, 1.0, enabled=True))
    path = file(company, name_of(CONTEXT))
    good = path.read_bytes()
    path.write_bytes(b"damaged")
    watched = Watched(company)
    await watched.look()
    assert watched.installed.header() is None
    assert watched.wrong == [("vault", f"credentials/{name_of(CONTEXT)}")]

    path.write_bytes(good)
    await watched.look()

    assert (watched.installed.header(), watched.told, watched.wrong) == ("Bearer token", ["aircall", "changed"], [])


@contextlib.asynccontextmanager
async def kept(company: Company) -> AsyncIterator[None]:
    """What is left of disconnecting is tried once."""
    keeping = asyncio.create_task(company.connections.keep())
    await asyncio.sleep(0.1)
    yield
    keeping.cancel()
    await asyncio.wait({keeping})


async def test_a_revocation_that_google_does_not_take(company: Company, sandbox: Sandbox, browser: Browser) -> None:
    """After an hour, counted through restarts, it is an alarm; once Google takes it, it is none."""
    await browser.through()
    sandbox.google.fail("POST /revoke", status=503, times=None)
    await browser.through(what="disconnect")
    assert Watched(company).wrong == []

    company.clock.ahead = DISCONNECT_SECONDS - 30.0
    company.start()
    assert Watched(company).wrong == []
    company.clock.ahead = DISCONNECT_SECONDS + 1.0
    async with kept(company):
        watched = Watched(company)
        assert watched.wrong == [("disconnect_waits", AMY)]

    sandbox.google.faults.clear()
    async with kept(company):
        assert watched.wrong == []
    assert company.vault.contexts() == []
