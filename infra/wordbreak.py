"""Writes `shared/tidegate/domain/wordbreak.py`. Run it at development time, from the root: `python infra/wordbreak.py`.

The properties Word_Break, Alphabetic and Extended_Pictographic come from the Unicode Character Database in uniseg (MIT;
in the dependency group `test`). Only the category of numbers comes from Python's `unicodedata`, which may be some
versions older: run it on the newest Python that is supported, 3.13.
"""

import sys
import unicodedata
from itertools import groupby
from pathlib import Path
from textwrap import wrap

# uniseg has annotations, but no py.typed.
from uniseg import unidata_version  # pyright: ignore[reportMissingTypeStubs]
from uniseg.derived import alphabetic  # pyright: ignore[reportMissingTypeStubs]
from uniseg.emoji import extended_pictographic  # pyright: ignore[reportMissingTypeStubs]
from uniseg.wordbreak import word_break  # pyright: ignore[reportMissingTypeStubs]

TABLE = Path(__file__).parent.parent / "shared/tidegate/domain/wordbreak.py"

KINDS = {
    "ALetter": "A",
    "Hebrew_Letter": "H",
    "Numeric": "N",
    "Katakana": "K",
    "Other": "O",
    "ExtendNumLet": "_",
    "Extend": "X",
    "Format": "X",
    "ZWJ": "Z",
    "MidLetter": ":",
    "MidNumLet": ".",
    "MidNum": ",",
    "Single_Quote": "'",
    "Double_Quote": '"',
}
"""The kind of each Word_Break value; all other values separate words, and have the kind `-`."""

HEAD = '''"""The word-break kind of each character; `words.py` explains the kinds.

Source: Unicode {version}, Word_Break, Alphabetic and Extended_Pictographic. Generated: `python infra/wordbreak.py`.
"""

UNICODE_VERSION = "{version}"

RUNS = """
{runs}
"""
"""Runs of one kind: the kind, and the first code point in hexadecimal."""
'''


def kind(character: str) -> str:
    """The kind of a character for word breaks: one letter, in lower case if it is neither a letter nor a number."""
    letter = KINDS.get(word_break(character).value, "-")
    if letter not in "AHNKO":
        return letter
    if extended_pictographic(character):
        # "I" is a pictograph that is also a letter, such as ℹ.
        return "I" if letter == "A" and alphabetic(character) else "P"
    category = unicodedata.category(character)
    # Digits that are newer than Python's database have no category in it: of those, all that are Numeric are numbers.
    if alphabetic(character) or category[0] == "N" or (category == "Cn" and letter == "N"):
        return letter
    return letter.lower() if letter != "O" else "-"


def main() -> None:
    points = groupby(range(sys.maxunicode + 1), lambda point: kind(chr(point)))
    runs = [f"{letter}{next(run):x}" for letter, run in points]
    TABLE.write_text(HEAD.format(version=unidata_version, runs="\n".join(wrap(" ".join(runs), 120))), encoding="utf-8")
    print(f"{len(runs)} runs, Unicode {unidata_version}")


if __name__ == "__main__":
    main()
