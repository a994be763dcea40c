"""Modules that only some calls need: each is imported by the first call that does.

A light module has a `Protocol` for what it needs, and gets it with `load`. A test resolves every pair of names, and
checks the import against the layers.

    make: Callable[[Catalog], Ordering] = load("tidegate.policy.routing.ordering", "Ordering")
"""

from importlib import import_module
from typing import Any


def load(module: str, name: str) -> Any:  # each caller gives the value its type
    """Return the attribute `name` of `module`, which is imported if it was not yet."""
    return getattr(import_module(module), name)
