"""How long one call can hold up all others: the longest turn of the event loop while a long prompt is answered.

In this process, by the loop thread's own processor time, so that other work on the machine does not change it.
"""

import asyncio
import logging
import selectors
import time

from tests.bench.inprocess import WORKSPACE, InProcess, chat, open_gateway
from tests.bench.tenants import with_checks

TEXTS = {"ASCII": "A tagline for the platform. ", "beyond ASCII": "Schöne Grüße an 日本語 wörter. "}
_CALLS = 4


class _TimedSelector(selectors.DefaultSelector):
    """Notes the longest time of its thread's work between two looks at the sockets, which is a turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_seconds = 0.0
        self._began = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.longest_seconds = max(self.longest_seconds, time.thread_time() - self._began)
        events = super().select(timeout)
        self._began = time.thread_time()
        return events


def measure(size: int) -> dict[str, float]:
    """Return milliseconds by the kind of text, for a prompt of so many bytes in a workspace with limits."""
    selector = _TimedSelector()
    logging.disable(logging.CRITICAL)
    try:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
            return runner.run(_measure(selector, size))
    finally:
        logging.disable(logging.NOTSET)


async def _measure(selector: _TimedSelector, size: int) -> dict[str, float]:
    async with open_gateway(with_checks(WORKSPACE)) as gateway:
        return {kind: await _longest(selector, gateway, text, size) for kind, text in TEXTS.items()}


async def _longest(selector: _TimedSelector, gateway: InProcess, text: str, size: int) -> float:
    """The longest turn of the best of some calls: the first ones load modules."""
    found: list[float] = []
    for number in range(_CALLS):
        call = chat(messages=[{"role": "user", "content": f"{number} " + text * (size // len(text.encode()))}])
        body = call.encode()
        await asyncio.sleep(0)  # the body was made in a turn of its own
        selector.longest_seconds = 0.0
        await gateway.send(call, body)
        found.append(selector.longest_seconds * 1000)
    return min(found)
