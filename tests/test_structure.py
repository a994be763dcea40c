"""What the conventions say of the code's shape, and a linter does not know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("shared/tidegate/**/*.py"), *ROOT.glob("functions/**/*.py")])
BROAD = {"api/chat.py", "pipeline/observation.py", "runtime/endpoint.py"}
"""Where `except Exception` may stand: the edge of the API, the observer, and the edge of the runtime."""

sources = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


@sources
def test_no_module_is_longer_than_400_lines_and_no_function_than_60(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < 60, node.name


@sources
def test_every_module_says_what_it_is(path: Path) -> None:
    assert path.stat().st_size == 0 or ast.get_docstring(ast.parse(path.read_text()))


@sources
def test_only_settings_the_command_line_and_the_runtime_read_the_environment(path: Path) -> None:
    room = str(path.relative_to(ROOT)).removeprefix("shared/tidegate/")
    allowed = room in {"settings.py", "local/serve.py", "cli/commands.py"} or room.startswith("runtime/")
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


def test_the_demo_key_lives_in_the_local_room_only() -> None:
    knows = {path.parent.name for path in SOURCES if "sk-tidegate-demo" in path.read_text()}
    assert knows == {"local"}
