"""Counts the lines of Python that run, each turn of a loop for itself: a machine's other work does not change that."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Work:
    """The lines so far, those of worker threads included."""

    def __init__(self) -> None:
        self.lines = 0

    def trace(self, frame: Any, event: str, argument: Any) -> Any:
        self.lines += 1
        return self.trace


@contextmanager
def counted() -> Iterator[Work]:
    """Count the lines of this thread, and of threads that start inside."""
    work, before = Work(), sys.gettrace()
    threading.settrace(work.trace)
    sys.settrace(work.trace)
    try:
        yield work
    finally:
        sys.settrace(before)
        threading.settrace(before)  # pyright: ignore[reportArgumentType]


def lines_of(function: Callable[[], object]) -> int:
    with counted() as work:
        function()
    return work.lines
