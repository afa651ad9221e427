"""What can keep an agent or a calendar from being right: in words, with what to do and whose turn it is.

The one table of troubles: whoever asks how far one reaches, who tells of it, or when it becomes an alarm, asks here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from calsyncd.core.model import Trouble

BOX = "View events on all your calendars"
"""The words beside the box on Google's page (OAuth 2.0 scopes for Google APIs: calendar.events.readonly)."""

LASTS_SECONDS = 60.0
"""A trouble that needs somebody is looked into when it has lasted so long: the first retries are over then."""

PASSES_SECONDS = 300.0
"""So long one waits for what mends itself as a rule: a service's outage, a database, a webhook."""

CONNECTS_SECONDS = 86400.0
"""Somebody who was just invited has a day to follow the link."""

Reach = Literal["company", "domain", "agent", "calendar"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of trouble.

    `reach` is whom it concerns, `told_by` whose answers tell of it. What is `lost` is access, until somebody acts;
    `token`: it is refused when an access token is asked for, and says nothing of calendars. What `passes` mends itself
    as a rule. After `wait` seconds it is an alarm.
    """

    reach: Reach
    told_by: Literal["google", "aircall", "here"]
    owner: str
    message: str
    do: str
    lost: bool = False
    token: bool = False
    passes: bool = False
    wait: float = LASTS_SECONDS


_OPERATOR = "operator"
_WORKSPACE_ADMIN = "Google Workspace admin"
_AIRCALL_ADMIN = "Aircall admin"
_AGENT = "the agent"
_OWNER = "owner of the calendar"
_NOBODY = "nobody: it is retried"

KINDS: dict[str, Kind] = {
    "delegation": Kind(
        "domain",
        "google",
        _WORKSPACE_ADMIN,
        "Google does not let the service account read this calendar",
        "in the Google Admin console under Security > Access and data control > API controls, at domain-wide"
        " delegation, give the service account's client id (a number) the scope calendar.events.readonly",
        lost=True,
        token=True,
    ),
    "domain_policy": Kind(
        "domain",
        "google",
        _WORKSPACE_ADMIN,
        "the domain's policy keeps other programs out of Google Calendar",
        "in the Google Admin console under Security > Access and data control > API controls, let the service"
        " account's or the app's client id in, and see that Calendar is on for this user",
        lost=True,
        token=True,
    ),
    "invalid_grant": Kind(
        "agent",
        "google",
        _OPERATOR,
        "Google does not know this user or has suspended them",
        "check the e-mail address in the settings, and the user in the Google Admin console under Directory > Users",
        lost=True,
        token=True,
    ),
    "clock": Kind(
        "company",
        "google",
        _OPERATOR,
        "Google does not take what this machine signs, since its clock is wrong",
        "set the clock: timedatectl set-ntp true",
        lost=True,
        token=True,
    ),
    "service_account": Kind(
        "company",
        "google",
        _OPERATOR,
        "Google refuses the service account",
        "in the Google Cloud console under IAM & Admin > Service Accounts > Keys, see that the account and"
        " its key are active; else make a new key, put its file in place of google.service_account_file and"
        " reload",
        lost=True,
        token=True,
    ),
    "oauth_client": Kind(
        "company",
        "google",
        _OPERATOR,
        "Google refuses the OAuth client: it was deleted or switched off, or its secret was changed",
        "in the Google Cloud console under Google Auth Platform > Clients, see that the client is there; else"
        " download its file anew, put it in place of google.oauth_client_file and reload",
        lost=True,
        token=True,
    ),
    "not_connected": Kind(
        "agent",
        "google",
        _AGENT,
        "the agent has not connected their Google account yet",
        "open the page that `calsyncd connect` prints the link of, and sign in with Google there",
        lost=True,
        token=True,
        wait=CONNECTS_SECONDS,
    ),
    "consent_withdrawn": Kind(
        "agent",
        "google",
        _AGENT,
        "Google does not accept the agent's consent any more: they took it back, or it lapsed",
        "connect again on the page that `calsyncd connect` prints the link of; if it lapses for everybody"
        " after a week, the Google project's publishing status is still Testing",
        lost=True,
        token=True,
    ),
    "scope_missing": Kind(
        "agent",
        "google",
        _AGENT,
        "the agent signed in with Google and did not allow the calendar to be read",
        f"connect again, and tick the box “{BOX}” on Google's page",
        lost=True,
        token=True,
    ),
    "disconnect_waits": Kind(
        "agent",
        "google",
        _OPERATOR,
        "the agent has disconnected their calendar, which is read no more, and Google could not be told for an hour",
        "look at the log's disconnect_waits, at google.revoke_url and at this machine's way to Google: it is"
        " tried every five minutes; or the agent removes the permission by hand at"
        " myaccount.google.com/connections",
        wait=0.0,
    ),
    "vault": Kind(
        "agent",
        "here",
        _OPERATOR,
        "a credential in the vault cannot be read",
        "put the file back, which the alarm and the log name, or the vault's key; or delete the file and connect again",
    ),
    "api_disabled": Kind(
        "company",
        "google",
        _OPERATOR,
        "the Google Calendar API is switched off in the project of our credentials",
        "in the Google Cloud console under APIs & Services > Library > Google Calendar API, click Enable",
        lost=True,
    ),
    "no_access": Kind(
        "calendar",
        "google",
        _OWNER,
        "the agent may not see this calendar",
        "its owner shares it with the agent (Settings and sharing > Shared with > See all event details), or"
        " it is removed from the settings here",
        lost=True,
    ),
    "calendar_gone": Kind(
        "calendar",
        "google",
        _OPERATOR,
        "the calendar is gone or is not visible to the agent",
        "check the calendar id in the settings; if it is right, its owner shares it with the agent again"
        " (Settings and sharing > Shared with)",
        lost=True,
    ),
    "bad_request": Kind(
        "calendar",
        "google",
        _OPERATOR,
        "Google refuses our request",
        "look at the log and report it: it is a fault of calsyncd",
        lost=True,
    ),
    "push_address": Kind(
        "company",
        "google",
        _OPERATOR,
        "Google does not accept the address of our webhook: calendars are polled",
        "check server.public_url: https with a public certificate, reachable from outside",
    ),
    "public_url": Kind(
        "company",
        "here",
        _OPERATOR,
        "no message can arrive through the public URL: calendars are polled",
        "lead server.public_url to server.listen again: its DNS entry, its certificate, the reverse proxy or ngrok;"
        " `calsyncd doctor` tries it, docs/proxies.md has the proxies' settings",
    ),
    "quota": Kind(
        "company",
        "google",
        _OPERATOR,
        "Google's allowance of the day is used up",
        "raise the quota or lower google.requests_per_day",
        passes=True,
    ),
    "aircall_user_unknown": Kind(
        "agent",
        "aircall",
        _OPERATOR,
        "there is no such Aircall user",
        "correct aircall_user (id or e-mail) in the settings",
        lost=True,
    ),
    "aircall_user_taken": Kind(
        "agent",
        "aircall",
        _OPERATOR,
        "another agent is bound to the same Aircall user",
        "give each agent an aircall_user of their own",
    ),
    "aircall_user_gone": Kind(
        "agent",
        "aircall",
        _AIRCALL_ADMIN,
        "the Aircall user is gone",
        "in Aircall's dashboard under Users, invite them again; or remove the agent here, or correct aircall_user",
        lost=True,
    ),
    "aircall_credentials": Kind(
        "company",
        "aircall",
        _OPERATOR,
        "Aircall refuses the API key",
        "in Aircall's dashboard under Integrations & API > API keys, make a key; put it into aircall.api_id"
        " and the token's file, and reload",
        lost=True,
        wait=0.0,
    ),
    "aircall_not_installed": Kind(
        "company",
        "aircall",
        _AIRCALL_ADMIN,
        "calsyncd is not installed at the company in Aircall",
        "as an Aircall admin, open the link that `calsyncd connect --aircall` prints on the machine, and authorize",
        lost=True,
        wait=0.0,
    ),
    "aircall_vault": Kind(
        "company",
        "aircall",
        _OPERATOR,
        "the file of Aircall's installation in the vault cannot be read: credentials/da8cf409f2500dee3e35afdb26e48473",
        "put that file back from a backup, or the key that it needs, which the log's vault_damaged names; or delete the"
        " file and install the app again by the link that `calsyncd connect --aircall` prints",
        lost=True,
        wait=0.0,
    ),
    "aircall_uninstalled": Kind(
        "company",
        "aircall",
        _AIRCALL_ADMIN,
        "the app was removed in Aircall, or its token is refused: nobody is set any more, and what is owed waits",
        "as an Aircall admin, install it again: open /aircall/oauth/install at server.public_url",
        lost=True,
        wait=0.0,
    ),
    "aircall_company": Kind(
        "company",
        "aircall",
        _OPERATOR,
        "most agents have no Aircall user: this looks like another company's key",
        "check aircall.api_id; nobody is set unavailable meanwhile",
        lost=True,
        wait=0.0,
    ),
    "update_refused": Kind(
        "agent",
        "aircall",
        _AIRCALL_ADMIN,
        "Aircall refuses to change this user's availability",
        "look at the log for Aircall's status; 403: the API key may not change users, so make one that may",
    ),
    "not_taken": Kind(
        "agent",
        "aircall",
        _AIRCALL_ADMIN,
        "Aircall accepts the change and does not make it",
        "look at the user in Aircall's dashboard",
    ),
    "call_without_end": Kind(
        "agent",
        "aircall",
        _AIRCALL_ADMIN,
        "Aircall has shown the agent in a call for over ten minutes, so their setting cannot be told",
        "ask Aircall's support to clear the stuck call, if there is none",
    ),
    "ledger": Kind(
        "company",
        "here",
        _OPERATOR,
        "the ledger cannot be written, so nobody new is set unavailable",
        "free disk space in the state directory and check its rights",
        passes=True,
        wait=0.0,
    ),
    "storm": Kind(
        "company",
        "here",
        _OPERATOR,
        "calendars of too many agents changed at once: each counts as before until it was read again",
        "wait; if it was an import or a time zone by mistake, correct it in Google, and `calsyncd pause"
        " --all` meanwhile",
        passes=True,
        wait=0.0,
    ),
    "internal": Kind(
        "calendar",
        "here",
        _OPERATOR,
        "calsyncd stumbled over this agent's data",
        "look at the log and report it: it is a fault of calsyncd",
        passes=True,
    ),
    "google_failing": Kind(
        "agent",
        "google",
        _OPERATOR,
        "Google cannot be reached, or does not answer as it should: what was read last counts for a day",
        "look at the log's sync_failed, this machine's network and Google's status page",
        passes=True,
        wait=PASSES_SECONDS,
    ),
    "aircall_failing": Kind(
        "agent",
        "aircall",
        _OPERATOR,
        "Aircall cannot be reached, or does not answer as it should: updates wait",
        "look at the log's look_failed and update_failed, this machine's network and Aircall's status page",
        passes=True,
        wait=PASSES_SECONDS,
    ),
    "aircall_webhook": Kind(
        "company",
        "aircall",
        _AIRCALL_ADMIN,
        "Aircall's webhook cannot be kept: a change made in its app is seen at the next look only",
        "look at the log's webhook_failed, and at the webhooks in Aircall's dashboard",
        passes=True,
        wait=PASSES_SECONDS,
    ),
    "updates_owed": Kind(
        "agent",
        "aircall",
        _OPERATOR,
        "an update has been owed for over five minutes",
        "look at the log's update_failed; where more is due at once than Aircall grants, spread it by dispatch.early",
        passes=True,
        wait=0.0,
    ),
    "database": Kind(
        "company",
        "here",
        _OPERATOR,
        "the database does not answer: what is in memory stays in force",
        "check the disk of the state directory, and who locks calsyncd.db (fuser)",
        passes=True,
        wait=PASSES_SECONDS,
    ),
    "database_in_memory": Kind(
        "company",
        "here",
        _OPERATOR,
        "the database cannot be used: calendars and history are kept in memory until the next start",
        "free disk space in the state directory, check its rights, and restart",
        passes=True,
    ),
    "database_log": Kind(
        "company",
        "here",
        _OPERATOR,
        "the database's write-ahead log has grown beyond 64 MB: somebody reads calsyncd.db and does not end",
        "end whatever program keeps calsyncd.db open (fuser): a shell, a backup, Litestream",
        passes=True,
        wait=PASSES_SECONDS,
    ),
    "clock_skewed": Kind(
        "company",
        "here",
        _OPERATOR,
        "this machine's clock is wrong by what two services agree on: decisions use the corrected time",
        "set the machine's clock: timedatectl set-ntp true",
        passes=True,
    ),
    "clock_not_credible": Kind(
        "company",
        "here",
        _OPERATOR,
        "this machine's clock shows a time that cannot be, so nobody new is set unavailable",
        "set the machine's clock: timedatectl set-ntp true",
        passes=True,
        wait=0.0,
    ),
    "daemon_dead": Kind(
        "company",
        "here",
        _OPERATOR,
        "calsyncd does not run: nobody's calendar is followed, and whoever was held is put back as their meeting ends",
        "see why it ended: systemctl status calsyncd, journalctl -u calsyncd; and start it",
        wait=0.0,
    ),
    "loop_lag": Kind(
        "company",
        "here",
        _OPERATOR,
        "calsyncd is blocked again and again, so updates come late",
        "look at the log's loop_lagged, and at this machine's load and memory",
        passes=True,
    ),
}

CODES: tuple[str, ...] = tuple(KINDS)
"""Every trouble that is known; each may become an alarm."""


def trouble(code: str, since: float, message: str | None = None) -> Trouble:
    """The trouble named `code`; an unknown one is passing and explains itself by `message`."""
    known = KINDS.get(code)
    if known is None:
        return Trouble(code, message or code, "wait: it is retried by itself", _NOBODY, since)
    return Trouble(code, known.message, known.do, known.owner, since)


def needs_human(code: str) -> bool:
    """Whether waiting alone cannot mend it."""
    return code in KINDS and not KINDS[code].passes
