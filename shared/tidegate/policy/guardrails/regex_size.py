"""Counts the size of a compiled regular expression, where a repeat is written out as often as it must occur.

`regex` does not limit it: `((a{1000}){1000}){1000}` takes all memory there is. Refused is all that would make this
count wrong: comments, the verbose flag, nested sets. So are flags that slow a search down in ways that its time limit
does not stop (full case-folding, best match, reverse). Measured on regex 2026.11.15: 270 bytes and 0.5 µs a part.
"""

import re

MAX_CHARACTERS = 500
"""Characters of a pattern. `regex` compares a literal without checking the time: 0.3 s for a million characters."""

MAX_PARTS = 10_000

_FLAGS = re.compile(r"\(\?(?P<on>[A-Za-z0-9]*)(?:-(?P<off>[A-Za-z]*))?[:)]")
_ALLOWED = frozenset("aimsu")
_REPEAT = re.compile(r"\{(\d*)(?:,\d*)?\}")
_NAMED = re.compile(r"\\[pPNxgL](?:\{[A-Za-z^][^}]*\}|<[^>]*>)")


def check_size(pattern: str) -> None:
    """Raise `ValueError` for a pattern that is too long, becomes too large, or cannot be counted."""
    if len(pattern) > MAX_CHARACTERS:
        raise ValueError(f"A pattern must not have more than {MAX_CHARACTERS} characters.")
    if "(?#" in pattern:
        raise ValueError("A pattern must not contain comments.")
    for match in _FLAGS.finditer(pattern):
        if not _ALLOWED.issuperset(match["on"] + (match["off"] or "")):
            raise ValueError(f"A pattern may set only the flags {', '.join(sorted(_ALLOWED))}.")
    if compiled_size(pattern) > MAX_PARTS:
        raise ValueError(f"{pattern!r} is too large when compiled: nested repeats multiply.")


def compiled_size(pattern: str) -> int:
    """Return the approximate number of parts of the compiled pattern. Raises `ValueError` for unbalanced groups."""
    open_groups = [0]
    last, i = 0, 0
    while i < len(pattern):
        repeat = _REPEAT.match(pattern, i)
        character = pattern[i]
        if repeat and i:
            times = max(1, int(repeat[1] or 0))
            open_groups[-1] += last * (times - 1)
            last, i = last * times, repeat.end()
            continue
        if character == "(":
            open_groups.append(0)
            last, i = 0, i + 1
            continue
        last = 1
        if character == ")":
            last = 1 + open_groups.pop()
            if not open_groups:
                raise ValueError(f"{pattern!r} closes a group that was not opened.")
        open_groups[-1] += last
        i = _after(pattern, i)
    if len(open_groups) > 1:
        raise ValueError(f"{pattern!r} does not close a group.")
    return open_groups[0]


def _after(pattern: str, i: int) -> int:
    """Return the position of the next part: after an escape, a set, or a character."""
    if pattern[i] == "\\":
        named = _NAMED.match(pattern, i)
        return named.end() if named else i + 2
    return _after_set(pattern, i) if pattern[i] == "[" else i + 1


def _after_set(pattern: str, i: int) -> int:
    i += 2 if pattern.startswith("^", i + 1) else 1
    first = True
    while i < len(pattern) and (pattern[i] != "]" or first):
        if pattern.startswith("[:", i) and ":]" in pattern[i:]:
            i = pattern.index(":]", i) + 2
        elif pattern[i] == "[":
            raise ValueError(f"{pattern!r} has a set inside a set: escape the bracket as '\\['.")
        else:
            i = _after(pattern, i) if pattern[i] == "\\" else i + 1
        first = False
    return i + 1
