"""Aircall's OAuth: consent, code, token, integration."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox

from .clients import AircallClient, Answer, Receiver

CALLBACK = PUBLIC_ORIGIN + "/aircall/oauth/callback"


async def authorize(
    sandbox: Sandbox, session: aiohttp.ClientSession, **changes: str
) -> tuple[int, dict[str, list[str]]]:
    """An administrator's browser at the consent page."""
    query = {
        "client_id": sandbox.aircall.install.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "public_api",
        "state": "s1",
        **changes,
    }
    url = sandbox.aircall_url + "/oauth/authorize"
    async with session.get(url, params=query, allow_redirects=False) as answer:
        return answer.status, parse_qs(urlsplit(answer.headers.get("Location", "")).query)


async def exchange(sandbox: Sandbox, session: aiohttp.ClientSession, code: str, **changes: Any) -> Answer:
    """The app's request for the token."""
    install = sandbox.aircall.install
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": install.client_id,
        "client_secret": install.client_secret,
        **changes,
    }
    async with session.post(sandbox.aircall_url + "/v1/oauth/token", json=body) as answer:
        return Answer(answer.status, await answer.text(), answer.headers)


async def test_an_installation_gets_a_permanent_token(
    sandbox: Sandbox, session: aiohttp.ClientSession, aircall: AircallClient
) -> None:
    """No expiry, no refresh token; it works as a bearer, until the app is removed."""
    _, back = await authorize(sandbox, session)
    answer = await exchange(sandbox, session, back["code"][0])
    headers = {"Authorization": f"Bearer {answer.json['access_token']}", "Content-Type": "application/json"}
    enabled = await aircall.call("POST", "/v1/integrations/enable", headers=headers)
    me = await aircall.call("GET", "/v1/integrations/me", headers=headers)
    sandbox.aircall.install.uninstall()
    removed = await aircall.call("GET", "/v1/ping", headers=headers)

    assert back["state"] == ["s1"]
    assert set(answer.json) == {"access_token", "token_type", "created_at"}
    assert (enabled.status, me.json["integration"]["active"], removed.status) == (204, True, 403)


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "x"},
        {"client_secret": "x"},
        {"grant_type": "refresh_token"},
        {"redirect_uri": PUBLIC_ORIGIN},
    ],
)
async def test_wrong_exchanges_are_400(
    sandbox: Sandbox, session: aiohttp.ClientSession, changes: dict[str, str]
) -> None:
    """With an `error`."""
    _, back = await authorize(sandbox, session)
    answer = await exchange(sandbox, session, **{"code": back["code"][0], **changes})

    assert answer.status == 400
    assert set(answer.json) == {"error"}


async def test_consent_is_an_administrators(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    """Others are refused; a denial comes back as an error; wrong requests stay on the page."""
    sandbox.aircall.install.consents = False
    denied = await authorize(sandbox, session)
    sandbox.aircall.install.is_admin = False
    refused = await authorize(sandbox, session)
    wrong = await authorize(sandbox, session, scope="read:calls")

    assert denied == (302, {"error": ["access_denied"], "state": ["s1"]})
    assert (refused[0], wrong[0]) == (403, 400)


async def test_integrations_are_for_oauth_only(aircall: AircallClient) -> None:
    """An API key gets 403."""
    assert (await aircall.call("GET", "/v1/integrations/me")).status == 403
    assert (await aircall.call("POST", "/v1/integrations/disable")).status == 403


HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9"}


def query_of(sandbox: Sandbox, **changes: str) -> dict[str, str]:
    """What the app asks of the consent page."""
    known = {"client_id": sandbox.aircall.install.client_id, "redirect_uri": CALLBACK, "state": 'a"<b>'}
    return {**known, "response_type": "code", "scope": "public_api", **changes}


@pytest.mark.parametrize(("decision", "told"), [("authorize", "code"), ("deny", "error"), ("", "error")])
async def test_a_browser_sees_a_page_with_two_buttons(
    sandbox: Sandbox, session: aiohttp.ClientSession, decision: str, told: str
) -> None:
    """What is pressed counts, whatever the switch says; what was asked is escaped."""
    sandbox.aircall.install.consents = decision != "authorize"
    url = sandbox.aircall_url + "/oauth/authorize"
    async with session.get(url, params=query_of(sandbox), headers=HTML, allow_redirects=False) as answer:
        page = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
    form = {**query_of(sandbox), "decision": decision}
    async with session.post(url, data=form, headers=HTML, allow_redirects=False) as answer:
        back = parse_qs(urlsplit(answer.headers["Location"]).query)

    assert ('value="authorize"' in page, 'value="deny"' in page) == (True, True)
    assert 'value="a&quot;&lt;b&gt;"' in page
    assert set(back) == {told, "state"}
    assert back["state"] == ['a"<b>']


@pytest.mark.parametrize(("admin", "scope", "status"), [(False, "public_api", 403), (True, "read:calls", 400)])
async def test_a_browser_is_refused_with_a_page(
    sandbox: Sandbox, session: aiohttp.ClientSession, *, admin: bool, scope: str, status: int
) -> None:
    """Before the page, and when somebody presses its button all the same."""
    sandbox.aircall.install.is_admin = admin
    url, query = sandbox.aircall_url + "/oauth/authorize", query_of(sandbox, scope=scope)
    async with session.get(url, params=query, headers=HTML, allow_redirects=False) as answer:
        seen = answer.status, answer.content_type, "Authorize" in await answer.text()
    async with session.post(url, data={**query, "decision": "authorize"}, allow_redirects=False) as answer:
        pressed = answer.status

    assert (seen, pressed) == ((status, "text/html", False), status)


async def installed(sandbox: Sandbox, session: aiohttp.ClientSession) -> dict[str, str]:
    """The headers of an app that was just installed."""
    _, back = await authorize(sandbox, session)
    token = (await exchange(sandbox, session, back["code"][0])).json["access_token"]
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


async def test_a_removed_app_is_told_so_and_its_webhooks_go(
    sandbox: Sandbox, session: aiohttp.ClientSession, aircall: AircallClient, receiver: Receiver
) -> None:
    """An app sees the webhooks that it made, and nobody else is told of its end."""
    headers = await installed(sandbox, session)
    url = PUBLIC_ORIGIN + "/webhooks/aircall"
    await aircall.call("POST", "/v1/webhooks", {"url": url, "custom_name": "by key", "events": ["integration.deleted"]})
    body = {"url": url, "events": ["integration.deleted"]}
    made = await aircall.call("POST", "/v1/webhooks", body, headers=headers)
    listed = await aircall.call("GET", "/v1/webhooks", headers=headers)
    sandbox.aircall.uninstall()
    await sandbox.settle()
    left = await aircall.call("GET", "/v1/webhooks")

    assert [one["webhook_id"] for one in listed.json["webhooks"]] == [made.json["webhook"]["webhook_id"]]
    [message] = [json.loads(posted.body) for posted in receiver.posted]
    assert (message["event"], message["resource"]) == ("integration.deleted", "integration")
    assert message["token"] == made.json["webhook"]["token"]
    assert [one["custom_name"] for one in left.json["webhooks"]] == ["by key"]


async def test_another_companys_app_sees_itself_only(
    sandbox: Sandbox, session: aiohttp.ClientSession, aircall: AircallClient
) -> None:
    """This company's users are none of its business."""
    sandbox.aircall.install.company_id = 2
    headers = await installed(sandbox, session)
    me = await aircall.call("GET", "/v1/integrations/me", headers=headers)
    users = await aircall.call("GET", "/v2/users", headers=headers)

    assert (me.json["integration"]["company_id"], users.status) == (2, 403)
