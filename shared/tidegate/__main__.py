"""`python -m tidegate …`, and the command `tidegate`: the local server, workspaces, keys and usage."""

import signal
import sys

from tidegate.lazy import load


def main() -> int:
    """Run the command line and return its exit code: 130 after Ctrl-C, also while its modules are being imported.

    Until the server sets its own handler, Ctrl-C ends it at once: a `KeyboardInterrupt` in the middle of an import or
    of a callback would be lost, and the server would go on.
    """
    if sys.argv[1:2] == ["serve"]:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return load("tidegate.cli.main", "main")()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
