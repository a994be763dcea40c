"""The claims of an access token: whom they name, and if they are meant for this gateway now. Pure.

Sources: RFC 7519 §4.1 (registered claims), RFC 9068 §4 (access tokens).
"""

from tidegate.domain.identity import MAX_SUBJECT, Identity, OidcIssuer, hash_subject
from tidegate.errors import ExpiredToken, InvalidToken
from tidegate.json import Json, JsonObject

MAX_WORKSPACES = 100
MAX_WORKSPACE_ID = 128
LEEWAY_SECONDS = 60.0
"""The accepted difference between the issuer's clock and ours."""


def identity_from_claims(claims: JsonObject, issuer: OidcIssuer, now: float) -> Identity:
    """The caller that the claims name, if they are meant for this gateway and valid at `now` (UTC seconds).

    Raises `ExpiredToken`, and `InvalidToken`, whose message names the wrong claim but not its value.
    """
    if claims.get("iss") != issuer.url:
        raise InvalidToken("The access token is from another issuer.")
    if not _is_for_audience(issuer.audience, claims.get("aud")):
        raise InvalidToken("The access token is for another audience.")
    expires_at = _timestamp(claims, "exp")
    if expires_at is None:
        raise InvalidToken("The access token has no expiry: the claim exp is missing.")
    if now >= expires_at + LEEWAY_SECONDS:
        raise ExpiredToken("The access token has expired: get a new one.")
    for name in ("nbf", "iat"):
        not_before = _timestamp(claims, name)
        if not_before is not None and now < not_before - LEEWAY_SECONDS:
            raise InvalidToken("The access token is not valid yet: is the issuer's clock right?")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise InvalidToken(f"The access token must have a subject of 1 to {MAX_SUBJECT} characters.")
    return Identity(hash_subject(issuer.url, subject), expires_at, _workspaces(claims, issuer.workspaces_claim))


def _is_for_audience(audience: str, audiences: Json) -> bool:
    return audience in audiences if isinstance(audiences, list) else audience == audiences


def _timestamp(claims: JsonObject, name: str) -> float | None:
    timestamp = claims.get(name)
    if timestamp is None:
        return None
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float) or not 0 <= timestamp < 1e12:
        raise InvalidToken(f"The claim {name} of the access token is not a timestamp in seconds.")
    return float(timestamp)


def _workspaces(claims: JsonObject, claim_name: str | None) -> tuple[str, ...] | None:
    """The ids of the workspaces that the claim names; None if no claim is configured."""
    if claim_name is None:
        return None
    claim = claims.get(claim_name)
    items = claim if isinstance(claim, list) else [] if claim is None else [claim]
    ids = [item for item in items if isinstance(item, str) and _is_workspace_id(item)]
    if len(ids) < len(items) or len(ids) > MAX_WORKSPACES:
        raise InvalidToken(f"The claim {claim_name} must be a workspace id, or a list of at most {MAX_WORKSPACES} ids.")
    return tuple(dict.fromkeys(ids))


def _is_workspace_id(text: str) -> bool:
    return 0 < len(text) <= MAX_WORKSPACE_ID and text.isprintable()
