"""The parts of the package that an artifact leaves out are never imported by its function."""

from collections.abc import Iterable

import pytest

from infra.artifact import EXCLUDED, PACKAGE
from tests.import_graph import graph, modules


def reachable(roots: Iterable[str]) -> set[str]:
    """The modules that these import, at once or late, and the packages that these are in."""
    edges, found, waiting = graph(), set[str](), list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges.get(name, ())
            waiting += [package for package in (name.rpartition(".")[0],) if package in edges]
    return found


def left_out(function: str) -> set[str]:
    """The modules that the artifact of a function lacks."""
    parts = {f"tidegate.{part.removesuffix('.py').replace('/', '.')}" for part in EXCLUDED[function]}
    return {name for name in modules() if any(f"{name}.".startswith(f"{part}.") for part in parts)}


@pytest.mark.parametrize("function", sorted(EXCLUDED))
def test_a_function_never_imports_what_its_artifact_lacks(function: str) -> None:
    lacking = left_out(function)
    # The application loads the modules of its paths by names that the graph does not see.
    endpoints = {name for name in modules() if name.startswith("tidegate.api.")} - lacking
    roots = {f"functions.{function}.app"} | (endpoints if function == "chat" else set())
    assert reachable(roots) & lacking == set()


def test_every_part_that_is_left_out_exists() -> None:
    parts = {part for excluded in EXCLUDED.values() for part in excluded}
    assert {part for part in parts if not (PACKAGE / part).exists()} == set()
