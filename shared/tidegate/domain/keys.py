"""Virtual keys: bearer keys with a secret, and keys of OIDC subjects, which have none."""

import hashlib
import secrets

from msgspec.structs import replace

from tidegate.domain.identity import SUBJECT_PREFIX, hash_subject, subject_id
from tidegate.domain.workspace import VirtualKey

SECRET_PREFIX = "sk-tidegate-"
MAX_SUBJECT_NAME = 200
PREFIX_CHARACTERS = len(SECRET_PREFIX) + 4


def create_secret() -> str:
    """A new bearer key with 256 random bits. It is shown once; only its hash is stored."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """The sha-256 of a secret, in hexadecimal. A fast hash suffices: secrets are random, not chosen."""
    return hashlib.sha256(secret.encode("utf-8", "backslashreplace")).hexdigest()


def display_prefix(secret: str) -> str:
    """The beginning of a secret, which people may see to tell keys apart."""
    return secret[:PREFIX_CHARACTERS]


def create_key_id() -> str:
    return f"key_{secrets.token_hex(8)}"


def create_workspace_id() -> str:
    return f"ws_{secrets.token_hex(8)}"


def subject_key(issuer: str, subject: str, workspace_ids: tuple[str, ...]) -> VirtualKey:
    """The key of an OIDC subject: stored, listed, limited and revoked like a bearer key, but without a secret."""
    subject_hash = hash_subject(issuer, subject)
    name = subject[:MAX_SUBJECT_NAME] if subject.isprintable() else ""
    return VirtualKey(subject_id(subject_hash), subject_hash, "", workspace_ids, None, name=name)


def is_subject_key(key: VirtualKey) -> bool:
    """True for the key of an OIDC subject: a bearer secret must never lead to it."""
    return key.id.startswith(SUBJECT_PREFIX)


def is_usable(key: VirtualKey, now: float) -> bool:
    """True unless the key is revoked or has expired at `now` (UTC seconds)."""
    return key.status == "active" and (key.expires_at is None or now < key.expires_at)


def previous_key(key: VirtualKey) -> VirtualKey | None:
    """The key with the secret from before its rotation, until that expires; None if it was never rotated."""
    if key.previous_hash is None or key.previous_expires_at is None:
        return None
    expires_at = key.previous_expires_at if key.expires_at is None else min(key.expires_at, key.previous_expires_at)
    return replace(
        key,
        hash=key.previous_hash,
        prefix=key.previous_prefix or key.prefix,
        expires_at=expires_at,
        previous_hash=None,
        previous_prefix=None,
        previous_expires_at=None,
    )


def implied_workspace(key: VirtualKey) -> str | None:
    """The workspace of a call that names none: the key's default or its only workspace, None if it has several."""
    if key.default_workspace_id is not None or len(key.workspace_ids) != 1:
        return key.default_workspace_id
    return key.workspace_ids[0]
