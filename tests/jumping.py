"""An event loop that waits for nothing: when all is quiet, its clock jumps to the next timer."""

import asyncio
import selectors


class _Selector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout is not None:
            self.now += max(timeout, 0)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """The loop of tests marked `jumping_clock`. What is waited for must be in this process."""

    def __init__(self) -> None:
        self._jumping = _Selector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    # The parameter is Python's.
    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait for the threads without the time limit of Python 3.12 and later: the clock would jump to its end."""
        await super().shutdown_default_executor()
