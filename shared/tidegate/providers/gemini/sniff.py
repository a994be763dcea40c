"""What media are, by their first bytes, and what a data URI holds.

Sources: RFC 2397; https://ai.google.dev/gemini-api/docs/file-input-methods (types, 2026-11).
"""

from base64 import b64decode, b64encode
from binascii import Error
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mp3"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
_BRANDS = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif"}
_MPEG4 = frozenset({b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash"})

_SUFFIXES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/m4a",
    "mp4": "video/mp4",
    "mov": "video/mov",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    "mpg": "video/mpg",
    "avi": "video/avi",
    "wmv": "video/wmv",
    "flv": "video/x-flv",
    "3gp": "video/3gpp",
    "txt": "text/plain",
    "md": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "json": "text/plain",
}


@dataclass(frozen=True, slots=True)
class Data:
    """`base64` is the content; `media_type` is what it was found to be, or else what its sender says."""

    media_type: str
    base64: str


def read(uri: str) -> Data | None:
    """What a data URI, or bare base64, holds; None for a data URI that is none."""
    if not uri.startswith("data:"):
        return Data(of_base64(uri) or "", uri)
    head, comma, content = uri[5:].partition(",")
    if not comma:
        return None
    media_type, *attributes = (part.strip().lower() for part in head.split(";"))
    if "base64" not in attributes:
        content = encode(unquote_to_bytes(content))
    return Data(of_base64(content) or media_type, content)


def of_base64(base64: str) -> str | None:
    """The media type of base64, None for any that we do not know."""
    try:
        return of_bytes(b64decode(base64[:32]))
    except (Error, ValueError):
        return None


def of_bytes(data: bytes) -> str | None:
    """The media type of bytes, None for any that we do not know."""
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12]) or ("video/mp4" if data[8:12] in _MPEG4 else None)
    return next((media_type for magic, media_type in _MAGIC if data.startswith(magic)), None)


def of_name(name: str) -> str | None:
    """The media type that the end of a file's name or URL stands for."""
    name = name.partition("?")[0].partition("#")[0]
    return _SUFFIXES.get(name.rpartition(".")[2].lower())


def encode(data: bytes) -> str:
    return b64encode(data).decode()
