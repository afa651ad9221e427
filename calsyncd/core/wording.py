"""An explanation in sentences that a team lead understands.

Times are by the agent's clock: that which is asked about with its date unless it is today's, others with theirs unless
it is the same. Ids of events are shortened, and there are no titles.
"""

from __future__ import annotations

import re
from datetime import datetime

from calsyncd.core.byhand import EXTENSION
from calsyncd.core.explain import Considered, Explanation, Part, Then
from calsyncd.core.model import CUSTOM, UNAVAILABLE, HistoryRow, Span
from calsyncd.core.plan import WRITABLE_SUBSTATUSES
from calsyncd.core.rules import spell

MOST_EVENTS = 6
SAME_SECONDS = 0.0015
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
FOREVER = float("inf")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_TOLD = re.compile(rf"(extended|skipped)(?: until|:) ({_INSTANT.pattern}(?:(?: to |, ){_INSTANT.pattern})*)(: .*)?")
"""What was done by hand in the words of a history row, its instants in UTC, and the reason that was given."""


def sentences(explanation: Explanation) -> tuple[str, ...]:
    """What is to be said, in order."""
    voice = _Voice(explanation)
    said = {"past": voice.past, "now": voice.present, "future": voice.future}[explanation.tense]()
    return tuple(one for one in said if one)


def status_word(status: str | None, substatus: str | None = None) -> str:
    """A setting as people call it."""
    word = "Auto" if status == CUSTOM else (status or "not known")
    return f"{word} ({substatus.replace('_', ' ')})" if substatus in WRITABLE_SUBSTATUSES else word


def name_of(email: str) -> str:
    """What to call the agent: the part of the address before the @."""
    return " ".join(part.capitalize() for part in email.partition("@")[0].replace("_", ".").split(".") if part)


class _Voice:
    def __init__(self, explanation: Explanation) -> None:
        self._it = explanation

    # -- the three tenses ------------------------------------------------------------------------------------------

    def past(self) -> list[str]:
        then = self._it.then
        return [
            f"At {self._when(exact=True)}: {self._was_set()}",
            *self._stood(),
            self._said(),
            self._owed(),
            self._not_made(then),
            self._next_deed(then),
            *self._events(),
        ]

    def present(self) -> list[str]:
        then = self._it.then
        return [
            _begin(self._was_set()),
            *self._events(),
            *self._stands(),
            self._said(),
            self._waits(),
            self._not_made(then),
            self._last_seen(),
            self._trouble(),
        ]

    def future(self) -> list[str]:
        it = self._it
        if it.at > it.read_until:
            return [f"Calendars are read until {self._clock(it.read_until)}: nothing is known of {self._when()}."]
        said = self._will_be()
        if it.at > it.planned_until:
            until = self._clock(it.planned_until)
            said.append(f"Nothing later than {until} is planned yet: this is what the calendar says now.")
        return [*said, *self._events(), self._trouble()]

    # -- what is set -----------------------------------------------------------------------------------------------

    def _was_set(self) -> str:
        then = self._it.then
        if then.gone is not None:
            was = f"; {status_word(then.change.to)} before" if then.change is not None else ""
            since = self._clock(then.gone.at, exact=True)
            return f"not known, since they were not followed from {since} on ({then.gone.why}){was}."
        if then.sure and then.change is not None:
            row = then.change
            latest = " at the latest" if row.outcome == "seen" else ""
            word = status_word(row.to, row.substatus)
            return f"{word} since {self._clock(row.at, exact=True)}{latest} ({self._cause(row)})."
        return self._unsure(then)

    def _unsure(self, then: Then) -> str:
        following = then.following
        known = then.change.to if then.change is not None else following.from_ if following is not None else None
        if self._it.under_way:
            return f"{status_word(known)}, and an update is under way."
        if then.lost is not None:
            sent = then.lost.after if then.lost.after is not None else then.lost.at
            return (
                f"not known for sure: an update to {status_word(then.lost.to)} was sent at"
                f" {self._clock(sent, exact=True)} and its answer was lost; {status_word(known)} before it."
            )
        if following is None:
            seen = self._it.seen
            if seen is not None and self._it.tense == "now":
                return f"{status_word(seen.status, seen.setting.substatus)}; since when and why is not in the history."
            return "not known: nobody has looked yet."
        shown = f"{status_word(following.to)} from {self._clock(following.at, exact=True)} at the latest"
        if known is None:
            return f"not known: {shown}, {self._cause(following)}."
        if following.outcome == "done":
            return f"{status_word(known)}, and an update to {status_word(following.to)} was under way."
        last = f", as last known at {self._clock(following.after, exact=True)}" if following.after is not None else ""
        return f"{status_word(known)}{last}; {shown} ({following.why})."

    def _cause(self, row: HistoryRow) -> str:
        """Why a change was made, with how late it was."""
        if row.outcome == "seen":
            if row.from_ is None:
                return "when calsyncd looked first"
            if row.actor == "calsyncd":
                return f"{row.why}{self._for_event(row)}"
            between = ""
            if row.after is not None and row.at - row.after > 1:
                between = f", later than {self._clock(row.after, exact=True)}"
            return f"{row.why}, not by calsyncd{between}"
        if row.to != UNAVAILABLE:
            return self._cause_of_return(row)
        if row.why != "a meeting":
            return f"{row.why}{self._for_event(row)}"
        return self._cause_of_hold(row)

    def _cause_of_hold(self, row: HistoryRow) -> str:
        what = f"a meeting{self._for_event(row)}" if row.event != EXTENSION else f"a time by hand{self._for_event(row)}"
        if row.late_ms is None:
            return what
        due = row.at - row.late_ms / 1000
        if row.late_ms < 0:
            return f"{_seconds(-row.late_ms)} before it was due, since many begin at once: {what}"
        late = f"{_seconds(row.late_ms)} after"
        if row.begins is not None and abs(due - row.begins) < SAME_SECONDS:
            return f"{late} the start of {what}"
        if row.begins is not None and due < row.begins:
            return f"{late} it was due, {spell(round(row.begins - due, 3))} ahead of {what}"
        return f"{late} it was due, in {what}"

    def _cause_of_return(self, row: HistoryRow) -> str:
        if row.late_ms is None:
            return f"put back by calsyncd: {row.why}"
        if row.late_ms < 0:
            return f"put back by calsyncd {_seconds(-row.late_ms)} early, since many meetings end at once"
        late = f"put back by calsyncd {_seconds(row.late_ms)} after"
        if row.why != "the meeting is over":
            return f"{late} it was due: {row.why}"
        behind = row.at - row.late_ms / 1000 - row.ends if row.ends is not None else 0.0
        if behind < SAME_SECONDS:
            return f"{late} the end of the meeting"
        return f"{late} it was due, {_seconds(behind * 1000)} behind the meeting"

    def _for_event(self, row: HistoryRow) -> str:
        """The times of the event as they were known then, and its short name."""
        if row.event is None:
            return ""
        name = "" if row.event == EXTENSION else f", event {_short(row.event)}"
        if row.begins is None or row.ends is None:
            return name
        return f", {self._from_to(row.begins, row.ends)}{name}"

    # -- where calsyncd stands -------------------------------------------------------------------------------------

    def _stood(self) -> list[str]:
        """By the history."""
        it, stance = self._it, self._it.stance
        until = f" until {self._clock(stance.until)}" if stance.until not in (None, FOREVER) else ""
        back = status_word(stance.back)
        match stance.name:
            case "held" if it.then.paused is not None:
                return [f"Before: {back}. It was going back to {back}.", self._paused()]
            case "held":
                ahead = stance.until is not None and stance.until > it.at
                expected = (
                    f" It was to go back to {back} at {self._clock(stance.until)}, as known then." if ahead else ""
                )
                over = f" The meeting was over, and it was to go back to {back}." if not ahead else ""
                return [f"Before: {back}.{expected}{over}"]
            case "override":
                return [f"Changed by hand in a meeting: left alone{until}."]
            case "left_alone":
                return [f"Unavailable by their own choice: left alone{until}."]
            case "early_end":
                return [f"Back a little before the meeting ended{until and f' at {self._clock(stance.until)}'}."]
            case "kept":
                return [f"In a meeting{until}, and kept available: {_reason(stance.why)}."]
            case "paused":
                return [self._paused()]
            case "observed":
                return [f"Only observed: would have been unavailable{until}, then back to {back}."]
        if it.span is None or it.at < it.kept_since or stance.name != "free" or it.owed_since is not None:
            return []
        run = f"from {self._clock(it.run_starts)} to {self._clock(it.run_ends)}"
        return [
            f"As the calendar is stored now, a meeting was on {run}{_named(it.span)}: the history has nothing of it."
        ]

    def _stands(self) -> list[str]:
        """By what is known now."""
        it, stance = self._it, self._it.stance
        back = status_word(stance.back)
        until = f" until {self._clock(stance.until)}" if stance.until not in (None, FOREVER) else ""
        match stance.name:
            case "held" if stance.ends:
                return [f"Before: {back}. {_begin(stance.ends)}: going back to {back}."]
            case "held" if self._goes_on:
                unless = (
                    f"; changed before by {self._who}, it is put again"
                    if it.rules.enforce
                    else f", unless {self._who} changes it"
                )
                return [f"Before: {back}. Back to {back} at {self._clock(stance.until)}{unless}.", self._lasts()]
            case "held":
                return [f"The meeting is over: going back to {back}."]
            case "override":
                return [f"Changed by hand in a meeting: left alone{until}.", self._ahead()]
            case "left_alone":
                return [f"Unavailable by their own choice: left alone{until}.", self._ahead()]
            case "early_end":
                return [f"Back a little before the meeting ends{until and f' at {self._clock(stance.until)}'}."]
            case "kept":
                return [f"In a meeting{until}, and kept available: {_reason(stance.why)}. Goes when another is back."]
            case "paused":
                return [self._paused()]
            case "observed":
                return [f"Only observed: would be unavailable{until}, then back to {back}.", self._ahead()]
        observed = "Only observed: nothing is changed." if it.observe else ""
        return [observed, self._ahead()]

    @property
    def _goes_on(self) -> bool:
        """Whether what is held now is wanted: by what runs, or by what is about to begin."""
        it, stance = self._it, self._it.stance
        about_to_begin = it.ahead is not None and it.ahead.event == stance.event
        return stance.until is not None and stance.until > it.now and (it.span is not None or about_to_begin)

    def _lasts(self) -> str:
        """What makes the end, where what the hold was begun for does not tell it."""
        shown = self._shown_parts()
        return f"Until then: {', '.join(self._part(one) for one in shown)}." if shown else ""

    def _shown_parts(self) -> tuple[Part, ...]:
        it, row = self._it, self._it.then.change
        parts, until = it.parts, it.stance.until
        if not parts or until is None or abs(parts[-1].until - until) > SAME_SECONDS:
            return ()
        if row is not None and len(parts) == 1 and row.begins is not None and row.ends is not None:
            same = abs(row.begins - parts[0].start) < SAME_SECONDS and abs(row.ends - parts[0].until) < SAME_SECONDS
            if same and row.event == parts[0].event:
                return ()
        return parts

    def _part(self, part: Part) -> str:
        match part.kind:
            case "meeting":
                return f"a meeting, {self._from_to(part.start, part.until)} ({_short(part.event or '')})"
            case "lag":
                return f"lag {spell(round(part.until - part.start, 3))}{self._origin('lag')}"
            case "bridge":
                return f"bridged to {self._clock(part.until)}{self._origin('bridge')}"
        return f"extended by hand to {self._clock(part.until)}"

    def _origin(self, key: str) -> str:
        origin = self._it.origins.get(key)
        return f" ({origin})" if origin else ""

    def _paused(self) -> str:
        """The pause: by the history, as far as that tells of it."""
        row, stance = self._it.then.paused, self._it.stance
        ends = row.until if row is not None else stance.until
        until = "until resumed" if ends in (None, FOREVER) else f"until {self._clock(ends)}"
        if row is None:
            return f"Paused {until}. The calendar is not followed."
        since, reason = self._clock(row.at, exact=True), row.why.partition(": ")[2]
        told = f": {reason}" if reason else ""
        return f"Paused by {row.actor} since {since}, {until}{told}. The calendar is not followed."

    def _ahead(self) -> str:
        """What comes next, where nothing is held."""
        it = self._it
        if it.span is not None:
            return f"A meeting is on until {self._clock(it.run_ends)}{_named(it.span)}."
        if it.ahead is None and it.at > it.planned_until:
            return ""
        if it.ahead is None:
            return f"No meeting ahead, as far as is planned: until {self._clock(it.planned_until)}."
        span = it.ahead
        return (
            f"Next: unavailable from {self._clock(span.start)} to {self._clock(span.end)}{_named(span)},"
            " as far as the calendar says now."
        )

    def _will_be(self) -> list[str]:
        it, stance = self._it, self._it.stance
        when = self._when()
        if stance.name == "paused":
            return [f"At {when}: nothing will be changed.", self._paused()]
        if it.span is None:
            return [f"At {when}: no meeting, so nothing will be wanted of {self._who}.", self._ahead()]
        span = it.span
        start = it.run_starts
        run = f"from {self._clock(start)} to {self._clock(it.run_ends)}"
        word = status_word(UNAVAILABLE, span.setting.substatus)
        cause = "by hand" if span.event == EXTENSION else f"because of a meeting, event {_short(span.event)}"
        if stance.name in ("override", "left_alone"):
            return [f"At {when}: left alone until {self._clock(stance.until)}; a meeting is on {run}{_named(span)}."]
        if it.observe:
            return [f"At {when}: would be {word} {run} {cause}; only observed, so nothing is changed."]
        back = f" Then back to {status_word(stance.back)}." if stance.back is not None else ""
        return [
            f"At {when}: will be {word} {run} {cause}, as far as the calendar says now.{back}",
            f"Not if {self._who} is unavailable by their own choice then"
            + ("; changed meanwhile, it is put again." if it.rules.enforce else ", or changes it meanwhile."),
        ]

    # -- beside it -------------------------------------------------------------------------------------------------

    def _said(self) -> str:
        row = self._it.then.said
        if row is None:
            return ""
        return f"By {row.actor}, at {self._clock(row.at, exact=True)}: {self._word_by_hand(row)}."

    def _word_by_hand(self, row: HistoryRow) -> str:
        """What was said, and the reason given: by the instants in the row; where it has none, by those in its words."""
        told = _TOLD.fullmatch(row.why)
        what, times, reason = told.groups(default="") if told is not None else ("", "", "")
        if told is None:
            what, colon, rest = row.why.partition(": ")
            reason = colon + rest
        if row.outcome == "extended" and row.until is not None:
            return f"extended until {self._clock(row.until)}{reason}"
        instants = [datetime.fromisoformat(one).timestamp() for one in _INSTANT.findall(times)]
        if row.outcome == "skipped" and row.begins is not None and row.ends is not None and len(instants) <= 2:
            return f"{what}, {self._from_to(row.begins, row.ends)}{reason}"
        if len(instants) == 1:
            return f"{what} until {self._clock(instants[0])}{reason}"
        spans = [self._from_to(*pair) for pair in zip(instants[::2], instants[1::2], strict=False)]
        return f"{what}{''.join(f', {one}' for one in spans)}{reason}"

    def _owed(self) -> str:
        it = self._it
        row = it.then.following
        if it.owed_since is None or row is None:
            return ""
        return (
            f"An update to {status_word(row.to)} was due since {self._clock(it.owed_since, exact=True)},"
            f" and made at {self._clock(row.at, exact=True)}."
        )

    def _waits(self) -> str:
        it = self._it
        if it.owed_since is None:
            return ""
        return f"An update is due since {self._clock(it.owed_since, exact=True)} and waits for its turn."

    def _not_made(self, then: Then) -> str:
        row = then.failed
        if row is None:
            return ""
        return f"At {self._clock(row.at, exact=True)} {row.why}."

    def _next_deed(self, then: Then) -> str:
        row = then.following
        if row is None:
            return "Nothing has changed it since."
        if not then.sure and row.outcome == "seen" and then.lost is None:
            return ""
        latest = " at the latest" if row.outcome == "seen" else ""
        word = status_word(row.to, row.substatus)
        return f"Then {word} from {self._clock(row.at, exact=True)}{latest} ({self._cause(row)})."

    def _last_seen(self) -> str:
        it = self._it
        if it.seen is None:
            return "Their setting in Aircall has not been seen yet."
        age = max(0.0, it.now - it.seen.as_of)
        return f"Last seen in Aircall {_ago(age)} ago: {status_word(it.seen.status)}."

    def _trouble(self) -> str:
        trouble = self._it.trouble
        if trouble is None:
            return ""
        return f"Trouble: {trouble.message}. To do ({trouble.owner}): {trouble.do}."

    def _events(self) -> list[str]:
        """The events near by: those that count beside the one that was named already, and those that do not."""
        it = self._it
        if it.tense == "past" and it.at < it.kept_since:
            return [f"The events of then are not kept any more: they are since {self._clock(it.kept_since)}."]
        stored = "As the calendar is stored now, " if it.tense == "past" else ""
        named = self._named_events()
        others = [one for one in it.counted if one.event.id not in named]
        said = []
        if others:
            also = "also counted" if named else "counted"
            listed = _list([f"{self._times(one)} ({_short(one.event.id)}){_mark(one)}" for one in others])
            said.append(_begin(f"{stored}{also}: {listed}."))
        if it.not_counted:
            said.append(_begin(f"{stored}{self._ignored()}."))
        return said

    def _named_events(self) -> set[str]:
        """Those of which other sentences tell."""
        it, change = self._it, self._it.then.change
        if it.tense != "future" and it.stance.name == "held":
            told = {change.event} if change is not None and change.event is not None else set()
            if it.tense == "now" and self._goes_on and not it.stance.ends:
                told |= {one.event for one in self._shown_parts() if one.event is not None}
            return told
        if it.tense == "past" and it.stance.name == "free" and it.span is not None and it.owed_since is None:
            return {it.span.event}
        if it.tense == "past" or it.stance.name in ("paused", "kept", "early_end"):
            return set()
        return {one.event for one in (it.span, it.ahead) if one is not None}

    def _ignored(self) -> str:
        ignored = self._it.not_counted
        number = NUMBERS[len(ignored)].lower() if len(ignored) < len(NUMBERS) else str(len(ignored))
        be = {False: ("was", "were"), True: ("does", "do")}[self._it.tense == "future"][len(ignored) > 1]
        verb = f"{be} not count" if self._it.tense == "future" else f"{be} not counted"
        return (
            f"{number} event{'s' if len(ignored) > 1 else ''} {verb}: {_list([*map(self._ignored_one, ignored)], '; ')}"
        )

    def _ignored_one(self, one: Considered) -> str:
        why = _why_not(one)
        if one.event.all_day:
            return why if why.startswith("all day") else f"all day, {why}"
        return f"{self._clock(one.event.start)} {why}"

    # -- words -----------------------------------------------------------------------------------------------------

    @property
    def _who(self) -> str:
        return name_of(self._it.email)

    def _times(self, one: Considered) -> str:
        return "all day" if one.event.all_day else self._from_to(one.event.start, one.event.end)

    def _from_to(self, start: float, end: float) -> str:
        same = self._day(start) == self._day(end)
        return f"{self._clock(start)}\N{EN DASH}{self._clock(end, dated=not same)}"

    def _day(self, at: float) -> object:
        return datetime.fromtimestamp(at, self._it.zone).date()

    def _clock(self, at: float | None, *, exact: bool = False, dated: bool = True) -> str:
        if at is None:
            return "an unknown time"
        it = self._it
        local = datetime.fromtimestamp(at, it.zone)
        text = local.strftime("%H:%M:%S" if exact or local.second else "%H:%M")
        if not dated or local.date() == datetime.fromtimestamp(it.at, it.zone).date():
            return text
        return self._dated(local, text)

    def _when(self, *, exact: bool = False) -> str:
        """The instant that is asked about, with its date unless that is today's: other times are of the same day."""
        it = self._it
        local = datetime.fromtimestamp(it.at, it.zone)
        text = local.strftime("%H:%M:%S" if exact or local.second else "%H:%M")
        return text if local.date() == datetime.fromtimestamp(it.now, it.zone).date() else self._dated(local, text)

    def _dated(self, local: datetime, text: str) -> str:
        year = f" {local.year}" if local.year != datetime.fromtimestamp(self._it.now, self._it.zone).year else ""
        return f"{local:%a} {local.day} {local:%b}{year} {text}"


def _begin(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _short(event: str) -> str:
    """The last three characters of an event's id."""
    return f"…{event[-3:]}"


def _named(span: Span) -> str:
    return ", by hand" if span.event == EXTENSION else f", event {_short(span.event)}"


def _why_not(one: Considered) -> str:
    verdict = one.verdict
    return f"{verdict.words} ({verdict.rule} of {one.origin})" if verdict.rule and one.origin else verdict.words


def _mark(one: Considered) -> str:
    return f", {one.verdict.words}" if one.verdict.rule else ""


def _list(words: list[str], separator: str = ", ") -> str:
    shown = words[:MOST_EVENTS]
    more = [f"and {len(words) - MOST_EVENTS} more"] if len(words) > MOST_EVENTS else []
    return separator.join([*shown, *more])


def _reason(why: str) -> str:
    """The reason in a row that names the agent before it."""
    return why.partition(": ")[2] or why


def _seconds(ms: float) -> str:
    if ms < 100:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    return f"{seconds:.1f} s" if seconds < 60 else _ago(seconds)


def _ago(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h" + (f" {minutes} min" if minutes else "")
