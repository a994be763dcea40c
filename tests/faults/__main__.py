"""`python -m tests.faults [--write]`: play every fault, and print what came of it, or write docs/FAULTS.md."""

import asyncio
import sys

from tests.faults.faults import FAULTS
from tests.faults.measuring import cases, measure
from tests.faults.table import DOCUMENT, render

if __name__ == "__main__":
    text = render(asyncio.run(measure(cases(FAULTS))))
    if "--write" in sys.argv[1:]:
        DOCUMENT.write_text(text)
    else:
        print(text)
