"""Reasoning of any provider as one text, which a client returns unchanged with its next turn.

It is the signature of a thinking block in the Messages API, and the encrypted content of a reasoning item in the
Responses API: clients may read neither. So the `reasoning_details` of a reply travel in it, compressed. They are the
provider's own blobs and texts that the caller has seen; nothing in them is secret from the caller.
"""

import base64
import binascii
import zlib

from tidegate.json import Json, decode_or_none, encode

PREFIX = "tg1."

MAX_RATIO, _LEAST_BYTES = 20, 4096
"""The most bytes for each character of a signature: all of a request together cannot be a bomb."""


def pack(details: list[Json]) -> str:
    """Return the signature that holds the details."""
    return PREFIX + base64.urlsafe_b64encode(zlib.compress(encode(details), 6)).decode()


def unpack(signature: Json) -> list[Json] | None:
    """Return the details in a signature of ours; None for one of another maker, or a damaged one."""
    if not isinstance(signature, str) or not signature.startswith(PREFIX):
        return None
    try:
        packed = base64.urlsafe_b64decode(signature.removeprefix(PREFIX))
        text = zlib.decompressobj().decompress(packed, _LEAST_BYTES + MAX_RATIO * len(signature))
    except (binascii.Error, ValueError, zlib.error):
        return None
    details = decode_or_none(text)
    return details if isinstance(details, list) else None


def is_ours(signature: Json) -> bool:
    """True for a signature, or the data of redacted thinking, that this module has made."""
    return isinstance(signature, str) and signature.startswith(PREFIX)
