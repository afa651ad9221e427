"""The pages' routes, as strangers and neighbours would use them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from structlog.testing import capture_logs

from calsyncd.http import Http
from calsyncd.sandbox.world import Sandbox
from calsyncd.web.allowance import FAILURES, Allowance
from calsyncd.web.connect import MAX_AT_ONCE
from calsyncd.web.frame import STYLE_SOURCE
from tests.connections.company import AMY, Answer, Browser, Company, company_of, visited

from .wire import GOOGLE, NOTIFY, body, connect, message, request, send, status

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PATHS = ("/google/connect", "/google/callback")


@pytest.fixture
def company(sandbox: Sandbox, http: Http, tmp_path: Path) -> Company:
    """One behind https, as everybody is but a developer."""
    return company_of(sandbox, http, tmp_path)


@pytest.fixture
async def pages(company: Company) -> AsyncIterator[str]:
    """Where they are."""
    async with visited(company) as found:
        yield found


@pytest.fixture
async def browser(pages: str) -> AsyncIterator[Browser]:
    """Somebody's."""
    async with Browser(pages) as made:
        yield made


def form(raw: bytes, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of a posted form."""
    more = f"Content-Length: {len(raw)}\r\n"
    return request("/google/connect", FORM if headers is None else headers, more=more, body=raw)


@pytest.mark.parametrize("path", PATHS)
async def test_without_ways_there_are_no_pages(address: str, path: str) -> None:
    """A company with a service account has nothing there."""
    for method in ("GET", "POST"):
        answer = await send(address, request(path, {}, method=method))
        assert (status(answer), body(answer)) == (404, b"")


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", PATHS)
async def test_other_methods_and_spellings_are_404(pages: str, method: str, path: str) -> None:
    """As everything else on the public side."""
    assert status(await send(pages, request(path, {}, method=method))) == 404
    for spelled in (path + "/", path.upper(), path.replace("g", "%67", 1), "/" + path):
        answer = await send(pages, request(spelled, {}, method="GET"))
        assert (status(answer), body(answer)) == (404, b"")
    assert status(await send(pages, request("/google/callback", {}, method="POST"))) == 404


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("GET", "/google/connect", 200), ("GET", "/google/callback?state=a", 400), ("POST", "/google/connect", 400)],
)
async def test_every_page_carries_the_same_strict_headers(
    browser: Browser, sandbox: Sandbox, method: str, path: str, expected: int
) -> None:
    """No store, no frame, no referrer, no script, no outside resource, no form but to us and on to Google."""
    answer = await browser.send(method, path)
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(sandbox.google.origin))

    assert answer.status == expected
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "calsyncd"
    assert answer.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src {STYLE_SOURCE}; base-uri 'none'; form-action 'self' https: {origin}; "
        "frame-ancestors 'none'"
    )
    assert "Set-Cookie" not in answer.headers


async def test_the_cookie_is_ours_alone(browser: Browser, sandbox: Sandbox, http: Http, tmp_path: Path) -> None:
    """Behind https no script, no neighbour and no plain connection can have it; on a developer's machine, no script."""
    answer = await browser.send("POST", "/google/connect", {"email": AMY, "what": "connect"})
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert answer.status == 303
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert re.match("__Host-calsyncd-[0-9a-f]{16}=", name)
    assert sorted(attributes) == ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=Lax", "Secure"]
    assert AMY not in name

    plain = company_of(sandbox, http, tmp_path / "plain", public_url="http://127.0.0.1:8770")
    async with visited(plain) as address, Browser(address) as developer:
        answer = await developer.send("POST", "/google/connect", {"email": AMY, "what": "connect"})
        name, *attributes = answer.headers["Set-Cookie"].split("; ")
        assert re.match("calsyncd-[0-9a-f]{16}=", name)
        assert sorted(attributes) == ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=Lax"]


@pytest.mark.parametrize(
    "cookies", ["{0}={1}; {0}={1}", "{0}=", '{0}={1}"', '{0}="{1}"', "{0}={1}%0a", "x{0}={1}", "{0}=" + "A" * 3990]
)
async def test_a_cookie_that_is_not_as_we_set_it_is_none(browser: Browser, pages: str, cookies: str) -> None:
    """Sent twice, quoted, or under another name: the flow is unknown."""
    link = await browser.consent(await browser.begin())
    ((name, value),) = browser.cookies.items()
    answer = await send(pages, request(link, {"Cookie": cookies.format(name, value)}, method="GET"))

    assert status(answer) == 400


@pytest.mark.parametrize("name", ["next", "redirect", "redirect_uri", "return_to", "continue", "url", "state", "iss"])
async def test_nothing_that_is_named_is_redirected_to(browser: Browser, sandbox: Sandbox, name: str) -> None:
    """Only a form leads away, and only to Google's page with our own callback."""
    evil = "https://evil.example/"
    for path in (f"/google/connect?{name}={quote(evil)}", f"/google/callback?{name}={quote(evil)}"):
        answer = await browser.send("GET", path)
        assert "Location" not in answer.headers
        assert "evil.example" not in answer.text
    answer = await browser.send("POST", "/google/connect", {"email": AMY, "what": "connect", name: evil})
    assert answer.headers["Location"].startswith(sandbox.google.origin + "/")
    assert "evil.example" not in answer.headers["Location"]


@pytest.mark.parametrize(
    "email",
    [
        '"><script>alert(1)</script>@example.com',
        "amy@example.com\r\nSet-Cookie: a=b",
        "amy@example.com&prompt=none",
        "a" * 300 + "@example.com",
        "no address",
        "\u202eamy@example.com\n",
        "'onfocus=alert(1)@x",
    ],
)
async def test_an_address_is_one_or_is_left_out(browser: Browser, email: str) -> None:
    """It stands escaped in the page and encoded in Google's URL, or not at all."""
    shown = await browser.send("GET", f"/google/connect?email={quote(email)}")
    begun = await browser.send("POST", "/google/connect", {"email": email, "what": "connect"})

    assert shown.status == 200
    assert "<script" not in shown.text
    assert "alert(1)" not in shown.text
    assert begun.status == 303
    assert begun.headers["Location"].count("prompt=") == 1
    assert begun.headers["Set-Cookie"].startswith("__Host-calsyncd-")


async def test_the_invitation_fills_the_address_in(browser: Browser) -> None:
    """With a plus in it, too."""
    answer = await browser.send("GET", "/google/connect?email=amy%2Bcalls@example.com")

    assert 'value="amy+calls@example.com"' in answer.text


@pytest.mark.parametrize(
    "raw",
    [
        form(b""),
        form(b"email=amy@example.com"),
        form(b"what=everything"),
        form(b"what=connect&what=disconnect"),
        form(b"what=connect", {"Content-Type": "application/json"}),
        form(b"what=connect", {}),
        form(b"what=connect&x=" + b"x" * 3000),
        form(b"&" * 2000),
        form(b"what=%ff%fe"),
        request(
            "/google/connect", FORM, more="Transfer-Encoding: chunked\r\n", body=b"fff\r\n" + b"x" * 4095 + b"\r\n"
        ),
        request("/google/connect", FORM, more="Content-Length: 10000000000\r\n", body=b"x" * 2000),
    ],
)
async def test_what_is_no_form_of_ours_begins_nothing(pages: str, raw: bytes) -> None:
    """It is answered with the page, at once, and nothing is kept."""
    answer = await send(pages, raw, seconds=3.0)

    assert status(answer) == 400
    assert b"Connect your calendar" in answer
    assert b"Set-Cookie" not in answer


@pytest.mark.parametrize("value", ["\udcff", "%ff", "%ED%A0%80", "%00", "é", "%C3%A9", "%F0%9F%98%80", "a%0d%0ab", "+"])
@pytest.mark.parametrize(
    "path", ["/google/connect?email=", "/google/callback?code=a&state=", "/google/callback?state=a&iss="]
)
async def test_bytes_that_are_no_text_are_no_fault_of_ours(pages: str, path: str, value: str) -> None:
    """A page comes, or the request is no HTTP; nothing breaks."""
    for target in (path + value, f"{path}amy@example.com{value}"):
        answer = await send(pages, request(target, {}, method="GET"))
        assert status(answer) in ({200, 400} if "email" in path else {400})
    cookie = await send(
        pages,
        request(
            "/google/callback?state=a",
            {"Cookie": f"__Host-calsyncd-{sha256(b'a').hexdigest()[:16]}={value}"},
            method="GET",
        ),
    )
    assert status(cookie) == 400


@pytest.mark.parametrize("where", ["cross-site", "same-site"])
async def test_another_sites_button_begins_nothing(browser: Browser, where: str) -> None:
    """Its visitor sees our page instead, and what pressing the button means."""
    form = {"email": AMY, "what": "disconnect"}
    answer = await browser.send("POST", "/google/connect", form, {"Sec-Fetch-Site": where})
    ours = await browser.send("POST", "/google/connect", form, {"Sec-Fetch-Site": "same-origin", "Origin": "null"})

    assert answer.status == 403
    assert "Location" not in answer.headers
    assert browser.cookies
    assert ours.status == 303


@pytest.mark.parametrize("name", ["state", "code", "error", "iss"])
async def test_an_answer_that_says_something_twice_is_none(company: Company, browser: Browser, name: str) -> None:
    """A proxy and we might each believe another one."""
    link = await browser.consent(await browser.begin())
    answer = await browser.send("GET", f"{link}&{name}=a&{name}=b")

    assert answer.status == 400
    assert company.connections.connected() == []
    assert (await browser.send("GET", link)).status == 200


async def test_too_many_are_asked_to_wait_and_google_is_not(sandbox: Sandbox, http: Http, tmp_path: Path) -> None:
    """The pages answer 503 when too much is asked; notifications and webhooks are not counted with it."""
    company = company_of(sandbox, http, tmp_path)
    async with visited(company, Allowance(burst=20, per_second=0.1)) as address:
        page = request("/google/connect", {}, method="GET")
        answers = [await send(address, page) for _ in range(30)]
        refused = [answer for answer in answers if status(answer) != 200]

        assert len(refused) == 10
        assert {status(answer) for answer in refused} == {503}
        assert b"Retry-After: " in refused[0]
        assert b"Refresh: 3" in refused[0]
        assert b"One moment" in refused[0]
        for _ in range(5):
            assert status(await send(address, request(NOTIFY, GOOGLE))) == 200
            assert status(await send(address, message())) == 200
        assert status(await send(address, request("/healthz", {}, method="GET"))) == 200


async def test_codes_that_are_made_up_are_soon_taken_to_google_no_more(company: Company, sandbox: Sandbox) -> None:
    """Neither do they fill the log, or say there what a stranger likes; another address is connected meanwhile."""
    async with visited(company, trusted=(ip_network("127.0.0.0/8"),)) as address, Browser(address) as browser:

        async def bring(peer: str, code: str = "") -> Answer:
            back = await browser.consent(await browser.begin())
            if code:
                back = re.sub("code=[^&]*", f"code={code}", back)
            return await browser.send("GET", back, headers={"X-Forwarded-For": peer})

        with capture_logs() as lines:
            answers = [await bring("198.51.100.66", f"made-up-{number}") for number in range(FAILURES + 15)]
            other = await bring("198.51.100.7")

    assert [one.status for one in answers[:FAILURES]] == [400] * FAILURES
    # Some may have been granted anew meanwhile.
    waiting = [one for one in answers[FAILURES:] if one.status == 503]
    assert len(waiting) >= 3
    assert {one.headers["Refresh"] for one in waiting} == {"3"}
    # The other one's code is exchanged, and the calendar is read.
    assert [one.path for one in sandbox.google.requests].count("/token") == len(answers) - len(waiting) + 2
    assert (other.status, company.connections.connected()) == (200, [AMY])
    told = [line for line in lines if line["action"] == "connect_refused"]
    assert 1 <= len(told) <= 5
    assert told[0]["why"] == "code_refused"
    assert all("agent" not in line for line in told)


@pytest.mark.parametrize("error", ["access_denied", "temporarily_unavailable", "made-up"])
async def test_words_that_are_made_up_do_not_fill_the_log(company: Company, error: str) -> None:
    """Anybody can say in Google's name that it went wrong, behind a proxy of this machine without being counted."""
    async with visited(company) as address, Browser(address) as browser:
        with capture_logs() as lines:
            for _ in range(30):
                state = parse_qs(urlsplit(await browser.begin()).query)["state"][0]
                answer = await browser.send("GET", f"/google/callback?state={state}&error={error}")
                assert answer.status in (200, 502)

    assert 1 <= len(lines) <= 4
    assert lines[0]["agent"] == "amy@example.com"
    assert "made-up" not in str(lines)


async def test_others_cookies_leave_room_for_flows(company: Company, browser: Browser) -> None:
    """What stands under the same name sets cookies too; three flows of each kind are under way beside them."""
    for _ in range(3):
        await browser.begin("a" * 64 + "@" + "b" * 180 + ".example")
    flows = sum(len(f"{name}={value}; ") for name, value in browser.cookies.items())
    others = {f"other{number}": "x" * 1000 for number in range(4)}
    link = await browser.consent(await browser.begin())
    browser.cookies = {**browser.cookies, **others, "of_aircalls_flows": "x" * 1000}

    assert flows > 2000
    assert (await browser.send("GET", link)).status == 200
    assert company.connections.connected() == [AMY]


async def test_slow_forms_take_no_places_from_google_and_from_who_is_finishing(browser: Browser, pages: str) -> None:
    """Only so many are waited for; notifications are taken, the page is shown, and who was at Google is connected."""
    back = await browser.consent(await browser.begin())
    half = request("/google/connect", FORM, more="Content-Length: 12\r\n", body=b"what=")
    slow = [await connect(pages) for _ in range(MAX_AT_ONCE)]
    for _, writer in slow:
        writer.write(half)
        await writer.drain()
    await asyncio.sleep(0.2)
    page = await send(pages, request("/google/connect", {}, method="GET"))
    pressed = await send(pages, form(b"what=connect"))
    notified = await send(pages, request(NOTIFY, GOOGLE))
    ended = await browser.send("GET", back)
    for _, writer in slow:
        writer.close()

    assert (status(page), status(pressed), status(notified), ended.status) == (200, 503, 200, 200)


async def test_a_crowd_at_the_page_keeps_nobody_from_finishing(sandbox: Sandbox, http: Http, tmp_path: Path) -> None:
    """A thousand open it at once, more than are granted: they are asked to wait, and who was at Google is not."""
    company = company_of(sandbox, http, tmp_path)
    async with visited(company, Allowance(burst=300, per_second=0.1)) as address, Browser(address) as browser:
        back = await browser.consent(await browser.begin())
        page = request("/google/connect", {}, method="GET")

        async def crowd(people: int) -> list[int]:
            return [status(await send(address, page)) for _ in range(people)]

        opened, ended = await asyncio.gather(
            asyncio.gather(*(crowd(20) for _ in range(50))), _shortly(browser.send("GET", back))
        )
        answers = Counter(one for some in opened for one in some)

    assert answers == {200: 299, 503: 701}
    assert ended.status == 200
    assert company.connections.connected() == [AMY]


async def _shortly(sent: Coroutine[Any, Any, Answer]) -> Answer:
    """Once the crowd has used up what is granted."""
    await asyncio.sleep(0.3)
    return await sent
