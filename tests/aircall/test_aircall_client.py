"""Aircall's users against the sandbox: both versions of the API, its limits, and what may never be believed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.aircall.authorization import ApiKey
from calsyncd.aircall.client import PER_PAGE, AircallApi, UsersApi, read_user
from calsyncd.core.model import Observation, Setting
from calsyncd.core.plan import LIVE_UNKNOWN
from calsyncd.errors import CREDENTIALS, USER_GONE, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.http import Http
from calsyncd.sandbox.aircall import AircallSandbox, RateSignal
from calsyncd.sandbox.aircall_users import Setting as Theirs
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

USER = 456
BUSY = Setting("unavailable", "in_training")
FIELDS = ["id", "email", "availability_status", "other"]

Maker = Callable[..., AircallApi]


@pytest.fixture
def aircall(sandbox: Sandbox) -> AircallSandbox:
    """The company's Aircall."""
    return sandbox.aircall


@pytest.fixture
def said() -> list[str]:
    """What the client tells of version changes."""
    return []


def client(
    http: Http,
    aircall: AircallSandbox,
    *,
    now: Callable[[], float] = time.time,
    blocked: Callable[[], bool] = lambda: False,
) -> AircallApi:
    """A client that finds out which version works, with a clock and a 429 of another's to wait for."""
    return AircallApi(
        http,
        api_url=aircall.origin,
        authorization=ApiKey(aircall.api_id, aircall.api_token),
        users_api="auto",
        now=now,
        say=lambda _: None,
        blocked=blocked,
    )


@pytest.fixture
def make(http: Http, aircall: AircallSandbox, said: list[str]) -> Maker:
    """A client with a pinned version, or one that finds out."""

    def made(users_api: UsersApi = "auto", token: str | None = None) -> AircallApi:
        return AircallApi(
            http,
            api_url=aircall.origin + "/",
            authorization=ApiKey(aircall.api_id, token or aircall.api_token),
            users_api=users_api,
            now=time.time,
            say=said.append,
        )

    return made


@pytest.fixture
def api(make: Maker) -> AircallApi:
    """A client that finds out which version works."""
    return make()


def asked(aircall: AircallSandbox, since: int = 0) -> list[str]:
    """The requests since then, as `METHOD path`."""
    return [f"{request.method} {request.path}" for request in aircall.requests[since:]]


async def everybody(api: AircallApi) -> list[int]:
    """The ids of all users, page by page."""
    found: list[int] = []
    page, more = 1, True
    while more:
        users, more = await api.page_of_users(page)
        found += [user.id for user in users]
        page += 1
    return found


# -- reading ---------------------------------------------------------------------------------------------------------


async def test_the_credentials_are_tried(api: AircallApi, make: Maker) -> None:
    """A ping tells good ones from bad ones."""
    await api.ping()

    with pytest.raises(Refused) as caught:
        await make(token="wrong").ping()

    assert (caught.value.code, caught.value.status) == (CREDENTIALS, 403)
    assert "wrong" not in str(caught.value)


async def test_missing_credentials_are_credentials_too(api: AircallApi, aircall: AircallSandbox) -> None:
    """401 is ours to mend as 403 is."""
    aircall.fail("ping", status=401)

    with pytest.raises(Refused) as caught:
        await api.ping()

    assert caught.value.code == CREDENTIALS


async def test_every_request_says_what_it_is(api: AircallApi, aircall: AircallSandbox) -> None:
    """A GET, too, carries a Content-Type: Aircall refuses some without it."""
    await api.ping()
    await api.look(USER)
    await api.live_state(USER)
    await api.page_of_users(1)
    await api.update(USER, BUSY)

    assert {request.headers["Content-Type"] for request in aircall.requests} == {"application/json"}
    assert {request.status for request in aircall.requests} == {200}


@pytest.mark.parametrize("status", ["available", "custom", "unavailable", "something_new"])
async def test_a_look_shows_the_setting(api: AircallApi, aircall: AircallSandbox, status: str) -> None:
    """As of the moment at which it was sent; the open set of statuses is read as it is."""
    aircall.set_by_hand(USER, status)
    aircall.fail("users", delay=0.05)
    before = time.time()

    seen = await api.look(USER)

    assert seen.status == status
    assert before <= seen.at <= time.time() - 0.04


async def test_a_look_at_nobody_says_that_the_user_is_gone(api: AircallApi, aircall: AircallSandbox) -> None:
    """One request: no other version is asked about a user whom this one knows not to exist."""
    with pytest.raises(Refused) as caught:
        await api.look(999)

    assert caught.value.code == USER_GONE
    assert asked(aircall) == ["GET /v2/users/999"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        {"user": None},
        {"user": {"id": 456}},
        {"user": {"id": 457, "email": "a@b", "availability_status": "available"}},
        {"user": {"id": "456", "email": "a@b", "availability_status": "available"}},
        {"user": {"id": 456, "email": "a@b", "availability_status": ""}},
        {"user": {"id": 456, "email": "a@b", "availability_status": None}},
    ],
)
async def test_a_malformed_user_is_no_answer(
    api: AircallApi, aircall: AircallSandbox, body: str | dict[str, object]
) -> None:
    """Nor is somebody else."""
    aircall.fail("users/456", status=200, body=body)

    with pytest.raises(Unavailable) as caught:
        await api.look(USER)

    assert caught.value.code == "malformed"


@pytest.mark.parametrize(
    ("more", "substatus"),
    [
        ({}, None),
        ({"substatus": "on_a_break"}, "on_a_break"),
        ({"state": "always_closed"}, "always_closed"),
        ({"substatus": 5}, None),
        ({"substatus": "other", "state": "x", "created_at": "20120-01-02T03:04:05.000Z", "wut": {}}, "other"),
    ],
)
async def test_fields_may_be_missing_new_or_mad(
    api: AircallApi, aircall: AircallSandbox, more: dict[str, object], substatus: str | None
) -> None:
    """Only what is needed is read: the year 20120 of Aircall's own sample does no harm."""
    user = {"id": USER, "availability_status": "custom", **more}
    aircall.fail("users/456", status=200, body={"user": user})

    assert (await api.look(USER)).setting == Setting("custom", substatus)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["id", "email", "availability_status", "x"]), inner)
        ),
    )
)
def test_whatever_comes_is_a_user_or_none(item: Any) -> None:
    """Nothing that Aircall may send is raised, nor an id that the database could not hold."""
    user = read_user(item, 1.0)

    assert user is None or (0 < user.id < 2**63 and user.email == user.email.lower())


@pytest.mark.parametrize("live", ["in_call", "after_call_work", "offline", "something_new"])
async def test_a_live_state_is_read(api: AircallApi, aircall: AircallSandbox, live: str) -> None:
    """From v1, where it stayed, whatever became of v1's other calls."""
    aircall.set_live(USER, live)

    assert await api.live_state(USER) == live
    assert asked(aircall) == ["GET /v1/users/456/availability"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, None), (500, None), (403, None), (200, "[]"), (200, {"availability": 5}), (200, "<")],
)
async def test_a_live_state_that_is_not_said_is_unknown(
    api: AircallApi, aircall: AircallSandbox, status: int, body: str | dict[str, object] | None
) -> None:
    """It is a detail that nothing may fail on."""
    aircall.fail("availability", status=status, body=body)

    assert await api.live_state(USER) == LIVE_UNKNOWN


async def test_live_states_of_everybody(api: AircallApi, aircall: AircallSandbox) -> None:
    """They come page by page, and by v1 only."""
    aircall.users.by_id.clear()
    for number in range(1, PER_PAGE + 2):
        aircall.users.add(f"u{number}@example.com", user_id=number, live="offline" if number % 2 else None)
    since = len(aircall.requests)

    first, more = await api.page_of_live_states(1)
    second, last = await api.page_of_live_states(2)

    assert (len(first), len(second), more, last) == (PER_PAGE, 1, True, False)
    assert (first | second)[1] == "offline"
    assert (first | second)[2] == "available"
    assert set(asked(aircall, since)) == {"GET /v1/users/availabilities"}


async def test_a_live_state_costs_budget_too(api: AircallApi, aircall: AircallSandbox) -> None:
    """A 429 is not hidden: everybody has to wait."""
    aircall.fail("availability", status=429)

    with pytest.raises(RateLimited):
        await api.live_state(USER)


# -- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, PER_PAGE - 1, PER_PAGE, PER_PAGE + 1, 3 * PER_PAGE])
async def test_every_user_is_listed_once(api: AircallApi, aircall: AircallSandbox, count: int) -> None:
    """In as few requests as can be."""
    for number in range(count - 1):
        aircall.add_user(f"agent{number}@Example.com")

    found = await everybody(api)

    assert sorted(found) == sorted(aircall.users.by_id)
    assert len(aircall.requests) == -(-count // PER_PAGE)


async def test_a_list_shows_settings_and_addresses(api: AircallApi, aircall: AircallSandbox) -> None:
    """E-mails in lower case, however they were typed."""
    aircall.add_user("Bob.Jones@Example.COM", user_id=7, status="custom")

    users, _ = await api.page_of_users(1)

    bob = next(user for user in users if user.id == 7)
    assert bob.observation is not None
    assert (bob.email, bob.observation.status) == ("bob.jones@example.com", "custom")


def _users(count: int) -> list[dict[str, object]]:
    return [{"id": number + 1, "email": f"u{number}@x", "availability_status": "available"} for number in range(count)]


@pytest.mark.parametrize(
    ("meta", "count", "more"),
    [
        pytest.param({"next_page_link": None}, PER_PAGE, False, id="null link"),
        pytest.param({"next_page_link": "https://evil.test/?page=2"}, PER_PAGE, True, id="link"),
        pytest.param({"next_page_link": "x"}, 20, True, id="link after a short page"),
        pytest.param({"next_page_link": "x"}, 0, False, id="link after an empty page"),
        pytest.param({}, PER_PAGE, True, id="no link, full page"),
        pytest.param({}, PER_PAGE - 1, False, id="no link, short page"),
        pytest.param({"total": 90, "per_page": 20}, 20, True, id="no link, a page of their own size"),
        pytest.param({"per_page": 20}, 19, False, id="no link, short page of their own size"),
        pytest.param({"per_page": "many"}, PER_PAGE, True, id="no sense"),
        pytest.param(None, PER_PAGE, True, id="no meta, full page"),
        pytest.param([], 3, False, id="meta of another kind"),
    ],
)
async def test_where_the_pages_end(
    api: AircallApi, aircall: AircallSandbox, meta: object, count: int, *, more: bool
) -> None:
    """At a null link, or at a short page when none is shown; the link itself is never followed."""
    aircall.fail("page=1&", status=200, body={"meta": meta, "users": _users(count)})

    users, following = await api.page_of_users(1)

    assert (len(users), following) == (count, more)


async def test_users_that_cannot_be_read_are_left_out(api: AircallApi, aircall: AircallSandbox) -> None:
    """One odd record does not hide the others; one whose setting is odd is still known to be there."""
    odd: list[object] = [None, 5, "x", [], {}, {"id": True, "availability_status": "a"}, {"id": 2**70}]
    aircall.fail("users", status=200, body={"users": [*odd, *_users(2), {"id": 9, "availability_status": ["a"]}]})

    users, more = await api.page_of_users(1)

    seen = {user.id: user.observation is not None for user in users}
    assert (seen, more) == ({1: True, 2: True, 9: False}, False)


@pytest.mark.parametrize("body", ["", "[]", {}, {"users": None}, {"users": {}}])
async def test_a_list_that_is_none_is_no_empty_company(
    api: AircallApi, aircall: AircallSandbox, body: str | dict[str, object]
) -> None:
    """Nobody is taken for gone."""
    aircall.fail("users", status=200, body=body)

    with pytest.raises(Unavailable, match="malformed"):
        await api.page_of_users(1)


# -- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [BUSY, Setting("available"), Setting("custom"), Setting("unavailable")])
async def test_an_update_changes_the_setting(api: AircallApi, aircall: AircallSandbox, setting: Setting) -> None:
    """One PUT with what changes and nothing else; the answer shows what it set."""
    shown = await api.update(USER, setting)

    assert aircall.setting(USER) == Theirs(setting.availability_status, setting.substatus)
    assert shown.availability_status == setting.availability_status
    assert asked(aircall) == ["PUT /v2/users/456"]
    assert set(aircall.requests[-1].json) == {"availability_status"} | ({"substatus"} if setting.substatus else set())


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_sub_status_is_left_out(
    api: AircallApi, aircall: AircallSandbox, said: list[str], status: int
) -> None:
    """The agent is unavailable all the same, and it is said."""
    aircall.switches.substatus_refused = True
    aircall.switches.refusal_status = status

    await api.update(USER, BUSY)

    assert aircall.setting(USER) == Theirs("unavailable")
    assert len(aircall.requests) == 2
    assert len(said) == 1


async def test_a_refusal_that_is_not_the_sub_statuss_fault_is_final(api: AircallApi, aircall: AircallSandbox) -> None:
    """Once without it, then no more; and without one, not even that."""
    await api.look(USER)
    await api.update(USER, Setting("custom"))
    aircall.fail("PUT", times=None, status=422)

    for setting, requests in ((BUSY, 2), (Setting("custom"), 1)):
        before = len(aircall.requests)
        with pytest.raises(Refused) as caught:
            await api.update(USER, setting)
        assert (caught.value.code, caught.value.status) == ("refused", 422)
        assert len(aircall.requests) - before == requests


async def test_a_refused_sub_status_is_remembered(api: AircallApi, aircall: AircallSandbox) -> None:
    """A company without sub-statuses is not asked twice each time."""
    aircall.switches.substatus_refused = True
    await api.update(USER, BUSY)
    before = len(aircall.requests)

    await api.update(USER, BUSY)

    assert [request.json for request in aircall.requests[before:]] == [{"availability_status": "unavailable"}]


async def test_a_200_that_shows_another_status_is_shown_as_it_is(api: AircallApi, aircall: AircallSandbox) -> None:
    """Whether it was done is for the caller to judge."""
    aircall.switches.disobey = 1

    assert (await api.update(USER, BUSY)).availability_status == "available"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        {"user": None},
        {"user": {"id": 456}},
        {"user": {"id": 7, "email": "bob@x", "availability_status": "available"}},
    ],
)
async def test_a_200_that_shows_nothing_may_have_landed(
    api: AircallApi, aircall: AircallSandbox, body: str | dict[str, object]
) -> None:
    """A look settles it; another user's setting is nothing."""
    aircall.fail("PUT", status=200, body=body, landed=True)

    with pytest.raises(Unavailable) as caught:
        await api.update(USER, BUSY)

    assert (caught.value.code, caught.value.landed) == ("malformed", True)


@pytest.mark.parametrize("how", ["cut", "truncate", "500", "502 html", "200 html"])
async def test_an_update_without_an_answer_may_have_landed(api: AircallApi, aircall: AircallSandbox, how: str) -> None:
    """One attempt; it is unknown, and said to be."""
    if how == "cut":
        aircall.fail("PUT", times=None, cut=True, landed=True)
    elif how == "truncate":
        aircall.fail("PUT", times=None, truncate=True)
    else:
        body = "<html>" if "html" in how else None
        aircall.fail("PUT", times=None, status=int(how[:3]), body=body, landed=True)

    with pytest.raises(Unavailable) as caught:
        await api.update(USER, BUSY)

    assert caught.value.landed
    assert asked(aircall) == ["PUT /v2/users/456"]
    assert aircall.setting(USER).status == "unavailable"


async def test_an_update_of_nobody_says_that_the_user_is_gone(api: AircallApi, aircall: AircallSandbox) -> None:
    """Looked up before it is believed; v1 is not tried."""
    with pytest.raises(Refused) as caught:
        await api.update(999, BUSY)

    assert caught.value.code == USER_GONE
    assert asked(aircall) == ["PUT /v2/users/999", "GET /v2/users/999"]


# -- two versions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_where_v2_takes_no_update_v1_is_found_and_remembered(
    api: AircallApi, aircall: AircallSandbox, said: list[str], status: int
) -> None:
    """The user is looked up, v1 is tried once, and from then on used at once; reads stay on v2."""
    aircall.switches.v2_update = status
    aircall.switches.v1_users = None

    await api.update(USER, BUSY)
    first = len(aircall.requests)
    await api.update(USER, Setting("custom"))
    await api.look(USER)

    assert asked(aircall)[:first] == ["PUT /v2/users/456", "GET /v2/users/456", "PUT /v1/users/456"]
    assert asked(aircall, first) == ["PUT /v1/users/456", "GET /v2/users/456"]
    assert aircall.setting(USER) == Theirs("custom")
    assert len(said) == 1


@pytest.mark.parametrize("status", [400, 422])
async def test_where_v2_refuses_the_parameter_v1_is_found_and_remembered(
    api: AircallApi, aircall: AircallSandbox, said: list[str], status: int
) -> None:
    """`availability_status` may not be v2's to take."""
    aircall.switches.v2_update, aircall.switches.v1_users = status, None

    await api.update(USER, Setting("unavailable"))
    first = len(aircall.requests)
    await api.update(USER, Setting("custom"))

    assert asked(aircall)[:first] == ["PUT /v2/users/456", "PUT /v1/users/456"]
    assert asked(aircall, first) == ["PUT /v1/users/456"]
    assert aircall.setting(USER) == Theirs("custom")
    assert len(said) == 1


async def test_a_sub_status_is_not_blamed_for_what_the_version_refused(
    api: AircallApi, aircall: AircallSandbox, said: list[str]
) -> None:
    """It is left out once, while the version is found, and then sent again."""
    aircall.switches.v2_update, aircall.switches.v1_users = 422, None

    await api.update(USER, BUSY)
    without = aircall.setting(USER)
    await api.update(USER, BUSY)

    assert asked(aircall)[:3] == ["PUT /v2/users/456", "PUT /v2/users/456", "PUT /v1/users/456"]
    assert (without, aircall.setting(USER)) == (Theirs("unavailable"), Theirs("unavailable", "in_training"))
    assert len(said) == 1


@pytest.mark.parametrize("v2", [404, 405, 410])
@pytest.mark.parametrize("refusal", [400, 422])
async def test_the_other_version_may_refuse_the_sub_status(
    api: AircallApi, aircall: AircallSandbox, said: list[str], v2: int, refusal: int
) -> None:
    """A version that does not know the verb, and one that does not take the sub-status: it is written all the same."""
    aircall.switches.v2_update, aircall.switches.v1_users = v2, None
    aircall.switches.substatus_refused, aircall.switches.refusal_status = True, refusal

    await api.update(USER, BUSY)
    await api.update(USER, Setting("available"))
    await api.update(USER, BUSY)
    before = len(aircall.requests)
    await api.update(USER, BUSY)

    assert aircall.setting(USER) == Theirs("unavailable")
    assert asked(aircall, before) == ["PUT /v1/users/456"]
    assert len(said) == 2


async def test_where_v2_ignores_the_parameter_v1_is_found_and_remembered(
    api: AircallApi, aircall: AircallSandbox, said: list[str]
) -> None:
    """A 200 that shows something else, of a version that never showed what was asked, proves nothing."""
    aircall.switches.v2_ignores, aircall.switches.v1_users = True, None

    shown = await api.update(USER, BUSY)
    before = len(aircall.requests)
    await api.update(USER, Setting("custom"))

    assert shown == Setting("unavailable", "in_training")
    assert asked(aircall)[:before] == ["PUT /v2/users/456", "PUT /v1/users/456"]
    assert asked(aircall, before) == ["PUT /v1/users/456"]
    assert aircall.setting(USER) == Theirs("custom")
    assert len(said) == 1


async def test_a_version_that_was_proven_is_kept(api: AircallApi, aircall: AircallSandbox, said: list[str]) -> None:
    """What has worked is not doubted for one answer."""
    aircall.switches.v1_users = None
    await api.look(USER)
    await api.update(USER, BUSY)
    before = len(aircall.requests)
    aircall.switches.disobey = 1

    assert (await api.update(USER, Setting("custom"))).availability_status == "unavailable"
    assert asked(aircall, before) == ["PUT /v2/users/456"]
    assert said == []


async def test_a_look_proves_the_version_whose_answers_do_not_show_it(api: AircallApi, aircall: AircallSandbox) -> None:
    """Where answers lag behind and v1 refuses everything, v1 is left alone once a look has shown v2's work."""
    aircall.switches.answers_lag, aircall.switches.v1_users = True, 405
    await api.look(USER)
    await api.update(USER, BUSY)
    await api.look(USER)
    await api.update(USER, Setting("available"))
    await api.look(USER)
    before = len(aircall.requests)

    await api.update(USER, BUSY)

    assert asked(aircall, before) == ["PUT /v2/users/456"]


async def test_what_was_so_before_proves_no_version(api: AircallApi, aircall: AircallSandbox) -> None:
    """A 200 that shows what was asked, and what was there all the time."""
    aircall.switches.v2_ignores, aircall.switches.v1_users = True, None
    await everybody(api)
    await api.update(USER, Setting("available"))

    await api.update(USER, BUSY)

    assert asked(aircall, 1) == ["PUT /v2/users/456", "PUT /v2/users/456", "PUT /v1/users/456"]
    assert aircall.setting(USER).status == "unavailable"


async def test_what_lands_when_a_call_ends_proves_not_the_version_that_is_asked_next(
    api: AircallApi, aircall: AircallSandbox
) -> None:
    """Both versions have said 200, v1 does it after the call: that v2 shows it then is not v2's work."""
    aircall.switches.v2_ignores, aircall.switches.v1_users = True, None
    aircall.switches.in_call, aircall.switches.answers_lag = "deferred", True
    await everybody(api)
    aircall.set_live(USER, "in_call")
    await api.update(USER, Setting("unavailable"))
    aircall.set_live(USER, None)
    await api.update(USER, Setting("unavailable"))

    await api.update(USER, Setting("available"))

    assert aircall.setting(USER).status == "available"


async def test_what_may_still_land_is_taken_back_by_both_versions(api: AircallApi, aircall: AircallSandbox) -> None:
    """A meeting that is over before the call is: what v2 shows is what was never changed, and v1 has still to hear."""
    aircall.switches.v2_ignores, aircall.switches.v1_users = True, None
    aircall.switches.in_call, aircall.switches.answers_lag = "deferred", True
    await everybody(api)
    aircall.set_live(USER, "in_call")
    await api.update(USER, Setting("unavailable"))

    await api.update(USER, Setting("available"))
    aircall.set_live(USER, None)

    assert aircall.setting(USER).status == "available"


async def test_a_proof_that_fails_twice_is_none(api: AircallApi, aircall: AircallSandbox) -> None:
    """A version that worked, and does no more: at the second 200 that changes nothing the other is asked, too."""
    aircall.switches.v1_users = None
    await api.look(USER)
    await api.update(USER, BUSY)
    aircall.switches.v2_ignores = True
    before = len(aircall.requests)

    await api.update(USER, Setting("available"))
    await api.update(USER, Setting("available"))

    assert asked(aircall, before) == ["PUT /v2/users/456", "PUT /v2/users/456", "PUT /v1/users/456"]
    assert aircall.setting(USER).status == "available"


async def test_a_version_that_is_gone_is_asked_once_in_ten_minutes(
    http: Http, aircall: AircallSandbox, said: list[str]
) -> None:
    """Neither a 200 that did nothing nor a 405 for the user's state leads there again and again."""
    clock = [time.time()]
    authorization = ApiKey(aircall.api_id, aircall.api_token)
    api = AircallApi(
        http,
        api_url=aircall.origin,
        authorization=authorization,
        users_api="auto",
        now=lambda: clock[0],
        say=said.append,
    )
    aircall.switches.disobey = 2
    await api.update(USER, BUSY)
    await api.update(USER, BUSY)
    aircall.switches.state_errors = 3
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            await api.update(USER, BUSY)
        assert (caught.value.code, caught.value.status) == ("refused", 405)
        clock[0] += 601.0

    assert asked(aircall) == [
        *("PUT /v2/users/456", "PUT /v1/users/456", "PUT /v2/users/456"),
        "PUT /v2/users/456",
        *("PUT /v2/users/456", "GET /v2/users/456", "PUT /v1/users/456"),
    ]
    assert said == []


@pytest.mark.parametrize("v2", [400, 404, 405, 410, 422])
async def test_a_state_error_of_the_only_version_is_no_verdict_on_it(
    api: AircallApi, aircall: AircallSandbox, v2: int
) -> None:
    """The first update that v1 ever gets meets a call: it is refused for the state, and tried there again."""
    aircall.switches.v2_update, aircall.switches.v1_users, aircall.switches.state_errors = v2, None, 1

    with pytest.raises(Refused) as caught:
        await api.update(USER, BUSY)
    refused = aircall.setting(USER)
    await api.update(USER, BUSY)

    assert (caught.value.code, caught.value.status) == ("refused", 405)
    assert (refused.status, aircall.setting(USER).status) == ("available", "unavailable")


async def test_updates_that_find_another_version_at_once(api: AircallApi, aircall: AircallSandbox) -> None:
    """A crowd is refused by one version before the first of them has found the other: all are written."""
    aircall.switches.v2_update, aircall.switches.v1_users = 410, None
    for number in range(1, 9):
        aircall.add_user(f"user{number}@example.com", user_id=number)

    await asyncio.gather(*(api.update(number, BUSY) for number in range(1, 9)))

    assert {aircall.setting(number).status for number in range(1, 9)} == {"unavailable"}


@pytest.mark.parametrize("switch", ["v2_ignores", "substatus_refused"])
async def test_where_the_requests_are_used_up_after_the_first_answer_the_second_is_asked_for_next(
    api: AircallApi, aircall: AircallSandbox, switch: str
) -> None:
    """A version that does nothing, and a sub-status that is not taken: one request at a time is enough for both."""
    setattr(aircall.switches, switch, True)
    aircall.switches.v1_users = None
    limited = 0
    for _ in range(2):
        aircall.switches.budget = Window(1)
        try:
            await api.update(USER, Setting("unavailable", "in_training"))
        except RateLimited:
            limited += 1

    assert limited == 1
    assert aircall.setting(USER).status == "unavailable"


@pytest.mark.parametrize("v2", [404, 405, 410])
async def test_where_the_requests_are_used_up_on_the_way_to_another_version_it_goes_on_from_there(
    api: AircallApi, aircall: AircallSandbox, v2: int
) -> None:
    """One request at a time is enough: from its beginning each time an update of three would never be made."""
    aircall.switches.v2_update, aircall.switches.v1_users = v2, None
    limited = 0
    for _ in range(4):
        before = len(aircall.requests)
        aircall.switches.budget = Window(1)
        try:
            await api.update(USER, BUSY)
        except RateLimited:
            limited += 1
        assert len(aircall.requests) - before <= 2

    assert limited == 2
    assert aircall.setting(USER).status == "unavailable"


@pytest.mark.parametrize(("later", "first"), [(29.0, "GET /v2/users/456"), (31.0, "PUT /v2/users/456")])
async def test_an_update_that_was_stopped_is_gone_on_with_only_soon(
    http: Http, aircall: AircallSandbox, later: float, first: str
) -> None:
    """After half a minute it begins anew: by then it may be another update."""
    aircall.switches.v2_update, aircall.switches.v1_users = 405, None
    now = time.time()
    api = client(http, aircall, now=lambda: now)
    aircall.switches.budget = Window(1)
    with pytest.raises(RateLimited):
        await api.update(USER, BUSY)
    aircall.switches.budget = Window(100)
    before, now = len(aircall.requests), now + later

    await api.update(USER, BUSY)

    assert asked(aircall, before)[0] == first


@pytest.mark.parametrize("switch", ["v2_update", "v2_ignores", "substatus_refused"])
async def test_an_update_does_not_go_on_while_the_429_of_another_is_waited_for(
    http: Http, aircall: AircallSandbox, switch: str
) -> None:
    """What it asks for next waits as well, and comes when that is over."""
    setattr(aircall.switches, switch, 405 if switch == "v2_update" else True)
    aircall.switches.v1_users = None
    waits = True
    api = client(http, aircall, blocked=lambda: waits)

    with pytest.raises(RateLimited):
        await api.update(USER, Setting("unavailable", "in_training"))
    asked_meanwhile = len(aircall.requests)
    waits = False
    await api.update(USER, Setting("unavailable", "in_training"))

    assert asked_meanwhile == 1
    assert aircall.setting(USER).status == "unavailable"


@pytest.mark.parametrize("read", ["look", "list"])
async def test_a_read_does_not_go_on_while_the_429_of_another_is_waited_for(
    http: Http, aircall: AircallSandbox, read: str
) -> None:
    """The other version is asked when that is over."""
    aircall.fail("/v2/", times=None, status=404, body={"message": "Not Found"})
    aircall.switches.v1_users = None
    waits = True
    api = client(http, aircall, blocked=lambda: waits)

    async def reads() -> object:
        return await (api.look(USER) if read == "look" else api.page_of_users(1))

    with pytest.raises(RateLimited):
        await reads()
    asked_meanwhile = len(aircall.requests)
    waits = False
    await reads()

    assert (asked_meanwhile, len(aircall.requests)) == (1, 3)


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (503, Unavailable)])
async def test_what_one_version_accepted_may_have_landed(
    api: AircallApi, aircall: AircallSandbox, status: int, kind: type[Unavailable]
) -> None:
    """An answer may show what was before; then another version's failure does not make it undone."""
    aircall.switches.answers_lag, aircall.switches.v1_users = True, None
    aircall.fail("/v1/users", status=status)

    with pytest.raises(Unavailable) as caught:
        await api.update(USER, BUSY)

    assert type(caught.value) is kind
    assert caught.value.landed
    assert aircall.setting(USER).status == "unavailable"


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_when_v1_goes_v2_is_found_again(
    api: AircallApi, aircall: AircallSandbox, said: list[str], status: int
) -> None:
    """A version that was remembered may be switched off while we run."""
    aircall.switches.v2_update, aircall.switches.v1_users = 405, None
    await api.update(USER, BUSY)
    aircall.switches.v2_update, aircall.switches.v1_users = None, status

    await api.update(USER, Setting("custom"))
    before = len(aircall.requests)
    await api.update(USER, BUSY)

    assert asked(aircall, before) == ["PUT /v2/users/456"]
    assert len(said) == 2


@pytest.mark.parametrize("v2", [404, 405, 410])
@pytest.mark.parametrize("v1", [404, 405, 410])
async def test_a_user_who_exists_is_never_called_gone(
    api: AircallApi, aircall: AircallSandbox, said: list[str], v2: int, v1: int
) -> None:
    """Where neither version takes an update, the debt stays: the update is refused, the user is not gone."""
    aircall.switches.v2_update, aircall.switches.v1_users = v2, v1

    with pytest.raises(Refused) as caught:
        await api.update(USER, BUSY)

    # A 405 may be for the user's state, and pass: that is the better news of the two.
    assert (caught.value.code, caught.value.status) == ("refused", 405 if v1 == 405 else v2)
    assert said == []
    assert asked(aircall) == ["PUT /v2/users/456", "GET /v2/users/456", "PUT /v1/users/456"]


@pytest.mark.parametrize(("status", "kind"), [(503, Unavailable), (429, RateLimited), (403, Refused)])
async def test_a_look_up_that_fails_settles_nothing(
    api: AircallApi, aircall: AircallSandbox, status: int, kind: type[ServiceError]
) -> None:
    """A user is gone only if Aircall says so."""
    aircall.switches.v2_update = 404
    aircall.fail("GET", status=status)

    with pytest.raises(ServiceError) as caught:
        await api.update(USER, BUSY)

    assert type(caught.value) is kind
    assert caught.value.code != USER_GONE


@pytest.mark.parametrize("status", [404, 410])
async def test_where_v2_reads_nobody_v1_is_found_and_remembered(
    api: AircallApi, aircall: AircallSandbox, said: list[str], status: int
) -> None:
    """An unknown route is told from an unknown user by its body."""
    aircall.switches.v1_users = None
    aircall.fail("/v2/", times=None, status=status, body={"message": "Not Found"})

    assert (await api.look(USER)).status == "available"
    await api.look(USER)
    assert await everybody(api) == [USER]
    await api.update(USER, BUSY)

    assert asked(aircall)[:3] == ["GET /v2/users/456", "GET /v1/users/456", "GET /v1/users/456"]
    assert aircall.setting(USER).status == "unavailable"
    assert len(said) == 2


@pytest.mark.parametrize(("version", "status"), [("v1", 404), ("v1", 410), ("v2", 405), ("v2", 404)])
async def test_a_pinned_version_is_kept(
    make: Maker, aircall: AircallSandbox, said: list[str], version: Literal["v1", "v2"], status: int
) -> None:
    """Whoever pins it wants to hear of its failure."""
    aircall.fail(f"/{version}/", times=None, status=status, body={"message": "Not Found"})
    api = make(version)

    for call in (lambda: api.look(USER), lambda: api.update(USER, BUSY), lambda: api.page_of_users(1)):
        with pytest.raises(Refused) as caught:
            await call()
        assert caught.value.code == "refused"

    assert all(line.split()[1].startswith(f"/{version}/") for line in asked(aircall))
    assert said == []


async def test_a_pinned_version_works(make: Maker, aircall: AircallSandbox) -> None:
    """All on v1 where it is wanted and there."""
    aircall.switches.v1_users = None
    api = make("v1")

    await api.look(USER)
    await api.update(USER, BUSY)
    await everybody(api)

    assert asked(aircall) == ["GET /v1/users/456", "PUT /v1/users/456", "GET /v1/users"]


# -- refusals and limits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "code", "landed"),
    [
        (400, Refused, "refused", None),
        (401, Refused, CREDENTIALS, None),
        (403, Refused, CREDENTIALS, None),
        (409, Refused, "refused", None),
        (422, Refused, "refused", None),
        (429, RateLimited, "rate_limited", False),
        (500, Unavailable, "server", True),
        (502, Unavailable, "server", True),
        (503, Unavailable, "server", True),
        (504, Unavailable, "server", True),
        (302, Unavailable, "redirect", True),
    ],
)
async def test_every_status_has_its_class(  # noqa: PLR0917 - a table's columns
    api: AircallApi, aircall: AircallSandbox, status: int, kind: type[ServiceError], code: str, landed: bool | None
) -> None:
    """Only what can pass is tried again."""
    aircall.fail("PUT", times=None, status=status)

    with pytest.raises(ServiceError) as caught:
        await api.update(USER, Setting("custom"))

    assert (type(caught.value), caught.value.code) == (kind, code)
    assert getattr(caught.value, "landed", None) == landed
    assert caught.value.service == "aircall"


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "retry_after", "reset"),
    [
        ({}, None, None),
        ({"Retry-After": "7"}, 7.0, None),
        ({"Retry-After": "0"}, 0.0, None),
        ({"Retry-After": "1.5"}, 1.5, None),
        ({"Retry-After": "-30"}, -30.0, None),
        ({"Retry-After": "1000000000"}, 1e9, None),
        ({"Retry-After": "9" * 400}, None, None),
        ({"Retry-After": "nan"}, None, None),
        ({"Retry-After": "soon"}, None, None),
        ({"Retry-After": formatdate(NOW + 42, usegmt=True), "Date": formatdate(NOW, usegmt=True)}, 42.0, None),
        ({"Retry-After": formatdate(NOW - 42, usegmt=True), "Date": formatdate(NOW, usegmt=True)}, -42.0, None),
        ({"Retry-After": formatdate(NOW, usegmt=True), "Date": "today"}, None, None),
        ({"X-AircallApi-Reset": "1800000060"}, None, 1800000060.0),
        ({"X-AircallApi-Reset": "1800000060000"}, None, 1800000060000.0),
        ({"X-AircallApi-Reset": "later"}, None, None),
        ({"x-aircallapi-reset": "1800000060", "retry-after": "3"}, 3.0, 1800000060.0),
    ],
)
async def test_what_a_429_says_is_handed_on(
    api: AircallApi, aircall: AircallSandbox, headers: dict[str, str], retry_after: float | None, reset: float | None
) -> None:
    """Seconds, milliseconds, a date by Aircall's own clock, or nothing: as it came; garbage is nothing."""
    aircall.fail("PUT", status=429, headers=headers)

    with pytest.raises(RateLimited) as caught:
        await api.update(USER, BUSY)

    assert (caught.value.retry_after, caught.value.reset) == (retry_after, reset)
    assert not caught.value.landed


@pytest.mark.parametrize("signal", ["reset_seconds", "reset_milliseconds", "retry_after", "none"])
async def test_a_used_up_minute_is_a_rate_limit(
    api: AircallApi,
    aircall: AircallSandbox,
    signal: RateSignal,
) -> None:
    """As the sandbox counts it, for reads and writes alike."""
    aircall.switches.rate_signal = signal
    aircall.switches.budget.limit = 1
    await api.ping()

    for call in (lambda: api.update(USER, BUSY), lambda: api.look(USER), lambda: api.page_of_users(1), api.ping):
        with pytest.raises(RateLimited) as caught:
            await call()
        scale = {"reset_seconds": 1, "reset_milliseconds": 1000}.get(signal)
        expected = None if scale is None else pytest.approx(time.time() + 60, abs=5)
        assert (caught.value.reset / scale if caught.value.reset and scale else None) == expected
        assert (caught.value.retry_after is not None) == (signal == "retry_after")

    assert aircall.setting(USER).status == "available"


async def test_an_observation_holds_from_when_it_was_asked(api: AircallApi, aircall: AircallSandbox) -> None:
    """A change while the answer is on its way is later than what was seen."""
    before = time.time()
    users, _ = await api.page_of_users(1)

    assert users[0].observation is not None
    assert users[0].observation == Observation(Setting("available", "always_opened"), users[0].observation.at)
    assert before <= users[0].observation.at <= aircall.requests[-1].at
