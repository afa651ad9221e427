"""Every mutant of the modules named, one JSON object a line.

Runs by itself, where mutmut is and nothing of calsyncd's: mutmut gives the operators, `tools.mutation` runs the tests.
mutmut leaves decorated functions out, since its trampolines cannot stand for them; here they are mutated too.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode


class Visitor(MutationVisitor):  # type: ignore[misc] # mutmut comes untyped
    """mutmut's, and it goes into decorated functions."""

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        inside = isinstance(node, libcst.FunctionDef) and bool(node.decorators)
        return not inside and bool(super()._skip_node_and_children(node))


def mutants(path: Path) -> Iterator[dict[str, object]]:
    """What `tools.mutation.run.Mutant` holds: each mutant with the whole of its function."""
    source = path.read_text(encoding="utf-8")
    wrapper = MetadataWrapper(libcst.parse_module(source))
    visitor = Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    module = wrapper.visit(visitor)
    positions = wrapper.resolve(PositionProvider)
    seen: set[tuple[int, str]] = set()
    for mutation in visitor.mutations:
        function = mutation.contained_by_top_level_function
        if not isinstance(function, libcst.FunctionDef):
            continue
        code = module.code_for_node(function.deep_replace(mutation.original_node, mutation.mutated_node))
        first = positions[function].start.line
        if (first, code) in seen or _same(module.code_for_node(function), code):
            continue
        seen.add((first, code))
        place = positions.get(mutation.original_node, positions[function])
        yield {
            "module": path.stem,
            "function": first,
            "line": place.start.line,
            "before": " ".join(module.code_for_node(mutation.original_node).split()),
            "after": " ".join(module.code_for_node(mutation.mutated_node).split()),
            "code": code,
        }


def _same(one: str, other: str) -> bool:
    return ast.dump(ast.parse(_flush(one))) == ast.dump(ast.parse(_flush(other)))


def _flush(code: str) -> str:
    """As a module of its own, wherever it is indented."""
    first = next(line for line in code.splitlines() if line.strip())
    return "if True:\n" + code if first[:1].isspace() else code


if __name__ == "__main__":
    for name in sys.argv[1:]:
        for mutant in mutants(Path(name)):
            print(json.dumps(mutant))  # noqa: T201 - it is what is asked for
