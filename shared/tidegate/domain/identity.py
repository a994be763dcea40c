"""OIDC: the issuer that the operator trusts, and the identities in its access tokens."""

import hashlib
from urllib.parse import urlsplit

from msgspec import Struct

MAX_SUBJECT = 255
"""Characters of a subject. Source: OpenID Connect Core 1.0, §2."""

SUBJECT_PREFIX = "oidc:"
"""Prefix of the key ids of callers with access tokens; 16 or 32 hexadecimal digits follow."""


class OidcIssuer(Struct, frozen=True):
    """The issuer whose access tokens are accepted if their audience is `audience`.

    Its signing keys are at `jwks_url`, or else at the URL in its `/.well-known/openid-configuration`.
    `workspaces_claim` is the claim that lists a token's workspaces; None if the operator assigns them to subjects.
    `client_id` is the dashboard's at the issuer, and `scopes` is what it asks for; None: it takes keys alone.
    """

    url: str
    audience: str
    jwks_url: str | None = None
    workspaces_claim: str | None = None
    client_id: str | None = None
    scopes: str = "openid"

    @property
    def origin(self) -> str:
        """The scheme, host and port of the URL."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class Identity(Struct, frozen=True):
    """The content of a verified token. `expires_at` is UTC seconds; `workspace_ids` None: the operator sets them."""

    subject_hash: str
    expires_at: float
    workspace_ids: tuple[str, ...] | None = None


def hash_subject(issuer: str, subject: str) -> str:
    """The sha-256 of issuer and subject, in hexadecimal. A URL has no line break, so different pairs differ."""
    return hashlib.sha256(f"{issuer}\n{subject}".encode("utf-8", "backslashreplace")).hexdigest()


def subject_id(subject_hash: str) -> str:
    """The key id of an OIDC subject whose workspaces no grant limits: those of a claim, or of several grants."""
    return SUBJECT_PREFIX + subject_hash[:16]


def grant_id(subject_hash: str, workspace_id: str) -> str:
    """The key id of a subject's grant whose first workspace this is: grants of other workspaces share no account."""
    return SUBJECT_PREFIX + hashlib.sha256(f"{subject_hash}\n{workspace_id}".encode()).hexdigest()[:32]
