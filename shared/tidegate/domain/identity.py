"""Whom an OIDC issuer vouches for, and which issuer the operator trusts."""

import hashlib

from msgspec import Struct

MAX_SUBJECT = 255
"""Characters, as OpenID Connect Core §2 has it."""

SUBJECT_PREFIX = "oidc:"
"""How the ids of callers with access tokens begin: `oidc:` and 16 hexadecimal digits."""


class OidcIssuer(Struct, frozen=True):
    """The issuer whose access tokens open workspaces, where they are meant for `audience`.

    Its keys are at `jwks_url`, or else where its own `/.well-known/openid-configuration` says. `workspaces_claim` is
    the claim with the workspaces of a token; without it, the operator gives them to its subject.
    """

    url: str
    audience: str
    jwks_url: str | None = None
    workspaces_claim: str | None = None


class Identity(Struct, frozen=True):
    """What a verified token says; `workspace_ids` is None where the operator has to say. UTC seconds."""

    subject_hash: str
    expires_at: float
    workspace_ids: tuple[str, ...] | None = None


def hash_subject(issuer: str, subject: str) -> str:
    """By what a subject is known, in hexadecimal. No URL has a line break, so that no two pairs are alike."""
    return hashlib.sha256(f"{issuer}\n{subject}".encode("utf-8", "backslashreplace")).hexdigest()


def subject_id(subject_hash: str) -> str:
    """The key id of such a caller, in records and accounts."""
    return SUBJECT_PREFIX + subject_hash[:16]
