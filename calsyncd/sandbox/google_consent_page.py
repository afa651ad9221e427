"""What a person sees of Google's consent: the account chooser with the boxes to tick, and the page of an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlencode

from calsyncd.sandbox.faults import Json

_WORDS = {
    "https://www.googleapis.com/auth/calendar.events.readonly": "View events on all your calendars.",
    "https://www.googleapis.com/auth/calendar.readonly": "See and download any calendar you can access.",
}
"""Scopes in the words of Google's page; others are shown by their name."""


def consent_page(
    path: str, query: Mapping[str, str], accounts: Iterable[str], chosen: str, boxes: Mapping[str, bool]
) -> str:
    """The page whose form posts `account`, `scope` for each ticked box, and `answer` (continue or cancel)."""
    radios = "".join(
        f'<p><label><input type="radio" name="account" value="{escape(one)}" required{_if(one == chosen, "checked")}>'
        f" {escape(one)}</label></p>"
        for one in accounts
    )
    ticks = "".join(
        f'<p><label><input type="checkbox" name="scope" value="{escape(scope)}"{_if(ticked, "checked")}>'
        f" {escape(_WORDS.get(scope, scope))}</label></p>"
        for scope, ticked in boxes.items()
    )
    asked = f"<fieldset><legend>Select what calsyncd can access</legend>{ticks}</fieldset>" if boxes else ""
    return _page(
        "Sign in with Google",
        f'<form method="post" action="{escape(f"{path}?{urlencode(query)}")}">'
        f"<fieldset><legend>Choose an account to continue to calsyncd</legend>{radios}</fieldset>{asked}"
        '<p><button name="answer" value="continue">Continue</button>'
        ' <button name="answer" value="cancel" formnovalidate>Cancel</button></p></form>',
    )


def error_page(status: int, body: Json) -> str:
    """The page at which a wrong request ends: nothing is told to the program that asked."""
    described = escape(str(body.get("error_description", "")))
    return _page(
        "Access blocked: Authorization Error", f"<p>Error {status}: {escape(str(body['error']))}</p><p>{described}</p>"
    )


def _page(title: str, content: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1>{content}</body></html>"
    )


def _if(is_so: bool, attribute: str) -> str:
    return f" {attribute}" if is_so else ""
