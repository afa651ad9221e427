"""The doubtful points: what each way does to the services, and how ways are chosen."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from calsyncd.sandbox.aircall_users import Setting
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.doubts import POINTS, random_ways, read_ways, turn_out, usual_ways
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, AircallClient, GoogleClient, meeting

NOW = float(int(time.time()))
HOUR = 3600.0
OFF, ON = {"availability_status": "unavailable"}, {"availability_status": "available"}
HOOK = PUBLIC_ORIGIN + "/webhooks/google/notifications"


def switches(sandbox: Sandbox) -> list[Any]:
    """Everything that a way may set, comparably."""
    aircall = asdict(sandbox.aircall.switches) | {"budget": vars(sandbox.aircall.switches.budget)}
    return [aircall, *(asdict(s) for s in (sandbox.aircall.notify, sandbox.google.lists, sandbox.google.notify))]


def status(answer: Any) -> str:
    """The setting that an answer shows."""
    return str(answer.json["user"]["availability_status"])


# -- the registry --------------------------------------------------------------------------------------------------


def test_the_usual_ways_are_the_sandboxs_own() -> None:
    """The first way of each point changes nothing."""
    usual = Sandbox()
    turn_out(usual, usual_ways())

    assert switches(Sandbox()) == switches(usual)


OTHER_WAYS = [(point, way) for point, ways in POINTS.items() for way in list(ways)[1:]]


def test_every_point_has_another_way() -> None:
    """Else it would not be doubtful."""
    assert {point for point, _ in OTHER_WAYS} == set(POINTS)


@pytest.mark.parametrize(("point", "way"), OTHER_WAYS)
def test_every_way_differs_from_the_others_of_its_point(point: str, way: str) -> None:
    """No two ways of a point are the same."""
    sandbox = Sandbox()
    turn_out(sandbox, {point: way})
    others = [Sandbox() for name in POINTS[point] if name != way]
    for other, name in zip(others, (name for name in POINTS[point] if name != way), strict=True):
        turn_out(other, {point: name})

    assert switches(sandbox) not in [switches(other) for other in others]


def test_chance_is_the_same_for_the_same_seed() -> None:
    """Every point has a way, and where v2 takes no updates v1 does."""
    drawn = [random_ways(seed) for seed in range(200)]

    assert drawn == [random_ways(seed) for seed in range(200)]
    assert {len(ways) for ways in drawn} == {len(POINTS)}
    assert all(way in {ways[point] for ways in drawn} for point, known in POINTS.items() for way in known)
    assert {ways["v1_users"] for ways in drawn if ways["v2_update"] != "works"} == {"works"}


def test_ways_are_read_from_texts() -> None:
    """What is not known is refused with what is."""
    assert read_ways(["v1_users=410", "read_lag=3s"]) == {"v1_users": "410", "read_lag": "3s"}
    with pytest.raises(ValueError, match="point=way"):
        read_ways(["v1_users"])
    with pytest.raises(ValueError, match="v2_users is no doubtful point: v1_users, "):
        turn_out(Sandbox(), {"v2_users": "404"})
    with pytest.raises(ValueError, match="v1_users does not turn out as 500: 404, 405, 410, works"):
        turn_out(Sandbox(), {"v1_users": "500"})


def test_the_page_lists_every_point_and_way() -> None:
    """docs/doubtful.md has a row for each point, in order, with its ways in order, and a reason for each."""
    page = (Path(__file__).parents[2] / "docs" / "doubtful.md").read_text(encoding="utf-8")
    section = page.partition("\n## Points\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "`" in line]

    assert [(re.findall("`([^`]+)`", row[0]), re.findall("`([^`]+)`", row[1])) for row in rows] == [
        ([point], list(ways)) for point, ways in POINTS.items()
    ]
    assert all(len(row) == 4 and row[2] and row[3] for row in rows)


# -- Aircall -------------------------------------------------------------------------------------------------------


async def test_v2_can_ignore_the_parameter(sandbox: Sandbox, aircall: AircallClient) -> None:
    """200 with the user as before, while v1 takes it."""
    turn_out(sandbox, {"v2_update": "ignores"})
    v2, v1 = await aircall.put(456, OFF), await aircall.put(456, OFF, version="v1")

    assert [(v2.status, status(v2)), (v1.status, status(v1))] == [(200, "available"), (200, "unavailable")]


async def test_a_405_can_be_about_the_state(sandbox: Sandbox, aircall: AircallClient) -> None:
    """Once, and it says so."""
    turn_out(sandbox, {"state_error": "once"})
    first, second = await aircall.put(456, OFF), await aircall.put(456, OFF)

    assert (first.status, second.status) == (405, 200)
    assert "currently" in first.json["troubleshoot"]


async def test_an_update_in_a_call_can_be_refused(sandbox: Sandbox, aircall: AircallClient) -> None:
    """As long as the call lasts."""
    turn_out(sandbox, {"in_call": "refused"})
    sandbox.aircall.set_live(456, "in_call")
    during = await aircall.put(456, OFF)
    sandbox.aircall.set_live(456, None)
    after = await aircall.put(456, OFF)

    assert (during.status, after.status) == (405, 200)


async def test_an_update_in_a_call_can_wait_for_its_end(sandbox: Sandbox, aircall: AircallClient) -> None:
    """Answered as if it were done; only the last one is, and not before the wrap-up is over."""
    turn_out(sandbox, {"in_call": "deferred"})
    sandbox.aircall.set_live(456, "in_call")
    answers = [status(await aircall.put(456, body)) for body in (ON, OFF)]
    during = status(await aircall.call("GET", "/v2/users/456"))
    sandbox.aircall.set_live(456, "after_call_work")
    wrapping_up = sandbox.aircall.setting(456).status
    sandbox.aircall.set_live(456, None)

    assert answers == ["available", "unavailable"]
    assert (during, wrapping_up, sandbox.aircall.setting(456).status) == ("available", "available", "unavailable")


async def test_an_answer_can_show_what_was_before(sandbox: Sandbox, aircall: AircallClient) -> None:
    """And it is done all the same."""
    sandbox.aircall.switches.answers_lag = True
    answer = await aircall.put(456, OFF)

    assert (status(answer), sandbox.aircall.setting(456).status) == ("available", "unavailable")


async def test_live_states_lag_as_settings_do(sandbox: Sandbox, aircall: AircallClient) -> None:
    """A read is a read."""
    sandbox.aircall.switches.read_lag = 0.15
    await aircall.put(456, OFF)
    early = (await aircall.call("GET", "/v1/users/456/availability")).json
    await asyncio.sleep(0.2)
    late = (await aircall.call("GET", "/v1/users/456/availability")).json

    assert (early, late) == ({"availability": "available"}, {"availability": "do_not_disturb"})


@pytest.mark.parametrize(("way", "shown"), [("cleared", "always_opened"), ("stays", "out_for_lunch")])
async def test_an_old_reason_can_stay(sandbox: Sandbox, aircall: AircallClient, way: str, shown: str) -> None:
    """Whoever is available again may still show why they were not."""
    turn_out(sandbox, {"old_substatus": way})
    await aircall.put(456, {**OFF, "substatus": "out_for_lunch"})
    await aircall.put(456, ON)
    user = (await aircall.call("GET", "/v2/users/456")).json["user"]

    assert (user["availability_status"], user["substatus"]) == ("available", shown)


@pytest.mark.parametrize(("way", "fields"), [("substatus", {"substatus"}), ("state", {"state"}), ("neither", set())])
async def test_the_reasons_field_has_several_names(
    sandbox: Sandbox, aircall: AircallClient, way: str, fields: set[str]
) -> None:
    """Or none."""
    turn_out(sandbox, {"reason_in": way})
    sandbox.aircall.set_by_hand(456, "unavailable", "on_a_break")
    user = (await aircall.call("GET", "/v2/users/456")).json["user"]

    assert {"substatus", "state"} & set(user) == fields
    assert {user[field] for field in fields} <= {"on_a_break"}


@pytest.mark.parametrize("way", ["available", "offline", "do_not_disturb"])
async def test_auto_can_show_any_live_state(sandbox: Sandbox, aircall: AircallClient, way: str) -> None:
    """Outside working hours it is not known."""
    turn_out(sandbox, {"custom_live": way})
    sandbox.aircall.set_by_hand(456, "custom")

    assert (await aircall.call("GET", "/v1/users/456/availability")).json == {"availability": way}


@pytest.mark.parametrize(
    ("way", "has"), [("full", (True, True)), ("without_links", (True, False)), ("none", (False, False))]
)
async def test_a_lists_meta_can_be_partial(
    sandbox: Sandbox, aircall: AircallClient, way: str, has: tuple[bool, bool]
) -> None:
    """With all, without links, or not at all."""
    turn_out(sandbox, {"list_meta": way})
    page = (await aircall.call("GET", "/v2/users")).json

    assert ("meta" in page, "next_page_link" in page.get("meta", {})) == has
    assert [user["id"] for user in page["users"]] == [456]


@pytest.mark.parametrize(
    ("way", "kind", "text"),
    [
        ("error", "application/json", '{"error": "Too Many Requests"}'),
        ("message", "application/json", '{"message": "Too Many Requests"}'),
        ("html", "text/html", "<html><body>429 Too Many Requests</body></html>"),
        ("empty", "text/plain", ""),
    ],
)
async def test_a_429_can_hold_several_things(
    sandbox: Sandbox, aircall: AircallClient, way: str, kind: str, text: str
) -> None:
    """Its body was only seen in mocks."""
    turn_out(sandbox, {"rate_body": way})
    sandbox.aircall.switches.budget.fill(time.time() + 60)
    answer = await aircall.call("GET", "/v1/ping")

    assert (answer.status, answer.headers["Content-Type"].partition(";")[0], answer.text) == (429, kind, text)
    assert "X-AircallApi-Reset" in answer.headers


async def test_somebody_else_can_use_up_the_budget(sandbox: Sandbox, aircall: AircallClient) -> None:
    """Up to an instant, which is what the 429 says."""
    sandbox.aircall.switches.rate_signal = "retry_after"
    sandbox.aircall.switches.budget.fill(time.time() + 1.0)
    refused = await aircall.call("GET", "/v1/ping")
    await asyncio.sleep(1.1)

    assert (refused.status, refused.headers["Retry-After"]) in {(429, "1"), (429, "2")}
    assert (await aircall.call("GET", "/v1/ping")).status == 200


def test_a_leaky_minute_can_grant_a_few_at_once() -> None:
    """And then one after the other, as many as the others in a minute."""
    window = Window(60, kind="leaky", burst=3)
    at_once = [window.take(100.0) for _ in range(4)]
    later = [window.take(at) for at in (100.5, 101.0, 101.5, 102.0)]

    assert (at_once, later) == ([True, True, True, False], [False, True, False, True])
    assert window.reset_at(102.0) == pytest.approx(103.0)


@pytest.mark.parametrize("kind", ["sliding", "fixed", "leaky"])
def test_a_minute_that_others_fill_opens_when_they_stop(kind: Any) -> None:
    """Of whatever kind it is."""
    window = Window(5, kind=kind)
    window.fill(130.0)

    assert (window.take(120.0), window.remaining(120.0), window.reset_at(120.0)) == (False, 0, 130.0)
    assert window.take(130.0)


# -- Google --------------------------------------------------------------------------------------------------------


async def test_a_list_can_begin_with_an_empty_page(sandbox: Sandbox, google: GoogleClient) -> None:
    """Every one that holds anything, and no other."""
    turn_out(sandbox, {"pages": "empty_first"})
    nothing = (await google.events()).json
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))
    pages = [(await google.events()).json for _ in range(2)]
    items, _ = await google.sync()

    assert "nextSyncToken" in nothing
    assert [("items" in page, "nextPageToken" in page) for page in pages] == [(False, True)] * 2
    assert len(items) == 1


async def test_instance_ids_can_tell_nothing(sandbox: Sandbox, google: GoogleClient) -> None:
    """The same for an instance and its end; only `recurringEventId` names the series."""
    turn_out(sandbox, {"instance_ids": "opaque"})
    daily = meeting(NOW, NOW + HOUR, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    for part in ("start", "end"):
        daily[part]["timeZone"] = "UTC"
    series = str(sandbox.google.insert(AMY, daily)["id"])
    items, token = await google.sync()
    sandbox.google.delete(AMY, series)
    gone = await google.delta(token)

    assert {item["recurringEventId"] for item in items} == {series}
    assert not any(series in item["id"] or "_" in item["id"] for item in items)
    assert {item["id"] for item in gone} == {item["id"] for item in items} | {series}


async def watch(google: GoogleClient, name: str) -> Any:
    """Ask for a channel."""
    body = {"id": name, "type": "web_hook", "address": HOOK, "token": "t", "params": {"ttl": "60"}}
    return await google.call("POST", "/calendars/primary/events/watch", body=body)


async def test_a_calendar_may_have_one_channel_only(sandbox: Sandbox, google: GoogleClient) -> None:
    """Another is refused until that one has ended."""
    turn_out(sandbox, {"channel_limit": "one"})
    first, second = await watch(google, "c1"), await watch(google, "c2")
    stop = {"id": "c1", "resourceId": first.json["resourceId"]}
    stopped = await google.call("POST", "/channels/stop", body=stop)
    third = await watch(google, "c3")

    assert [first.status, second.status, stopped.status, third.status] == [200, 403, 204, 200]


@pytest.mark.parametrize("way", ["404", "410", "204"])
async def test_a_second_stop_has_several_answers(sandbox: Sandbox, google: GoogleClient, way: str) -> None:
    """The channel is gone in any case."""
    turn_out(sandbox, {"stop_again": way})
    stop = {"id": "c1", "resourceId": (await watch(google, "c1")).json["resourceId"]}
    answers = [(await google.call("POST", "/channels/stop", body=stop)).status for _ in range(2)]

    assert answers == [204, int(way)]


@pytest.mark.parametrize(("way", "attempts"), [("never", 1), ("soon", 3)])
async def test_a_message_for_nobody_can_be_sent_again(
    sandbox: Sandbox, google: GoogleClient, way: str, attempts: int
) -> None:
    """Google sees nothing, or a proxy's 502, which it tries again."""
    turn_out(sandbox, {"push_retry": way})
    sandbox.google.notify.retry_delays = (0.01, 0.01)
    await watch(google, "c1")
    await sandbox.settle()

    assert [one.attempt for one in sandbox.google.push.notifications] == list(range(1, attempts + 1))


async def test_a_setting_by_hand_is_not_put_off_by_a_call(sandbox: Sandbox, aircall: AircallClient) -> None:
    """Only what comes by the API waits."""
    turn_out(sandbox, {"in_call": "deferred"})
    sandbox.aircall.set_live(456, "in_call")
    sandbox.aircall.set_by_hand(456, "unavailable")

    assert status(await aircall.call("GET", "/v2/users/456")) == "unavailable"
    assert sandbox.aircall.setting(456) == Setting("unavailable")
