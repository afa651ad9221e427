"""Aircall: our credentials, each agent's user, our webhook."""

from __future__ import annotations

from calsyncd.core.matching import nearest
from calsyncd.core.model import User
from calsyncd.core.webhooks import EVENTS, Webhook, upkeep
from calsyncd.doctor.checks import Check, Finding, failed, good, note, refused
from calsyncd.doctor.examined import Examined
from calsyncd.doctor.public import daemon_answers
from calsyncd.errors import CREDENTIALS, ServiceError
from calsyncd.routes import AIRCALL_WEBHOOK

MOST_WEBHOOKS = 100
MOST_PAGES = 200


async def credentials(examined: Examined) -> list[Finding]:
    """Whether Aircall takes our key."""
    try:
        await examined.aircall.ping()
    except ServiceError as error:
        return [_refused(error)]
    return [good("Aircall knows them")]


async def users(examined: Examined) -> list[Finding]:
    """Whether each agent has an Aircall user, and no two have the same."""
    try:
        known = examined.users = await all_users(examined)
    except ServiceError as error:
        return [_refused(error)]
    by_id, by_email = {user.id: user for user in known}, {user.email: user for user in known if user.email}
    found, taken = [], dict[int, str]()
    for agent in examined.settings.agents:
        named = agent.aircall_user
        user = by_id.get(named) if isinstance(named, int) else by_email.get(str(named).lower())
        if user is None:
            found.append(_unknown(agent.email, named, by_email))
        elif user.id in taken:
            found.append(
                failed(
                    f"has the same Aircall user as {taken[user.id]}",
                    "give each agent an aircall_user of their own",
                    agent=agent.email,
                    code="aircall_user_taken",
                )
            )
        else:
            taken[user.id] = agent.email
            found.append(good("has an Aircall user", agent.email))
    return found or [good(f"Aircall has {len(known)} users")]


async def webhooks(examined: Examined) -> list[Finding]:
    """Whether our webhook is there, on, and subscribed to what is needed."""
    base = examined.settings.server.public_url
    if base is None or not examined.settings.aircall.webhooks:
        return [
            note("none is used (aircall.webhooks and server.public_url): changes by hand are seen at the next look")
        ]
    try:
        listed = await all_webhooks(examined)
    except ServiceError as error:
        return [_refused(error)]
    need = upkeep(listed, f"{base}{AIRCALL_WEBHOOK}")
    mine = need.keep
    if mine is None:
        if len(listed) >= MOST_WEBHOOKS:
            return [
                failed(f"Aircall has {len(listed)} webhooks, the most that it allows", "delete one that is not used")
            ]
        if await daemon_answers(examined):
            return [failed("ours is not there", "look at the daemon's log for webhook_failed")]
        return [note("ours is not there yet: the daemon makes it when it starts")]
    if not mine.active:
        return [
            failed(
                "Aircall has switched ours off, as deliveries failed",
                "see that server.public_url is reached; a running calsyncd switches it on again",
            )
        ]
    if mine.events is not None and not set(EVENTS) <= mine.events:
        return [failed("ours lacks events", "restart calsyncd, which subscribes to them")]
    if need.remove:
        return [note(f"ours is on; {len(need.remove)} more lead to the same address", "nothing: calsyncd removes them")]
    return [good(f"ours is on; {len(listed)} of {MOST_WEBHOOKS} are used")]


async def all_users(examined: Examined) -> list[User]:
    """Aircall's users, of all pages; ServiceError."""
    known: list[User] = []
    for page in range(1, MOST_PAGES):
        users, more = await examined.aircall.page_of_users(page)
        known += users
        if not more:
            break
    return known


async def all_webhooks(examined: Examined) -> list[Webhook]:
    """Aircall's webhooks, of all pages; ServiceError."""
    listed: list[Webhook] = []
    for page in range(1, MOST_PAGES):
        found, more = await examined.aircall.page_of_webhooks(page)
        listed += found
        if not more:
            break
    return listed


def _unknown(email: str, named: int | str, by_email: dict[str, User]) -> Finding:
    near = nearest(named.lower(), by_email) if isinstance(named, str) else None
    hint = f" (did you mean {near}?)" if near else ""
    return failed(
        f"there is no Aircall user {named}{hint}",
        "correct aircall_user in the settings, or invite them to Aircall",
        agent=email,
        code="aircall_user_unknown",
    )


def _refused(error: ServiceError) -> Finding:
    return refused(error, code="aircall_credentials" if error.code == CREDENTIALS else None)


CHECKS = (
    Check("aircall", "Aircall's credentials", credentials),
    Check("users", "each agent's Aircall user", users, "{} agents have an Aircall user", needs="aircall"),
    Check("webhooks", "Aircall's webhooks", webhooks, needs="aircall"),
)
