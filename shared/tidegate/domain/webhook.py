"""Signatures of webhooks by the Standard Webhooks specification, which OpenAI's SDK verifies. Pure.

    key = decode_secret("whsec_…")
    headers = signed_headers(key, "evt_01", 1_790_000_000, body)

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11)
"""

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode

WEBHOOK_SECRET = "TIDEGATE_WEBHOOK_SECRET"
"""The name of the workspace's credential with which its webhooks are signed."""

SECRET_PREFIX = "whsec_"
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64


def decode_secret(secret: str) -> bytes:
    """Return the key of a secret such as `whsec_…`, which is base64. Raises `ValueError`."""
    try:
        key = b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"must be {SECRET_PREFIX} and {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes as base64")
    return key


def signed_headers(key: bytes, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that identify and sign the event; `timestamp` is the time of sending in UTC seconds."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    signature = b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}
