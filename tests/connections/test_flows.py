"""Agents' own consent, from the button to the vault, with Google in the sandbox and somebody who tries to break it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from calsyncd.errors import Unavailable
from calsyncd.http import Http
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox
from calsyncd.web.pages import render

from .company import AMY, BOB, EVE, Answer, Browser, Company, company_of

READ = "https://www.googleapis.com/auth/calendar.events.readonly"
START_AGAIN = "Please start again"


async def test_whoever_consents_is_connected_before_the_page_is_there(company: Company, browser: Browser) -> None:
    """The credential is kept, the calendar is being read, and the browser keeps nothing."""
    answer = await browser.through()

    assert (answer.status, answer.title) == (200, "Your calendar is being read now")
    assert AMY in answer.text
    assert company.happened == [("followed", AMY)]
    assert company.connections.connected() == [AMY]
    assert await company.can_read(AMY)
    assert browser.cookies == {}

    company.start()
    assert company.connections.connected() == [AMY]


async def test_google_is_asked_for_the_calendar_only_to_connect(browser: Browser) -> None:
    """PKCE with S256, a fresh state and nonce each time; to disconnect one only signs in."""
    first, second, leave = [
        {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        for url in (await browser.begin(), await browser.begin(), await browser.begin(what="disconnect"))
    ]

    assert first["access_type"] == "offline"
    assert first["prompt"] == "consent"
    assert first["code_challenge_method"] == "S256"
    assert first["login_hint"] == AMY
    assert first["redirect_uri"] == f"{PUBLIC_ORIGIN}/google/callback"
    assert READ in first["scope"].split()
    assert leave["scope"].split() == ["openid", "email"]
    for name in ("state", "nonce", "code_challenge"):
        assert len({first[name], second[name], leave[name]}) == 3
        assert len(first[name]) >= 43


async def test_a_callback_needs_the_cookie_of_the_browser_that_began(
    company: Company, browser: Browser, other: Browser
) -> None:
    """Login CSRF: a link to the attacker's callback connects nothing in the victim's browser, begun or not begun."""
    link = await other.consent(await other.begin(BOB))

    without = await browser.send("GET", link)
    assert (without.status, without.title) == (400, START_AGAIN)

    mine = await browser.consent(await browser.begin())
    with_another = await browser.send("GET", link)
    assert (with_another.status, with_another.title) == (400, START_AGAIN)
    assert company.is_untouched

    # The attack has not cost the victim's own flow.
    assert (await browser.send("GET", mine)).status == 200
    assert company.connections.connected() == [AMY]


async def test_a_code_of_another_flow_is_worth_nothing(company: Company, browser: Browser, other: Browser) -> None:
    """The attacker's code behind the victim's state fails at PKCE; the victim's code behind the attacker's, too."""
    theirs = parse_qs(urlsplit(await other.consent(await other.begin(BOB))).query)
    mine = parse_qs(urlsplit(await browser.consent(await browser.begin())).query)

    injected = await browser.send("GET", f"/google/callback?state={mine['state'][0]}&code={theirs['code'][0]}")
    stolen = await other.send("GET", f"/google/callback?state={theirs['state'][0]}&code={mine['code'][0]}")

    assert {injected.title, stolen.title} == {START_AGAIN}
    assert company.is_untouched


async def test_a_callback_counts_once(company: Company, sandbox: Sandbox, browser: Browser) -> None:
    """Sent again with the same cookie it is refused here: Google might end the grant at a code's second use."""
    sandbox.google.consent.replay_revokes = True
    link = await browser.consent(await browser.begin())
    cookies = dict(browser.cookies)
    first = await browser.send("GET", link)
    asked = len(sandbox.google.requests)
    browser.cookies = dict(cookies)
    second = await browser.send("GET", link)

    assert (first.status, second.status, second.title) == (200, 400, START_AGAIN)
    assert len(sandbox.google.requests) == asked
    assert await company.can_read(AMY)


async def test_a_callback_sent_again_after_a_restart_is_refused_by_google(company: Company, browser: Browser) -> None:
    """What has been used is forgotten with the process; the code is still spent."""
    link = await browser.consent(await browser.begin())
    cookies = next(iter(browser.cookies.values()))
    await browser.send("GET", link)
    query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    company.start()
    shown = await company.connections.finish(cookies, query)

    assert shown.status == 400
    assert company.connections.connected() == [AMY]
    assert company.happened == [("followed", AMY)]


async def test_a_flow_ends_after_ten_minutes(company: Company, browser: Browser) -> None:
    """However long the browser keeps the cookie."""
    link = await browser.consent(await browser.begin())
    company.clock.ahead = 601.0
    answer = await browser.send("GET", link)

    assert (answer.status, answer.title) == (400, START_AGAIN)
    assert company.is_untouched


async def test_a_flow_is_not_prolonged_by_a_later_one(company: Company, browser: Browser) -> None:
    """Each tab has its own ten minutes."""
    first = await browser.consent(await browser.begin())
    company.clock.ahead = 400.0
    second = await browser.consent(await browser.begin())
    company.clock.ahead = 650.0

    assert (await browser.send("GET", first)).status == 400
    assert (await browser.send("GET", second)).status == 200


async def test_the_account_that_signed_in_counts(company: Company, sandbox: Sandbox, browser: Browser) -> None:
    """Another agent than was invited is connected, and the page says whose calendar that is."""
    sandbox.google.consent.user = BOB
    answer = await browser.through(AMY)

    assert answer.status == 200
    assert company.connections.connected() == [BOB]
    assert f"The link was for <b>{AMY}</b>. You signed in as <b>{BOB}</b>" in answer.text


async def test_who_is_no_agent_is_not_connected(company: Company, sandbox: Sandbox, browser: Browser) -> None:
    """Nothing is kept; the grant is not revoked, for it may be another company's by the same client."""
    sandbox.google.consent.user = EVE
    answer = await browser.through(AMY)

    assert (answer.status, answer.title) == (403, "Not an agent of this company")
    assert EVE in answer.text
    assert company.is_untouched
    assert not [request for request in sandbox.google.requests if request.path.startswith("/revoke")]


@pytest.mark.parametrize(
    ("claims", "title"),
    [
        ({"email_verified": False}, "Your account could not be recognised"),
        ({"nonce": "of-another-flow"}, "Your account could not be recognised"),
        ({"aud": "another-client"}, "Your account could not be recognised"),
        ({"iss": "https://evil.example"}, "Your account could not be recognised"),
        ({"email": None}, "Your account could not be recognised"),
    ],
)
async def test_an_id_token_that_proves_nothing_connects_nobody(
    company: Company, sandbox: Sandbox, browser: Browser, claims: dict[str, object], title: str
) -> None:
    """Whose account it is must be said by Google, to us, now."""
    sandbox.google.consent.claims = claims
    answer = await browser.through()

    assert (answer.status, answer.title) == (403, title)
    assert company.is_untouched


async def test_the_box_that_was_not_ticked_is_named(company: Company, sandbox: Sandbox, browser: Browser) -> None:
    """And the button beside it leads to a good end."""
    sandbox.google.consent.unticked = {READ}
    answer = await browser.through()

    assert (answer.status, answer.title) == (403, "One box was not ticked")
    assert "View events on all your calendars" in answer.text
    assert "Try again" in answer.text
    assert company.is_untouched

    sandbox.google.consent.unticked = set()
    assert (await browser.through()).status == 200


async def test_denying_changes_nothing(company: Company, sandbox: Sandbox, browser: Browser) -> None:
    """Neither to connect, nor to disconnect."""
    sandbox.google.consent.answer = "deny"
    connect, leave = await browser.through(), await browser.through(what="disconnect")

    assert [connect.title, leave.title] == ["Nothing has changed"] * 2
    assert company.is_untouched


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"iss": "https://evil.example"}, START_AGAIN),
        ({"iss": ""}, START_AGAIN),
        ({"code": ""}, START_AGAIN),
        ({"error": "server_error"}, "That did not work"),
        ({"error": "<script>"}, "That did not work"),
    ],
)
async def test_a_changed_answer_connects_nothing(
    company: Company, browser: Browser, changes: dict[str, str], title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mixed-up issuers (RFC 9207), no code, and errors that nobody knows, which are not repeated anywhere."""
    link = await browser.consent(await browser.begin())
    cookie = next(iter(browser.cookies.values()))
    query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    shown = await company.connections.finish(cookie, {**query, **changes})
    answer = await browser.send("GET", link)

    assert f"<h1>{title}</h1>" in render(shown.page, shown.facts, "demo")
    assert shown.status == (400 if title == START_AGAIN else 502)
    assert answer.title == START_AGAIN
    assert company.is_untouched
    assert "<script>" not in capsys.readouterr().out


async def test_companies_are_not_mixed_up(
    company: Company, sandbox: Sandbox, http: Http, tmp_path: Path, browser: Browser
) -> None:
    """Another daemon's cookie counts for nothing, nor one for another client, nor one of the vault's other boxes."""
    link = await browser.consent(await browser.begin())
    cookie = next(iter(browser.cookies.values()))
    query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    neighbour = company_of(sandbox, http, tmp_path / "neighbour")
    moved = company_of(sandbox, http, tmp_path, public_url="https://elsewhere.example")
    foreign = company.vault.box(b'{"state": "s"}').decode().rstrip("=")

    for connections, box in [
        (neighbour.connections, cookie),
        (moved.connections, cookie),
        (company.connections, foreign),
        (company.connections, cookie[:-8] + "AAAAAAAA"),
        (company.connections, "A" * len(cookie)),
    ]:
        assert (await connections.finish(box, query)).status == 400
    assert company.is_untouched
    assert neighbour.is_untouched
    assert (await company.connections.finish(cookie, query)).status == 200


async def test_two_tabs_leave_one_grant(company: Company, sandbox: Sandbox, browser: Browser, other: Browser) -> None:
    """Both come to a good end, the newer token stays, and the older one is not revoked: that would end both."""
    one = await browser.consent(await browser.begin())
    two = await browser.consent(await browser.begin())
    three = await other.consent(await other.begin())
    answers = await asyncio.gather(browser.send("GET", one), browser.send("GET", two), other.send("GET", three))

    assert [answer.status for answer in answers] == [200] * 3
    assert browser.cookies == {}
    assert company.vault.contexts() == [f"google:{AMY}"]
    assert len(list((company.folder / "credentials").glob("[0-9a-f]" * 32))) == 1
    assert company.connections.connected() == [AMY]
    assert await company.can_read(AMY)
    assert not [request for request in sandbox.google.requests if request.path.startswith("/revoke")]


async def test_what_a_tab_begins_while_another_ends_is_not_lost(
    company: Company, sandbox: Sandbox, browser: Browser
) -> None:
    """Each answer takes away the cookie of its own flow alone, whichever of them comes last."""
    one = await browser.consent(await browser.begin())
    sandbox.google.fail("POST /token", delay=0.5)
    ending = asyncio.create_task(browser.send("GET", one))
    await asyncio.sleep(0.1)
    # Two more tabs, each of which knows of no other.
    before = dict(browser.cookies)
    two = await browser.consent(await browser.begin())
    found = {name: value for name, value in browser.cookies.items() if name not in before}
    browser.cookies = before
    three = await browser.consent(await browser.begin())
    browser.cookies.update(found)

    assert (await ending).status == 200
    assert len(browser.cookies) == 2
    assert [(await browser.send("GET", link)).status for link in (two, three)] == [200, 200]
    assert browser.cookies == {}
    assert company.vault.contexts() == [f"google:{AMY}"]


async def test_the_newer_token_wins(company: Company, browser: Browser) -> None:
    """Whoever consents anew has the new token in the vault."""
    await browser.through()
    first = company.connections.grant(AMY)
    await browser.through()
    second = company.connections.grant(AMY)

    assert first != second
    assert await company.can_read(AMY)
    assert company.connections.grant(AMY.upper()) == second


async def test_a_browser_keeps_three_flows_at_most(company: Company, browser: Browser) -> None:
    """The cookies fit into one header beside an app's, however often the button is pressed."""
    for _ in range(5):
        await browser.begin("a" * 64 + "@" + "example." * 22 + "com")
    assert sum(len(f"{name}={value}; ") for name, value in browser.cookies.items()) < 2700
    links = [await browser.consent(await browser.begin()) for _ in range(5)]
    answers = [(await browser.send("GET", link)).status for link in links]

    assert answers == [400, 400, 200, 200, 200]


async def test_a_fault_at_google_says_so_and_nothing_more(
    company: Company, sandbox: Sandbox, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    """No code, state, token or cookie stands in a page, a header or the log, whatever happens."""
    pages: list[Answer] = []
    secrets: list[str] = []
    for fault in (None, 503, 401, 400):
        link = await browser.consent(await browser.begin())
        secrets += [values[0] for name, values in parse_qs(urlsplit(link).query).items() if name in {"code", "state"}]
        secrets += browser.cookies.values()
        if fault is not None:
            sandbox.google.fail("POST /token", status=fault, body={"error": "deleted_client"})
        pages.append(await browser.send("GET", link))
    secrets.append(company.connections.grant(AMY) or "")
    secrets.append(company.client.client_secret)

    assert [page.status for page in pages] == [200, 503, 502, 502]
    log = capsys.readouterr().out
    assert "connect_failed" in log
    told = log + "".join(page.text + str(page.headers) for page in pages)
    assert [secret for secret in secrets if not secret or secret in told] == []


async def test_a_vault_that_cannot_be_written_connects_nobody(
    company: Company, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    """The agent is told that it did not work, the log which file is at fault, and nothing is overwritten."""
    await browser.through()
    file = next(path for path in (company.folder / "credentials").iterdir() if len(path.name) == 32)
    file.write_bytes(b"damaged")
    answer = await browser.through()

    assert (answer.status, answer.title) == (503, "That did not work")
    assert file.read_bytes() == b"damaged"
    assert str(file) in capsys.readouterr().out
    assert str(company.folder) not in answer.text
    with pytest.raises(Unavailable, match=file.name) as caught:
        company.connections.grant(AMY)
    assert caught.value.code == "vault"
    assert company.connections.grant(BOB) is None


async def test_many_connect_at_once(company: Company, sandbox: Sandbox, address: str) -> None:
    """A floor of agents at the same time: everybody once."""
    people = [f"agent{number}@example.com" for number in range(40)]
    for email in people:
        sandbox.google.add_user(email)
    company.agents.update(people)

    async def one(email: str) -> int:
        async with Browser(address) as browser:
            return (await browser.through(email)).status

    assert await asyncio.gather(*(one(email) for email in people)) == [200] * 40
    assert company.connections.connected() == sorted(people)
    assert sorted(company.happened) == sorted(("followed", email) for email in people)


async def test_a_damaged_credential_drops_nobody_at_a_restart(
    company: Company, browser: Browser, sandbox: Sandbox, http: Http
) -> None:
    """Who had connected counts as connected, although it cannot be read with what; who never had does not."""
    await browser.through()
    file = next(path for path in (company.folder / "credentials").iterdir() if len(path.name) == 32)
    file.write_bytes(b"damaged")
    again = company_of(sandbox, http, company.folder).connections

    assert again.connected() == []
    assert again.accounts([AMY, BOB]) == [AMY]
