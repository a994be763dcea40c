"""`python -m tidegate.local.worker`: one process of `serve --workers N`, which `workers` starts.

The first line of its standard input is its task. The end of that input is the end of its parent, and then its own.
"""

import os
import signal
import sys
import threading

import msgspec

from tidegate.errors import TidegateError
from tidegate.local.serve import serve_as_worker
from tidegate.local.workers import WorkerTask


def main() -> int:
    """Serve until a signal comes, or the parent has died."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerTask)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        serve_as_worker(task)
    except TidegateError as error:
        sys.stderr.write(f"tidegate: {error.message}\n")
        return 2
    return 0


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
