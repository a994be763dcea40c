"""The application's start-up and shutdown.

Source: https://asgi.readthedocs.io/en/latest/specs/lifespan.html (version 2.0).
"""

import asyncio

from tidegate.runtime.asgi import App, Message
from tidegate.runtime.failure import crash, log

_LAST_WORDS_SECONDS = 1.0


class StartupFailed(Exception):
    """The application refused to start; the cause is its own exception, where it raised one."""


class Lifespan:
    """One application's lifespan. `state` is what its start-up leaves for every call."""

    def __init__(self, app: App) -> None:
        self.state: dict[str, object] = {}
        self._app = app
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[str] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once the application is ready. Raises `StartupFailed`.

        An application that raises or returns without an answer does not know lifespans, and works without.
        """
        self._task = asyncio.create_task(self._run())
        if await self._ask(self._task, "lifespan.startup") == "lifespan.startup.failed":
            await asyncio.wait({self._task}, timeout=_LAST_WORDS_SECONDS)
            cause = self._task.exception() if self._task.done() and not self._task.cancelled() else None
            self._task.cancel()
            raise StartupFailed("the application's start-up failed") from cause

    async def stop(self) -> None:
        """Tell the application, and return when it has finished."""
        if self._task is None or self._task.done():
            return
        if await self._ask(self._task, "lifespan.shutdown") == "lifespan.shutdown.failed":
            log("lifespan.shutdown_failed")

    async def _ask(self, task: asyncio.Task[None], question: str) -> str:
        """Put `question` and wait for the answer, or for the application's end."""
        self._messages.put_nowait({"type": question})
        answer = asyncio.create_task(self._answers.get())
        await asyncio.wait({answer, task}, return_when=asyncio.FIRST_COMPLETED)
        if not self._answers.empty():
            await asyncio.wait({answer})
        if answer.done():
            return answer.result()
        answer.cancel()
        if (error := task.exception()) is not None:
            failure = crash(error)
            log("lifespan.unsupported", "DEBUG", errorType=failure.error_type, stackTrace=failure.stack)
        return ""

    async def _run(self) -> None:
        versions = {"version": "3.0", "spec_version": "2.0"}
        await self._app({"type": "lifespan", "asgi": versions, "state": self.state}, self._messages.get, self._send)

    async def _send(self, message: Message) -> None:
        self._answers.put_nowait(str(message["type"]))
