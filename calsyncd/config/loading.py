"""Finding and reading config.yaml: all its faults at once, each at its place."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import ValidationError

from calsyncd.config.faults import Absent, ConfigError, Fault, Problem
from calsyncd.config.models import Settings
from calsyncd.config.rules import Rules
from calsyncd.config.secretfiles import read_regular
from calsyncd.config.section import Section
from calsyncd.config.values import Surroundings, state_dir
from calsyncd.config.yamlnodes import Node, Place, YamlError, parse, spell
from calsyncd.whereabouts import MAX_CONFIG_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEPT = "settings.yaml"
"""The daemon's copy of the settings with which it runs, in its state directory."""

_Read = TypeVar("_Read", bound=Section)

_MAX_SUGGESTIONS = 100
"""Each costs about a millisecond; nobody reads more."""
_SECRET_KEY = re.compile(r"token|secret|passw|private_?key|credential|api_?key", re.IGNORECASE)


def load(path: Path, env: Mapping[str, str]) -> Settings:
    """The settings in the file, with the secrets they name.

    Raises:
        ConfigError: every fault of the file.
    """
    return _loaded(path, _around(path, env))


def load_kept(path: Path, env: Mapping[str, str]) -> tuple[Settings, Path] | None:
    """What the daemon last ran with, where the settings at `path` are faulty, and the copy that holds it.

    The copy lies in the state directory: the one that the faulty settings name, where they can be read so far, else the
    service's, else the one beside them. What it names is looked for as from `path`. None: there is no good one.
    """
    around = _around(path, env)
    try:
        plain = _parsed(_read(path), path)[0].plain()
    except ConfigError:
        plain = None
    try:
        copy = state_dir(plain.get("state_dir") if isinstance(plain, dict) else None, around) / KEPT
        return _loaded(copy, around), copy
    except (ConfigError, Problem):
        return None


def _around(path: Path, env: Mapping[str, str]) -> Surroundings:
    return Surroundings(Path(os.path.abspath(path)).parent, env)  # noqa: PTH100 - links stay: files beside the link count


def _loaded(path: Path, around: Surroundings) -> Settings:
    text = _read(path)
    root, faults = _parsed(text, path)
    return _validated(Settings, path, root, faults, around).read_from(text)


def load_rules(path: Path) -> Rules:
    """The rules in a file that holds what stands under `rules:` in the settings, with or without that key.

    Raises:
        ConfigError: every fault of the file.
    """
    root, faults = _parsed(_read(path), path)
    inner = root.value.get("rules") if isinstance(root.value, dict) and root.value.keys() == {"rules"} else None
    return _validated(Rules, path, root if inner is None else inner, faults, None)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_CONFIG_BYTES)[0]
    except Problem as err:
        raise ConfigError(path, [Fault(1, 1, "", str(err))]) from None


def _parsed(text: bytes, path: Path) -> tuple[Node, list[Fault]]:
    try:
        return parse(text)
    except YamlError as err:
        raise ConfigError(path, [err.fault]) from None


def _validated(model: type[_Read], path: Path, root: Node, faults: list[Fault], around: Surroundings | None) -> _Read:
    try:
        read = model.model_validate(root.plain(), context=around)
    except ValidationError as err:
        raise ConfigError(path, [*faults, *_Faults(root, model).of(err)]) from None
    if faults:
        raise ConfigError(path, faults)
    return read


def check(path: Path, env: Mapping[str, str]) -> list[str]:
    """Every fault of the settings as a line of text; none if they are good. No network."""
    try:
        load(path, env)
    except ConfigError as err:
        return err.lines()
    return []


class _Faults:
    """Turns what the models refuse into faults with a place in the file, whose root is a `model`."""

    def __init__(self, root: Node, model: type[Section]) -> None:
        self._root = root
        self._model = model
        self._suggestions = 0
        self._meant: set[tuple[int | str, ...]] = set()

    def of(self, refused: ValidationError) -> Iterator[Fault]:
        """All of them; a required key that is there under a wrong name is not also missing."""
        errors = refused.errors(include_url=False, include_input=False)
        for error in errors:
            if error["type"] == "extra_forbidden":
                loc = error["loc"]
                yield Fault(*self._place(loc, of_key=True), spell(loc), self._unknown(loc))
        for error in errors:
            loc = error["loc"]
            absent = error["ctx"]["error"] if error["type"] == "value_error" else None
            if isinstance(absent, Absent):
                if not {loc, *((*loc[:-1], key) for key in absent.instead)} & self._meant:
                    yield Fault(*self._place(loc[:-1], of_key=True), spell(loc), str(absent))
            elif error["type"] == "missing":
                if loc not in self._meant:
                    yield Fault(*self._place(loc[:-1], of_key=True), spell(loc), "is missing, and has no default")
            elif loc[-1:] == ("[key]",):
                said = _sentence(error, loc[:-1], self._model)
                yield Fault(*self._place(loc[:-1], of_key=True), spell(loc[:-1]), said)
            elif error["type"] != "extra_forbidden":
                yield Fault(*self._place(loc, of_key=False), spell(loc), _sentence(error, loc, self._model))

    def _place(self, loc: tuple[int | str, ...], *, of_key: bool) -> Place:
        """Where `loc` stands; what is not in the file stands at the nearest thing around it."""
        if not loc:
            return self._root.place
        node, place = self._root, Place(1, 1)
        for index, step in enumerate(loc):
            last = index == len(loc) - 1
            if isinstance(node.value, dict) and step in node.value:
                place = node.keys[str(step)]
                node = node.value[str(step)]
            elif isinstance(node.value, list) and isinstance(step, int):
                node = node.value[step]
                place = node.place
            else:
                return place
            if last and not of_key:
                place = node.place
        return place

    def _unknown(self, loc: tuple[int | str, ...]) -> str:
        key, model = str(loc[-1]), _model_at(loc[:-1], self._model)
        known = sorted(model.keys())
        files = [name for name in known if name.endswith("_file") and name in model.model_fields and len(loc) > 1]
        if f"{key}_file" in files or (_SECRET_KEY.search(key) and not key.endswith("_file")):
            meant = difflib.get_close_matches(key, files or _FILES, 1, 0.0)[0]
            self._meant.add((*loc[:-1], meant))
            name = meant if files else _PATHS[meant]
            return (
                "unknown key, and a secret is never written in this file; "
                f"write it into a file of its own and name that in {name}"
            )
        elsewhere = _PATHS.get(key) if self._model is Settings else None
        if elsewhere:
            return f"unknown key here (did you mean {elsewhere}{'' if '.' in elsewhere else ' at the top level'}?)"
        if self._suggestions < _MAX_SUGGESTIONS and len(key) <= 64:
            self._suggestions += 1
            near = difflib.get_close_matches(key.lower().replace("-", "_"), known, 1)
            if near:
                self._meant.add((*loc[:-1], near[0]))
                return f"unknown key (did you mean {near[0]}?)"
        return f"unknown key (known here: {', '.join(model.keys())})"


def _sentence(error: Any, loc: tuple[int | str, ...], root: type[Section]) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "tuple_type":
        return "expected a list, each item on a line that begins with `- `"
    if error["type"] == "dict_type":
        return "expected a line `name: …` below it for each, or {}"
    fields = ", ".join(_model_at(loc, root).keys())
    return f"expected keys below it, of: {fields}"


def _model_at(loc: tuple[int | str, ...], root: type[Section]) -> type[Section]:
    """The model at a path; a path that leads to no model gives the last one on the way."""
    model = root
    for step in loc:
        if isinstance(step, str) and step in model.model_fields:
            model = _section(model.model_fields[step].annotation) or model
    return model


def _section(annotation: object) -> type[Section] | None:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def _paths(model: type[Section], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section is None:
            yield name, f"{prefix}{name}"
        elif not prefix:
            yield from _paths(section, f"{name}.")


def _unique_paths() -> dict[str, str]:
    found = [(name, path) for name, path in _paths(Settings) if path == name or name not in Settings.model_fields]
    names = [name for name, _ in found]
    return {name: path for name, path in found if names.count(name) == 1}


_PATHS = _unique_paths()
"""Where a key belongs that stands in a wrong section, if there is only one such place."""
_FILES = [name for name in _PATHS if name.endswith("_file")]
