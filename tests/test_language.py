"""The rules of the conventions about names, docstrings and messages that a program can check."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.import_graph import ROOT, modules

PACKAGES = sorted({module.path.parent for module in modules().values()})
MAP = ROOT / "shared" / "tidegate"
"""The package whose docstring draws the layers: several names a line."""

BEGINNINGS = re.compile(r"(The same|What|Whether|Of|Likewise)\b")
"""How no docstring begins: it stands alone, and starts with a verb or a noun of the field."""

RIDDLES = re.compile(
    r"(?<!here )\b(is|are) none\b|(?<!here )\bis no (?!longer\b)\w+|\b[Tt]here is nothing (at|under)\b"
)
"""Claims that negate the noun: "X is none", "X is no Y", where "X is not a valid Y" is plain."""

FORBIDDEN = re.compile(r"(utils?|helpers?|common|base|manager|handler|data|info|misc|process_\w+)")
PROTOCOLS = {"providers/base.py", "transport/base.py"}
"""The interface that every other file of its package implements."""

NOUNS = {
    *("billing", "caching", "hedging", "masking", "metering", "ordering", "reasoning", "routing", "sampling"),
    "thinking",
}
"""Names in -ing that the field uses as nouns, as in "request hedging" or "extended thinking"."""

packages = pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
sources = pytest.mark.parametrize("name", sorted(modules()))


def docstring(package: Path) -> str:
    return ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""


def contents(package: Path) -> set[str]:
    """The modules, packages and data files of a package, as its docstring has to list them."""
    inner = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    return inner | {path.stem for path in package.glob("[!_]*.py")} | {path.name for path in package.glob("*.json")}


def strings(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Every string of a module, with its line, and whether it is a docstring (of a constant or a field, too)."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value.strip(), id(node) in docs


@packages
def test_a_package_lists_its_files_and_nothing_else(package: Path) -> None:
    lines = re.findall(r"^(\w[\w., /]*?) {2,}\S", docstring(package), re.MULTILINE)
    listed = {name.strip().rstrip("/") for line in lines for name in line.split(",")}
    assert listed - ({"functions"} if package == MAP else set()) == contents(package)


@sources
def test_a_docstring_stands_alone(name: str) -> None:
    found = [(line, text) for line, text, is_doc in strings(modules()[name].tree) if is_doc and BEGINNINGS.match(text)]
    assert found == []


@sources
def test_no_docstring_and_no_message_is_a_riddle(name: str) -> None:
    assert [(line, text) for line, text, _ in strings(modules()[name].tree) if RIDDLES.search(text)] == []


@sources
def test_a_module_is_named_with_a_noun_of_the_field(name: str) -> None:
    path = modules()[name].path
    word = path.parent.name if path.name == "__init__.py" else path.stem
    assert not FORBIDDEN.fullmatch(word) or str(path.relative_to(MAP)) in PROTOCOLS
    assert not word.endswith("ing") or word in NOUNS
