"""The process of a function: it loads the application at the handler, and serves it until SIGTERM.

The handler is MODULE:APP, e.g. `functions.chat.app:app`. Lambda's own form with a last dot, `functions.chat.app.app`,
and its slashes work too.
"""

import asyncio
import importlib
import os
import sys
from typing import cast

from tidegate.garbage_collection import collect_seldom
from tidegate.runtime.asgi import App
from tidegate.runtime.endpoint import ContainerError, Endpoint
from tidegate.runtime.environment import Environment
from tidegate.runtime.failure import log, startup_crash
from tidegate.runtime.invocation import Service
from tidegate.runtime.lifespan import Lifespan, StartupFailed
from tidegate.runtime.loop import run, start, stop_on_sigterm


class HandlerNotFound(Exception):
    """The handler names no ASGI application."""


def load(handler: str) -> App:
    """The application that `handler` names. Raises `HandlerNotFound`, or whatever its import raises."""
    module_name, _, name = handler.replace("/", ".").replace(":", ".").rpartition(".")
    if not module_name:
        raise HandlerNotFound(f"the handler must be MODULE:APP, not {handler!r}")
    app = getattr(importlib.import_module(module_name), name, None)
    if not callable(app):
        raise HandlerNotFound(f"{module_name!r} has no ASGI application {name!r}")
    # What a module attribute takes and returns cannot be known here.
    return cast("App", app)


def run_process(handler: str) -> int:
    """Serve until SIGTERM; return the process's exit status."""
    return asyncio.run(main(handler))


async def main(handler: str) -> int:
    """Serve until SIGTERM; return the process's exit status."""
    environment = Environment.from_env(os.environ)
    sys.path.insert(0, environment.task_root)
    starting = asyncio.create_task(_start(handler, environment))
    await asyncio.wait({starting})
    if (error := starting.exception()) is not None:
        await _report(error, environment)
        return 1
    lifespan, service = starting.result()
    try:
        await run(lifespan, service, environment.concurrency, stop_on_sigterm())
    except ContainerError:
        return 1
    return 0


async def _start(handler: str, environment: Environment) -> tuple[Lifespan, Service]:
    return await start(load(handler), environment, collect_seldom)


async def _report(error: BaseException, environment: Environment) -> None:
    cause = error.__cause__ if isinstance(error, StartupFailed) and error.__cause__ else error
    failure = startup_crash(cause)
    log("init.failed", errorType=failure.error_type, reason=failure.message, stackTrace=failure.stack)
    try:
        await Endpoint(environment.api).fail_init(failure)
    except OSError as lost:
        log("init.unreported", errorType=type(lost).__name__)
