"""Imports modules that only some calls need, when the first such call comes.

A light module has a `Protocol` for the attribute, and gets it with `load`. A test resolves every such pair of names,
and checks the import against the layers.

    make: Callable[[Catalog], Ordering] = load("tidegate.policy.routing.ordering", "Ordering")
    EMBEDDINGS: Operation = late("tidegate.embeddings.operation", "EMBEDDINGS")

Regular expressions that only some calls need are compiled by the first of them: `late_pattern`.
"""

import re
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any, AnyStr, cast

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


def late_pattern(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return the pattern, which is compiled when its first method is used: 30 patterns take 6 ms of a cold start."""
    return cast("re.Pattern[AnyStr]", _LatePattern(partial(re.compile, pattern, flags)))


class _LatePattern:
    """Stands for a pattern. After its first use, a method is an attribute of its own, as quick as the pattern's."""

    def __init__(self, compile_: Callable[[], object]) -> None:
        self._compile = compile_

    def __getattr__(self, name: str) -> Any:  # of the pattern
        value = getattr(self._compile(), name)
        setattr(self, name, value)
        return value
