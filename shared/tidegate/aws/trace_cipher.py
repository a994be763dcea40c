"""AES-256-GCM for traces and stored responses, apart because the library takes 12 ms to load.

Source: https://csrc.nist.gov/pubs/sp/800/38/d/final: with random nonces, one key may encrypt 2³² contents.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES = 32, 12


def encrypt(key: bytes, content: bytes, associated: bytes) -> bytes:
    """Encrypt content, which only `decrypt` with the same key and `associated` data makes readable again."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, associated)


def decrypt(key: bytes, encrypted: bytes, associated: bytes) -> bytes | None:
    """Return the content; None if it was changed, cut, or encrypted with another key or other `associated` data."""
    try:
        return AESGCM(key).decrypt(encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], associated)
    except (InvalidTag, ValueError):  # ValueError: less than a nonce
        return None
