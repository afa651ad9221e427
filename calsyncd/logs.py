"""The log: one event a line on stdout, a sentence for people and a name for programs, and no secret in it.

Every record, ours or a library's, goes through the same pipe: values are redacted, then cut, then written as one line
whose control characters are escaped; at the very end the finished line is searched once more for every known secret, in
each form in which it may have got there.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote, quote_plus

import structlog

from calsyncd.files import write_all
from calsyncd.logwriter import LogWriter
from calsyncd.story import Story, colours

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping
    from types import TracebackType

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

ACTIONS: dict[str, str] = {
    # the process
    "started": "the daemon acts",
    "stopping": "no work is taken any more; what is in flight may end",
    "stopped": "the daemon has ended in order",
    "reloaded": "the settings were read again and are in force",
    "reload_refused": "the settings were read again and are faulty: the old ones stay",
    "loop_lagged": "the event loop was blocked",
    "outage": "the daemon was away, or the machine slept",
    "outage_right": "an agent whom that concerned is right again",
    "outage_over": "all whom that concerned are right again",
    "outage_unknown": "since when the daemon was away cannot be told",
    "daemon_dead": "calsyncd does not run: whoever it held past the end is put back",
    "alive_failed": "it cannot be written down that the daemon is alive",
    "clock_stepped": "the clock was set, or the machine slept: everything is looked at anew",
    "clock_skewed": "our clock is wrong by what two services agree on",
    "clock_agrees": "our clock agrees with the services' again",
    # what is kept
    "ledger_read": "the debts were read from the ledger",
    "ledger_damaged": "lines of the ledger could not be read; a copy is kept",
    "ledger_mended": "the ledger was lost, cut or damaged, and is whole again",
    "ledger_newer": "lines of the ledger are of a newer calsyncd and do not count; a copy is kept",
    "ledger_failed": "the ledger cannot be written: starts wait, ends go",
    "settings_not_kept": "no copy of the settings could be left in the state directory",
    "store_failed": "the database does not answer",
    "store_in_memory": "the database cannot be used for now: calendars are kept in memory until the next start",
    "database_damaged": "the database is damaged: the daemon ends, and the next start makes it anew",
    "database_moved_aside": "the database was damaged and is made anew",
    "vault_damaged": "a file of the vault cannot be read; the others are used",
    "vault_mended": "a file of the vault that could not be read can be, or is gone",
    # calendars
    "sync_done": "a calendar was read",
    "sync_failed": "a calendar could not be read; it is tried again",
    "sync_restarted": "a delta was refused: the calendar is read as a whole",
    "sync_doubted": "a calendar came back empty where events were known: a second read decides",
    "storm_held_back": "calendars of many agents changed at once: each is read again before that counts",
    "storm_over": "the calendars that had changed at once were read again, and count",
    "calendar_quarantined": "a calendar could not be taken in because of a fault of ours; the others are",
    "not_connected": "so many agents have not connected their Google account",
    "access_lost": "calendars cannot be read until somebody acts",
    "access_back": "calendars can be read again",
    "event_skipped": "an event cannot be read and is left out",
    "channel_opened": "Google tells of changes to a calendar",
    "channel_failed": "Google would not open a channel: the calendar is polled",
    "orphan_stopped": "a channel that was ours but is not known any more was stopped",
    "stop_failed": "a channel could not be stopped; it expires by itself",
    "public_url_reached": "the public URL leads here",
    "public_url_failed": "the public URL does not lead here: calendars are polled",
    "push_missed": "a poll found a change that push had not told",
    "others_failed": "an agent's list of calendars could not be read; it is tried again in a day",
    # agents
    "held": "an agent was made unavailable",
    "released": "an agent was put back",
    "hold_closed": "an agent is not held any more, with nothing to put back",
    "override": "an agent changed its own setting while held: we stand back",
    "enforced": "an agent changed its own setting while held: it was put again, as the settings say",
    "left_alone": "an agent was unavailable already: that stays the agent's",
    "kept": "an agent in a meeting was kept available, since too few others are",
    "observed": "an agent who is only observed would have been changed",
    "changed_in_aircall": "an agent's setting was changed, and not by calsyncd",
    "drift_found": "the list of users shows an agent otherwise than we believed",
    "paused": "an agent was paused, or everybody",
    "resumed": "an agent is followed again, or everybody",
    "skipped": "an agent stays available in a meeting, by an operator's word",
    "extended": "an agent stays unavailable for longer, by an operator's word",
    "release_all": "everybody was released and paused",
    "forgotten": "all that was kept of somebody was erased",
    "agent_quarantined": "an agent could not be judged because of a fault of ours; the others are",
    "trouble_raised": "something keeps an agent, or all, from being right",
    "trouble_cleared": "what kept an agent, or all, from being right is over",
    "alarm_raised": "something needs somebody: it has lasted, or cannot wait",
    "alarm_cleared": "what an alarm was raised for is over",
    "alert_failed": "an alarm could not be sent; it is tried again",
    "alert_given_up": "an alarm was not sent: it was refused, or too many were waiting",
    "alarms_unwritten": "it cannot be written down which alarms are raised",
    "alarms_failed": "what is wrong could not be gathered because of a fault of ours; it is tried again",
    "alarms_lost": "it cannot be read which alarms were raised: they are raised anew",
    # who lets their calendar be read
    "agent_connected": "an agent let their calendar be read: it is read now",
    "connect_refused": "somebody began to connect a calendar, and it was not connected",
    "connect_failed": "a calendar could not be connected or disconnected",
    "agent_disconnected": "an agent ended it: channels, hold and grant are gone",
    "disconnect_waits": "an agent ended it, and the calendar is no longer read; the rest is tried again",
    "grant_gone": "a grant that was to be ended was gone already",
    # Aircall
    "aircall_api": "which of Aircall's interfaces for users is asked",
    "look_failed": "a setting could not be read; it is tried again",
    "update_failed": "Aircall did not take an update; it is tried again",
    "update_not_taken": "Aircall accepted an update and shows something else",
    "sweep_failed": "Aircall's users could not be listed; it is tried again",
    "unmatched": "Aircall users have no Google calendar here, or Google accounts no Aircall user; or none any more",
    "presence_failed": "it could not be read who is logged in; it is tried again",
    "rate_limited": "Aircall grants no more requests for now",
    "webhook_ready": "Aircall tells of changes made in its app",
    "webhook_failed": "Aircall's webhook could not be kept or removed: changes in its app are seen at the next look",
    "webhook_missed": "a look found a change that Aircall's webhook had not told, and nothing was heard: it is checked",
    "webhook_removed": "Aircall's webhook was removed",
    "app_installed": "the app was installed in Aircall",
    "app_removal_told": "Aircall's message says that the app was removed: it is asked whether that is so",
    "app_removed": "the app was removed in Aircall, and its token is deleted",
    "app_not_removed": "the app is still installed: a message that it was removed was an old one",
    "install_failed": "a step of the app's installation failed",
    "install_other_company": "another company than ours tried to install the app, or the settings name another",
    "install_refused": "installations of the app came to nothing",
    # listening
    "connections_full": "connections were refused or cut because all places were taken",
    "connections_slow": "connections were cut that had not completed a request in time",
    "requests_malformed": "requests were refused that are not HTTP",
    "request_failed": "a request could not be answered because of a fault of ours",
    "notifications_refused": "notifications were malformed, of an unknown channel, or with a wrong token",
    "notifications_busy": "notifications could not be taken: Google sends them again",
    "webhooks_refused": "messages for Aircall's webhook were malformed, or with a wrong token",
    "pages_limited": "too many asked for the pages where calendars are connected, and were told to wait",
    # the log
    "log_lost": "so many lines were not written, since nobody read the log for so long",
    # others' words
    "library": "a library's own message, as it came",
    "unnamed": "a message of ours that lacks its name",
}
"""What each `action` means. A name never changes and is never used for anything else."""

MAX_VALUE = 200
MAX_TRACEBACK = 8000
MAX_ITEMS = 20
MAX_DEPTH = 3

_OURS = "calsyncd"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
MASK = "***"
SHORTEST_SECRET = 6
"""Anything shorter is no secret, and would blot out half of the log."""

MAX_LEARNED = 32768
"""Access tokens live for an hour, and each was asked for with a secret of its own: these are 10,000 agents' of an hour
and a half. Those learned longest ago have expired."""

_LONG_LINE = 16
_URL_SAFE = str.maketrans("+/", "-_")
_PERCENT = str.maketrans({"+": "%2B", "/": "%2F", "=": "%3D"})
_SHAPES = re.compile(
    r"ya29\.[\w.-]{10,}"
    r"|\b1//[\w-]{20,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|(?<=bearer )(?=\S*[0-9])[\w.~+/=-]{16,}"
    r"|(?<=basic )(?=\S*[0-9=])[\w+/=-]{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.)*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.IGNORECASE,
)
"""What looks like a credential of Google's or an Authorization header, known to us or not."""


class Redactor:
    """Replaces known secrets, and what looks like one, by `***`.

    The time it takes does not grow with the number of secrets: a place of the text is looked up by its first
    characters, and then once for each length of a secret that begins so. Of a secret that was learned only hashes are
    kept beside itself: thousands of access tokens, in all their forms, are to take little memory.
    """

    def __init__(self, most: int = MAX_LEARNED) -> None:
        self._most = most
        self._forms: set[int] = set()
        self._lengths: dict[str, dict[int, int]] = {}
        self._given: frozenset[str] = frozenset()
        self._learned: dict[str, None] = {}

    def replace(self, secrets: Iterable[str]) -> None:
        """Forget what was known; know `secrets`."""
        self._forms, self._lengths = set(), {}
        self._given = frozenset(secrets)
        self._learned = {}
        for secret in self._given:
            self._add(secret)

    def learn(self, secret: str) -> None:
        """Know one more; of those learned, the ones learned longest ago are forgotten. Learning again counts anew."""
        if secret in self._given:
            return
        if secret in self._learned:
            self._learned[secret] = self._learned.pop(secret)
            return
        self._add(secret)
        self._learned[secret] = None
        if len(self._learned) > self._most:
            oldest = next(iter(self._learned))
            del self._learned[oldest]
            self._remove(oldest)

    def keep(self, secret: str) -> None:
        """Know one more, and never forget it."""
        if secret not in self._given:
            self._given |= {secret}
            self._learned.pop(secret, None)
            self._add(secret)

    def clean(self, text: str) -> str:
        """`text` without secrets."""
        return _SHAPES.sub(MASK, self._without_known(text))

    def _without_known(self, text: str) -> str:
        heads = self._lengths
        hits = [i for i in range(len(text) - SHORTEST_SECRET + 1) if text[i : i + SHORTEST_SECRET] in heads]
        if not hits:
            return text
        parts: list[str] = []
        end = 0
        for i in hits:
            if i < end:
                continue
            for length in sorted(heads[text[i : i + SHORTEST_SECRET]], reverse=True):
                if i + length <= len(text) and hash(text[i : i + length]) in self._forms:
                    parts += (text[end:i], MASK)
                    end = i + length
                    break
        parts.append(text[end:])
        return "".join(parts)

    def _add(self, secret: str) -> None:
        for form in forms(secret):
            if hash(form) not in self._forms:
                self._forms.add(hash(form))
                same_head = self._lengths.setdefault(form[:SHORTEST_SECRET], {})
                same_head[len(form)] = same_head.get(len(form), 0) + 1

    def _remove(self, secret: str) -> None:
        for form in forms(secret):
            if hash(form) in self._forms:
                self._forms.remove(hash(form))
                same_head = self._lengths[form[:SHORTEST_SECRET]]
                same_head[len(form)] -= 1
                if not same_head[len(form)]:
                    del same_head[len(form)]
                if not same_head:
                    del self._lengths[form[:SHORTEST_SECRET]]


def forms(secret: str) -> set[str]:
    """The secret as it is, and escaped, quoted, in base64 (whole, or with anything before and after it) and in hex."""
    texts = {secret}
    lines = secret.splitlines()
    if len(lines) > 1:
        texts.update(line for line in lines if len(line) >= _LONG_LINE)
    found: set[str] = set()
    for text in texts:
        raw = text.encode(errors="surrogatepass")
        escaped = json.dumps(text)[1:-1]
        found |= {
            text,
            escaped,
            json.dumps(escaped)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            repr(text)[1:-1],
        }
        for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
            found |= {quoted, re.sub("%..", lambda match: match[0].lower(), quoted)}
        for encoded in _base64(raw):
            found |= {encoded, encoded.translate(_URL_SAFE), encoded.translate(_PERCENT)}
        found |= {raw.hex(), raw.hex().upper()}
    return {form for form in found if len(form) >= SHORTEST_SECRET}


def _base64(raw: bytes) -> set[str]:
    """All of it alone, and what is sure to show when it stands within something longer, as in `base64(id:token)`."""
    found = {base64.b64encode(raw).decode()}
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw).decode()
        found.add(encoded[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6])
    return found


_redactor = Redactor()


def configure(
    level: str = "info",
    format: str = "json",  # noqa: A002 - the setting's name
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    *,
    strict: bool = False,
    waits: bool = True,
) -> None:
    """Send every log record to `stream` (stdout) as `json` or for the `console`; a second call replaces the first.

    `strict` raises where a message of ours has no action, or one that `ACTIONS` does not know. Where nobody `waits`
    until a line is written, a thread writes to the stream's file, and a reader that stands still loses lines.
    """
    _redactor.replace(secrets)
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Pipe):
            root.removeHandler(handler)
            handler.close()
    root.addHandler(_Pipe(sys.stdout if stream is None else stream, as_json=format != "console", waits=waits))
    logging.captureWarnings(capture=True)
    set_level(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            _demand_action if strict else _expect_action,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def set_level(level: str) -> None:
    """From now on log what is at least `level`; libraries only what is at least a warning."""
    number = _LEVELS[level]
    logging.getLogger(_OURS).setLevel(number)
    logging.getLogger().setLevel(max(number, logging.WARNING))


def add_secret(value: str) -> None:
    """Keep a secret learned while running, such as an access token, out of the log."""
    _redactor.learn(value)


def keep_secret(value: str) -> None:
    """Keep a credential that was put in another's place out of the log, for as long as the process lives."""
    _redactor.keep(value)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module, to be named `__name__`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _expect_action(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.setdefault("action", "unnamed")
    return event


def _demand_action(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    action = event.get("action")
    if action not in ACTIONS:
        raise LookupError(f"the action {action!r} is not in logs.ACTIONS")
    return event


class _Pipe(logging.Handler):
    """Writes each record as one line; a stream that is gone stops the writing, never the program."""

    def __init__(self, stream: TextIO, *, as_json: bool, waits: bool = True) -> None:
        super().__init__()
        self._stream = stream
        self._as_json = as_json
        self._told = Story(colours=not as_json and colours(stream, os.environ))
        self._writer = None if waits else LogWriter(self._write)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._line(record)
        except Exception as err:  # noqa: BLE001 - a record that cannot be written must not stop what it is about
            why = f"a record could not be written ({type(err).__name__})"
            line = self._json(_fields({"event": why}, record, "unnamed"))
        if self._writer is None:
            self._write(line)
            return
        if self._lost and self._writer.put(self._line(_lines_lost(self._lost))):
            self._lost = 0
        self._lost += not self._writer.put(line)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.drain()
        super().close()

    def _write(self, line: str) -> None:
        try:
            if self._writer is None:
                self._stream.write(line + "\n")
                self._stream.flush()
            else:
                # Past the stream's own buffer: at its end the interpreter must not wait for the thread to leave that.
                encoding = getattr(self._stream, "encoding", None) or "utf-8"
                write_all(self._stream.fileno(), f"{line}\n".encode(encoding, "backslashreplace"))
        except BrokenPipeError:
            self._mute()
        except (OSError, ValueError):
            # Full, closed or not ours any more: the next line may fare better.
            return

    def _line(self, record: logging.LogRecord) -> str:
        fields, exc_info = _parts(record)
        action = str(fields.pop("action", "unnamed"))
        if exc_info is not None:
            fields["exception"] = _redactor.clean("".join(traceback.format_exception(*exc_info)))[-MAX_TRACEBACK:]
        line = _fields(fields, record, action)
        return self._json(line) if self._as_json else self._story(line)

    def _json(self, line: Mapping[str, Any]) -> str:
        text = _dumps(line)
        clean = _redactor.clean(text)
        # A secret such as "12345678" may have stood where JSON has no quotes.
        if clean == text or _is_json(clean):
            return clean
        return _dumps({"timestamp": line["timestamp"], "level": line["level"], "event": MASK, "action": line["action"]})

    def _story(self, line: Mapping[str, Any]) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        text = _redactor.clean(self._told.tell(line))
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _mute(self) -> None:
        """Nobody reads any more: let what follows, and the interpreter's last flush, go nowhere."""
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(null, self._stream.fileno())
            finally:
                os.close(null)
        except (OSError, ValueError):
            return


def _lines_lost(number: int) -> logging.LogRecord:
    told = {"event": f"{number} lines of the log are lost: nobody read it", "action": "log_lost", "lines": number}
    return logging.makeLogRecord({"name": _OURS, "levelno": logging.WARNING, "levelname": "WARNING", "msg": told})


def _fields(given: dict[str, Any], record: logging.LogRecord, action: str) -> dict[str, Any]:
    """The whole line: when, how grave, what, its name; then the fields, of which none hides one of these."""
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    line = {"timestamp": at.replace("+00:00", "Z"), "level": record.levelname.lower()}
    line |= {"event": given.pop("event", ""), "action": action}
    for name, value in given.items():
        line[f"{name}_" if name in line else name] = value
    return line


def _parts(record: logging.LogRecord) -> tuple[dict[str, Any], ExcInfo | None]:
    """The record's fields, safe to show, and its exception."""
    if isinstance(record.msg, dict):
        given: dict[str, Any] = dict(record.msg)
        exc_info = _exc_info(given.pop("exc_info", None))
    else:
        given = {"event": record.getMessage(), "action": "library", "logger": record.name}
        exc_info = _exc_info(record.exc_info)
    return {_shorten(str(name)): _shown(value) for name, value in given.items()}, exc_info


def _exc_info(value: object) -> ExcInfo | None:
    if isinstance(value, tuple):
        value = value[1] if len(value) == 3 else None
    elif value and not isinstance(value, BaseException):
        value = sys.exc_info()[1]
    return (type(value), value, value.__traceback__) if isinstance(value, BaseException) else None


def _shown(value: object, depth: int = 0) -> Any:
    """`value` as JSON knows it, redacted, short."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth < MAX_DEPTH:
        if isinstance(value, dict):
            items = list(value.items())[:MAX_ITEMS]
            return {_shorten(str(name)): _shown(one, depth + 1) for name, one in items}
        if isinstance(value, list | tuple | set | frozenset):
            return [_shown(one, depth + 1) for one in list(value)[:MAX_ITEMS]]
    return _shorten(str(value))


def _shorten(text: str) -> str:
    """Redacted before it is cut: half a secret would not be known for one."""
    clean = _redactor.clean(text)
    return clean if len(clean) <= MAX_VALUE else clean[: MAX_VALUE - 1] + "…"


def _dumps(line: Mapping[str, Any]) -> str:
    # JSON lets DEL stand as it is, a terminal does not.
    return json.dumps(line).replace("\x7f", "\\u007f")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
