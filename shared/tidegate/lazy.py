"""Imports modules that only some calls need, when the first such call comes.

A light module has a `Protocol` for the attribute, and gets it with `load`. A test resolves every such pair of names,
and checks the import against the layers.

    make: Callable[[Catalog], Ordering] = load("tidegate.policy.routing.ordering", "Ordering")
    EMBEDDINGS: Operation = late("tidegate.embeddings.operation", "EMBEDDINGS")
"""

from functools import cache
from importlib import import_module
from typing import Any

_module = cache(import_module)
"""Python's own look-up of a module that is loaded already takes ten times as long."""


def load(module: str, name: str) -> Any:  # each caller annotates the value
    """Return the attribute `name` of `module`; imports the module if needed."""
    return getattr(_module(module), name)


def late(module: str, name: str) -> Any:  # each caller annotates the value
    """Return an object in place of the attribute `name` of `module`, which is loaded when the first field is read."""
    return _Late(module, name)


class _Late:
    """Stands for an object of another module. It is equal only to itself."""

    def __init__(self, module: str, name: str) -> None:
        self._place = (module, name)

    def __getattr__(self, field: str) -> Any:  # of the object that it stands for
        return getattr(load(*self._place), field)
