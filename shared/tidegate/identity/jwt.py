"""Access tokens (JWT): parses them and checks their claims, pure. `oidc.py` verifies their signatures.

Sources: RFC 7515 (JWS), RFC 7519 (JWT), RFC 9068 (access tokens), RFC 8725 (best current practices).
"""

import json

from msgspec import Struct

from tidegate.domain.identity import MAX_SUBJECT, Identity, OidcIssuer, hash_subject
from tidegate.errors import ExpiredToken, InvalidToken
from tidegate.identity.jwk import ALGORITHMS, decode_base64url
from tidegate.json import Json, JsonObject

MAX_TOKEN_CHARACTERS = 16 * 1024
MAX_WORKSPACES = 100
MAX_WORKSPACE_ID = 128
LEEWAY_SECONDS = 60.0
"""The accepted difference between the issuer's clock and ours."""

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})


class UnverifiedToken(Struct, frozen=True):
    """The parts of a token whose signature and claims have not been checked."""

    algorithm: str
    key_id: str | None
    claims: JsonObject
    signing_input: bytes
    signature: bytes


def parse_token(text: str) -> UnverifiedToken:
    """Parse a token. Raises `InvalidToken`, also for unsupported algorithms; no message quotes the token."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise InvalidToken(f"The access token is longer than {MAX_TOKEN_CHARACTERS} characters.")
    try:
        signing_input, _, encoded_signature = text.rpartition(".")
        encoded_header, encoded_claims = signing_input.split(".")
        header = _parse_object(decode_base64url(encoded_header))
        claims = _parse_object(decode_base64url(encoded_claims))
        signature = decode_base64url(encoded_signature)
    except (ValueError, RecursionError):
        raise InvalidToken("The access token is malformed.") from None
    algorithm, key_id, token_type = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken(f"The access token must be signed with one of {', '.join(ALGORITHMS)}.")
    if "crit" in header:
        raise InvalidToken("The access token requires an extension that this gateway does not support.")
    if not isinstance(token_type, str) or token_type.lower() not in _TYPES:
        raise InvalidToken("The token is not an access token: its type must be at+jwt or JWT.")
    if not isinstance(key_id, str | None):
        raise InvalidToken("The access token is malformed.")
    return UnverifiedToken(algorithm, key_id, claims, signing_input.encode(), signature)


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


def _parse_object(data: bytes) -> JsonObject:
    """Parse a JSON object. Raises `ValueError`, also for a repeated name: parsers differ in which value they take."""
    parsed: Json = json.loads(data.decode(), object_pairs_hook=_reject_duplicates, parse_constant=_reject_constant)
    if not isinstance(parsed, dict):
        raise ValueError("The text is not a JSON object.")
    return parsed


def _reject_duplicates(pairs: list[tuple[str, Json]]) -> JsonObject:
    by_name = dict(pairs)
    if len(by_name) < len(pairs):
        raise ValueError("The JSON object has a name twice.")
    return by_name


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not a valid JSON number.")
