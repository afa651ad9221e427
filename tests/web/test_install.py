"""The app's installation as browsers see it, against the sandbox's Aircall; and everything that strangers may try."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from calsyncd.clock import SystemClock
from calsyncd.http import Http
from calsyncd.installation import ATTEMPTS
from calsyncd.sandbox.world import Sandbox
from calsyncd.vault import Vault
from calsyncd.web.install import CALLBACK_PATH, START_PATH
from calsyncd.web.server import serve

from .apps import Site, app_site
from .wire import Google

HTML = {"Accept": "text/html,application/xhtml+xml"}
COOKIE = "__Host-calsyncd-aircall"


class Form(HTMLParser):
    """The hidden fields and buttons of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.buttons: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "input":
            self.fields[found["name"]] = found["value"]
        elif tag == "button":
            self.buttons.append(found["value"])


@dataclass
class Browser:
    """One browser: it keeps our cookie as the attributes say, and follows redirects only when told."""

    session: aiohttp.ClientSession
    site: Site
    cookies: dict[str, str] = field(default_factory=dict)
    pages: list[str] = field(default_factory=list)

    async def get(self, url: str) -> tuple[int, str, str]:
        """One request: status, where it leads, and the page."""
        ours = urlsplit(url).netloc == "calsyncd.example.com"
        target = self.site.origin + url.removeprefix("https://calsyncd.example.com") if ours else url
        headers = dict(HTML)
        if ours and self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.session.get(URL(target, encoded=True), headers=headers, allow_redirects=False) as answer:
            page = await answer.text()
            for name, morsel in answer.cookies.items():
                assert (morsel["path"], morsel["samesite"]) == ("/", "Lax")
                assert (morsel["secure"], morsel["httponly"], morsel["domain"]) == (True, True, "")
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
            self.pages.append(page)
            if ours:
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            return answer.status, answer.headers.get("Location", ""), page

    async def begin(self) -> str:
        """From our page to Aircall's consent page: its address."""
        status, url, _ = await self.get("https://calsyncd.example.com" + START_PATH)
        assert status == 303
        return url

    async def consent(self, decision: str = "authorize") -> str:
        """Press a button of Aircall's page: where it leads."""
        url = await self.begin()
        status, _, page = await self.get(url)
        form = Form(page)
        assert (status, form.buttons) == (200, ["authorize", "deny"])
        target = url.partition("?")[0]
        data = {**form.fields, "decision": decision}
        async with self.session.post(target, data=data, headers=HTML, allow_redirects=False) as answer:
            assert answer.status == 302
            return answer.headers["Location"]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections without cookies of their own."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as made:
        yield made


@pytest.fixture
def admin(session: aiohttp.ClientSession, site: Site) -> Browser:
    """The company's Aircall admin."""
    return Browser(session, site)


def word(page: str) -> str:
    """What a page of ours says, as a word."""
    found = re.search(r'<p id="([a-z_]+)">', page)
    return found[1] if found else ""


async def test_an_admin_installs_the_app(admin: Browser, site: Site, sandbox: Sandbox) -> None:
    """Through Aircall's page, back to ours, on to Aircall's success page; the token is kept, and enabled."""
    back = await admin.consent()
    assert list(admin.cookies) == [COOKIE]
    status, url, page = await admin.get(back)
    done = await admin.get(url)

    assert (status, url, page) == (303, sandbox.aircall_url + "/oauth/success", "")
    assert word(done[2]) == "success"
    assert (site.installs, site.doubts, admin.cookies) == (1, [], {})
    assert site.token is not None
    assert sandbox.aircall.install.is_token(site.token)
    assert sandbox.aircall.install.active
    assert site.token not in "".join(admin.pages)
    assert [one.path for one in sandbox.aircall.requests if one.path.startswith("/v1/")] == [
        "/v1/oauth/token",
        "/v1/integrations/me",
        "/v1/integrations/enable",
    ]


async def test_who_denies_or_is_no_admin_installs_nothing(admin: Browser, site: Site, sandbox: Sandbox) -> None:
    """And can start again; Aircall's own words are not shown."""
    denied = await admin.get(await admin.consent("deny"))
    other = await admin.get(f"https://calsyncd.example.com{CALLBACK_PATH}?error=%3Cscript%3E&error_description=x")
    sandbox.aircall.install.is_admin = False
    status, _, page = await admin.get(await admin.begin())

    assert (denied[0], word(denied[2])) == (200, "denied")
    assert f'href="{START_PATH}"' in denied[2]
    assert (other[0], word(other[2])) == (200, "not_granted")
    assert "script" not in other[2]
    assert (status, word(page)) == (403, "access_denied")
    assert (site.token, site.installs) == (None, 0)


# -- what strangers may try --------------------------------------------------------------------------------------------


async def test_an_answer_counts_only_in_the_browser_that_began_it(
    admin: Browser, site: Site, session: aiohttp.ClientSession
) -> None:
    """Who is led to a callback of somebody else's consent installs nothing, with or without a cookie of their own."""
    attacker = Browser(session, site)
    theirs = await attacker.consent()
    without = await admin.get(theirs)
    await admin.begin()
    other_state = await admin.get(theirs)
    state = parse_qs(urlsplit(await admin.begin()).query)["state"][0]
    code = parse_qs(urlsplit(theirs).query)["code"][0]
    kept = dict(admin.cookies)

    assert [(one[0], word(one[2])) for one in (without, other_state)] == [(400, "state")] * 2
    assert (site.token, kept) == (None, admin.cookies)
    # The state is not enough without the cookie of that browser.
    admin.cookies.clear()
    assert (
        word((await admin.get(f"https://calsyncd.example.com{CALLBACK_PATH}?code={code}&state={state}"))[2]) == "state"
    )
    assert site.installs == 0


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code={code}",
        "state={state}",
        "code={code}&state=",
        "code=&state={state}",
        "code={code}&state={state}x",
        "code={code}&state={state}&state=x",
        "code=x&code={code}&state={state}",
        "code={code}%0d%0aX-Injected:1&state={state}",
        "code={code}&state={long}",
        "code={code}&state=%ff",
    ],
)
async def test_malformed_answers_are_taken_for_nobodys(
    admin: Browser, site: Site, sandbox: Sandbox, query: str
) -> None:
    """Aircall is not asked, and the right answer still counts."""
    back = await admin.consent()
    found = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    asked = query.format(**found, long="s" * 1500)
    status, url, page = await admin.get(f"https://calsyncd.example.com{CALLBACK_PATH}?{asked}")

    assert (status, url, word(page)) == (400, "", "state")
    assert not [one for one in sandbox.aircall.requests if one.path == "/v1/oauth/token"]
    assert (await admin.get(back))[0] == 303


async def test_an_answer_counts_once(admin: Browser, site: Site, sandbox: Sandbox) -> None:
    """Whoever has the cookie and the address: neither a reload nor a copy is taken to Aircall again."""
    back = await admin.consent()
    cookies = dict(admin.cookies)
    await admin.get(back)
    token = site.token
    reloaded = await admin.get(back)
    admin.cookies = cookies
    copied = await admin.get(back)

    assert [word(one[2]) for one in (reloaded, copied)] == ["state", "used"]
    assert (site.token, site.installs) == (token, 1)
    assert len([one for one in sandbox.aircall.requests if one.path == "/v1/oauth/token"]) == 1


@pytest.mark.parametrize("forged", ["x" * 120, "gAAAAA", "é", '"a b"', "a" * 3000])
async def test_a_forged_cookie_is_none(admin: Browser, site: Site, forged: str) -> None:
    """Nor is one that was made for something else, or for an hour ago."""
    back = await admin.consent()
    state = parse_qs(urlsplit(back).query)["state"][0]
    admin.cookies = {COOKIE: forged}
    assert word((await admin.get(back))[2]) == "state"
    other = site.vault.box(json.dumps({"for": "google", "state": state}).encode()).decode().rstrip("=")
    admin.cookies = {COOKIE: other}
    assert word((await admin.get(back))[2]) == "state"
    assert site.installs == 0


async def test_an_old_cookie_is_none(admin: Browser, site: Site, tmp_path: Path) -> None:
    """After ten minutes, however Aircall sees that."""
    now = [1_800_000_000.0]
    # The site's vault lives by the machine's clock: this one wrote its cookie eleven minutes before.
    late = Vault.open(tmp_path / "credentials", tmp_path / "key", lambda: now[0])
    back = await admin.consent()
    state = parse_qs(urlsplit(back).query)["state"][0]
    content = json.dumps({"for": "aircall install", "state": state}).encode()
    for seconds, expected in ((660.0, "state"), (540.0, "")):
        now[0] = SystemClock().now() - seconds
        admin.cookies = {COOKIE: late.box(content).decode().rstrip("=")}
        assert word((await admin.get(back))[2]) == expected


async def test_nobody_is_sent_to_an_address_that_came_with_a_request(admin: Browser) -> None:
    """Neither on the way there nor back."""
    url = await admin.begin()
    odd = "&".join(f"{name}=https://evil.example" for name in ("redirect_uri", "next", "url", "dashboard_url", "to"))
    status, other, _ = await admin.get(f"https://calsyncd.example.com{START_PATH}?{odd}")
    back = await admin.consent()
    _, end, _ = await admin.get(f"{back}&{odd}")

    assert status == 303
    assert "evil" not in other + end
    assert urlsplit(other).netloc == urlsplit(url).netloc == urlsplit(end).netloc
    assert parse_qs(urlsplit(other).query)["redirect_uri"] == ["https://calsyncd.example.com" + CALLBACK_PATH]


async def test_strangers_cannot_make_us_ask_aircall_without_end(admin: Browser, site: Site, sandbox: Sandbox) -> None:
    """So many a minute; who comes then is asked to reload the page, and that works."""
    for _ in range(ATTEMPTS):
        state = parse_qs(urlsplit(await admin.begin()).query)["state"][0]
        _, _, page = await admin.get(f"https://calsyncd.example.com{CALLBACK_PATH}?code=guess&state={state}")
        assert word(page) == "code_refused"
    back = await admin.consent()
    status, _, page = await admin.get(back)
    tokens = [one for one in sandbox.aircall.requests if one.path == "/v1/oauth/token"]

    assert (status, word(page), len(tokens)) == (503, "busy", ATTEMPTS)
    site.installer._attempts.clear()
    assert (await admin.get(back))[0] == 303


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
async def test_other_methods_change_nothing(
    admin: Browser, site: Site, session: aiohttp.ClientSession, method: str
) -> None:
    """Link checkers ask with HEAD."""
    back = (await admin.consent()).removeprefix("https://calsyncd.example.com")
    headers = {"Cookie": f"{COOKIE}={admin.cookies[COOKIE]}"}
    for path in (START_PATH, back):
        async with session.request(method, site.origin + path, headers=headers, allow_redirects=False) as answer:
            assert (answer.status, answer.cookies) == (404, {})
    assert site.installs == 0


async def test_neither_code_nor_token_nor_state_is_logged_or_shown(
    admin: Browser, site: Site, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong, in any line or page."""
    caplog.set_level(logging.DEBUG)
    lines: list[str] = []
    hidden: list[str] = [sandbox.aircall.install.client_secret]
    for fault in (
        {"status": 400},
        {"status": 503},
        {"cut": True},
        {"status": 200, "body": "{}"},
        {"truncate": True},
        None,
    ):
        if fault is not None:
            sandbox.aircall.fail("oauth/token", **fault)
        with capture_logs() as logged:
            back = await admin.consent()
            hidden += [parse_qs(urlsplit(back).query)[name][0] for name in ("code", "state")]
            hidden += admin.cookies.values()
            await admin.get(back)
        lines += [str(line) for line in logged]
    assert site.token is not None
    hidden.append(site.token)
    ours = [page for page in admin.pages if "sandbox" not in page]

    assert len(ours) >= 5
    assert len(lines) >= 6
    assert not [secret for secret in hidden for line in lines if secret in line]
    assert not [secret for secret in hidden for page in ours if secret in page]
    assert not [secret for secret in hidden if secret in caplog.text]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"match": "oauth/token", "status": 401, "body": {"error": "invalid_client"}}, (502, "client_refused")),
        ({"match": "oauth/token", "status": 503}, (503, "unavailable")),
        ({"match": "integrations/me", "status": 503}, (503, "unavailable")),
        ({"match": "oauth/token", "status": 200, "body": "<html>"}, (503, "unavailable")),
    ],
)
async def test_what_fails_at_aircall_is_told_and_can_be_begun_again(
    admin: Browser, site: Site, sandbox: Sandbox, fault: dict[str, object], told: tuple[int, str]
) -> None:
    """Nothing is kept of it."""
    sandbox.aircall.fail(**fault)  # type: ignore[arg-type]
    answer = await admin.get(await admin.consent())

    assert (answer[0], word(answer[2]), site.token) == (*told, None)
    assert (await admin.get(await admin.consent()))[0] == 303
    assert site.token is not None


async def test_a_vault_that_cannot_be_written_is_told(admin: Browser, site: Site, tmp_path: Path) -> None:
    """The page says so; the log says which file."""
    (tmp_path / "key").rename(tmp_path / "gone")
    back = await admin.consent()
    answer = await admin.get(back)

    assert (answer[0], word(answer[2]), site.token, site.installs) == (500, "not_kept", None, 0)
    assert str(tmp_path) not in answer[2]


async def test_another_company_is_told_that_it_is_not_served(admin: Browser, site: Site, sandbox: Sandbox) -> None:
    """And nothing of the one that is."""
    await admin.get(await admin.consent())
    token = site.token
    sandbox.aircall.install.company_id = 2
    status, url, page = await admin.get(await admin.consent())

    assert (status, url, word(page), site.token, site.installs) == (409, "", "other_company", token, 1)
    assert sandbox.aircall.company not in page


async def test_without_an_app_there_are_no_such_pages(session: aiohttp.ClientSession) -> None:
    """404 and nothing, as for any other path."""
    async with serve(Google().app(), "127.0.0.1:0") as addresses:
        for path in (START_PATH, CALLBACK_PATH):
            async with session.get(f"http://{addresses[0]}{path}", allow_redirects=False) as answer:
                assert (answer.status, await answer.read()) == (404, b"")


async def test_on_plain_loopback_the_cookie_is_one_that_a_browser_takes_there(
    http: Http, sandbox: Sandbox, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Without https neither `Secure` nor the prefix that demands it; all else stays."""
    async with (
        app_site(http, sandbox, tmp_path, "http://localhost:8770") as site,
        session.get(site.origin + START_PATH, allow_redirects=False) as answer,
    ):
        [(name, cookie)] = answer.cookies.items()

    assert name == "calsyncd-aircall"
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["max-age"]) == ("", True, "Lax", "600")
