"""Imports point down, those at first use included, and no two modules import each other."""

import ast
import tomllib
from importlib import import_module

import pytest

from tests.import_graph import ROOT, LazyImport, cycles, lazy_imports, modules

IMPORT_MODULE = {"tidegate.lazy"}
"""Where `import_module` may be given a module of ours."""

UPWARD = {("tidegate.__main__", "tidegate.cli.main"), ("tidegate.cli.main", "tidegate.local.serve")}
"""The entry points are above all rooms, wherever their files lie: the local server is one of their commands."""


def layers() -> list[list[str]]:
    """The layers of import-linter's contract, from top to bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (lines,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [line.split(" | ") for line in lines]


def depth(name: str) -> int:
    """The place of a module's layer, counted from the top."""
    return next(
        place
        for place, layer in enumerate(layers())
        if any(name == package or name.startswith(f"{package}.") for package in layer)
    )


lazily = pytest.mark.parametrize(
    "lazy", lazy_imports(), ids=lambda lazy: f"{lazy.importer}:{lazy.line}-{lazy.module}.{lazy.name}"
)


@lazily
def test_a_lazy_import_leads_to_something(lazy: LazyImport) -> None:
    assert hasattr(import_module(lazy.module), lazy.name)


@lazily
def test_a_lazy_import_points_down_or_stays_in_its_layer(lazy: LazyImport) -> None:
    assert (lazy.importer, lazy.module) in UPWARD or depth(lazy.importer) <= depth(lazy.module)


def test_lazy_imports_are_found_in_every_form() -> None:
    pairs = {(lazy.importer, lazy.module, lazy.name) for lazy in lazy_imports()}
    assert pairs >= {
        ("tidegate.chat.operation", "tidegate.chat.assemble", "CompletionAssembler"),  # literals
        ("tidegate.chat.operation", "tidegate.chat.guardrail_texts", "body_texts"),  # a function's parameter
        ("tidegate.identity.choose", "tidegate.identity.google", "AwsRole"),  # a local variable
        ("tidegate.upstream.guardrails.backends", "tidegate.upstream.guardrails.webhook", "judge"),  # a table
        ("tidegate.transport.choose", "tidegate.transport.aiohttp", "AiohttpTransport"),  # a table of pairs
        ("tidegate.cli.main", "tidegate.local.serve", "add_parser"),  # a loop over a table
        ("tidegate.providers.registry", "tidegate.providers.anthropic", "PROVIDER"),  # a name in an f-string
    }


def test_no_modules_import_each_other() -> None:
    assert cycles() == []


@pytest.mark.parametrize("name", sorted(modules()))
def test_no_import_hides_from_the_graph(name: str) -> None:
    names = {node.id for node in ast.walk(modules()[name].tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(modules()[name].tree) if isinstance(node, ast.Attribute)}
    assert "TYPE_CHECKING" not in names
    assert name in IMPORT_MODULE or 'import_module("tidegate' not in modules()[name].path.read_text()
