"""`calendarList.list`: scopes, pages, masks, roles."""

from __future__ import annotations

import pytest

from calsyncd.sandbox.world import Sandbox

from .clients import AMY, GoogleClient
from .discovery import check_recorded

LIST = "/users/me/calendarList"
SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"


async def test_the_least_scope_does_not_show_it(google: GoogleClient) -> None:
    """403 insufficientPermissions; and no token for a scope that was not delegated."""
    answer = await google.call("GET", LIST)
    assert (answer.status, answer.reason) == (403, "insufficientPermissions")

    refused = await google.ask_token(google.assertion(scope=SCOPE))
    assert (refused.status, refused.json["error"]) == (401, "unauthorized_client")


async def test_what_a_user_sees(sandbox: Sandbox, google: GoogleClient) -> None:
    """Their own calendar, and those shared with them; page by page, as Google's description has it."""
    sandbox.google.tokens.also_delegated.add(SCOPE)
    sandbox.google.add_user("bob@example.com")
    sandbox.google.add_calendar("team@group.calendar.google.com", owner="bob@example.com")
    sandbox.google.add_calendar("secret@group.calendar.google.com", owner="bob@example.com")
    sandbox.google.share("team@group.calendar.google.com", AMY, "reader")
    token = await google.token(scope=SCOPE)

    first = (await google.call("GET", LIST, {"maxResults": "1"}, token=token)).json
    second = (
        await google.call("GET", LIST, {"maxResults": "1", "pageToken": first["nextPageToken"]}, token=token)
    ).json
    owned = (await google.call("GET", LIST, {"minAccessRole": "writer", "fields": "items/id"}, token=token)).json

    assert [(one["id"], one.get("primary"), one["accessRole"]) for one in [*first["items"], *second["items"]]] == [
        (AMY, True, "owner"),
        ("team@group.calendar.google.com", None, "reader"),
    ]
    assert "nextSyncToken" in second
    assert "nextPageToken" not in second
    assert owned == {"items": [{"id": AMY}]}
    check_recorded(sandbox.google.requests)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"maxResults": "0"}, 400),
        ({"minAccessRole": "none"}, 400),
        ({"showHidden": "yes"}, 400),
        ({"singleEvents": "true"}, 400),
        ({"pageToken": "unknown"}, 400),
        ({"fields": "items/title"}, 400),
        ({"syncToken": "s"}, 410),
    ],
)
async def test_what_is_refused(sandbox: Sandbox, google: GoogleClient, query: dict[str, str], status: int) -> None:
    """Wrong values and names, and sync tokens, which have all expired here."""
    sandbox.google.tokens.also_delegated.add(SCOPE)

    answer = await google.call("GET", LIST, query, token=await google.token(scope=SCOPE))

    assert answer.status == status
