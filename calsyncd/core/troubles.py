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
_OWNER = "owner of the calendar"
_NOBODY = "nobody: it is retried"

_KNOWN: dict[str, _Known] = {
    "delegation": _Known(
        "Google does not let the service account read this calendar",
        "in the Google Admin console under Security > Access and data control > API controls, at domain-wide"
        " delegation, give the service account's client id (a number) the scope calendar.events.readonly",
        _WORKSPACE_ADMIN,
    ),
    "domain_policy": _Known(
        "the domain's policy keeps other programs out of Google Calendar",
        "in the Google Admin console under Security > Access and data control > API controls, let the service account's"
        " or the app's client id in, and see that Calendar is on for this user",
        _WORKSPACE_ADMIN,
    ),
    "invalid_grant": _Known(
        "Google does not know this user or has suspended them",
        "check the e-mail address in the settings, and the user in the Google Admin console under Directory > Users",
        _OPERATOR,
    ),
    "clock": _Known(
        "Google does not take what this machine signs, since its clock is wrong",
        "set the clock: timedatectl set-ntp true",
        _OPERATOR,
    ),
    "service_account": _Known(
        "Google refuses the service account",
        "in the Google Cloud console under IAM & Admin > Service Accounts > Keys, see that the account and its key are"
        " active; else make a new key, put its file in place of google.service_account_file and reload",
        _OPERATOR,
    ),
    "oauth_client": _Known(
        "Google refuses the OAuth client: it was deleted or switched off, or its secret was changed",
        "in the Google Cloud console under Google Auth Platform > Clients, see that the client is there; else download"
        " its file anew, put it in place of google.oauth_client_file and reload",
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
    "vault": _Known(
        "what the agent granted cannot be read from the vault",
        "the log names the file: put it, or the vault's key, back; or delete it and have the agent connect again",
        _OPERATOR,
    ),
    "api_disabled": _Known(
        "the Google Calendar API is switched off in the project of our credentials",
        "in the Google Cloud console under APIs & Services > Library > Google Calendar API, click Enable",
        _OPERATOR,
    ),
    "no_access": _Known(
        "the agent may not see this calendar",
        "its owner shares it with the agent (Settings and sharing > Shared with > See all event details), or it is"
        " removed from the settings here",
        _OWNER,
    ),
    "calendar_gone": _Known(
        "the calendar is gone or is not visible to the agent",
        "check the calendar id in the settings; if it is right, its owner shares it with the agent again"
        " (Settings and sharing > Shared with)",
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
    "public_url": _Known(
        "no message can arrive through the public URL: calendars are polled",
        "lead server.public_url to server.listen again: its DNS entry, its certificate, the reverse proxy or ngrok;"
        " `calsyncd doctor` tries it, docs/proxies.md has the proxies' settings",
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
        "the Aircall user is gone",
        "in Aircall's dashboard under Users, invite them again; or remove the agent here, or correct aircall_user",
        _AIRCALL_ADMIN,
    ),
    "aircall_credentials": _Known(
        "Aircall refuses the API key",
        "in Aircall's dashboard under Integrations & API > API keys, make a key; put it into aircall.api_id and the"
        " token's file, and reload",
        _OPERATOR,
    ),
    "aircall_not_installed": _Known(
        "calsyncd is not installed at the company in Aircall",
        "as an Aircall admin, open /aircall/oauth/install at server.public_url, or install the app in the dashboard",
        _AIRCALL_ADMIN,
    ),
    "aircall_uninstalled": _Known(
        "the app was removed in Aircall, or its token is refused: nobody is set any more, and what is owed waits",
        "as an Aircall admin, install it again: open /aircall/oauth/install at server.public_url",
        _AIRCALL_ADMIN,
    ),
    "aircall_company": _Known(
        "most agents have no Aircall user: this looks like another company's key",
        "check aircall.api_id; nobody is set unavailable meanwhile",
        _OPERATOR,
    ),
    "update_refused": _Known(
        "Aircall refuses to change this user's availability",
        "look at the log for Aircall's status; 403: the API key may not change users, so make one that may",
        _AIRCALL_ADMIN,
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
        "calendars of too many agents changed at once: each counts as before until it was read again",
        "wait; if it was an import or a time zone by mistake, correct it in Google",
        _OPERATOR,
    ),
    "internal": _Known(
        "calsyncd stumbled over this agent's data",
        "look at the log and report it: it is a fault of calsyncd",
        _OPERATOR,
    ),
    "google_failing": _Known(
        "Google cannot be reached, or does not answer as it should: what was read last counts for a day",
        "look at the log's sync_failed, this machine's network and Google's status page",
        _OPERATOR,
    ),
    "aircall_failing": _Known(
        "Aircall cannot be reached, or does not answer as it should: updates wait",
        "look at the log's look_failed and update_failed, this machine's network and Aircall's status page",
        _OPERATOR,
    ),
    "aircall_webhook": _Known(
        "Aircall's webhook cannot be kept: a change made in its app is seen at the next look only",
        "look at the log's webhook_failed, and at the webhooks in Aircall's dashboard",
        _AIRCALL_ADMIN,
    ),
    "updates_owed": _Known(
        "an update has been owed for over five minutes",
        "look at the log's update_failed; where more is due at once than Aircall grants, spread it by dispatch.early",
        _OPERATOR,
    ),
    "database": _Known(
        "the database does not answer: what is in memory stays in force",
        "check the disk of the state directory, and restart",
        _OPERATOR,
    ),
    "database_in_memory": _Known(
        "the database cannot be used: calendars and history are kept in memory until the next start",
        "free disk space in the state directory, check its rights, and restart",
        _OPERATOR,
    ),
    "clock_skewed": _Known(
        "this machine's clock is wrong by what two services agree on: decisions use the corrected time",
        "set the machine's clock: timedatectl set-ntp true",
        _OPERATOR,
    ),
    "clock_not_credible": _Known(
        "this machine's clock shows a time that cannot be, so nobody new is set unavailable",
        "set the machine's clock: timedatectl set-ntp true",
        _OPERATOR,
    ),
    "loop_lag": _Known(
        "calsyncd is blocked again and again, so updates come late",
        "look at the log's loop_lagged, and at this machine's load and memory",
        _OPERATOR,
    ),
}

CODES: tuple[str, ...] = tuple(_KNOWN)
"""Every trouble that is known; each may become an alarm."""

_PASSING = frozenset(
    {
        *("quota", "internal", "ledger", "storm", "google_failing", "aircall_failing", "aircall_webhook"),
        *("updates_owed", "database", "database_in_memory", "clock_skewed", "clock_not_credible", "loop_lag"),
    }
)


def trouble(code: str, since: float, message: str | None = None) -> Trouble:
    """The trouble named `code`; an unknown one is passing and explains itself by `message`."""
    known = _KNOWN.get(code)
    if known is None:
        return Trouble(code, message or code, "wait: it is retried by itself", _NOBODY, since)
    return Trouble(code, known.message, known.do, known.owner, since)


def needs_human(code: str) -> bool:
    """Whether waiting alone cannot mend it."""
    return code in _KNOWN and code not in _PASSING
