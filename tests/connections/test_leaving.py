"""Disconnecting: in the right order, whatever crashes, and whoever connects meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from calsyncd.connections import forget_grant
from calsyncd.sandbox.world import Sandbox
from calsyncd.vault import name_of

from .company import AMY, EVE, Answer, Browser, Company

READ = "https://www.googleapis.com/auth/calendar.events.readonly"
START_AGAIN = "Please start again"


async def test_disconnecting_undoes_it_all(company: Company, sandbox: Sandbox, browser: Browser) -> None:
    """The channels are stopped while the token is still good; then it is revoked, and then deleted."""
    await browser.through()
    token = company.connections.grant(AMY)
    seen: list[tuple[bool, list[str], dict[str, object] | None]] = []

    async def look(email: str) -> None:
        seen.append(
            (await company.can_read(email), company.connections.connected(), company.vault.get(f"google:{email}"))
        )

    company.letting_go = look
    answer = await browser.through(what="disconnect")

    assert (answer.status, answer.title) == (200, "Your calendar is disconnected")
    assert company.happened == [("followed", AMY), ("let go", AMY)]
    can_read, connected, credential = seen[0]
    assert can_read
    assert connected == []
    assert credential is not None
    assert credential["leaving"] is True
    assert company.vault.contexts() == []
    assert await company.connections.disconnect(AMY)
    company.vault.put(f"google:{AMY}", {"refresh_token": token})
    assert not await company.can_read(AMY)


async def test_only_whoever_signs_in_disconnects(company: Company, sandbox: Sandbox, browser: Browser) -> None:
    """Somebody else's address in the form does not disconnect them."""
    await browser.through()
    sandbox.google.consent.user = EVE
    answer = await browser.through(AMY, "disconnect")

    assert answer.title == "Nothing to disconnect"
    assert company.connections.connected() == [AMY]
    assert await company.can_read(AMY)


async def _stuck(_: str) -> None:
    await asyncio.Event().wait()


async def _crash_letting_go(company: Company, sandbox: Sandbox) -> None:
    company.letting_go = _stuck


async def _crash_before_revoking(company: Company, sandbox: Sandbox) -> None:
    sandbox.google.fail("POST /revoke", delay=0.3, cut=True)


async def _crash_after_revoking(company: Company, sandbox: Sandbox) -> None:
    sandbox.google.fail("POST /revoke", cut=True, landed=True)


@pytest.mark.parametrize("crash", [_crash_letting_go, _crash_before_revoking, _crash_after_revoking])
async def test_disconnecting_survives_a_crash_at_each_step(
    company: Company,
    sandbox: Sandbox,
    browser: Browser,
    crash: Callable[[Company, Sandbox], Awaitable[None]],
) -> None:
    """After the restart nobody is followed who wanted to leave, and the rest is done."""
    await browser.through()
    await crash(company, sandbox)
    leaving = asyncio.create_task(company.connections.disconnect(AMY))
    await asyncio.wait({leaving}, timeout=0.15)
    leaving.cancel()
    await asyncio.wait({leaving})
    assert company.vault.contexts() == [f"google:{AMY}"]

    company.letting_go = None
    company.start()
    assert company.connections.connected() == []
    assert company.connections.leaving() == [AMY]
    before = company.happened.count(("let go", AMY))
    keeping = asyncio.create_task(company.connections.keep())
    await _until(lambda: company.vault.contexts() == [])
    keeping.cancel()

    assert company.happened.count(("let go", AMY)) == before + 1
    assert [request.status for request in sandbox.google.requests if request.path == "/revoke"][-1] in {200, 400}
    assert sandbox.google.consent._refresh == {}


async def test_google_out_of_reach_ends_reading_all_the_same(
    company: Company, sandbox: Sandbox, browser: Browser
) -> None:
    """The page says that the rest is to come; connecting again meanwhile ends the leaving, not the new grant."""
    await browser.through()
    sandbox.google.fail("POST /revoke", status=503)
    answer = await browser.through(what="disconnect")
    assert answer.title == "Your calendar is being disconnected"
    assert company.connections.connected() == []

    assert (await browser.through()).status == 200
    keeping = asyncio.create_task(company.connections.keep())
    await asyncio.sleep(0.05)
    keeping.cancel()
    assert company.connections.connected() == [AMY]
    assert await company.can_read(AMY)


async def test_a_token_from_before_the_revocation_is_not_called_a_success(
    company: Company, sandbox: Sandbox, browser: Browser
) -> None:
    """Whoever consents while the old grant is being revoked loses both at Google, and is told to try again."""
    await browser.through()
    link = await browser.consent(await browser.begin())
    go_on = asyncio.Event()
    company.letting_go = lambda _: _wait_for(go_on)
    leaving = asyncio.create_task(company.connections.disconnect(AMY))
    await _until(lambda: ("let go", AMY) in company.happened)
    connecting = asyncio.create_task(browser.send("GET", link))
    await _until(lambda: [request.path for request in sandbox.google.requests].count("/token") >= 3)
    go_on.set()
    answer: Answer = await connecting

    assert await leaving
    assert (answer.status, answer.title) == (503, "That did not work")
    assert company.connections.connected() == []
    assert (await browser.through()).status == 200
    assert await company.can_read(AMY)


async def test_a_token_that_comes_while_the_grant_is_revoked_is_not_called_a_success(
    company: Company, sandbox: Sandbox, browser: Browser
) -> None:
    """The same, where the revocation is on its way already when the code is exchanged."""
    await browser.through()
    link = await browser.consent(await browser.begin())
    sandbox.google.fail("POST /revoke", delay=0.3)
    leaving = asyncio.create_task(company.connections.disconnect(AMY))
    await _until(lambda: ("let go", AMY) in company.happened)
    await asyncio.sleep(0.05)
    answer = await browser.send("GET", link)

    assert await leaving
    assert (answer.status, company.connections.connected()) == (503, [])


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_whose_credential_cannot_be_read_is_not_told_that_there_is_none(
    company: Company, sandbox: Sandbox, browser: Browser
) -> None:
    """It may open again with its key, so nothing is overwritten; but their calendar is let go of at once."""
    path = company.folder / "credentials" / name_of(f"google:{AMY}")
    company.vault.put(f"google:{AMY}", {"refresh_token": "1//x"})
    path.write_bytes(path.read_bytes()[:80])
    answer = await browser.through(what="disconnect")

    assert (answer.status, answer.title) == (200, "Your calendar is being disconnected")
    assert company.happened == [("let go", AMY)]
    assert path.exists()


@pytest.mark.parametrize("ending", ["put back", "deleted"])
async def test_who_leaves_while_the_credential_is_damaged_has_left_through_restarts(
    company: Company, sandbox: Sandbox, browser: Browser, ending: str
) -> None:
    """Only the grant at Google waits for whoever mends the file; put back from before, it is revoked."""
    await browser.through()
    path = company.folder / "credentials" / name_of(f"google:{AMY}")
    good = path.read_bytes()
    path.write_bytes(b"damaged")
    company.happened.clear()
    company.clock.ahead = 10.0
    answer = await browser.through(what="disconnect")

    assert (answer.status, answer.title) == (200, "Your calendar is being disconnected")
    assert company.happened == [("let go", AMY)]
    company.start()
    connections = company.connections
    assert (connections.connected(), connections.leaving(), connections.accounts([AMY])) == ([], [AMY], [])
    assert path.read_bytes() == b"damaged"

    if ending == "put back":
        path.write_bytes(good)
    else:
        path.unlink()
    company.start()
    assert company.connections.connected() == []
    keeping = asyncio.create_task(company.connections.keep())
    await _until(lambda: company.vault.contexts() == [])
    await _until(lambda: company.connections.leaving() == [])
    keeping.cancel()
    revoked = [request for request in sandbox.google.requests if request.path == "/revoke"]
    assert len(revoked) == (ending == "put back")
    assert (await browser.through()).status == 200
    company.start()
    assert company.connections.connected() == [AMY]


async def test_who_is_forgotten_leaves_no_mark(company: Company, browser: Browser) -> None:
    """The mark holds their address."""
    await browser.through()
    (company.folder / "credentials" / name_of(f"google:{AMY}")).write_bytes(b"damaged")
    await browser.through(what="disconnect")
    assert company.vault.contexts() == [f"leaving:{AMY}"]

    assert forget_grant(company.vault, AMY) == 1
    assert (company.vault.contexts(), company.vault.faults()) == ([], {})


async def test_who_connects_anew_after_that_is_not_leaving(company: Company, browser: Browser) -> None:
    """Not even if we crash before the mark is deleted."""
    await browser.through()
    path = company.folder / "credentials" / name_of(f"google:{AMY}")
    path.write_bytes(b"damaged")
    await browser.through(what="disconnect")
    mark = company.folder / "credentials" / name_of(f"leaving:{AMY}")
    kept = mark.read_bytes()
    path.unlink()
    assert (await browser.through()).status == 200
    assert not mark.exists()
    mark.write_bytes(kept)

    company.start()
    assert (company.connections.connected(), company.connections.leaving()) == ([AMY], [])


async def test_a_wish_to_leave_that_cannot_be_written_down_is_no_success(company: Company, browser: Browser) -> None:
    """The calendar is read no more for now; after a restart it would be."""
    await browser.through()
    key = company.folder / "vault.key"
    link = await browser.consent(await browser.begin(what="disconnect"))
    key.rename(key.with_name("away"))
    answer = await browser.send("GET", link)

    assert (answer.status, answer.title) == (503, "That did not work")
    assert (company.connections.connected(), company.happened[-1]) == ([], ("let go", AMY))
    key.with_name("away").rename(key)
    assert await company.connections.disconnect(AMY)
    assert company.vault.contexts() == []
