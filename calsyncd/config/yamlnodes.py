"""YAML as a tree whose every node knows its place, and whose scalars stay the text that was typed.

YAML guesses types: `12:30` becomes 750, `no` False, `+33123` a number, `0123` 83. Here a scalar is its text, and the
setting it is meant for decides what it means. Of YAML only what settings need is understood: one document of plain
mappings, lists and scalars; anchors, aliases and tags are refused, which also ends every recursion bomb. The tree
is built from the parser's events without recursion.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from calsyncd.config.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yaml._yaml import Mark as _CMark
    from yaml.error import Mark

    _Mark = Mark | _CMark

MAX_DEPTH = 20
"""Settings are five levels deep at most; what is deeper is an accident or an attack."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff\ufeff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.@+-]{0,63}")
_LOOKS_SECRET = re.compile(r"(?=.*\d)[A-Za-z0-9+/=_.-]{20,}")
_HOLDS_SECRET = re.compile(r"token|secret|password|private|key|_file", re.IGNORECASE)

_TAB = "a tab where spaces are needed; indent with spaces"
_INDENT = "indented unlike the lines above; neighbours start in the same column"
_ITEM = "a list item that is not indented like its neighbours"
_TRAILING = "text after the end of a value; put quotes around the whole value"
_OPEN_QUOTE = "a quote that is never closed"
_BEGINS = "put quotes around a value that begins with"
_PROBLEMS = {
    "found character '\\t' that cannot start any token": _TAB,
    "found a tab character that violates indentation": _TAB,
    "mapping values are not allowed here": "a `:` that does not belong here; each key has its own line, a value that"
    " holds `: ` has quotes, and the line above may lack its `:`",
    "could not find expected ':'": "expected `key: value`",
    # `?` is what the parser calls the beginning of a key.
    "expected <block end>, but found '?'": _INDENT,
    "expected <block end>, but found '<block mapping start>'": _INDENT,
    "expected '<document start>', but found '<block mapping start>'": _INDENT,
    "expected <block end>, but found '-'": _ITEM,
    "expected <block end>, but found '<block sequence start>'": _ITEM,
    "expected '<document start>', but found '<block sequence start>'": _ITEM,
    "expected <block end>, but found '<scalar>'": _TRAILING,
    "expected '<document start>', but found '<scalar>'": _TRAILING,
    "sequence entries are not allowed here": "a list item on the line of its key; begin the list on the next line",
    "found unexpected end of stream": _OPEN_QUOTE,
    "found unexpected document separator": _OPEN_QUOTE,
    "found character '%' that cannot start any token": f"{_BEGINS} `%`",
    "found character '@' that cannot start any token": f"{_BEGINS} `@`",
    "found character '`' that cannot start any token": f"{_BEGINS} a backtick",
}
_AT_THE_BEGINNING = frozenset({"could not find expected ':'", "found unexpected end of stream"})
"""Problems which the parser notices far behind the place that has to be mended."""


class Place(NamedTuple):
    """A line and a column, counted from 1."""

    line: int
    column: int


class Text(str):
    """A scalar as it was typed; `plain` when without quotes."""

    __slots__ = ("plain",)
    plain: bool

    def __new__(cls, text: str, *, plain: bool) -> Self:
        """Keep `plain` beside the text."""
        made = super().__new__(cls, text)
        made.plain = plain
        return made


@dataclass(slots=True)
class Node:
    """A value and where it begins; of a mapping also where each key begins."""

    place: Place
    value: Text | dict[str, Node] | list[Node] | None
    keys: dict[str, Place] = field(default_factory=dict)

    def plain(self) -> object:
        """The same as dict, list, Text and None, without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


class YamlError(Exception):
    """The text cannot be read any further than `fault`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def parse(data: bytes) -> tuple[Node, list[Fault]]:
    """The root mapping and the faults that do not stop reading (keys given twice: the first counts).

    Raises:
        YamlError: this is not YAML, or more than the YAML of settings.
    """
    text = _decode(data)
    if yaml.__with_libyaml__:
        # Ten times as fast, which counts where there are thousands of agents; its words of faults are not ours.
        with contextlib.suppress(YamlError):
            return _built(yaml.CSafeLoader(text))
    return _built(yaml.SafeLoader(text))


def _built(loader: yaml.SafeLoader | yaml.CSafeLoader) -> tuple[Node, list[Fault]]:
    builder = _Builder()
    try:
        for event in _events(loader):
            builder.feed(event)
    finally:
        loader.dispose()
    if builder.root is None or builder.root.value is None:
        raise _error(Place(1, 1), "the file is empty; begin with config.example.yaml")
    if not isinstance(builder.root.value, dict):
        raise _error(builder.root.place, "expected `key: value` lines; see config.example.yaml")
    return builder.root, builder.faults


def spell(path: Sequence[str | int]) -> str:
    """The path as `agents[0].rules.lead`; text that may be a secret or is no plain name is left out."""
    spelt = ""
    for step in path:
        if isinstance(step, int):
            spelt += f"[{step}]"
            continue
        if not _NAME.fullmatch(step) or _LOOKS_SECRET.fullmatch(step):
            return f"{spelt}.(…)" if spelt else "(…)"
        spelt += f".{step}" if spelt else step
        if _HOLDS_SECRET.search(step):
            break
    return spelt


def _error(place: Place, message: str) -> YamlError:
    return YamlError(Fault(place.line, place.column, "", message))


def _decode(data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        raise _error(Place(1, 1), "begins with a byte order mark; save it as UTF-8 without one")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as err:
        place = _place_in(data[: err.start].decode("utf-8"), err.start)
        raise _error(place, "not UTF-8 text; save it as UTF-8") from None
    unfit = _UNFIT.search(text)
    if unfit:
        place = _place_in(text, unfit.start())
        raise _error(place, f"not a text file: it holds the control character U+{ord(unfit[0]):04X}")
    return text


def _place_in(text: str, index: int) -> Place:
    before = text[:index]
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _place(mark: _Mark | None) -> Place:
    if mark is None:
        return Place(1, 1)
    return Place(mark.line + 1, mark.column + 1)


def _events(loader: yaml.SafeLoader | yaml.CSafeLoader) -> Iterator[yaml.Event]:
    """The parser's events; whatever it trips over becomes one YamlError."""
    while True:
        try:
            if not loader.check_event():
                return
            event = loader.get_event()
        except yaml.MarkedYAMLError as err:
            problem = err.problem or ""
            mark = err.problem_mark or err.context_mark
            if problem in _AT_THE_BEGINNING:
                mark = err.context_mark or mark
            raise _error(_place(mark), _syntax(problem)) from None
        except (yaml.YAMLError, ValueError, ArithmeticError, LookupError):
            # PyYAML lets numbers out of range (in escapes and directives) end in Python's own errors.
            mark = loader.get_mark() if isinstance(loader, yaml.SafeLoader) else None
            raise _error(_place(mark), "not valid YAML") from None
        assert event is not None  # noqa: S101 - it was there when it was looked for
        yield event


def _syntax(problem: str) -> str:
    if problem in _PROBLEMS:
        return _PROBLEMS[problem]
    # What stands in quotes there may be text of the file, except a single character or a token's name.
    quoted = re.findall(r"""['"]([^'"]*)['"]""", problem)
    if any(len(said) > 1 and not re.fullmatch(r"<[a-z ]+>", said) for said in quoted):
        return "not valid YAML"
    return f"not valid YAML: {problem}" if problem else "not valid YAML"


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come; of a mapping also the key that waits for its value."""

    node: Node
    path: tuple[str | int, ...]
    key: str | None = None
    twice: bool = False


class _Builder:
    """Makes the tree from events."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.faults: list[Fault] = []
        self._open: list[_Open] = []
        self._documents = 0

    def feed(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _error(_place(event.start_mark), "a second document begins here; settings are one document")
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self._open.pop()
        elif isinstance(event, NodeEvent):
            self._node(event)

    def _node(self, event: NodeEvent) -> None:
        place = _place(event.start_mark)
        if isinstance(event, AliasEvent):
            raise _error(place, "aliases are not supported; put quotes around a value that begins with `*`")
        if event.anchor is not None:
            raise _error(place, "anchors are not supported; put quotes around a value that begins with `&`")
        if getattr(event, "tag", None) is not None:
            raise _error(place, "tags are not supported; put quotes around a value that begins with `!`")
        parent = self._open[-1] if self._open else None
        if parent and isinstance(parent.node.value, dict) and parent.key is None:
            self._key(parent, event, place)
            return
        if isinstance(event, ScalarEvent):
            self._place(parent, Node(place, _scalar(event, place)))
            return
        if len(self._open) >= MAX_DEPTH:
            raise _error(place, f"nested more than {MAX_DEPTH} levels deep")
        node = Node(place, {} if isinstance(event, MappingStartEvent) else [])
        self._open.append(_Open(node, self._place(parent, node)))

    def _key(self, parent: _Open, event: NodeEvent, place: Place) -> None:
        if not isinstance(event, ScalarEvent):
            raise _error(place, "a key is one word, not a list or a mapping")
        key = str(_scalar(event, place) or event.value)
        parent.key = key
        parent.twice = key in parent.node.keys
        if parent.twice:
            path = spell((*parent.path, key))
            first = parent.node.keys[key].line
            self.faults.append(Fault(*place, path, f"given twice (first on line {first}); keep one of them"))
        else:
            parent.node.keys[key] = place

    def _place(self, parent: _Open | None, node: Node) -> tuple[str | int, ...]:
        """Hang the node under its parent; answers its path."""
        if parent is None:
            self.root = node
            return ()
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
            return (*parent.path, len(parent.node.value) - 1)
        assert isinstance(parent.node.value, dict)  # noqa: S101 - only mappings and lists are opened
        assert parent.key is not None  # noqa: S101 - _node gives a mapping its key first
        key, parent.key = parent.key, None
        if node.value is None:
            node.place = parent.node.keys[key]  # nothing was typed that one could point at
        if not parent.twice:
            parent.node.value[key] = node
        return (*parent.path, key)


def _scalar(event: ScalarEvent, place: Place) -> Text | None:
    plain = event.style in {None, ""}
    if plain and event.value in _NULLS:
        return None
    if _UNFIT.search(event.value):
        raise _error(place, "holds a control character by its escape; remove it")
    return Text(event.value, plain=plain)
