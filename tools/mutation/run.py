"""Run the tests of `core/` against each of its mutants, all from one process that has imported and collected once.

Theory. A mutant takes milliseconds if nothing is started for it: this process imports the program, collects the tests
and runs each once, to learn which lines it passes and how long it takes. For a mutant it forks; the child puts the
mutated code into the function where it lies, whatever wraps or refers to it, and runs the tests that pass its line,
those first that killed its neighbours, until one fails. What is still running after several times its time on the
processor is killed too, as is what would fill the memory.
"""

from __future__ import annotations

import ast
import functools
import gc
import os
import resource
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Literal

import coverage
import pytest

Outcome = Literal["killed", "timeout", "survived"]

SECONDS_AT_LEAST = 5.0
TIMES_AS_LONG = 4.0
"""Of time on the processor: a busy machine makes no mutant look endless."""
MEMORY_BYTES = 4 * 2**30


_CACHED = type(functools.lru_cache(len))


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one function: `function` and `line` are lines of `module`, `code` the whole function, changed."""

    module: str
    function: int
    line: int
    before: str
    after: str
    code: str

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line}: {self.before}  →  {self.after}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant; `test` is the one that failed."""

    mutant: Mutant
    outcome: Outcome
    test: str | None = None


@dataclass(slots=True)
class Module:
    """A module's source by lines, its functions, and which tests pass which line."""

    path: Path
    tree: ast.Module
    passes: dict[int, list[int]]
    functions: dict[str, list[FunctionType]] = field(default_factory=dict)

    def lines(self, line: int) -> range:
        """Those of the statement that `line` is in; of one with a body, its head."""
        best: ast.stmt | None = None
        for node in ast.walk(self.tree):
            if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or line):
                best = node if best is None or node.lineno >= best.lineno else best
        if best is None:
            return range(line, line + 1)
        if isinstance(best, ast.FunctionDef):
            return range(best.body[0].lineno, (best.end_lineno or line) + 1)
        body = getattr(best, "body", None)
        last = body[0].lineno - 1 if body else best.end_lineno or line
        return range(best.lineno, max(last, best.lineno) + 1)

    def named(self, line: int) -> tuple[str, ast.FunctionDef]:
        """The qualified name of the function that begins at `line`, its decorators counted in, and its class."""
        for name, node in _functions(self.tree, ""):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if first <= line <= node.body[0].lineno:
                return name, node
        raise LookupError(f"{self.path.name} has no function at line {line}")


class Runner:
    """The plugin that takes over once the tests are collected."""

    def __init__(
        self, core: Path, mutants: Iterable[Mutant], jobs: int, tell: Callable[[Result, int, int], None]
    ) -> None:
        self._core, self._mutants, self._jobs, self._tell = core, list(mutants), jobs, tell
        self.results: list[Result] = []
        self.failed: list[str] = []
        self._items: list[pytest.Item] = []
        self._seconds: list[float] = []
        self._modules: dict[str, Module] = {}
        self._caches: list[Any] = []
        self._kills: dict[tuple[str, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn, then run all mutants."""
        self._items = session.items
        self._learn()
        if not self.failed:
            self._run()
        return True

    def _learn(self) -> None:
        cover = coverage.Coverage(data_file=None, include=[f"{self._core}/*"], config_file=False, messages=False)
        cover.start()
        for number, item in enumerate(self._items):
            cover.switch_context(str(number))
            begun = time.process_time()
            if _fails(item):
                self.failed.append(item.nodeid)
            self._seconds.append(time.process_time() - begun)
        cover.stop()
        data = cover.get_data()
        for path in sorted(self._core.glob("*.py")):
            passes = {
                line: [int(one) for one in contexts if one]
                for line, contexts in data.contexts_by_lineno(str(path)).items()
            }
            self._modules[path.stem] = Module(path, ast.parse(path.read_text(encoding="utf-8")), passes)
        known = {str(one.path): one for one in self._modules.values()}
        for made in gc.get_objects():
            if type(made) is FunctionType and made.__code__.co_filename in known:
                functions = known[made.__code__.co_filename].functions
                functions.setdefault(made.__qualname__, []).append(made)
            elif isinstance(made, _CACHED) and made.__module__.startswith("calsyncd."):
                self._caches.append(made)

    def _run(self) -> None:
        waiting: dict[int, tuple[Mutant, int]] = {}
        gc.collect()
        gc.freeze()
        for mutant in self._mutants:
            if len(waiting) >= self._jobs:
                self._reap(waiting)
            tests = self._tests(mutant)
            if not tests:
                self._end(Result(mutant, "survived"))
                continue
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                self._child(mutant, tests, writing)
            os.close(writing)
            waiting[pid] = (mutant, reading)
        while waiting:
            self._reap(waiting)

    def _reap(self, waiting: dict[int, tuple[Mutant, int]]) -> None:
        pid, status = os.wait()
        mutant, reading = waiting.pop(pid)
        told = os.read(reading, 100).decode()
        os.close(reading)
        if os.WIFSIGNALED(status):
            ends = os.WTERMSIG(status) in {signal.SIGPROF, signal.SIGKILL}
            result = Result(mutant, "timeout" if ends else "killed")
        elif told:
            self._kills[mutant.module, mutant.function][int(told)] += 1
            result = Result(mutant, "killed", self._items[int(told)].nodeid)
        else:
            result = Result(mutant, "survived" if os.WEXITSTATUS(status) == 0 else "killed")
        self._end(result)

    def _end(self, result: Result) -> None:
        self.results.append(result)
        self._tell(result, len(self.results), len(self._mutants))

    def _tests(self, mutant: Mutant) -> list[int]:
        """Those that pass the mutant's line: first what killed its neighbours, then the quick ones."""
        module = self._modules[mutant.module]
        found = {test for line in module.lines(mutant.line) for test in module.passes.get(line, ())}
        kills = self._kills[mutant.module, mutant.function]
        return sorted(found, key=lambda test: (-kills.get(test, 0), self._seconds[test]))

    def _child(self, mutant: Mutant, tests: list[int], writing: int) -> None:
        """Never returns."""
        status = 2
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            limit = SECONDS_AT_LEAST + TIMES_AS_LONG * sum(self._seconds[test] for test in tests)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, limit)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            self._put(mutant)
            failing = next((test for test in tests if _fails(self._items[test])), None)
            if failing is not None:
                os.write(writing, str(failing).encode())
            status = 0 if failing is None else 1
        except BaseException:  # noqa: BLE001 - a mutant may raise anything, and ends with it
            status = 2
        finally:
            os._exit(status)

    def _put(self, mutant: Mutant) -> None:
        """Make the function what the mutant says."""
        module = self._modules[mutant.module]
        name, original = module.named(mutant.function)
        mutated = _function(ast.parse(_flush(mutant.code)))
        code = _compiled(name, mutated, module.path)
        first = original.lineno
        targets = [
            one
            for one in module.functions.get(name, [])
            if original.lineno - len(original.decorator_list) <= one.__code__.co_firstlineno <= first
        ]
        if not targets:
            raise LookupError(f"no function {name}")
        defaults = _unlike(original, mutated)
        for target in targets:
            target.__code__ = code
            if defaults:
                target.__defaults__, target.__kwdefaults__ = _defaults(mutated, target.__globals__)
        for cached in self._caches:
            cached.cache_clear()


def _fails(item: Any) -> bool:
    """Run a test bare: no report is wanted of it."""
    if hasattr(item, "_initrequest"):
        item._initrequest()  # noqa: SLF001 - what is run again needs its fixtures anew; pytest has no other way
    state = item.session._setupstate  # noqa: SLF001 - as pytest's own runner does
    failed = False
    try:
        state.setup(item)
        item.runtest()
    except pytest.skip.Exception:
        pass
    except Exception:  # noqa: BLE001 - whatever it is, the test does not pass
        failed = True
    try:
        state.teardown_exact(None)
    except Exception:  # noqa: BLE001 - the same
        failed = True
    return failed


def _functions(tree: ast.AST, before: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield before + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{before}{node.name}.")


def _flush(code: str) -> str:
    first = next(line for line in code.splitlines() if line.strip())
    return "if True:\n" + code if first[:1].isspace() else code


def _function(tree: ast.AST) -> ast.FunctionDef:
    return next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _compiled(name: str, function: ast.FunctionDef, path: Path) -> CodeType:
    """The code of `function` as its module would have it, in its class."""
    function.decorator_list = []
    whole = ast.parse("from __future__ import annotations")
    tree: ast.stmt = function
    for part in reversed(name.split(".")[:-1]):
        (holder,) = ast.parse(f"class {part}: ...").body
        assert isinstance(holder, ast.ClassDef)  # noqa: S101 - it was written just so
        holder.body, tree = [tree], holder
    whole.body.append(tree)
    code: CodeType = compile(whole, str(path), "exec")
    for part in name.split("."):
        code = next(one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == part)
    return code


def _unlike(one: ast.FunctionDef, other: ast.FunctionDef) -> bool:
    return ast.dump(one.args) != ast.dump(other.args)


def _defaults(function: ast.FunctionDef, names: dict[str, Any]) -> tuple[tuple[Any, ...] | None, dict[str, Any] | None]:
    def value(node: ast.expr) -> Any:
        return eval(compile(ast.Expression(node), "<default>", "eval"), names)  # noqa: S307 - it is our own source

    positional = tuple(value(node) for node in function.args.defaults)
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    named = {arg.arg: value(node) for arg, node in pairs if node is not None}
    return positional or None, named or None
