from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from calsyncd.core.troubles import BOX
from calsyncd.web.frame import STYLE_SOURCE
from calsyncd.web.pages import NEVER, READ, Facts, Page, render

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;"
_VOID = {"meta", "input"}


class Reader(HTMLParser):
    """What a browser makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.said += data


def read(page: Page, facts: Facts, site: str = "calsync.example.com") -> Reader:
    """The page, parsed; every tag is closed."""
    reader = Reader()
    reader.feed(render(page, facts, site))
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("what", ["connect", "disconnect"])
@pytest.mark.parametrize("page", Page)
def test_no_fact_becomes_markup(page: Page, what: str) -> None:
    """Whatever a fact holds, the page has the same tags, loads nothing, runs nothing, and leads nowhere new."""
    tame = read(page, Facts("amy@example.com", "bob@example.com", what))
    wild = read(page, Facts(HOSTILE, HOSTILE + "2", what), HOSTILE)

    assert [tag for tag, _ in wild.tags] == [tag for tag, _ in tame.tags]
    assert not {"script", "img", "link", "iframe", "object", "base"} & {tag for tag, _ in wild.tags}
    for tag, attributes in wild.tags:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "src"}]
        if tag == "form":
            assert (attributes["action"], attributes["method"]) == ("/google/connect", "post")
        if tag == "a":
            assert attributes["href"] in {"/google/connect", "https://myaccount.google.com/connections"}


@pytest.mark.parametrize("page", Page)
def test_everybody_can_use_it(page: Page) -> None:
    """A language, a heading, a title, a field with a label, and what came of it is announced."""
    reader = read(page, Facts("amy@example.com", "amy@example.com"))
    tags = [tag for tag, _ in reader.tags]
    by_id = {attributes["for"] for tag, attributes in reader.tags if tag == "label"}
    fields = {attributes.get("id") for tag, attributes in reader.tags if tag == "input" and "type" in attributes}

    assert dict(reader.tags)["html"] == {"lang": "en"}
    assert tags.count("h1") == tags.count("title") == tags.count("main") == 1
    assert by_id == fields - {None}
    assert any(attributes.get("role") == "status" for _, attributes in reader.tags) == (page is not Page.START)
    assert "width=device-width" in str(reader.tags)


def test_the_first_page_says_what_one_agrees_to() -> None:
    """Who asks, what is read, what never happens, which box to tick; the address is filled in."""
    reader = read(Page.START, Facts(asked="amy@example.com"), "calsync.acme.example")

    for sentence in ("calsync.acme.example", BOX, *READ, *NEVER, "Disconnect"):
        assert sentence in reader.said
    assert [attributes["value"] for tag, attributes in reader.tags if attributes.get("type") == "email"] == [
        "amy@example.com"
    ]


def test_whose_calendar_it_is_is_said_where_it_is_another() -> None:
    """And only there."""
    same = read(Page.CONNECTED, Facts("amy@example.com", "amy@example.com"))
    another = read(Page.CONNECTED, Facts("bob@example.com", "amy@example.com"))

    assert "The link was for" not in same.said
    assert "The link was for amy@example.com. You signed in as bob@example.com" in another.said


def test_the_policy_allows_the_style_that_is_there() -> None:
    """By its hash; it loads nothing, and has the dark in it."""
    style = re.findall("<style>(.*?)</style>", render(Page.START, Facts(), "here"), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()

    assert f"'sha256-{digest}'" == STYLE_SOURCE
    assert "url(" not in style[0]
    assert "@import" not in style[0]
    assert "prefers-color-scheme: dark" in style[0]
