"""The pages for agents: who asks for the calendar, and how that ended. Plain HTML as functions of facts.

Every fact is escaped where it is put in. No page tells a stranger who is an agent or who is connected: that is
said only of the account that has just signed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from html import escape

from calsyncd.core.troubles import BOX
from calsyncd.routes import GOOGLE_CONNECT
from calsyncd.web.frame import frame

CONNECT = "connect"
DISCONNECT = "disconnect"

PERMISSIONS = "https://myaccount.google.com/connections"
"""Where a Google account shows what it has allowed, and takes it back."""

READ = (
    "When your events begin and end, whether they count as busy, and how you answered them.",
    "Titles only if your company has a rule about them: compared with its words, and let go of.",
)
NEVER = (
    "Changes anything in your calendar.",
    "Reads your mail, files or contacts, or sees your password.",
    "Keeps or shows what your meetings are called.",
)


class Page(Enum):
    """Which page: what has come of it so far."""

    START = "start"
    CONNECTED = "connected"
    UNTICKED = "unticked"
    DENIED = "denied"
    STRANGER = "stranger"
    UNVERIFIED = "unverified"
    EXPIRED = "expired"
    FAILED = "failed"
    DISCONNECTED = "disconnected"
    LEAVING = "leaving"
    ABSENT = "absent"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a page tells: `account` is who signed in at Google, `asked` whom the flow was begun for."""

    account: str = ""
    asked: str = ""
    what: str = CONNECT


def render(page: Page, facts: Facts, site: str) -> str:
    """The whole page; `site` is the name under which the company reaches us."""
    title, tone, body = _PAGES[page](facts, escape(site))
    return frame(title, tone, body, site)


_AT_GOOGLE = f'<a href="{PERMISSIONS}" rel="noreferrer">at Google</a>'


def _start(facts: Facts, site: str) -> tuple[str, str, str]:
    body = f"""<p>Your company runs calsyncd at <b>{site}</b>. It sets you <i>unavailable</i> in Aircall while you are
in a meeting, and back afterwards. For that it asks to read your Google calendar.</p>
<div class="pair">
<section><h2>What is read</h2>{_list(READ)}</section>
<section><h2>What it never does</h2>{_list(NEVER)}</section>
</div>
{_form(facts.asked, CONNECT, "Continue with Google")}
<p class="soft">Google asks you next. Tick the box “{escape(BOX)}” there.</p>
<section class="other">
<h2>Connected already?</h2>
<p>Sign in with Google to disconnect: your calendar is no longer read, and the permission is taken back at Google.</p>
{_form(facts.asked, DISCONNECT, "Disconnect my calendar", entry=False)}
</section>"""
    return "Connect your calendar", "plain", body


def _connected(facts: Facts, site: str) -> tuple[str, str, str]:
    other = ""
    if facts.asked and facts.asked != facts.account:
        link, account = escape(facts.asked), escape(facts.account)
        other = (
            f"<p>The link was for <b>{link}</b>. You signed in as <b>{account}</b>, so it is that calendar which is "
            f"connected.</p>{_form(facts.asked, CONNECT, 'Connect the other one', entry=False)}"
        )
    body = f"""<p role="status">Connected: <b>{escape(facts.account)}</b>.</p>
{other}
<p>You have nothing more to do and can close this page. To disconnect, come back to
<a href="{GOOGLE_CONNECT}">{site}</a>, or take the permission back {_AT_GOOGLE}.</p>"""
    return "Your calendar is being read now", "good", body


def _unticked(facts: Facts, site: str) -> tuple[str, str, str]:
    del site
    body = f"""<p role="status">Google has let <b>{escape(facts.account)}</b> sign in, but the box
“<b>{escape(BOX)}</b>” was not ticked. Without it calsyncd cannot see when you are in a meeting, so nothing has changed
here.</p>
{_form(facts.account, CONNECT, "Try again", entry=False)}
<p class="soft">On Google's page tick that box before you continue.</p>"""
    return "One box was not ticked", "bad", body


def _denied(facts: Facts, site: str) -> tuple[str, str, str]:
    del site
    done = "sign in" if facts.what == DISCONNECT else "allow it"
    more = "Without it calsyncd cannot see your meetings, and leaves you alone in Aircall."
    body = f"""<p role="status">You did not {done} at Google, so nothing has changed here.</p>
{_form(facts.asked, facts.what, "Try again", entry=False)}
{"" if facts.what == DISCONNECT else f'<p class="soft">{more}</p>'}"""
    return "Nothing has changed", "plain", body


def _stranger(facts: Facts, site: str) -> tuple[str, str, str]:
    body = f"""<p role="status">You signed in as <b>{escape(facts.account)}</b>, and calsyncd at <b>{site}</b> follows
no agent of that address. Nothing was kept.</p>
<p>Did Google offer you several accounts? Take the one that you use at work. If it was that one, ask whoever runs
calsyncd to add it.</p>
{_form("", CONNECT, "Choose another account", entry=False)}
<p class="soft">What you allowed can be taken back {_AT_GOOGLE}.</p>"""
    return "Not an agent of this company", "bad", body


def _unverified(facts: Facts, site: str) -> tuple[str, str, str]:
    del site
    body = f"""<p role="status">Google did not say clearly whose account this is, or has not verified its address.
Nothing was kept.</p>
{_form(facts.asked, facts.what, "Try again", entry=False)}
<p class="soft">If it happens again, tell whoever runs calsyncd.</p>"""
    return "Your account could not be recognised", "bad", body


def _expired(facts: Facts, site: str) -> tuple[str, str, str]:
    del facts, site
    body = f"""<p role="status">This answer of Google's was used already, is older than ten minutes, or was begun in
another browser. If the page before said that your calendar is connected, it is.</p>
<p><a class="button" href="{GOOGLE_CONNECT}">Start again</a></p>
<p class="soft">If you have just started again and come back here, allow cookies for this site.</p>"""
    return "Please start again", "bad", body


def _failed(facts: Facts, site: str) -> tuple[str, str, str]:
    del site
    body = f"""<p role="status">Google and calsyncd could not come to an end just now. Try again in a minute.</p>
{_form(facts.asked, facts.what, "Try again", entry=False)}
<p class="soft">If it happens again, tell whoever runs calsyncd: the log says why.</p>"""
    return "That did not work", "bad", body


def _disconnected(facts: Facts, site: str) -> tuple[str, str, str]:
    del site
    body = f"""<p role="status">Disconnected: <b>{escape(facts.account)}</b>. Your calendar is no longer read, and the
permission was taken back at Google and deleted here.</p>
<p>Until you connect it again, calsyncd leaves you alone in Aircall.</p>
{_form(facts.account, CONNECT, "Connect it again", entry=False)}"""
    return "Your calendar is disconnected", "good", body


def _leaving(facts: Facts, site: str) -> tuple[str, str, str]:
    del site
    body = f"""<p role="status">Your calendar, <b>{escape(facts.account)}</b>, is no longer read. Taking the permission
back at Google takes a little longer: calsyncd goes on with it by itself.</p>
<p>You can also do that yourself {_AT_GOOGLE}.</p>"""
    return "Your calendar is being disconnected", "good", body


def _absent(facts: Facts, site: str) -> tuple[str, str, str]:
    del site
    body = f"""<p role="status">The calendar of <b>{escape(facts.account)}</b> was not connected here, so there was
nothing to disconnect.</p>
{_form("", DISCONNECT, "Choose another account", entry=False)}"""
    return "Nothing to disconnect", "plain", body


def _busy(facts: Facts, site: str) -> tuple[str, str, str]:
    del facts, site
    body = '<p role="status">Too many are asking at the same time. Reload this page in a few seconds.</p>'
    return "One moment, please", "plain", body


_PAGES = {
    Page.START: _start,
    Page.CONNECTED: _connected,
    Page.UNTICKED: _unticked,
    Page.DENIED: _denied,
    Page.STRANGER: _stranger,
    Page.UNVERIFIED: _unverified,
    Page.EXPIRED: _expired,
    Page.FAILED: _failed,
    Page.DISCONNECTED: _disconnected,
    Page.LEAVING: _leaving,
    Page.ABSENT: _absent,
    Page.BUSY: _busy,
}


def _list(sentences: tuple[str, ...]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _form(email: str, what: str, button: str, *, entry: bool = True) -> str:
    """One button; with an entry for the address, or with the address as it is known."""
    if entry:
        field = (
            '<label for="email">Your e-mail at work</label>'
            f'<input id="email" name="email" type="email" maxlength="254" autocomplete="email" spellcheck="false" '
            f'value="{escape(email)}">'
        )
    else:
        field = f'<input type="hidden" name="email" value="{escape(email)}">'
    kind = ' class="quiet"' if what == DISCONNECT else ""
    return (
        f'<form method="post" action="{GOOGLE_CONNECT}">{field}'
        f'<button name="what" value="{escape(what)}"{kind}>{escape(button)}</button></form>'
    )
