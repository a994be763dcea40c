"""The start of a function's process, before its modules are loaded.

bootstrap.sh runs `main` without `python -m` and `site`, which take 2 ms of a cold start.
"""

import gc
import os
import sys

from tidegate.lazy import load
from tidegate.runtime.bundle import import_from_bundle


def start(arguments: list[str]) -> int:
    """Serve the application at the first argument, or at Lambda's `_HANDLER`; return the exit status.

    Modules make no garbage while they are imported: a cold start takes 10 ms less without the collector.
    """
    gc.disable()
    if folder := os.environ.get("LAMBDA_TASK_ROOT"):
        import_from_bundle(folder)
    return load("tidegate.runtime.process", "run_process")(arguments[0] if arguments else os.environ["_HANDLER"])


def main() -> None:
    """Exit with the status of `start`."""
    sys.exit(start(sys.argv[1:]))
