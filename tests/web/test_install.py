"""The app's installation as browsers see it, against the sandbox's Aircall; and everything that strangers may try."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from calsyncd.clock import SystemClock
from calsyncd.http import Http
from calsyncd.installation import ATTEMPTS, ATTEMPTS_OF_ALL
from calsyncd.routes import AIRCALL_CALLBACK, AIRCALL_INSTALL
from calsyncd.sandbox.world import Sandbox
from calsyncd.state import INVITATION_SECONDS, invitation, push_key
from calsyncd.vault import Vault
from calsyncd.web.server import serve

from .apps import Site, app_site
from .wire import Google

HTML = {"Accept": "text/html,application/xhtml+xml"}
COOKIE = re.compile(r"__Host-calsyncd-aircall-[0-9a-f]{16}")


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
    headers: dict[str, str] = field(default_factory=dict)
    address: str = ""

    async def get(self, url: str) -> tuple[int, str, str]:
        """One request: status, where it leads, and the page."""
        ours = urlsplit(url).netloc == "calsyncd.example.com"
        target = self.site.origin + url.removeprefix("https://calsyncd.example.com") if ours else url
        headers = {**HTML, **({"X-Forwarded-For": self.address} if ours and self.address else {})}
        if ours and self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.session.get(URL(target, encoded=True), headers=headers, allow_redirects=False) as answer:
            page = await answer.text()
            for name, morsel in answer.cookies.items():
                assert COOKIE.fullmatch(name)
                assert (morsel["path"], morsel["samesite"]) == ("/", "Lax")
                assert (morsel["secure"], morsel["httponly"], morsel["domain"]) == (True, True, "")
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
            self.pages.append(page)
            self.headers = dict(answer.headers)
            if ours:
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            return answer.status, answer.headers.get("Location", ""), page

    async def begin(self, path: str | None = None) -> str:
        """From the operator's link, or this page, to Aircall's consent page: its address."""
        status, url, _ = await self.get("https://calsyncd.example.com" + (path or self.site.link))
        assert status == 303
        return url

    async def consent(self, decision: str = "authorize", path: str | None = None) -> str:
        """Press a button of Aircall's page: where it leads."""
        url = await self.begin(path)
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
    assert len(admin.cookies) == 1
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
    other = await admin.get(f"https://calsyncd.example.com{AIRCALL_CALLBACK}?error=%3Cscript%3E&error_description=x")
    sandbox.aircall.install.is_admin = False
    status, _, page = await admin.get(await admin.begin())

    assert (denied[0], word(denied[2])) == (200, "denied")
    assert "open your link once more" in denied[2]
    assert "href" not in denied[2]
    assert (other[0], word(other[2])) == (200, "not_granted")
    assert "script" not in other[2]
    assert (status, word(page)) == (403, "access_denied")
    assert (site.token, site.installs) == (None, 0)

    sandbox.aircall.install.is_admin = True
    await admin.get(await admin.consent())
    assert f'href="{AIRCALL_INSTALL}"' in (await admin.get(await admin.consent("deny")))[2]


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
        word((await admin.get(f"https://calsyncd.example.com{AIRCALL_CALLBACK}?code={code}&state={state}"))[2])
        == "state"
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
    status, url, page = await admin.get(f"https://calsyncd.example.com{AIRCALL_CALLBACK}?{asked}")

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
    ((name, _),) = admin.cookies.items()
    admin.cookies = {name: forged}
    assert word((await admin.get(back))[2]) == "state"
    for content in (
        b"null",
        b"[]",
        b'{"for": "google"}',
        json.dumps({"state": state, "facts": {"by": "link"}}).encode(),
    ):
        admin.cookies = {name: site.vault.box(content).decode().rstrip("=")}
        assert word((await admin.get(back))[2]) == "state"
    assert site.installs == 0


async def test_an_old_cookie_is_none(admin: Browser, site: Site, tmp_path: Path) -> None:
    """After ten minutes, however Aircall sees that."""
    now = [1_800_000_000.0]
    # The site's vault lives by the machine's clock: this one wrote its cookie eleven minutes before.
    late = Vault.open(tmp_path / "credentials", tmp_path / "key", lambda: now[0])
    back = await admin.consent()
    ((name, cookie),) = admin.cookies.items()
    content = site.vault.unbox(cookie.encode() + b"=" * (-len(cookie) % 4), 600)
    assert content is not None
    for seconds, expected in ((660.0, "state"), (540.0, "")):
        now[0] = SystemClock().now() - seconds
        admin.cookies = {name: late.box(content).decode().rstrip("=")}
        assert word((await admin.get(back))[2]) == expected


async def test_nobody_is_sent_to_an_address_that_came_with_a_request(admin: Browser, site: Site) -> None:
    """Neither on the way there nor back."""
    url = await admin.begin()
    odd = "&".join(f"{name}=https://evil.example" for name in ("redirect_uri", "next", "url", "dashboard_url", "to"))
    status, other, _ = await admin.get(f"https://calsyncd.example.com{site.link}&{odd}")
    back = await admin.consent()
    _, end, _ = await admin.get(f"{back}&{odd}")

    assert status == 303
    assert "evil" not in other + end
    assert urlsplit(other).netloc == urlsplit(url).netloc == urlsplit(end).netloc
    assert parse_qs(urlsplit(other).query)["redirect_uri"] == ["https://calsyncd.example.com" + AIRCALL_CALLBACK]


@pytest.fixture
async def known(http: Http, sandbox: Sandbox, tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[Site]:
    """A site behind a proxy that says who comes, where the app was installed once."""
    public_url = "https://calsyncd.example.com"
    trusted = [ip_network("127.0.0.0/8")]
    async with app_site(http, sandbox, tmp_path, public_url, trusted) as made:
        first = Browser(session, made)
        assert (await first.get(await first.consent()))[0] == 303
        yield made


def visitor(session: aiohttp.ClientSession, site: Site, address: str) -> Browser:
    """Somebody who comes from this address, by way of the proxy."""
    return Browser(session, site, address=address)


async def guess(browser: Browser, times: int) -> Counter[str]:
    """How so many answers ended that Aircall never gave, each begun at our page."""
    words: Counter[str] = Counter()
    for _ in range(times):
        state = parse_qs(urlsplit(await browser.begin(AIRCALL_INSTALL)).query)["state"][0]
        _, _, page = await browser.get(f"https://calsyncd.example.com{AIRCALL_CALLBACK}?code=guess&state={state}")
        words[word(page)] += 1
    return words


async def test_a_stranger_who_guesses_keeps_nobody_else_out(
    known: Site, session: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """So many a minute for an address; whoever comes from another one is not asked to wait."""
    said = await guess(visitor(session, known, "203.0.113.7"), ATTEMPTS + 3)
    admin = visitor(session, known, "198.51.100.9")
    back = await admin.consent(path=AIRCALL_INSTALL)
    status, url, _ = await admin.get(back)

    assert said == {"code_refused": ATTEMPTS, "busy": 3}
    assert (status, url) == (303, sandbox.aircall_url + "/oauth/success")


async def test_strangers_cannot_make_us_ask_aircall_without_end(
    known: Site, session: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """However many addresses they have; whoever is told to wait does by themselves, and the link always works."""
    before = len(sandbox.aircall.requests)
    said: Counter[str] = Counter()
    for number in range(ATTEMPTS_OF_ALL // ATTEMPTS + 1):
        said += await guess(visitor(session, known, f"203.0.113.{number}"), ATTEMPTS)
    asked = [one for one in sandbox.aircall.requests[before:] if one.path == "/v1/oauth/token"]
    late, invited = (visitor(session, known, f"198.51.100.{number}") for number in (1, 2))
    # The allowance grows back: what was granted in these seconds is used up too.
    while (await guess(visitor(session, known, "203.0.113.99"), 1))["busy"] == 0:
        pass
    status, _, page = await late.get(await late.consent(path=AIRCALL_INSTALL))

    assert said["busy"] > 0
    assert len(asked) <= said["code_refused"] <= ATTEMPTS_OF_ALL + 5
    assert (status, word(page), late.headers["Refresh"]) == (503, "busy", "10")
    assert len(late.cookies) == 1
    assert (await invited.get(await invited.consent()))[0] == 303


# -- whose company it is -----------------------------------------------------------------------------------------------


async def test_a_stranger_cannot_be_first(admin: Browser, site: Site, sandbox: Sandbox) -> None:
    """Who finds the page before the company's own admin did is told what the operator has to do, and gets no cookie."""
    status, url, page = await admin.get("https://calsyncd.example.com" + AIRCALL_INSTALL)

    assert (status, url, word(page), admin.cookies) == (403, "", "waiting", {})
    assert "calsyncd connect --aircall" in page
    assert not sandbox.aircall.requests
    assert site.installs == 0


@pytest.mark.parametrize("change", ["", "x", "{until}", "{until}.", "{later}.{proof}", "{until}.{proof}0", "é.{proof}"])
async def test_a_link_that_nobody_signed_begins_nothing(admin: Browser, site: Site, change: str) -> None:
    """Neither with another date, nor cut off; twice is none."""
    until, _, proof = site.link.partition("?key=")[2].partition(".")
    key = quote(change.format(until=until, later=int(until) + 1, proof=proof))
    for query in (f"key={key}", f"key={until}.{proof}&key={key}"):
        status, _, page = await admin.get(f"https://calsyncd.example.com{AIRCALL_INSTALL}?{query}")
        assert (status, word(page) in {"waiting", "link_refused"}, admin.cookies) == (403, True, {})


async def test_another_daemons_link_and_an_old_one_do_not_count(admin: Browser, site: Site, tmp_path: Path) -> None:
    """After seven days, or by another state directory's key."""
    (tmp_path / "other").mkdir()
    push_key(tmp_path / "other")
    now = SystemClock().now()
    for folder, at, expected in (
        (tmp_path / "other", now, 403),
        (tmp_path, now - INVITATION_SECONDS - 1, 403),
        (tmp_path, now - INVITATION_SECONDS + 60, 303),
    ):
        link = f"https://calsyncd.example.com{AIRCALL_INSTALL}?key={invitation(folder, at)}"
        assert (await admin.get(link))[0] == expected
    assert site.installs == 0


async def test_the_known_company_needs_no_link_again_and_no_other_can_use_one(
    admin: Browser, site: Site, sandbox: Sandbox
) -> None:
    """Not even an old link opens the door to another company, once there is one."""
    link = site.link
    await admin.get(await admin.consent(path=link))
    first = site.token
    assert (await admin.get(await admin.consent(path=AIRCALL_INSTALL)))[0] == 303
    second = site.token
    sandbox.aircall.install.company_id = 2
    for path in (link, AIRCALL_INSTALL):
        assert word((await admin.get(await admin.consent(path=path)))[2]) == "other_company"

    assert second not in (None, first)
    assert site.token == second


async def test_a_company_whose_id_aircall_does_not_tell_needs_the_link(
    admin: Browser, site: Site, sandbox: Sandbox
) -> None:
    """Each time: it cannot be told from any other."""
    sandbox.aircall.install.tells_company = False
    assert (await admin.get(await admin.consent()))[0] == 303
    first = site.token
    sandbox.aircall.uninstall()
    plain = await admin.get("https://calsyncd.example.com" + AIRCALL_INSTALL)
    again = await admin.get(await admin.consent())

    assert (plain[0], word(plain[2])) == (403, "waiting")
    assert again[0] == 303
    assert site.token not in (None, first)


@pytest.mark.parametrize(("company", "tells", "expected"), [(1, True, ""), (2, True, "other"), (1, False, "other")])
async def test_with_a_pin_the_plain_page_begins_and_only_that_company_counts(
    admin: Browser, site: Site, sandbox: Sandbox, company: int, *, tells: bool, expected: str
) -> None:
    """By the link too; a company that Aircall does not tell is none."""
    site.installer.app = replace(site.installer.app, company=1)
    sandbox.aircall.install.company_id, sandbox.aircall.install.tells_company = company, tells
    for path in (AIRCALL_INSTALL, site.link):
        status, _, page = await admin.get(await admin.consent(path=path))
        assert (status, word(page)) == ((409, "other_company") if expected else (303, ""))
    assert site.installs == (0 if expected else 2)


async def test_a_pin_that_was_taken_back_meanwhile_counts_no_more(admin: Browser, site: Site) -> None:
    """What the operator said when the answer comes counts, not what they said when it began."""
    app = site.installer.app
    site.installer.app = replace(app, company=1)
    back = await admin.consent(path=AIRCALL_INSTALL)
    site.installer.app = app

    assert word((await admin.get(back))[2]) == "waiting"
    assert site.token is None


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
async def test_other_methods_change_nothing(
    admin: Browser, site: Site, session: aiohttp.ClientSession, method: str
) -> None:
    """Link checkers ask with HEAD."""
    back = (await admin.consent()).removeprefix("https://calsyncd.example.com")
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in admin.cookies.items())}
    for path in (site.link, back):
        async with session.request(method, site.origin + path, headers=headers, allow_redirects=False) as answer:
            assert (answer.status, answer.cookies) == (404, {})
    assert site.installs == 0


async def test_neither_code_nor_token_nor_state_nor_link_is_logged_or_shown(
    admin: Browser, site: Site, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong, in any line or page."""
    caplog.set_level(logging.DEBUG)
    lines: list[str] = []
    link = site.link
    hidden: list[str] = [sandbox.aircall.install.client_secret, link.partition(".")[2]]
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
            back = await admin.consent(path=link)
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


async def test_an_installation_that_cannot_be_read_is_told_before_aircall_is_asked(
    admin: Browser, site: Site, sandbox: Sandbox
) -> None:
    """Whoever follows the link spends no consent in vain; once the file is deleted, the link works."""
    await admin.get(await admin.consent())
    (file,) = (site.folder / "credentials").glob("?" * 32)
    file.write_bytes(b"damaged")
    status, url, page = await admin.get("https://calsyncd.example.com" + site.link)

    assert (status, url, word(page), admin.cookies) == (503, "", "blocked", {})
    assert file.name not in page
    assert file.read_bytes() == b"damaged"

    file.unlink()
    assert (await admin.get(await admin.consent()))[0] == 303


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
        for path in (AIRCALL_INSTALL, AIRCALL_CALLBACK):
            async with session.get(f"http://{addresses[0]}{path}", allow_redirects=False) as answer:
                assert (answer.status, await answer.read()) == (404, b"")


async def test_on_plain_loopback_the_cookie_is_one_that_a_browser_takes_there(
    http: Http, sandbox: Sandbox, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Without https neither `Secure` nor the prefix that demands it; all else stays."""
    async with (
        app_site(http, sandbox, tmp_path, "http://localhost:8770") as site,
        session.get(site.origin + site.link, allow_redirects=False) as answer,
    ):
        [(name, cookie)] = answer.cookies.items()

    assert re.fullmatch("calsyncd-aircall-[0-9a-f]{16}", name)
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["max-age"]) == ("", True, "Lax", "600")
