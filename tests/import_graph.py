"""The imports between tidegate's modules, read from the sources: those at the top of a file, and those of `load`."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from tidegate.providers.registry import _NATIVE

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Scopes: TypeAlias = tuple[Function, ...]

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    tree: ast.Module


@dataclass(frozen=True)
class LazyImport:
    """One call of `tidegate.lazy.load` or `late`, with one of the pairs that it may be given."""

    importer: str
    line: int
    module: str
    name: str


class Unreadable(AssertionError):
    """The arguments of a `load` cannot be read from the source: write them as literals, or take them from a table."""


@cache
def modules() -> dict[str, Module]:
    """Every module of the package and of the functions, by its dotted name."""
    found: dict[str, Module] = {}
    for base in (ROOT / "shared", ROOT):
        for path in sorted((base / ("tidegate" if base.name == "shared" else "functions")).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, path, ast.parse(path.read_text()))
    return found


def graph() -> dict[str, set[str]]:
    """The modules that each module imports, at once or through `load`. A package is its `__init__.py`."""
    edges: dict[str, set[str]] = {name: set(_imports(module)) - {name} for name, module in modules().items()}
    for lazy in lazy_imports():
        edges[lazy.importer].add(lazy.module)
    return edges


def lazy_imports() -> list[LazyImport]:
    """Every pair of names that some `load` may be given. Raises `Unreadable`."""
    found = {lazy for module in modules().values() for lazy in _lazy_imports(module)}
    return sorted(found, key=lambda lazy: (lazy.importer, lazy.line, lazy.module, lazy.name))


def cycles() -> list[list[str]]:
    """The sets of modules that import each other, directly or around a corner (Tarjan's components)."""
    edges, order, low = graph(), dict[str, int](), dict[str, int]()
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            start = stack.index(name)
            found.append(sorted(stack[start:]))
            del stack[start:]

    for name in sorted(edges):
        if name not in order:
            visit(name)
    return [component for component in found if len(component) > 1]


def _imports(module: Module) -> Iterator[str]:
    known = modules()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from (name for name in (inner if inner in known else node.module,) if name in known)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def _lazy_imports(module: Module) -> Iterator[LazyImport]:
    if not any(isinstance(node, ast.ImportFrom) and node.module == "tidegate.lazy" for node in module.tree.body):
        return
    for scopes, call in _calls(module.tree):
        if isinstance(call.func, ast.Name) and call.func.id in ("load", "late"):
            left, right = (_strings(argument, scopes, module.tree) for argument in call.args)
            together = len(left) == len(right) and len(left) > 1
            pairs = zip(left, right, strict=True) if together else ((one, other) for one in left for other in right)
            for target, name in pairs:
                yield LazyImport(module.name, call.lineno, target, name)


def _calls(node: ast.AST, scopes: Scopes = ()) -> Iterator[tuple[Scopes, ast.Call]]:
    """Every call, with the functions around it, the innermost first."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield scopes, child
        yield from _calls(child, (child, *scopes) if isinstance(child, Function) else scopes)


def _strings(value: ast.expr, scopes: Scopes, tree: ast.Module) -> list[str]:
    """The strings that an argument may be: a literal, a variable, a place in a table, or a parameter's arguments."""
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=[ast.Constant(value="tidegate.providers."), ast.FormattedValue()]):
            return [f"tidegate.providers.{name}" for name in _NATIVE]
        case ast.Subscript(value=ast.Name(id=table)):
            return [text for entry in _table(table, tree) for text in _strings(entry, (), tree)]
        case ast.Name(id=name):
            for place, scope in enumerate(scopes):
                found = [*_assigned(name, ast.walk(scope), tree), *_given(name, scope, tree)]
                if found:
                    return [text for one in found for text in _strings(one, scopes[place:], tree)]
            return [text for one in _assigned(name, tree.body, tree) for text in _strings(one, (), tree)]
    raise Unreadable(ast.unparse(value))


def _assigned(name: str, nodes: Iterable[ast.AST], tree: ast.Module) -> Iterator[ast.expr]:
    """What a variable is bound to: a value, or a column of a table that is unpacked or looped over."""
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                yield value
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Subscript(value=ast.Name(id=table))):
                yield from _column(name, names, table, tree)
            case ast.For(
                target=ast.Tuple(elts=[_, ast.Tuple(elts=names)]),
                iter=ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="items")),
            ):
                yield from _column(name, names, table, tree)
            case _:
                pass


def _given(name: str, function: Function, tree: ast.Module) -> Iterator[ast.expr]:
    """What a function of the module is given as that parameter, wherever the module calls it."""
    places = [place for place, argument in enumerate(function.args.args) if argument.arg == name]
    for _, call in _calls(tree):
        if places and isinstance(call.func, ast.Name) and call.func.id == function.name:
            yield call.args[places[0]]


def _column(name: str, names: list[ast.expr], table: str, tree: ast.Module) -> Iterator[ast.expr]:
    for place, target in enumerate(names):
        if isinstance(target, ast.Name) and target.id == name:
            yield from (row.elts[place] for row in _table(table, tree) if isinstance(row, ast.Tuple))


def _table(name: str, tree: ast.Module) -> list[ast.expr]:
    """The values of a module's dict."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Dict(values=values)) if target == name:
                return values
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.Dict(values=values)) if target == name:
                return values
            case _:
                pass
    raise Unreadable(name)
