"""The names of the tests in a list of modules: what a table of pitfalls may refer to."""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

TESTS = Path(__file__).parents[1]


def check_table(covered: Mapping[str, Iterable[str]], numbers: range, *patterns: str) -> None:
    """Fail unless the table has each of the numbers in order, and its tests are in the modules of the patterns."""
    files = [file for pattern in patterns for file in TESTS.glob(pattern)]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    found = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    named = {name for tests in covered.values() for name in tests}
    assert named <= found, named - found
    assert [int(pitfall.partition(" ")[0]) for pitfall in covered] == [*numbers]
