"""`python -m tidegate …`: the local server, workspaces and keys."""

import sys

from tidegate.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
