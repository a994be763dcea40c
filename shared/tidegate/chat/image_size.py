"""The size of an image in pixels, read from its head.

Sources: https://www.w3.org/TR/png-3/#11IHDR, https://www.w3.org/Graphics/GIF/spec-gif89a.txt, ITU-T T.81 (JPEG, B.2.2),
https://developers.google.com/speed/webp/docs/riff_container.
"""

from typing import Literal

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame header, which has the size."""

_MAX_SEGMENTS = 64
"""Segments of a JPEG that are read to find its frame header."""


def count_pixels(data: bytes) -> int | None:
    """Return width x height of a PNG, GIF, JPEG or WebP image; None if the head does not have them."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _area(data[16:20], data[20:24], "big")
    if data[:4] == b"GIF8":
        return _area(data[6:8], data[8:10], "little")
    if data[:2] == b"\xff\xd8":
        return _jpeg_pixels(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_pixels(data)
    return None


def _area(width: bytes, height: bytes, order: Literal["big", "little"]) -> int:
    return int.from_bytes(width, order) * int.from_bytes(height, order)


def _jpeg_pixels(data: bytes) -> int | None:
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if data[at : at + 1] != b"\xff" or len(data) < at + 9:
            return None
        if data[at + 1] in _JPEG_FRAMES:
            return _area(data[at + 7 : at + 9], data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _webp_pixels(data: bytes) -> int | None:
    match data[12:16]:
        case b"VP8X":
            return (int.from_bytes(data[24:27], "little") + 1) * (int.from_bytes(data[27:30], "little") + 1)
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
        case b"VP8 ":
            bits = int.from_bytes(data[26:30], "little")
            return (bits & 0x3FFF) * (bits >> 16 & 0x3FFF)
        case _:
            return None
