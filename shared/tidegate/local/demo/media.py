"""Describes the images, recordings and files of a prompt by their kind and size. It fetches nothing.

Sources: https://www.w3.org/TR/png-3/ (IHDR), https://www.w3.org/Graphics/GIF/spec-gif89a.txt (screen descriptor),
https://developers.google.com/speed/webp/docs/riff_container, and ITU-T T.81 (JPEG's frame headers).
"""

import binascii
from base64 import b64decode
from collections.abc import Iterator

from tidegate.json import Json, JsonObject

_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG's markers of frame headers: the others of this range define tables."""


def describe_media(request: JsonObject) -> str:
    """Describe all media of the last user message that has some, one sentence each."""
    messages = request.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        match message:
            case {"role": "user", "content": list(parts)}:
                if sentences := [sentence for part in parts for sentence in _describe_part(part)]:
                    return " ".join(sentences)
            case _:
                pass
    return "I see no image: send a part of the type image_url."


def _describe_part(part: Json) -> Iterator[str]:
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            yield f"I see an image: {_describe_url(url)}."
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": format_}}:
            yield f"I hear a recording: {str(format_).upper()}, {_describe_size(_decode(data))}."
        case {"type": "file", "file": {"file_data": str(url)}}:
            yield f"I see a file: {_describe_url(url)}."
        case _:
            pass


def _describe_url(url: str) -> str:
    if not url.startswith("data:"):
        return "it is at a URL, and the demo provider fetches nothing"
    head, _, text = url.removeprefix("data:").partition(",")
    data = _decode(text)
    kind, size = measure_image(data)
    label = kind or head.split(";")[0] or "an unknown kind"
    pixels = f"{size[0]} × {size[1]} pixels, " if size else ""
    return f"{label}, {pixels}{_describe_size(data)}"


def measure_image(data: bytes) -> tuple[str, tuple[int, int] | None]:
    """Return the kind of an image, "" if it is unknown, and its width and height."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG", (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) if len(data) >= 24 else None
    if data[:6] in (b"GIF87a", b"GIF89a"):
        size = (int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))
        return "GIF", size if len(data) >= 10 else None
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP", _measure_webp(data)
    return ("JPEG", _measure_jpeg(data)) if data[:2] == b"\xff\xd8" else ("", None)


def _measure_webp(data: bytes) -> tuple[int, int] | None:
    if len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8 ":
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            return None


def _measure_jpeg(data: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        if data[place + 1] in _FRAME_MARKERS:
            return int.from_bytes(data[place + 7 : place + 9]), int.from_bytes(data[place + 5 : place + 7])
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return None


def _decode(text: str) -> bytes:
    try:
        return b64decode(text)
    except (binascii.Error, ValueError):
        return b""


def _describe_size(data: bytes) -> str:
    return f"{len(data):,} bytes"
