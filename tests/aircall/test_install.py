"""The steps of an installation against the sandbox's Aircall, and what is made of answers that nobody expects."""

from __future__ import annotations

from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from calsyncd.aircall.install import App, authorization_url, enable, exchange, integration
from calsyncd.errors import UNINSTALLED, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.http import Http
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox


@pytest.fixture
def app(sandbox: Sandbox) -> App:
    """The app as both sides know it."""
    known = sandbox.aircall.install
    callback = PUBLIC_ORIGIN + "/aircall/oauth/callback"
    return App(known.client_id, known.client_secret, callback, sandbox.aircall_url + "/", sandbox.aircall_url + "/")


def code(sandbox: Sandbox, app: App) -> str:
    """An admin has consented."""
    query = dict(parse_qsl(urlsplit(authorization_url(app, "s")).query))
    return parse_qs(urlsplit(sandbox.aircall.install.redirect(query)).query)["code"][0]


async def test_the_whole_way(http: Http, sandbox: Sandbox, app: App) -> None:
    """Consent, code, token, enabled; then the integration tells whose it is."""
    token = await exchange(http, app, code(sandbox, app))
    before = await integration(http, app, token)
    await enable(http, app, token)
    after = await integration(http, app, token)

    assert (before.company, before.active, after.active, after.gone) == (1, False, True, False)
    assert app.client_secret not in repr(app)
    assert app.success_url == sandbox.aircall_url + "/oauth/success"


def test_what_is_asked_of_the_consent_page(app: App) -> None:
    """Everything is escaped, and nothing else is asked."""
    query = parse_qs(urlsplit(authorization_url(app, "a&b=c#d")).query)

    assert query == {
        "client_id": [app.client_id],
        "redirect_uri": [app.redirect_uri],
        "response_type": ["code"],
        "scope": ["public_api"],
        "state": ["a&b=c#d"],
    }


@pytest.mark.parametrize("body", ["OK", "{}", '{"integration": {}}', ""])
async def test_enabling_may_be_answered_with_anything(http: Http, sandbox: Sandbox, app: App, body: str) -> None:
    """The status is what counts."""
    token = await exchange(http, app, code(sandbox, app))
    sandbox.aircall.install.enable_body = body

    await enable(http, app, token)


@pytest.mark.parametrize(
    ("status", "body", "kind", "known"),
    [
        (400, '{"error": "invalid_grant"}', Refused, "code_refused"),
        (400, "<html>what?</html>", Refused, "code_refused"),
        (422, "[]", Refused, "code_refused"),
        (400, '{"error": "invalid_client"}', Refused, "aircall_client"),
        (401, '{"message": "Unauthorized"}', Refused, "aircall_client"),
        (403, "", Refused, "aircall_client"),
        (404, '{"message": "Not Found"}', Refused, "refused"),
        (429, "", RateLimited, "rate_limited"),
        (503, "", Unavailable, "server"),
        (200, "{}", Unavailable, "malformed"),
        (200, '{"access_token": 5}', Unavailable, "malformed"),
        (200, '{"access_token": "with a space"}', Unavailable, "malformed"),
        (200, '{"access_token": "a\\nb-header: x"}', Unavailable, "malformed"),
        (200, "[]", Unavailable, "malformed"),
        (302, "", Unavailable, "redirect"),
    ],
)
async def test_an_exchange_that_fails(  # noqa: PLR0917 - a table
    http: Http, sandbox: Sandbox, app: App, status: int, body: str, kind: type[ServiceError], known: str
) -> None:
    """It says whether another code helps, or nothing but other settings; and quotes nothing that was sent."""
    sandbox.aircall.fail("oauth/token", status=status, body=body)

    with pytest.raises(kind) as caught:
        await exchange(http, app, "the-code-that-was-sent")

    assert caught.value.code == known
    assert "the-code" not in str(caught.value)
    assert app.client_secret not in str(caught.value)


@pytest.mark.parametrize("error", ["the-code-that-was-sent", {"a": 1}, None])
async def test_an_error_that_quotes_is_not_quoted(http: Http, sandbox: Sandbox, app: App, error: object) -> None:
    """Only known words of an answer are repeated."""
    sandbox.aircall.fail("oauth/token", status=400, body={"error": error})

    with pytest.raises(Refused) as caught:
        await exchange(http, app, "the-code-that-was-sent")

    assert "the-code" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "company", "gone"),
    [
        ({"integration": {"company_id": 7}}, 7, False),
        ({"integration": {"company_id": "7"}}, 7, False),
        ({"integration": {"company_id": True}}, None, False),
        ({"integration": {"company_id": -7}}, None, False),
        ({"integration": {"company_id": None, "status": "Uninstalled"}}, None, True),
        ({"integration": [], "company_id": 7}, None, False),
        ({}, None, False),
    ],
)
async def test_what_the_integration_shows(
    http: Http, sandbox: Sandbox, app: App, body: dict[str, object], company: int | None, *, gone: bool
) -> None:
    """What cannot be read is not known."""
    sandbox.aircall.fail("integrations/me", status=200, body=body)

    shown = await integration(http, app, await exchange(http, app, code(sandbox, app)))

    assert (shown.company, shown.gone) == (company, gone)


async def test_a_token_of_a_removed_app_is_told(http: Http, sandbox: Sandbox, app: App) -> None:
    """Whatever it is used for."""
    token = await exchange(http, app, code(sandbox, app))
    sandbox.aircall.uninstall()

    for ask in (integration, enable):
        with pytest.raises(Refused) as caught:
            await ask(http, app, token)
        assert caught.value.code == UNINSTALLED
