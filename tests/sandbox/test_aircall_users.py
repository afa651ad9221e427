"""Aircall's users, settings and live states over HTTP."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import aiohttp
import pytest

from calsyncd.sandbox.aircall_users import Setting
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, AircallClient

OFF = {"availability_status": "unavailable"}


async def test_ping_and_company(aircall: AircallClient) -> None:
    """The credential probe, and the company without an id."""
    ping, company = await aircall.call("GET", "/v1/ping"), await aircall.call("GET", "/v1/company")

    assert ping.json == {"ping": "pong"}
    assert company.json == {"company": {"name": "Sandbox Ltd.", "users_count": 1, "numbers_count": 1}}


@pytest.mark.parametrize(
    ("authorization", "status", "message"),
    [
        (None, 401, "Unauthorized"),
        (aiohttp.encode_basic_auth("sandbox-api-id", "wrong"), 403, "Forbidden"),
        ("Basic !!!", 403, "Forbidden"),
        ("Basic " + base64.b64encode(b"\xff").decode(), 403, "Forbidden"),
        ("Bearer x", 403, "Forbidden"),
    ],
)
async def test_credentials_are_checked(
    aircall: AircallClient, authorization: str | None, status: int, message: str
) -> None:
    """No header is 401, anything wrong 403."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})
    answer = await aircall.call("GET", "/v1/ping", headers=headers)

    assert (answer.status, answer.json) == (status, {"message": message})


async def test_the_content_type_is_demanded_of_gets_too(aircall: AircallClient) -> None:
    """Without application/json every request is 400 InvalidContentType."""
    authorization = aiohttp.encode_basic_auth("sandbox-api-id", "sandbox-api-token")
    answer = await aircall.call("GET", "/v2/users", headers={"Authorization": authorization})

    assert (answer.status, answer.json["error"]) == (400, "InvalidContentType")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/definitely-not-real", {"message": "Not Found"}),
        ("POST", "/v2/users/456", {"message": "Not Found"}),
        ("GET", "/v2/users/1", {"error": "Not Found"}),
        ("GET", "/v2/users/nobody@example.com", {"error": "Not Found"}),
        ("PUT", "/v2/users/1", {"error": "Not Found"}),
        ("GET", "/v1/users/1/availability", {"error": "Not Found"}),
        ("GET", "/v1/webhooks/1", {"error": "Not Found"}),
    ],
)
async def test_unknown_routes_and_users_differ(
    aircall: AircallClient, method: str, path: str, body: dict[str, str]
) -> None:
    """The edge says `message`, the application `error`."""
    answer = await aircall.call(method, path, OFF if method == "PUT" else None)

    assert (answer.status, answer.json) == (404, body)


async def test_a_user_has_v2s_fields(aircall: AircallClient) -> None:
    """By id and by e-mail address."""
    by_id, by_email = await aircall.call("GET", "/v2/users/456"), await aircall.call("GET", f"/v2/users/{AMY}")

    assert by_id.json == by_email.json
    assert set(by_id.json["user"]) == {
        *("id", "direct_link", "name", "email", "available", "availability_status", "created_at", "time_zone"),
        *("language", "substatus", "wrap_up_time", "extension"),
    }


async def test_users_are_paged(sandbox: Sandbox, aircall: AircallClient) -> None:
    """20 a page by default, 50 at most, with Aircall's meta."""
    for i in range(29):
        sandbox.aircall.add_user(f"agent{i}@example.com")
    first = (await aircall.call("GET", "/v2/users")).json
    last = (await aircall.call("GET", "/v2/users?per_page=25&page=2")).json
    beyond = (await aircall.call("GET", "/v2/users?page=9")).json
    backwards = (await aircall.call("GET", "/v2/users?order=desc&per_page=1")).json

    assert len(first["users"]) == 20
    assert first["meta"] == {
        "count": 20,
        "total": 30,
        "current_page": 1,
        "per_page": 20,
        "next_page_link": f"{sandbox.aircall_url}/v2/users?per_page=20&page=2",
        "previous_page_link": None,
    }
    assert (len(last["users"]), last["meta"]["next_page_link"]) == (5, None)
    assert last["meta"]["previous_page_link"].endswith("page=1")
    assert (beyond["users"], beyond["meta"]["count"]) == ([], 0)
    assert backwards["users"][0]["email"] == "agent28@example.com"


@pytest.mark.parametrize("query", ["per_page=51", "per_page=0", "page=0", "page=x", "order=up"])
async def test_wrong_pages_are_refused(aircall: AircallClient, query: str) -> None:
    """400 for what cannot be a page."""
    assert (await aircall.call("GET", f"/v2/users?{query}")).status == 400


@pytest.mark.parametrize(
    ("body", "status", "substatus", "available"),
    [
        ({"availability_status": "available"}, "available", "always_opened", True),
        ({"availability_status": "custom"}, "custom", "always_opened", True),
        (OFF, "unavailable", "always_closed", False),
        ({**OFF, "substatus": "in_training"}, "unavailable", "in_training", False),
        ({"wrap_up_time": 5}, "available", "always_opened", True),
    ],
)
async def test_updates_are_taken(
    sandbox: Sandbox, aircall: AircallClient, body: dict[str, Any], status: str, substatus: str, *, available: bool
) -> None:
    """The answer and later reads show the setting and its default sub-status; the log says who and when."""
    answer = await aircall.put(456, body)
    read = (await aircall.call("GET", "/v2/users/456")).json

    assert answer.status == 200
    assert answer.json == read
    user = read["user"]
    assert (user["availability_status"], user["substatus"], user["available"]) == (status, substatus, available)
    [update] = sandbox.aircall.log
    assert (update.by, update.email, update.after) == ("api", AMY, Setting(status, body.get("substatus")))


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"availability_status": "busy"},
        {"availability_status": None},
        {"availability_status": "available", "substatus": "other"},
        {"substatus": "other"},
        {**OFF, "substatus": "in_a_meeting"},
        {**OFF, "substatus": None},
        {"available": False},
    ],
)
@pytest.mark.parametrize("status", [400, 422])
async def test_wrong_updates_are_refused(sandbox: Sandbox, aircall: AircallClient, body: Any, status: int) -> None:
    """Nothing changes; the status is one of the two that are documented."""
    sandbox.aircall.switches.refusal_status = status
    answer = await aircall.put(456, body)

    assert answer.status == (400 if body == [] else status)
    assert answer.json["success"] is False
    assert sandbox.aircall.log == []


async def test_substatuses_can_be_refused(sandbox: Sandbox, aircall: AircallClient) -> None:
    """Without it the same update passes."""
    sandbox.aircall.switches.substatus_refused = True
    refused, taken = await aircall.put(456, {**OFF, "substatus": "other"}), await aircall.put(456, OFF)

    assert (refused.status, taken.status) == (422, 200)


async def test_an_update_by_email_is_refused(aircall: AircallClient) -> None:
    """Only reads take the address."""
    assert (await aircall.call("PUT", f"/v2/users/{AMY}", OFF)).status == 404


@pytest.mark.parametrize("gone", [404, 405, 410])
async def test_v1_users_may_be_gone(sandbox: Sandbox, aircall: AircallClient, gone: int) -> None:
    """By default they are; live availability stays on v1."""
    sandbox.aircall.switches.v1_users = gone
    answers = [
        await aircall.call("GET", "/v1/users"),
        await aircall.call("GET", "/v1/users/456"),
        await aircall.put(456, OFF, version="v1"),
    ]
    live = await aircall.call("GET", "/v1/users/456/availability")

    assert [answer.status for answer in answers] == [gone] * 3
    assert live.status == 200


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_only_v1_may_update(sandbox: Sandbox, aircall: AircallClient, status: int) -> None:
    """v2 reads, v1 writes: the other way in which the move may stand."""
    sandbox.aircall.switches.v2_update = status
    sandbox.aircall.switches.v1_users = None
    v2, v1 = await aircall.put(456, OFF), await aircall.put(456, OFF, version="v1")
    read = await aircall.call("GET", "/v2/users/456")

    assert (v2.status, v1.status, read.status) == (status, 200, 200)
    assert sandbox.aircall.setting(456) == Setting("unavailable")


async def test_live_states_follow_the_setting_unless_set(sandbox: Sandbox, aircall: AircallClient) -> None:
    """do_not_disturb for unavailable; offline and in_call as they are set."""
    sandbox.aircall.add_user("ben@example.com", status="unavailable")
    sandbox.aircall.add_user("chloe@example.com", live="offline")
    sandbox.aircall.set_live(456, "in_call")
    page = (await aircall.call("GET", "/v1/users/availabilities?per_page=50")).json
    one = (await aircall.call("GET", "/v1/users/456/availability")).json

    assert [user["availability"] for user in page["users"]] == ["in_call", "do_not_disturb", "offline"]
    assert page["meta"]["total"] == 3
    assert one == {"availability": "in_call"}


async def test_a_call_can_read_as_unavailable(sandbox: Sandbox, aircall: AircallClient) -> None:
    """The setting itself is untouched."""
    sandbox.aircall.switches.calls_read_unavailable = True
    sandbox.aircall.set_live(456, "in_call")
    during = (await aircall.call("GET", "/v2/users/456")).json["user"]
    sandbox.aircall.set_live(456, None)
    after = (await aircall.call("GET", "/v2/users/456")).json["user"]

    assert (during["availability_status"], after["availability_status"]) == ("unavailable", "available")
    assert sandbox.aircall.log == []


async def test_reads_can_lag_behind_writes(sandbox: Sandbox, aircall: AircallClient) -> None:
    """The answer shows the new setting, a read at once the old one."""
    sandbox.aircall.switches.read_lag = 0.15
    put = (await aircall.put(456, OFF)).json["user"]["availability_status"]
    early = (await aircall.call("GET", "/v2/users/456")).json["user"]["availability_status"]
    await asyncio.sleep(0.2)
    late = (await aircall.call("GET", "/v2/users/456")).json["user"]["availability_status"]

    assert (put, early, late) == ("unavailable", "available", "unavailable")


async def test_an_update_can_be_answered_but_not_done(sandbox: Sandbox, aircall: AircallClient) -> None:
    """200 with the old status."""
    sandbox.aircall.switches.disobey = 1
    answer = await aircall.put(456, OFF)

    assert (answer.status, answer.json["user"]["availability_status"]) == (200, "available")
    assert sandbox.aircall.log == []


async def test_history_tells_who_did_what(sandbox: Sandbox, aircall: AircallClient) -> None:
    """Changes by hand are logged beside the API's; the setting at any instant can be asked."""
    begun = time.time()
    await aircall.put(456, OFF)
    between = time.time()
    sandbox.aircall.set_by_hand(456, "custom")

    assert [update.by for update in sandbox.aircall.log] == ["api", "hand"]
    assert [setting.status for _, setting in sandbox.aircall.history(456)] == ["available", "unavailable", "custom"]
    assert sandbox.aircall.state_at(456, begun - 9).status == "available"
    assert sandbox.aircall.state_at(456, between).status == "unavailable"


async def test_a_removed_user_is_unknown(sandbox: Sandbox, aircall: AircallClient) -> None:
    """404 from then on."""
    sandbox.aircall.remove_user(456)

    assert (await aircall.call("GET", "/v2/users/456")).status == 404
