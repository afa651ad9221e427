"""The cookies of flows: what a browser sends, keeps and forgets."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from calsyncd.web.cookies import Cookies, Started

GOOGLE, AIRCALL = Cookies("calsyncd", secure=True), Cookies("calsyncd-aircall", secure=True)


def sent(*cookies: str) -> web.Request:
    """A request with this header."""
    return make_mocked_request("GET", "/", {"Cookie": "; ".join(cookies)} if cookies else {})


def kept(cookies: Cookies, request: web.Request, state: str, value: str = "value") -> list[str]:
    """What a browser that sent this is told to keep and to forget."""
    response = web.Response()
    cookies.keep(request, response, Started("https://a.example", state, value))
    return response.headers.getall("Set-Cookie")


def pair(cookies: Cookies, state: str) -> str:
    """What a browser sends of a flow."""
    return kept(cookies, sent(), state)[0].partition(";")[0]


def test_a_cookie_is_the_browsers_the_sites_and_the_tabs() -> None:
    """No script and no neighbour has it; its name is no state."""
    [cookie] = kept(GOOGLE, sent(), "state-one")
    [plain] = kept(Cookies("calsyncd", secure=False), sent(), "state-one")

    assert cookie == ("__Host-calsyncd-74e6d3e7139c58b2=value; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure")
    assert plain == "calsyncd-74e6d3e7139c58b2=value; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"


def test_each_state_has_its_own() -> None:
    """And each kind."""
    request = sent("a=b", pair(GOOGLE, "one"), pair(GOOGLE, "two"), pair(AIRCALL, "three"))

    assert [GOOGLE.read(request, state) for state in ("one", "two", "three", "")] == ["value", "value", "", ""]
    assert AIRCALL.read(request, "three") == "value"
    assert GOOGLE.read(sent(pair(GOOGLE, "one"), pair(GOOGLE, "one")), "one") == ""


@pytest.mark.parametrize("value", ["", '"value"', "a b", "a%20b", "é", "x" * 2049])
def test_what_we_never_set_is_not_read(value: str) -> None:
    """Whoever made it."""
    assert GOOGLE.read(sent(pair(GOOGLE, "one").replace("value", value)), "one") == ""


def test_the_oldest_of_too_many_of_its_kind_is_forgotten() -> None:
    """Browsers send the oldest first. What is not ours is left alone."""
    google = [pair(GOOGLE, state) for state in ("one", "two", "three", "four")]
    aircall = [pair(AIRCALL, state) for state in ("one", "two", "three")]
    foreign = ["__Host-calsyncd-other=1", "calsyncd=2"]
    said = kept(GOOGLE, sent(*foreign, *aircall, *google), "five")

    assert [one.partition("=")[0] for one in said] == [
        *(one.partition("=")[0] for one in google[:2]),
        pair(GOOGLE, "five").partition("=")[0],
    ]
    assert ["Max-Age=0" in one for one in said] == [True, True, False]
    assert len(kept(GOOGLE, sent(*google[:2]), "five")) == 1
