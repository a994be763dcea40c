"""What bytes are, by their first ones, and what a data URI holds.

Sources: RFC 2397; https://platform.claude.com/docs/en/build-with-claude/vision (four kinds of images), …/pdf-support.
"""

from base64 import b64decode, b64encode
from binascii import Error
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF = "application/pdf"

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", PDF),
)


@dataclass(frozen=True, slots=True)
class Data:
    """`base64` is the content; `media_type` is what it was found to be, or else what its sender says."""

    media_type: str
    base64: str

    def text(self) -> str:
        """The content as text. Raises `ValueError` where it is none."""
        return b64decode(self.base64, validate=True).decode()


def read(uri: str, declared: str = "") -> Data | None:
    """What a data URI, or bare base64, holds; None for a data URI that is none."""
    if not uri.startswith("data:"):
        return Data(sniff(uri) or declared, uri)
    head, comma, content = uri[5:].partition(",")
    if not comma:
        return None
    media_type, *attributes = head.split(";")
    if "base64" not in attributes:
        content = encode(unquote_to_bytes(content))
    elif "%" in content[:100]:
        content = unquote_to_bytes(content).decode("ascii", "replace")
    return Data(sniff(content) or media_type.strip().lower() or declared, content)


def sniff(base64: str) -> str | None:
    """The media type of base64 by its first bytes, None for any that we do not know."""
    start = base64[:60].rstrip("=")
    try:
        head = b64decode(start[: len(start) // 4 * 4])
    except (Error, ValueError):
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in _MAGIC if head.startswith(magic)), None)


def encode(data: bytes) -> str:
    return b64encode(data).decode()
