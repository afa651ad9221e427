"""The app at a company, hour by hour: installed, removed, refused and installed again; what is owed is never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from structlog.testing import capture_logs

from calsyncd.aircall.authorization import ApiKey, Installed
from calsyncd.aircall.install import App
from calsyncd.core.plan import Held
from calsyncd.core.webhooks import REMOVED
from calsyncd.installation import AppInstaller
from calsyncd.phones import Agent
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.vault import Vault
from calsyncd.web.cookies import Started
from calsyncd.web.install import INSTALLED, OTHER_COMPANY, STATE, UNAVAILABLE, USED, Back, Finished

from .firm import ORIGIN, Firm, Inline

MINUTE, HOUR = 60.0, 3600.0
AMY, BEN = "amy@x", "ben@x"


class AppFirm(Firm):
    """A company at which calsyncd is an app, and an admin's browser."""

    def __init__(self, path: Path) -> None:
        super().__init__(path / "ledger", [Agent(AMY, 501), Agent(BEN, 502)], per_minute=60)
        self.vault = Vault.open(path / "credentials", path / "key", self.clock.now)
        self.secrets: list[str] = []
        self.installer: AppInstaller
        self.removed = self._removed
        self.pin: int | None = None

    def _removed(self) -> None:
        self.installer.removed()

    def start(self) -> None:
        """A new life, which knows what the vault holds."""
        self.authorization = Installed(self.vault, self.secrets.append)
        super().start()
        daemon = self.daemon
        assert daemon is not None

        async def installed() -> None:
            daemon.phones.credentials_replaced()
            await daemon.webhooks.renew()

        self.installer = AppInstaller(
            daemon.scheduler,
            http=daemon.wire,  # type: ignore[arg-type]
            app=App(
                self.sandbox.install.client_id,
                self.sandbox.install.client_secret,
                PUBLIC_ORIGIN + "/aircall/oauth/callback",
                dashboard_url=ORIGIN,
                api_url=ORIGIN,
                company=self.pin,
            ),
            authorization=self.authorization,
            boxes=self.vault,
            invited="signed".__eq__,
            installed=installed,
            doubted=daemon.phones.doubt_credentials,
            learned=self.secrets.append,
            chance=lambda: 0.5,
        )
        self.installer.keep()

    def consent(self) -> tuple[str, Back]:
        """The browser goes by the operator's link to Aircall's page and back: its cookie, and what it brings."""
        started = self.installer.start("signed")
        assert isinstance(started, Started)
        target = self.sandbox.install.redirect(dict(parse_qsl(urlsplit(started.url).query)))
        back = parse_qs(urlsplit(target).query)
        return started.cookie, Back(*(back.get(name, [None])[0] for name in ("state", "code", "error")))

    async def during(self, work: asyncio.Task[Finished]) -> str:
        """Let time pass until that has ended; how it ended."""
        while not work.done():
            await self.pass_time(0.05)
        return work.result().code

    async def finish(self, cookie: str, back: Back) -> str:
        """The browser is back with this."""
        return await self.during(self.beside(self.installer.finish(cookie, back, "192.0.2.1")))

    async def install(self) -> str:
        """An admin installs the app; how it ended."""
        return await self.finish(*self.consent())

    def meet(self, email: str, seconds: float, until: float) -> None:
        """A meeting, so many seconds from now."""
        now = self.clock.now()
        self.oracle.person(email).meetings = ((now + seconds, now + until),)
        self.tell(email)

    def trouble(self) -> str | None:
        """What the whole company's trouble is."""
        return trouble_of(self)

    def is_held(self, email: str) -> bool:
        """Whether something is owed to them."""
        assert self.daemon is not None
        return isinstance(self.daemon.roster.agents[email].stance, Held)

    def asked(self) -> int:
        """How many requests Aircall has got."""
        return len(self.sandbox.requests)

    def token(self) -> str | None:
        """What the vault holds."""
        kept = self.vault.get("aircall")
        return None if kept is None else kept["token"]

    def webhooks(self) -> list[bool]:
        """For each of our webhooks, whether it tells of removals."""
        return [REMOVED in one.events for one in self.sandbox.webhooks.by_id.values() if one.active]


def trouble_of(firm: Firm) -> str | None:
    """What the whole company's trouble is."""
    assert firm.daemon is not None
    trouble = firm.daemon.roster.company_trouble
    return None if trouble is None else trouble.code


@pytest.fixture
async def firm(tmp_path: Path) -> AsyncIterator[AppFirm]:
    """A company that has not installed the app yet."""
    asyncio.get_running_loop().set_default_executor(Inline(1))
    made = AppFirm(tmp_path)
    yield made
    await made.close()


async def test_nothing_is_asked_before_the_app_is_installed_and_all_is_made_up_for_then(firm: AppFirm) -> None:
    """Without a restart: a meeting that has begun is met, and the webhook is there when the browser goes on."""
    with capture_logs() as logged:
        firm.start()
        firm.meet(AMY, 60, HOUR)
        await firm.pass_time(10 * MINUTE)
    assert [line["log_level"] for line in logged if line["action"] == "trouble_raised"] == ["error"]
    assert sum(line["log_level"] != "debug" for line in logged) <= 4
    assert (firm.asked(), firm.trouble()) == (0, "aircall_not_installed")

    assert await firm.install() == INSTALLED

    assert firm.webhooks() == [True]
    await firm.pass_time(5)
    assert (firm.trouble(), firm.status(AMY)) == (None, "unavailable")
    assert firm.sandbox.install.active
    assert firm.token() in firm.secrets


async def in_a_meeting(firm: AppFirm) -> None:
    """Installed, with Amy in a meeting that ends in half an hour."""
    firm.start()
    assert await firm.install() == INSTALLED
    firm.meet(AMY, 60, 30 * MINUTE)
    await firm.pass_time(10 * MINUTE)
    assert firm.status(AMY) == "unavailable"


async def test_a_removed_app_owes_until_it_is_installed_again(firm: AppFirm) -> None:
    """The message suspends all at once; the dead token is deleted; nothing is asked; then owed updates are sent."""
    await in_a_meeting(firm)
    firm.sandbox.uninstall()
    await firm.pass_time(2)

    assert (firm.trouble(), firm.token()) == ("aircall_uninstalled", None)
    before = firm.asked()
    firm.meet(BEN, 60, 5 * HOUR)
    await firm.pass_time(2 * HOUR)
    assert firm.asked() == before
    assert (firm.is_held(AMY), firm.status(AMY), firm.status(BEN)) == (True, "unavailable", "available")

    assert await firm.install() == INSTALLED
    await firm.pass_time(10)

    assert (firm.trouble(), firm.is_held(AMY), firm.status(AMY)) == (None, False, "available")
    assert firm.status(BEN) == "unavailable"
    assert firm.webhooks() == [True]


async def test_a_removal_outlives_a_restart(firm: AppFirm) -> None:
    """It is known that there was an installation, and what is owed."""
    await in_a_meeting(firm)
    firm.sandbox.uninstall()
    await firm.pass_time(MINUTE)
    await firm.die()

    firm.start()
    await firm.pass_time(HOUR)

    assert (firm.trouble(), firm.is_held(AMY)) == ("aircall_uninstalled", True)
    assert await firm.install() == INSTALLED
    await firm.pass_time(10)
    assert firm.status(AMY) == "available"


async def test_a_token_that_is_refused_without_a_word_is_kept_and_tried_slowly(firm: AppFirm) -> None:
    """It may be Aircall's own fault: then all goes on by itself."""
    await in_a_meeting(firm)
    token = firm.token()
    firm.sandbox.fail(lambda _: True, status=403, times=None)
    before = firm.asked()
    await firm.pass_time(2 * HOUR)

    assert (firm.trouble(), firm.token(), firm.is_held(AMY)) == ("aircall_uninstalled", token, True)
    assert firm.asked() - before <= 130
    firm.sandbox.faults.clear()
    await firm.pass_time(2 * MINUTE)
    assert (firm.trouble(), firm.status(AMY)) == (None, "available")


async def test_a_message_of_an_earlier_removal_suspends_nobody_for_long(firm: AppFirm) -> None:
    """The token works: it is asked about again a few times, and all goes on."""
    await in_a_meeting(firm)
    token = firm.token()
    firm.sandbox.uninstall(gone=False)
    await firm.pass_time(30)

    assert (firm.trouble(), firm.token()) == (None, token)
    before = sum(one.path.endswith("/integrations/me") for one in firm.sandbox.requests)
    await firm.pass_time(3 * HOUR)
    after = sum(one.path.endswith("/integrations/me") for one in firm.sandbox.requests)
    assert after - before <= 3
    assert firm.status(AMY) == "available"


async def test_a_token_that_dies_after_the_message_is_deleted_too(firm: AppFirm) -> None:
    """Aircall may be in no hurry."""
    await in_a_meeting(firm)
    firm.sandbox.uninstall(gone=False)
    await firm.pass_time(20)
    firm.sandbox.install.uninstall()
    await firm.pass_time(2 * MINUTE)

    assert (firm.trouble(), firm.token(), firm.is_held(AMY)) == ("aircall_uninstalled", None, True)


async def test_a_removal_told_while_aircall_is_down_begins_nothing_until_it_answers(firm: AppFirm) -> None:
    """And the token stays until Aircall has said that it is dead."""
    await in_a_meeting(firm)
    firm.sandbox.fail(lambda _: True, status=503, times=None)
    firm.sandbox.uninstall()
    firm.meet(BEN, 60, 5 * HOUR)
    await firm.pass_time(10 * MINUTE)
    assert firm.trouble() == "aircall_uninstalled"
    assert firm.token() is not None
    firm.sandbox.faults.clear()
    await firm.pass_time(HOUR)

    assert (firm.token(), firm.status(BEN)) == (None, "available")


async def test_another_companys_installation_does_not_take_the_place_of_the_first(firm: AppFirm) -> None:
    """Removed meanwhile or not; the same company may install as often as it likes."""
    await in_a_meeting(firm)
    first = firm.token()
    firm.sandbox.install.company_id = 2
    assert await firm.install() == OTHER_COMPANY
    firm.sandbox.install.tells_company = False
    assert await firm.install() == OTHER_COMPANY
    firm.sandbox.install.tells_company = True
    assert (firm.token(), firm.trouble(), firm.status(AMY)) == (first, None, "unavailable")

    firm.sandbox.install.company_id = 1
    assert await firm.install() == INSTALLED
    second = firm.token()
    assert second not in (None, first)
    assert len(firm.webhooks()) == 1

    firm.sandbox.install.company_id = 2
    firm.sandbox.fail("integrations/me", status=503, times=None)
    assert await firm.install() == UNAVAILABLE
    firm.sandbox.faults.clear()
    assert firm.token() == second
    firm.sandbox.uninstall(told=False)
    assert await firm.install() == OTHER_COMPANY
    firm.sandbox.install.company_id = 1
    assert await firm.install() == INSTALLED
    assert firm.token() not in (None, first, second)


async def test_a_removal_opens_the_door_to_no_other_company(firm: AppFirm) -> None:
    """What is owed is owed at the first one: taken by another, nobody could be put back, and the first be refused."""
    await in_a_meeting(firm)
    firm.sandbox.uninstall()
    await firm.pass_time(2 * HOUR)
    firm.sandbox.install.company_id = 2
    assert await firm.install() == OTHER_COMPANY
    assert (firm.token(), firm.status(AMY)) == (None, "unavailable")

    firm.sandbox.install.company_id = 1
    assert await firm.install() == INSTALLED
    await firm.pass_time(10)
    assert firm.status(AMY) == "available"


async def test_of_two_companies_at_once_one_is_installed(firm: AppFirm) -> None:
    """Whichever comes first; the other is refused, though nothing was installed when it began."""
    firm.start()
    ours = firm.consent()
    firm.sandbox.install.company_id = 2
    theirs = firm.consent()

    both = [firm.beside(firm.installer.finish(*one, "192.0.2.1")) for one in (ours, theirs)]

    assert [await firm.during(one) for one in both] == [INSTALLED, OTHER_COMPANY]


async def test_a_pin_that_is_not_where_the_app_is_installed_is_told_and_changes_nothing(firm: AppFirm) -> None:
    """What is owed is owed there; only the company of both may install it again, and that is none."""
    await in_a_meeting(firm)
    token = firm.token()
    await firm.die()
    firm.pin = 2
    with capture_logs() as logged:
        firm.start()
        await firm.pass_time(MINUTE)
    assert [line["company"] for line in logged if line["action"] == "install_other_company"] == [1]
    assert (firm.trouble(), firm.token(), firm.status(AMY)) == (None, token, "unavailable")
    for company in (1, 2):
        firm.sandbox.install.company_id = company
        assert await firm.install() == OTHER_COMPANY
    assert firm.token() == token


async def test_two_answers_at_once_make_one_installation(firm: AppFirm) -> None:
    """The same one twice: the second is told so. Of two tabs of one browser, both; the last token stays."""
    firm.start()
    cookie, back = firm.consent()
    both = [firm.beside(firm.installer.finish(cookie, back, "192.0.2.1")) for _ in range(2)]
    assert [await firm.during(one) for one in both] == [INSTALLED, USED]
    tabs = [firm.consent(), firm.consent()]
    again = [firm.beside(firm.installer.finish(*tab, "192.0.2.1")) for tab in tabs]
    assert [await firm.during(one) for one in again] == [INSTALLED, INSTALLED]
    assert await firm.finish(tabs[0][0], tabs[1][1]) == STATE
    await firm.pass_time(MINUTE)
    assert (firm.trouble(), firm.webhooks()) == (None, [True])


def enabled(firm: AppFirm) -> list[bool]:
    """Whether Aircall knows that the installation is complete."""
    return [firm.sandbox.install.active]


async def test_an_installation_that_aircall_was_not_told_of_is_told_later(firm: AppFirm) -> None:
    """Also by the next process."""
    firm.start()
    firm.sandbox.fail("integrations/enable", status=503, times=None)
    assert await firm.install() == INSTALLED
    await firm.pass_time(MINUTE)
    await firm.die()
    firm.sandbox.faults.clear()
    assert enabled(firm) == [False]

    firm.start()
    await firm.pass_time(MINUTE)

    assert enabled(firm) == [True]
    done = sum(one.path.endswith("/enable") for one in firm.sandbox.requests)
    await firm.die()
    firm.start()
    await firm.pass_time(HOUR)
    assert sum(one.path.endswith("/enable") for one in firm.sandbox.requests) == done


@pytest.mark.parametrize("held", [True, False])
async def test_a_key_replaced_at_run_time_counts_from_the_next_request_on(tmp_path: Path, *, held: bool) -> None:
    """However long the former one was refused: what is owed goes at once, as does what is due."""
    firm = Firm(tmp_path / "ledger", [Agent(AMY, 501)], per_minute=60)
    key = ApiKey(firm.sandbox.api_id, firm.sandbox.api_token)
    firm.authorization = key
    firm.start()
    await firm.pass_time(30)
    begin, end = (-1.0, 10 * MINUTE) if held else (5 * MINUTE, HOUR)
    firm.oracle.person(AMY).meetings = ((firm.clock.now() + begin, firm.clock.now() + end),)
    firm.tell(AMY)
    await firm.pass_time(10)
    assert (firm.status(AMY) == "unavailable") == held
    firm.sandbox.api_token = "another"
    await firm.pass_time(15 * MINUTE)
    daemon = firm.daemon
    assert daemon is not None
    assert trouble_of(firm) == "aircall_credentials"
    assert not key.replace(firm.sandbox.api_id, "sandbox-api-token")

    assert key.replace(firm.sandbox.api_id, "another")
    daemon.phones.credentials_replaced()
    await firm.pass_time(3)

    assert trouble_of(firm) is None
    assert (firm.status(AMY) == "unavailable") != held
    await firm.close()
