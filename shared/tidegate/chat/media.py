"""Media inside a request: what bytes are, whatever their name says, and data URIs.

Source: https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern and RFC 2397.
"""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

_DATA_URI = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?)(;base64)?,", re.IGNORECASE)

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
_BRANDS = {
    b"M4A ": "audio/mp4",
    b"avif": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"qt  ": "video/quicktime",
}


def sniff(data: bytes) -> str | None:
    """The media type that the first bytes prove, None where they prove none (text, for instance)."""
    for prefix, media_type in _PREFIXES:
        if data.startswith(prefix):
            return media_type
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video/mp4")
    return None


def parse_data_uri(uri: str) -> tuple[str, bytes] | None:
    """The declared media type in lower case ("text/plain" where none is) and the bytes; None if it is no data URI."""
    match = _DATA_URI.match(uri)
    if match is None:
        return None
    rest = uri[match.end() :]
    try:
        data = base64.b64decode(rest, validate=True) if match[3] else unquote_to_bytes(rest)
    except (binascii.Error, ValueError):
        return None
    return match[1].strip().lower() or "text/plain", data
