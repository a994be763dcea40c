"""Undoes the content codings gzip and deflate, which some servers send though they were not asked for them.

Source: https://www.rfc-editor.org/rfc/rfc9110 (2022), section 8.4.1.
"""

import zlib

MAX_DECODED_BYTES = 16 * 1024 * 1024
"""The most that one piece of at most 256 KiB may decode to: more is written to fill the memory."""

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


class ZlibDecoder:
    """Decodes gzip, also of several members, and deflate, with or without zlib's envelope."""

    def __init__(self) -> None:
        self._decompressor = None
        self._has_begun = False

    def decode(self, data: bytes) -> bytes:
        """The decoded bytes. Raises `ValueError` for invalid or excessive data."""
        decoded: list[bytes] = []
        room = MAX_DECODED_BYTES
        while data:
            if self._decompressor is None:
                self._decompressor = zlib.decompressobj(_RAW if self._is_raw(data[0]) else _GZIP_OR_ZLIB)
                self._has_begun = True
            try:
                decoded.append(self._decompressor.decompress(data, room))
            except zlib.error as error:
                raise ValueError(f"the compressed content is not valid: {error}") from None
            room -= len(decoded[-1])
            if room <= 0:
                raise ValueError("the compressed content is too large")
            data = self._decompressor.unused_data
            if self._decompressor.eof:
                self._decompressor = None
        return b"".join(decoded)

    @property
    def is_finished(self) -> bool:
        """True if nothing was fed, or all of it has come to its end."""
        return self._decompressor is None

    def _is_raw(self, first: int) -> bool:
        """True if the byte begins neither gzip nor zlib's envelope (RFC 1950: 32 KiB window, method 8)."""
        return not self._has_begun and first != 0x1F and first & 0x0F != 8
