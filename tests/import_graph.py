"""The imports between tidegate's modules, read from the sources: those at the top of a file, and those of `load`."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    tree: ast.Module


@dataclass(frozen=True)
class LazyImport:
    """One call of `tidegate.lazy.load`, with one of the pairs that it may be given."""

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
    return [found for module in modules().values() for found in _lazy_imports(module)]


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
    for function, call in _calls(module.tree):
        if isinstance(call.func, ast.Name) and call.func.id == "load":
            left, right = (_strings(argument, function, module.tree) for argument in call.args)
            together = len(left) == len(right) and len(left) > 1
            pairs = zip(left, right, strict=True) if together else ((one, other) for one in left for other in right)
            for target, name in pairs:
                yield LazyImport(module.name, call.lineno, target, name)


def _calls(node: ast.AST, function: ast.AST | None = None) -> Iterator[tuple[ast.AST | None, ast.Call]]:
    """Every call, with the function around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield function, child
        inside = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from _calls(child, inside)


def _strings(value: ast.expr, function: ast.AST | None, tree: ast.Module) -> list[str]:
    """The strings that an argument may be: a literal, a variable, a place in a table, or a parameter's arguments."""
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=[ast.Constant(value=str(prefix)), ast.FormattedValue()]):
            parent = modules()[prefix.removesuffix(".")]
            return [f"{prefix}{name}" for name in _native_providers() if prefix.endswith("providers.") and parent]
        case ast.Subscript(value=ast.Name(id=table)):
            return [text for entry in _table(table, tree) for text in _strings(entry, None, tree)]
        case ast.Name(id=name):
            found = [text for one in _bound(name, function, tree) for text in _strings(one, function, tree)]
            if found:
                return found
    raise Unreadable(ast.unparse(value))


def _bound(name: str, function: ast.AST | None, tree: ast.Module) -> Iterator[ast.expr]:
    """The expressions that a variable, or a parameter of a module's own function, may stand for."""
    for scope in (function, tree):
        for node in ast.walk(scope) if scope else ():
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    yield value
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Subscript(value=ast.Name(id=table))):
                    yield from _column(name, names, table, tree)
                case ast.For(
                    target=ast.Tuple(elts=[_, ast.Tuple(elts=names)]),
                    iter=ast.Call(func=ast.Attribute(value=ast.Name(id=table))),
                ):
                    yield from _column(name, names, table, tree)
                case _:
                    pass
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
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


def _native_providers() -> list[str]:
    """The keys of the registry's table of providers with a dialect of their own."""
    from tidegate.providers import registry

    return sorted(registry._NATIVE)
