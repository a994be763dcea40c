"""Names of tools as Anthropic takes them, and back: a name itself says how, since a reply is read without its request.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (`^[a-zA-Z0-9_-]{1,128}$`).
"""

import re

from tidegate.errors import InvalidRequest

RESPONSE = "respond_in_json"
"""The tool that stands for an answer in JSON, where the model has no other way to promise one."""

SEARCH = "web_search"
"""The name of Anthropic's own search tool."""

_TAKEN = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ESCAPED = "tg-"
_LEGACY = "fn-"
_BODY = re.compile(r"(?:[A-Za-z0-9_]|-[0-9A-F]{2})+")
_CODE = re.compile(rb"-([0-9A-F]{2})")
_MAX = 128


def to_wire(name: str, path: str, *, reserved: frozenset[str], legacy: bool = False) -> str:
    """The name to send. `legacy` marks a function of the old `functions`, whose call comes back as `function_call`.

    Raises `InvalidRequest` where it does not fit.
    """
    if not legacy and _TAKEN.fullmatch(name) and name not in reserved and not name.startswith((_ESCAPED, _LEGACY)):
        return name
    wire = (_LEGACY if legacy else _ESCAPED) + "".join(_escape(byte) for byte in name.encode())
    if len(wire) > _MAX:
        raise InvalidRequest(f"The name {name[:40]!r}… is too long for Anthropic: shorten it.", param=path)
    return wire


def from_wire(wire: str) -> tuple[str, bool]:
    """The caller's name, and whether it is one of the old `functions`."""
    prefix, body = wire[:3], wire[3:]
    if prefix not in (_ESCAPED, _LEGACY) or not _BODY.fullmatch(body):
        return wire, False
    name = _CODE.sub(lambda code: bytes([int(code[1], 16)]), body.encode())
    return name.decode("utf-8", "replace"), prefix == _LEGACY


def _escape(byte: int) -> str:
    char = chr(byte)
    return char if char.isascii() and (char.isalnum() or char == "_") else f"-{byte:02X}"
