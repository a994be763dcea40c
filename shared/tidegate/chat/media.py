"""Media in requests: the media type of bytes and file names, and the content of data URIs.

Sources: https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern, RFC 2397, and for file names
https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/MIME_types/Common_types.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from tidegate.lazy import late_pattern

_DATA_URI = late_pattern(r"data:([^;,]*)(?:;[^;,]*?)*?(;base64)?,", re.IGNORECASE)
_HEAD_CHARACTERS = 64
"""Base64 characters that are enough to recognise the media type."""

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF_FORMATS = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
_FTYP_BRANDS = {
    b"M4A ": "audio/mp4",
    b"avif": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"qt  ": "video/quicktime",
}

_TYPES_BY_EXTENSION = {
    **{name: f"image/{name}" for name in ("png", "jpeg", "gif", "webp", "heic", "heif")},
    **{name: f"audio/{name}" for name in ("wav", "flac", "ogg", "aac")},
    **{name: f"video/{name}" for name in ("mp4", "webm", "mpeg", "avi", "wmv")},
    **{"jpg": "image/jpeg", "mp3": "audio/mpeg", "m4a": "audio/mp4"},
    **{"mov": "video/quicktime", "mpg": "video/mpeg", "flv": "video/x-flv", "3gp": "video/3gpp"},
    **{"txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html"},
    **{"pdf": "application/pdf", "json": "application/json"},
}


class MediaContent(Struct, frozen=True):
    """Content in base64. `media_type` is the type that its bytes prove, or else the declared one; "" if unknown."""

    media_type: str
    base64: str

    def text(self) -> str:
        """The content decoded as UTF-8. Raises `ValueError` if it is not text."""
        return b64decode(self.base64, validate=True).decode()


def content_from_bytes(data: bytes, declared: str = "") -> MediaContent:
    """Content from bytes, whose sender declared the media type `declared`."""
    return MediaContent(_choose_type(sniff_media_type(data), declared), b64encode(data).decode())


def parse_media(uri: str, declared: str = "") -> MediaContent | None:
    """The content of a data URI or of plain base64; None if `uri` is neither. The URI's type overrides `declared`."""
    if uri[:5].lower() == "data:":
        match = _DATA_URI.match(uri)
        if match is None:
            return None
        declared = match[1] or declared or "text/plain"
        content = uri[match.end() :]
        if not match[2]:
            return content_from_bytes(unquote_to_bytes(content), declared)
        uri = unquote_to_bytes(content).decode("ascii", "replace") if "%" in content else content
    if "\n" in uri:
        uri = "".join(uri.split())  # MIME wraps lines, which providers reject
    head = _decode_head(uri)
    return None if head is None else MediaContent(_choose_type(sniff_media_type(head), declared), uri)


def media_type_of_name(name: str) -> str | None:
    """The media type by the extension of a file name or URL; None if unknown."""
    path = name.partition("?")[0].partition("#")[0]
    return _TYPES_BY_EXTENSION.get(path.rpartition(".")[2].lower())


def sniff_media_type(data: bytes) -> str | None:
    """The media type that the first bytes prove; None if they prove none, as in text."""
    for prefix, media_type in _PREFIXES:
        if data.startswith(prefix):
            return media_type
    if data[:2] == b"BM" and data[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if data[:4] == b"RIFF":
        return _RIFF_FORMATS.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _FTYP_BRANDS.get(data[8:12], "video/mp4")
    return None


def _choose_type(proven: str | None, declared: str) -> str:
    declared = declared.partition(";")[0].strip().lower()
    if proven is None or (proven.startswith("video/") and declared.startswith("audio/")):  # both use the same container
        return declared
    return proven


def _decode_head(base64: str) -> bytes | None:
    """The first decoded bytes; None if `base64` is not valid. The padding is not checked."""
    start = base64[:_HEAD_CHARACTERS].rstrip("=")
    try:
        return b64decode(start + "=" * (-len(start) % 4), validate=True)
    except (Error, ValueError):
        return None
