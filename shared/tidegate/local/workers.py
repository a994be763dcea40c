"""The processes of `serve --workers N`: each is a whole server at one port, and the first one works in background too.

A worker is a new interpreter, not a fork: the parent has threads and connections of SQLite and OpenSSL, which must not
be copied. The parent opens one listening socket for each worker (`SO_REUSEPORT`), and the system deals connections out
among them: with one common socket, the worker that wakes first would take all connections of a burst. The parent keeps
the sockets, so that connections wait for the worker that replaces a dead one.
"""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.1, 10.0
"""How long a dead worker is not replaced. It doubles while workers die young."""

YOUNG_SECONDS = 10.0

Options = Mapping[str, str | int | bool | None]


class WorkerTask(Struct, frozen=True):
    """The options of `serve`, the number of the worker from 0, and the descriptors that it inherits."""

    options: Options
    number: int
    listener: int
    batch_pipe: int
    """The pipe of batch messages: its reading end in the first worker, its writing end in the others."""

    @property
    def is_first(self) -> bool:
        """True for the worker that does the work in the background."""
        return self.number == 0


class Supervisor:
    """Runs the workers, and replaces those that end, until a signal comes."""

    def __init__(self, options: Options, listeners: Sequence[socket.socket], pipe: tuple[int, int]) -> None:
        self._tasks = [
            WorkerTask(options, number, listener.fileno(), pipe[0 if number == 0 else 1])
            for number, listener in enumerate(listeners)
        ]
        self._listeners = listeners
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return when all workers have ended after a signal; a second interrupt ends them at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        await asyncio.gather(*map(self._keep_running, self._tasks))

    def _stop(self, number: int) -> None:
        is_forced = self._stopping.is_set() and number == signal.SIGINT
        self._stopping.set()
        for listener in self._listeners:  # otherwise, connections would wait for nobody
            listener.close()
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT if is_forced else signal.SIGTERM)

    async def _keep_running(self, task: WorkerTask) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began = loop.time()
            process = self._processes[task.number] = await _start(task)
            if self._stopping.is_set():  # the signal came while it started
                process.send_signal(signal.SIGTERM)
            code = await process.wait()
            if self._stopping.is_set():
                break
            log.error("worker.ended", extra={"worker": task.number, "exit_code": code})
            pause = FIRST_PAUSE_SECONDS if loop.time() - began > YOUNG_SECONDS else min(2 * pause, LAST_PAUSE_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
        self._processes.pop(task.number, None)


async def _start(task: WorkerTask) -> asyncio.subprocess.Process:
    """Start a worker, whose standard input is open as long as this process lives. Ctrl-C reaches this process alone."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidegate.local.worker"),
        stdin=asyncio.subprocess.PIPE,
        pass_fds=(task.listener, task.batch_pipe),
        start_new_session=True,
    )
    # It is a pipe.
    assert process.stdin is not None  # noqa: S101
    process.stdin.write(msgspec.json.encode(task) + b"\n")
    return process
