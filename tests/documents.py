"""Examples that documents show: the contents of their blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def blocks(document: str, language: str) -> list[str]:
    """The blocks of a document that are in this language, in their order."""
    return [text for name, text in _BLOCK.findall((ROOT / document).read_text()) if name == language]
