"""Virtual keys: bearer keys with a secret, and grants of OIDC subjects, which are keys without one."""

import hashlib
import secrets
from collections.abc import Iterable

from msgspec.structs import replace

from tidegate.domain.identity import SUBJECT_PREFIX, grant_id, hash_subject, subject_id
from tidegate.domain.ids import ulid_time
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
    """The grant of an OIDC subject: stored, listed, limited and revoked like a bearer key, but without a secret.

    A subject has at most one grant for a workspace; a grant has one workspace or several.
    """
    subject_hash = hash_subject(issuer, subject)
    name = subject[:MAX_SUBJECT_NAME] if subject.isprintable() else ""
    return VirtualKey(grant_id(subject_hash, workspace_ids[0]), subject_hash, "", workspace_ids, None, name=name)


def is_subject_key(key: VirtualKey) -> bool:
    """True for the grant of an OIDC subject: a bearer secret must never lead to it."""
    return key.id.startswith(SUBJECT_PREFIX)


def is_only_grant(key: VirtualKey) -> bool:
    """True for a subject's grant from the time when a subject had one grant in the whole gateway."""
    return key.id == subject_id(key.hash)


def key_of_grants(grants: Iterable[VirtualKey], now: float) -> VirtualKey | None:
    """The key of a subject whose call names no workspace: its only usable grant, or None if it has none.

    Several grants make a key with all of their workspaces and no default: no grant decides for the others' workspaces.
    """
    usable = list({grant.id: grant for grant in grants if is_usable(grant, now)}.values())
    if len(usable) <= 1:
        return usable[0] if usable else None
    workspace_ids = tuple(sorted({id for grant in usable for id in grant.workspace_ids}))
    key = VirtualKey(subject_id(usable[0].hash), usable[0].hash, "", workspace_ids, None)
    endpoints, networks = [grant.endpoints for grant in usable], [grant.networks for grant in usable]
    return replace(key, endpoints=_any_of(endpoints), networks=_any_of(networks))


def _any_of(restrictions: Iterable[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """The restriction that allows what one of `restrictions` allows; None allows all."""
    patterns: list[str] = []
    for restriction in restrictions:
        if restriction is None:
            return None
        patterns += restriction
    return tuple(patterns)


def is_usable(key: VirtualKey, now: float) -> bool:
    """True unless the key is revoked or has expired at `now` (UTC seconds)."""
    return key.status == "active" and (key.expires_at is None or now < key.expires_at)


def may_read_trace(key_id: str, traces_since: float, call_key_id: str, call_id: str) -> bool:
    """True if the key with this id, and `traces_since`, reads the trace of a call: one of its own, made since then."""
    return key_id == call_key_id and ulid_time(call_id) >= traces_since


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
