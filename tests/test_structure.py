"""What the conventions say of the code's shape, and a linter does not know."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("shared/tidegate/**/*.py"), *ROOT.glob("functions/**/*.py")])
BROAD = {
    *("api/endpoint.py", "pipeline/observation.py", "pipeline/settle.py", "pipeline/trace.py", "runtime/endpoint.py"),
    *("batch/line_call.py", "local/background_batches.py", "pipeline/kept_responses.py", "server/exchange.py"),
    *("aws/logs.py", "pipeline/trace_answer.py"),
}
"""Where `except Exception` may stand: the edge of the API, the observer, settling, traces, stored responses, the log
lines of calls, the edges of the runtime, of the server and of the local server's worker.
"""

sources = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0


@sources
def test_no_module_is_longer_than_385_lines_and_no_function_than_60(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 385
    assert {node.name: lines(node) for node in functions(path) if lines(node) > 60} == {}


def test_functions_are_short() -> None:
    """Nineteen of twenty have no more than twenty lines below their signature and docstring."""
    lengths = sorted(body_lines(node) for path in SOURCES for node in functions(path))
    assert lengths[len(lengths) * 95 // 100] <= 20


@sources
def test_every_module_says_what_it_is(path: Path) -> None:
    assert path.stat().st_size == 0 or ast.get_docstring(ast.parse(path.read_text()))


@sources
def test_only_settings_the_command_line_and_the_runtime_read_the_environment(path: Path) -> None:
    room = str(path.relative_to(ROOT)).removeprefix("shared/tidegate/")
    edges = {"settings.py", "local/serve.py", "cli/batch.py", "cli/calls.py", "cli/commands.py", "cli/connect.py"}
    edges.add("transport/proxies.py")  # HTTPS_PROXY and its like are not the gateway's own settings
    allowed = room in edges or room.startswith("runtime/")
    assert allowed or "os.environ" not in path.read_text()


@sources
def test_everything_is_caught_only_where_it_may_be(path: Path) -> None:
    broad = [
        node
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert not broad or str(path.relative_to(ROOT)).removeprefix("shared/tidegate/") in BROAD


ESCAPES = re.compile(r"# (?:noqa|pyright: ignore|type: ignore)(?::? ?[A-Z\d, ]+|\[[\w, ]+\])?|\bexcept Exception\b.*:")
"""Finds comments that turn off a check, and handlers of every exception."""


@sources
def test_every_escape_has_its_reason(path: Path) -> None:
    source = path.read_text().splitlines()
    unexplained = [
        line
        for above, line in pairwise(["", *source])
        if (escape := ESCAPES.search(line)) and "# " not in line[escape.end() :] and not above.lstrip().startswith("#")
    ]
    assert unexplained == []


def test_there_is_no_demo_key_that_everybody_knows() -> None:
    knows = {path.parent.name for path in SOURCES if "sk-tidegate-demo" in path.read_text()}
    assert knows == set()
