"""`python -m tidegate …`, and the command `tidegate`: the local server, workspaces, keys and usage."""

import sys

from tidegate.lazy import load


def main() -> int:
    """Run the command line and return its exit code: 130 after Ctrl-C, also while its modules are being imported."""
    try:
        return load("tidegate.cli.main", "main")()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
