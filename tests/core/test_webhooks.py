"""Which webhook is ours, what it needs, and whose messages are genuine."""

from __future__ import annotations

import pytest

from calsyncd.core.webhooks import EVENTS, Tokens, Webhook, upkeep

ADDRESS = "https://calsync.example.com/webhooks/aircall"


def webhook(
    name: str = "a",
    url: str = ADDRESS,
    *,
    active: bool = True,
    events: tuple[str, ...] | None = EVENTS,
    token: str | None = "t0ken",  # noqa: S107 - made up
) -> Webhook:
    """A webhook as Aircall shows it, by default in order."""
    return Webhook(name, url, active=active, events=None if events is None else frozenset(events), token=token)


def test_none_is_made_where_there_is_none() -> None:
    """Somebody else's is none."""
    other = webhook(url="https://crm.example.com/webhooks/aircall")

    needed = upkeep([other], ADDRESS)

    assert ((), None, False, ()) == (needed.ours, needed.keep, needed.change, needed.remove)


def test_one_in_order_is_left_as_it_is() -> None:
    """The order of its events means nothing."""
    known = webhook(events=tuple(reversed(EVENTS)))

    needed = upkeep([webhook("z", "https://x.example/"), known], ADDRESS)

    assert ((known,), known, False, ()) == (needed.ours, needed.keep, needed.change, needed.remove)


@pytest.mark.parametrize(
    ("known", "change"),
    [
        (webhook(active=False), True),
        (webhook(events=(*EVENTS, "call.created")), True),
        (webhook(events=EVENTS[1:]), True),
        (webhook(events=()), True),
        (webhook(token=None), True),
        (webhook(events=None), False),
    ],
    ids=["off", "more events", "fewer events", "no events", "no token", "events not shown"],
)
def test_one_that_is_not_in_order_is_changed(known: Webhook, *, change: bool) -> None:
    """It stays the same one, so that its token stays too."""
    needed = upkeep([known], ADDRESS)

    assert (known, change) == (needed.keep, needed.change)


@pytest.mark.parametrize(
    "url", [ADDRESS, ADDRESS + "/", "HTTPS://Calsync.Example.com/webhooks/aircall", "https://calsync.example.com/other"]
)
def test_ours_is_whatever_leads_to_us(url: str) -> None:
    """Whoever made it, and however the address is spelt."""
    assert bool(upkeep([webhook(url=url)], ADDRESS).ours) == ("other" not in url)


@pytest.mark.parametrize("url", ["", "https://[", "http://calsync.example.com/webhooks/aircall", ADDRESS + "?x=1"])
def test_an_address_that_is_not_ours(url: str) -> None:
    """Nor is one that cannot be read."""
    assert upkeep([webhook(url=url)], ADDRESS).keep is None


def test_one_that_is_known_to_be_ours_stays_so() -> None:
    """However Aircall shows its address: else each check would make another one."""
    known = webhook("made", "https://calsync.example.com:443/webhooks/aircall")

    assert upkeep([known], ADDRESS).keep is None
    assert known == upkeep([webhook("other", "https://x.example/"), known], ADDRESS, {"made"}).keep


def test_one_is_enough() -> None:
    """Of several, one that needs nothing stays, and the others go."""
    off, good, other = webhook("off", active=False), webhook("good"), webhook("other")

    needed = upkeep([off, good, other], ADDRESS)

    assert (good, False) == (needed.keep, needed.change)
    assert {"off", "other"} == {one.id for one in needed.remove}
    assert 3 == len(needed.ours)


def test_tokens_are_believed_while_their_webhook_is() -> None:
    """Each of ours, and none before the first is known."""
    tokens = Tokens()
    none = (bool(tokens), tokens.includes(""), tokens.includes("t0ken"))

    tokens.replace([webhook("a", token="one"), webhook("b", token="two"), webhook("c", token=None)])
    both = [tokens.includes(token) for token in ("one", "two", "three", "", "one\udcff", "t\u00f6ken")]
    tokens.forget("a")
    tokens.forget("never known")
    tokens.add(webhook("d", token="three"))
    tokens.add(webhook("e", token=None))
    after = [tokens.includes(token) for token in ("one", "two", "three")]
    assert tokens
    tokens.replace([])

    assert (False, False, False) == none
    assert [True, True, False, False, False, False] == both
    assert [False, True, True] == after
    assert not tokens


def test_a_token_does_not_show() -> None:
    """A webhook may be shown without giving its token away."""
    tokens = Tokens()
    tokens.add(webhook(token="t0ken-0f-0urs"))

    assert "t0ken-0f-0urs" not in f"{webhook(token='t0ken-0f-0urs')!r} {tokens!r} {vars(tokens)}"


def test_the_ids_that_are_believed() -> None:
    """All that have a token."""
    tokens = Tokens()
    tokens.replace([webhook("a"), webhook("b", token=None)])
    tokens.add(webhook("c"))

    assert [True, False, True, False] == [name in tokens.ids for name in "abcd"]
