"""Names of functions as Gemini takes them, and back: the name itself says how, since replies are read without requests.

Source: https://ai.google.dev/api/caching#FunctionDeclaration (2026-11): it begins with a letter or an underscore, then
come letters, digits, underscores, dots, colons and dashes, at most 128.
"""

import re

from tidegate.errors import InvalidRequest

_TAKEN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_ESCAPED = "tg-"
_BODY = re.compile(r"(?:[A-Za-z0-9_]|-[0-9A-F]{2})*")
_CODE = re.compile(rb"-([0-9A-F]{2})")
_MAX = 128


def to_wire(name: str, path: str) -> str:
    """The name to send. Raises `InvalidRequest` where it does not fit."""
    if _TAKEN.fullmatch(name) and not name.startswith(_ESCAPED):
        return name
    wire = _ESCAPED + "".join(_escape(byte) for byte in name.encode())
    if len(wire) > _MAX:
        raise InvalidRequest(f"The name {name[:40]!r}… is too long for Gemini: shorten it.", param=path)
    return wire


def from_wire(wire: str) -> str:
    """The caller's name."""
    body = wire.removeprefix(_ESCAPED)
    if body == wire or not _BODY.fullmatch(body):
        return wire
    return _CODE.sub(lambda code: bytes([int(code[1], 16)]), body.encode()).decode("utf-8", "replace")


def _escape(byte: int) -> str:
    char = chr(byte)
    return char if char.isascii() and (char.isalnum() or char == "_") else f"-{byte:02X}"
