"""Imports modules that only some calls need, when the first such call comes.

A light module has a `Protocol` for the attribute, and gets it with `load`. A test resolves every such pair of names,
and checks the import against the layers.

    make: Callable[[Catalog], Ordering] = load("tidegate.policy.routing.ordering", "Ordering")
"""

from importlib import import_module
from typing import Any


def load(module: str, name: str) -> Any:  # each caller annotates the value
    """Return the attribute `name` of `module`; imports the module if needed."""
    return getattr(import_module(module), name)
