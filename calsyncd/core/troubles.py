"""What can keep an agent or a calendar from being right: in words, with what to do and whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass

from calsyncd.core.model import Trouble


@dataclass(frozen=True, slots=True)
class _Known:
    message: str
    do: str
    owner: str


_OPERATOR = "operator"
_WORKSPACE_ADMIN = "Google Workspace admin"
_AIRCALL_ADMIN = "Aircall admin"
_AGENT = "the agent"
_NOBODY = "nobody: it is retried"

_KNOWN: dict[str, _Known] = {
    "delegation": _Known(
        "Google does not let the service account read this calendar",
        "allow the service account's client id the scope calendar.events.readonly under domain-wide delegation",
        _WORKSPACE_ADMIN,
    ),
    "invalid_grant": _Known(
        "Google does not know this user or has suspended them",
        "check the e-mail address in the settings, the user in Google Workspace, and this machine's clock",
        _OPERATOR,
    ),
    "service_account": _Known(
        "Google refuses the service account",
        "check that its key is still active; put a new key file in place and restart",
        _OPERATOR,
    ),
    "not_connected": _Known(
        "the agent has not connected their Google account yet",
        "open the page that `calsyncd connect` prints the link of, and sign in with Google there",
        _AGENT,
    ),
    "consent_withdrawn": _Known(
        "Google does not accept the agent's consent any more: they took it back, or it lapsed",
        "connect again on the page that `calsyncd connect` prints the link of; if it lapses for everybody after a week,"
        " the Google project's publishing status is still Testing",
        _AGENT,
    ),
    "scope_missing": _Known(
        "the agent signed in with Google and did not allow the calendar to be read",
        "connect again, and tick the box “View events on all your calendars” on Google's page",
        _AGENT,
    ),
    "oauth_client": _Known(
        "Google refuses the OAuth client: it was deleted or switched off, or its secret was changed",
        "download the client's file again from the Google Cloud console, put it in place and reload calsyncd",
        _OPERATOR,
    ),
    "vault": _Known(
        "what the agent granted cannot be read from the vault",
        "the log names the file: put it, or the vault's key, back; or delete it and have the agent connect again",
        _OPERATOR,
    ),
    "api_disabled": _Known(
        "the Google Calendar API is switched off in the Google project",
        "enable it in the Google Cloud console",
        _OPERATOR,
    ),
    "no_access": _Known(
        "the agent may not see this calendar", "share the calendar with the agent, or remove it here", _OPERATOR
    ),
    "calendar_gone": _Known(
        "the calendar is gone or is not visible to the agent",
        "check the calendar id in the settings, and its sharing",
        _OPERATOR,
    ),
    "bad_request": _Known(
        "Google refuses our request", "look at the log and report it: it is a fault of calsyncd", _OPERATOR
    ),
    "push_address": _Known(
        "Google does not accept the address of our webhook",
        "check server.public_url: https with a public certificate, reachable from outside",
        _OPERATOR,
    ),
    "quota": _Known(
        "Google's allowance of the day is used up", "raise the quota or lower google.requests_per_day", _OPERATOR
    ),
    "aircall_user_unknown": _Known(
        "there is no such Aircall user", "correct aircall_user (id or e-mail) in the settings", _OPERATOR
    ),
    "aircall_user_taken": _Known(
        "another agent is bound to the same Aircall user", "give each agent an aircall_user of their own", _OPERATOR
    ),
    "aircall_user_gone": _Known(
        "the Aircall user is gone", "remove the agent here, or correct aircall_user", _AIRCALL_ADMIN
    ),
    "aircall_credentials": _Known(
        "Aircall refuses the API key", "put a valid key into aircall.api_id and its token file, and restart", _OPERATOR
    ),
    "aircall_company": _Known(
        "most agents have no Aircall user: this looks like another company's key",
        "check aircall.api_id; nobody is set unavailable meanwhile",
        _OPERATOR,
    ),
    "update_refused": _Known(
        "Aircall refuses to change this user's availability", "look at the log for Aircall's status", _AIRCALL_ADMIN
    ),
    "not_taken": _Known(
        "Aircall accepts the change and does not make it", "look at the user in Aircall's dashboard", _AIRCALL_ADMIN
    ),
    "call_without_end": _Known(
        "Aircall has shown the agent in a call for over ten minutes, so their setting cannot be told",
        "ask Aircall's support to clear the stuck call, if there is none",
        _AIRCALL_ADMIN,
    ),
    "ledger": _Known(
        "the ledger cannot be written, so nobody new is set unavailable",
        "free disk space in the state directory and check its rights",
        _OPERATOR,
    ),
    "storm": _Known(
        "calendars of too many agents changed at once: this agent's counts as before until it was read again",
        "wait; if it was an import or a time zone by mistake, correct it in Google",
        _OPERATOR,
    ),
    "internal": _Known(
        "calsyncd stumbled over this agent's data",
        "look at the log and report it: it is a fault of calsyncd",
        _OPERATOR,
    ),
}


def trouble(code: str, since: float, message: str | None = None) -> Trouble:
    """The trouble named `code`; an unknown one is passing and explains itself by `message`."""
    known = _KNOWN.get(code)
    if known is None:
        return Trouble(code, message or code, "wait: it is retried by itself", _NOBODY, since)
    return Trouble(code, known.message, known.do, known.owner, since)


def needs_human(code: str) -> bool:
    """Whether waiting alone cannot mend it."""
    return code in _KNOWN and code not in ("quota", "internal", "ledger", "storm")
