"""Whom the probe may try things with: an Aircall user whom no running daemon moves meanwhile."""

from __future__ import annotations

from urllib.parse import quote

from calsyncd.core.model import User
from calsyncd.doctor.aircall import all_users
from calsyncd.doctor.examined import Examined
from calsyncd.doctor.public import asked_of_daemon
from calsyncd.errors import ServiceError, UserError


async def find(examined: Examined, email: str) -> User:
    """The Aircall user of this address; UserError if there is none, or a running daemon follows them."""
    await refuse_followed(examined, email)
    try:
        users = await all_users(examined)
    except ServiceError as error:
        raise UserError(f"Aircall's users cannot be read: {error}; `calsyncd doctor` says more", exit_code=1) from None
    user = next((one for one in users if one.email == email.lower()), None)
    if user is None:
        raise UserError(f"there is no Aircall user {email}", exit_code=1)
    return user


async def refuse_followed(examined: Examined, email: str) -> None:
    """UserError if a running daemon follows this agent."""
    agent = await asked_of_daemon(examined, f"/api/v1/agents/{quote(email, safe='@')}")
    if agent is not None and agent.get("email") and agent.get("state") != "paused":
        raise UserError(
            f"the running daemon follows {email} and would change what is tried: calsyncd pause {email}", exit_code=1
        )
