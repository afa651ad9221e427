"""The web flow: consent, code, refresh token, revocation."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.google_consent import MOST_REFRESH_TOKENS
from calsyncd.sandbox.google_tokens import make_key
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, READONLY, Answer, GoogleClient

ISSUER = "https://accounts.google.com"
EMAIL = "https://www.googleapis.com/auth/userinfo.email"
WHOLE = f"openid email {READONLY}"
CALLBACK = PUBLIC_ORIGIN + "/google/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class Browser:
    """A user at the consent page, and the program that exchanges the code."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.client: dict[str, Any] = sandbox.google.client_file()["web"]  # type: ignore[assignment]
        self.revoke_url = sandbox.google.revoke_url
        self.session = session

    def query(self, **changes: str) -> dict[str, str]:
        return {
            "client_id": self.client["client_id"],
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": READONLY,
            "access_type": "offline",
            "prompt": "consent",
            "state": "s1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "login_hint": AMY,
            **changes,
        }

    async def consent(self, **changes: str) -> tuple[int, dict[str, str]]:
        async with self.session.get(
            self.client["auth_uri"], params=self.query(**changes), allow_redirects=False
        ) as answer:
            return answer.status, back_of(answer.headers.get("Location", ""))

    async def page(self, method: str = "GET", form: list[tuple[str, str]] | None = None, **changes: str) -> Answer:
        """What a browser is shown, or where its form leads."""
        async with self.session.request(
            method,
            self.client["auth_uri"],
            params=self.query(**changes),
            data=form,
            headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"},
            allow_redirects=False,
        ) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)

    async def granted(self, **changes: str) -> dict[str, Any]:
        """The answer of the token endpoint after a consent."""
        _, back = await self.consent(**changes)
        answer: dict[str, Any] = (await self.exchange(back["code"])).json
        return answer

    async def token(self, **form: str) -> Answer:
        whole = {"client_id": self.client["client_id"], "client_secret": self.client["client_secret"], **form}
        async with self.session.post(self.client["token_uri"], data=whole) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)

    async def exchange(self, code: str, **changes: str) -> Answer:
        form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **changes}
        return await self.token(grant_type="authorization_code", **form)

    async def refresh(self, token: str) -> Answer:
        return await self.token(grant_type="refresh_token", refresh_token=token)

    async def revoke(self, token: str) -> int:
        async with self.session.post(self.revoke_url, data={"token": token}) as answer:
            return answer.status


def back_of(location: str) -> dict[str, str]:
    """The query of the way back."""
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@pytest.fixture
def browser(sandbox: Sandbox, session: aiohttp.ClientSession) -> Browser:
    """Amy's."""
    return Browser(sandbox, session)


async def test_the_flow_ends_with_a_token_that_reads(browser: Browser, google: GoogleClient) -> None:
    """Code and state come back; the code gives both tokens once, the refresh token new access tokens."""
    status, back = await browser.consent()
    first, second = await browser.exchange(back["code"]), await browser.exchange(back["code"])
    again = await browser.refresh(first.json["refresh_token"])
    listed = await google.events(token=again.json["access_token"])

    assert (status, back["state"], back["scope"]) == (302, "s1", READONLY)
    assert set(first.json) == {"access_token", "expires_in", "refresh_token", "scope", "token_type"}
    assert (second.status, second.json["error"]) == (400, "invalid_grant")
    assert set(again.json) == {"access_token", "expires_in", "scope", "token_type"}
    assert listed.status == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"client_id": "other"}, 401),
        ({"redirect_uri": "https://elsewhere.example.com/"}, 400),
        ({"response_type": "token"}, 400),
        ({"scope": ""}, 400),
        ({"code_challenge_method": "plain"}, 400),
    ],
)
async def test_wrong_requests_never_leave_the_page(browser: Browser, changes: dict[str, str], status: int) -> None:
    """An error page, not a redirect."""
    answer, back = await browser.consent(**changes)

    assert (answer, back) == (status, {})


@pytest.mark.parametrize("changes", [{"code_verifier": "x" * 43}, {"redirect_uri": PUBLIC_ORIGIN}, {"code": "4/x"}])
async def test_a_code_is_bound_to_its_request(browser: Browser, changes: dict[str, str]) -> None:
    """Verifier and redirect address must be those of the request."""
    _, back = await browser.consent()
    answer = await browser.exchange(**{"code": back["code"], **changes})

    assert answer.status == 400


async def test_the_client_is_checked(browser: Browser) -> None:
    """A wrong secret is 401 invalid_client."""
    _, back = await browser.consent()
    answer = await browser.exchange(back["code"], client_secret="wrong")

    assert (answer.status, answer.json["error"]) == (401, "invalid_client")


async def test_users_can_deny_and_untick(sandbox: Sandbox, browser: Browser) -> None:
    """A denial comes back as an error; an unticked scope is missing from the answer's."""
    sandbox.google.consent.answer = "deny"
    _, denied = await browser.consent()
    sandbox.google.consent.answer = "grant"
    sandbox.google.consent.unticked.add(READONLY)
    _, back = await browser.consent(scope=f"{READONLY} openid")

    assert denied == {"error": "access_denied", "state": "s1", "iss": ISSUER}
    assert (await browser.exchange(back["code"])).json["scope"] == "openid"


async def test_revoking_ends_the_whole_grant(browser: Browser, google: GoogleClient) -> None:
    """Refresh and access tokens of the user, in one go; a second time the token is unknown."""
    _, back = await browser.consent()
    tokens = (await browser.exchange(back["code"])).json
    statuses = [await browser.revoke(tokens["refresh_token"]) for _ in range(2)]
    refreshed = await browser.refresh(tokens["refresh_token"])
    listed = await google.events(token=tokens["access_token"])

    assert statuses == [200, 400]
    assert (refreshed.status, refreshed.json["error"]) == (400, "invalid_grant")
    assert listed.status == 401


async def test_who_signed_in_is_told_by_a_signed_token(browser: Browser) -> None:
    """Google's claims, with the nonce of the request; scopes come back by their long names."""
    _, back = await browser.consent(scope=WHOLE, nonce="n1")
    answer = (await browser.exchange(back["code"])).json
    claims = read(answer["id_token"])

    assert back["scope"] == f"email openid {EMAIL} {READONLY}"
    assert (back["iss"], back["authuser"], back["hd"], back["prompt"]) == (ISSUER, "0", "example.com", "consent")
    assert answer["scope"] == f"openid {EMAIL} {READONLY}"
    assert claims["aud"] == claims["azp"] == browser.client["client_id"]
    assert (claims["iss"], claims["email"], claims["email_verified"]) == (ISSUER, AMY, True)
    assert (claims["nonce"], claims["hd"], claims["exp"] - claims["iat"]) == ("n1", "example.com", 3600)
    assert claims["sub"].isdigit()


def read(id_token: str) -> dict[str, Any]:
    """The claims of a token, whose signature must be good."""
    header, claims, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in id_token.split(".")
    )
    signed = id_token.rpartition(".")[0].encode()
    make_key().public_key().verify(signature, signed, padding.PKCS1v15(), SHA256())
    assert json.loads(header)["alg"] == "RS256"
    found: dict[str, Any] = json.loads(claims)
    return found


async def test_the_address_is_told_only_where_it_was_granted(browser: Browser) -> None:
    """Without `email` the token names an account; without `openid` there is none; refreshed ones have no nonce."""
    anonymous = await browser.granted(scope=f"openid {READONLY}")
    refreshed = (await browser.refresh(anonymous["refresh_token"])).json

    assert "email" not in read(anonymous["id_token"])
    assert "nonce" not in read(refreshed["id_token"])
    assert "id_token" not in await browser.granted(scope=f"email {READONLY}")


async def test_claims_and_issuer_can_be_wrong(sandbox: Sandbox, browser: Browser) -> None:
    """So that a program's checks can be tried."""
    sandbox.google.consent.claims = {"aud": "other", "email": None}
    sandbox.google.consent.names_issuer = False
    _, back = await browser.consent(scope=WHOLE)
    claims = read((await browser.exchange(back["code"])).json["id_token"])

    assert claims["aud"] == "other"
    assert "email" not in claims
    assert "iss" not in back


async def test_a_refresh_token_comes_with_each_consent(browser: Browser) -> None:
    """At first, then where `prompt` asks for the consent again; never without offline access."""
    again = {"prompt": "select_account"}
    kinds = [{"access_type": "online", "scope": "openid"}, again, again, {"prompt": "consent"}]
    found = [await browser.granted(**kind) for kind in kinds]

    assert ["refresh_token" in one for one in found] == [False, True, False, True]
    assert (await browser.refresh(found[1]["refresh_token"])).status == 200


async def test_scopes_add_up_only_if_asked(browser: Browser) -> None:
    """`include_granted_scopes` brings what the account granted to this project before."""
    await browser.granted()
    alone = await browser.granted(scope="openid email")
    together = await browser.granted(scope="openid email", include_granted_scopes="true")

    assert alone["scope"] == f"openid {EMAIL}"
    assert together["scope"] == f"openid {EMAIL} {READONLY}"


@pytest.mark.parametrize(("revokes", "refreshed"), [(False, 200), (True, 400)])
async def test_a_second_use_of_a_code_is_refused(
    sandbox: Sandbox, browser: Browser, google: GoogleClient, *, revokes: bool, refreshed: int
) -> None:
    """What came of the first is left alone, or ends with it."""
    sandbox.google.consent.replay_revokes = revokes
    _, back = await browser.consent()
    first, second = (await browser.exchange(back["code"])).json, await browser.exchange(back["code"])

    assert (second.status, second.json["error"]) == (400, "invalid_grant")
    assert (await browser.refresh(first["refresh_token"])).status == refreshed
    assert (await google.events(token=first["access_token"])).status == (401 if revokes else 200)


async def test_only_a_hundred_refresh_tokens_work(sandbox: Sandbox, browser: Browser) -> None:
    """One more, and the oldest of the account stops; another account's do not."""
    sandbox.google.add_user("bob@example.com")
    bobs = await browser.granted(login_hint="bob@example.com")
    tokens = [(await browser.granted())["refresh_token"] for _ in range(MOST_REFRESH_TOKENS + 1)]
    statuses = [(await browser.refresh(token)).status for token in (*tokens[:2], tokens[-1], bobs["refresh_token"])]

    assert statuses == [400, 200, 200, 200]


async def test_a_deleted_client_is_named(sandbox: Sandbox, browser: Browser) -> None:
    """At the page and at the token endpoint."""
    granted = await browser.granted()
    sandbox.google.consent.is_deleted = True
    refused = await browser.refresh(granted["refresh_token"])
    page = await browser.page()

    assert (refused.status, refused.json["error"]) == (401, "deleted_client")
    assert (page.status, "Error 401: deleted_client" in page.text) == (401, True)


async def test_a_browser_gets_a_page_to_choose_at(sandbox: Sandbox, browser: Browser) -> None:
    """The hinted account is chosen; the calendar's box is there, unticked; those of signing in are not."""
    sandbox.google.add_user("bob@example.com")
    sandbox.google.add_user("gone@example.com")
    sandbox.google.tokens.suspended.add("gone@example.com")
    page = await browser.page(scope=WHOLE, state='"><b>')
    radios, boxes = inputs(page.text, "radio"), inputs(page.text, "checkbox")
    sandbox.google.consent.ticked = True
    ticked = inputs((await browser.page(scope=WHOLE)).text, "checkbox")

    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert radios == {AMY: True, "bob@example.com": False}
    assert (boxes, ticked) == ({READONLY: False}, {READONLY: True})
    assert "<b>" not in page.text


def inputs(page: str, kind: str) -> dict[str, bool]:
    """The values of a page's inputs, and whether they are chosen."""
    found = re.findall(rf'<input type="{kind}" name="\w+" value="([^"]*)"([^>]*)>', page)
    return {unescape(value): "checked" in rest for value, rest in found}


async def test_the_pages_form_leads_back(browser: Browser) -> None:
    """Continue with and without the box, and Cancel."""
    chosen = [("account", AMY), ("answer", "continue")]
    whole = await browser.page("POST", [*chosen, ("scope", READONLY)], scope=WHOLE)
    part = await browser.page("POST", chosen, scope=WHOLE)
    none = await browser.page("POST", chosen)
    cancelled = await browser.page("POST", [("answer", "cancel")], scope=WHOLE)
    answer = (await browser.exchange(back_of(whole.headers["Location"])["code"])).json

    assert {one.status for one in (whole, part, none, cancelled)} == {302}
    assert (answer["scope"], "refresh_token" in answer) == (f"openid {EMAIL} {READONLY}", True)
    assert READONLY not in back_of(part.headers["Location"])["scope"]
    assert (
        back_of(none.headers["Location"])
        == back_of(cancelled.headers["Location"])
        == {"error": "access_denied", "state": "s1", "iss": ISSUER}
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_browser_is_told_of_a_wrong_request(browser: Browser, method: str) -> None:
    """In a page, which leads nowhere."""
    page = await browser.page(method, [("answer", "continue")], redirect_uri="https://elsewhere.example.com/")

    assert (page.status, "Location" in page.headers) == (400, False)
    assert "Error 400: redirect_uri_mismatch" in page.text


async def test_a_verifier_goes_with_a_challenge(browser: Browser) -> None:
    """A challenge without the method is refused, so is a missing verifier, and one that nobody asked for."""
    query = {name: value for name, value in browser.query().items() if not name.startswith("code_challenge")}
    async with browser.session.get(browser.client["auth_uri"], params=query, allow_redirects=False) as answer:
        unasked = await browser.exchange(back_of(answer.headers["Location"])["code"])
    query["code_challenge"] = CHALLENGE
    async with browser.session.get(browser.client["auth_uri"], params=query, allow_redirects=False) as answer:
        methodless = answer.status
    _, back = await browser.consent()
    missing = await browser.token(grant_type="authorization_code", code=back["code"], redirect_uri=CALLBACK)

    assert methodless == 400
    assert [(one.status, one.json["error"]) for one in (unasked, missing)] == [(400, "invalid_grant")] * 2
