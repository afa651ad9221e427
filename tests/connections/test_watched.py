"""What is wrong with what was granted becomes an alarm, and is over by itself: real files, a real revocation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from cryptography.fernet import Fernet
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
            changed=self._changed,
            regained=self._regained,
        )

    def _changed(self, gone: Collection[str]) -> None:
        self.told += ["changed", *(f"{email} is gone" for email in gone)]

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
    assert (watched.wrong, company.connections.connected()) == ([], [AMY])
    assert watched.told == ["changed", f"{BOB} is gone"]


async def test_a_folder_that_cannot_be_looked_through(company: Company, browser: Browser) -> None:
    """Nobody counts as gone with it, and somebody is told."""
    await browser.through()
    folder = file(company, "").resolve()
    away = folder.with_name("away")
    watched = Watched(company)
    await watched.look()
    for instead in (None, "a file"):
        folder.rename(away)
        if instead is not None:
            folder.write_text(instead)

        assert await watched.look() == ["vault_damaged"]
        assert await watched.look() == []
        assert watched.wrong == [("vault", "credentials")]
        assert (company.connections.connected(), watched.told) == ([AMY], [])

        if instead is not None:
            folder.unlink()
        away.rename(folder)
        assert await watched.look() == ["vault_mended"]
        assert (watched.wrong, company.connections.connected()) == ([], [AMY])


async def test_a_key_that_goes_while_the_daemon_runs(company: Company, browser: Browser) -> None:
    """Somebody is told before the next start, which could not open anything."""
    await browser.through()
    key = company.folder / "vault.key"
    good = key.read_bytes()
    watched = Watched(company)
    await watched.look()
    for bad in (None, b"scribbled\n", Fernet.generate_key() + b"\n"):
        key.unlink()
        if bad is not None:
            key.write_bytes(bad)
            key.chmod(0o600)

        assert await watched.look() == ["vault_damaged"]
        assert await watched.look() == []
        assert watched.wrong == [("vault", "vault.key")]
        assert await company.can_read(AMY)

        key.write_bytes(good)
        key.chmod(0o600)
        assert await watched.look() == ["vault_mended"]
        assert watched.wrong == []


async def test_the_installation_that_can_be_read_again(company: Company) -> None:
    """Aircall is asked by it at once."""
    await Installed(company.vault).keep(Installation("token", 7, 1.0, enabled=True))
    path = file(company, name_of(CONTEXT))
    good = path.read_bytes()
    path.write_bytes(b"damaged")
    watched = Watched(company)
    await watched.look()
    assert watched.installed.header() is None
    assert watched.wrong == [("vault", "Aircall's installation")]
    (wrong,) = watched.grants.wrong([])
    assert str(path) in wrong.detail

    path.write_bytes(good)
    await watched.look()

    assert (watched.installed.header(), watched.told, watched.wrong) == ("Bearer token", ["aircall", "changed"], [])


async def test_the_installation_that_is_put_back_after_it_was_deleted(company: Company) -> None:
    """A backup takes longer to find than it takes to delete a file."""
    await Installed(company.vault).keep(Installation("token", 7, 1.0, enabled=True))
    path = file(company, name_of(CONTEXT))
    good = path.read_bytes()
    path.unlink()
    watched = Watched(company)
    await watched.look()
    assert (watched.installed.header(), watched.told) == (None, [])

    path.write_bytes(good)
    await watched.look()

    assert (watched.installed.header(), watched.told) == ("Bearer token", ["aircall"])


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
