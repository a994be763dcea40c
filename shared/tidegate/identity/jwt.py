"""Access tokens (JWT): taken apart, and their claims checked. Pure; who signed them is `oidc.py`'s question.

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
"""How far the issuer's clock and ours may be apart."""

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})


class UnverifiedToken(Struct, frozen=True):
    """A token in its parts: what is signed, by which key, and what it claims; nothing of it is proved yet."""

    algorithm: str
    key_id: str | None
    claims: JsonObject
    signing_input: bytes
    signature: bytes


def parse_token(text: str) -> UnverifiedToken:
    """The token. Raises `InvalidToken`, also for algorithms that are not taken; no message repeats any of it."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise InvalidToken(f"The access token is longer than {MAX_TOKEN_CHARACTERS} characters.")
    try:
        signing_input, _, encoded_signature = text.rpartition(".")
        encoded_header, encoded_claims = signing_input.split(".")
        header, claims, signature = (
            _parse_object(decode_base64url(encoded_header)),
            _parse_object(decode_base64url(encoded_claims)),
            decode_base64url(encoded_signature),
        )
    except (ValueError, RecursionError):
        raise InvalidToken("The access token is malformed.") from None
    algorithm, key_id, token_type = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken(f"The access token must be signed with one of {', '.join(ALGORITHMS)}.")
    if "crit" in header:
        raise InvalidToken("The access token has an extension that this gateway does not know.")
    if not isinstance(token_type, str) or token_type.lower() not in _TYPES:
        raise InvalidToken("The token is no access token: its type must be at+jwt or JWT.")
    if not isinstance(key_id, str | None):
        raise InvalidToken("The access token is malformed.")
    return UnverifiedToken(algorithm, key_id, claims, signing_input.encode(), signature)


def identity_from_claims(claims: JsonObject, issuer: OidcIssuer, now: float) -> Identity:
    """Whom the claims are about, if they are for us and for now (UTC seconds).

    Raises `ExpiredToken`, and `InvalidToken` that says which claim is wrong, never what it says.
    """
    if claims.get("iss") != issuer.url:
        raise InvalidToken("The access token is from another issuer.")
    if not _is_for_audience(issuer.audience, claims.get("aud")):
        raise InvalidToken("The access token is for another audience.")
    expires_at = _timestamp(claims, "exp")
    if expires_at is None:
        raise InvalidToken("The access token has no moment of expiry.")
    if now >= expires_at + LEEWAY_SECONDS:
        raise ExpiredToken("The access token has expired: get a new one.")
    for name in ("nbf", "iat"):
        not_before = _timestamp(claims, name)
        if not_before is not None and now < not_before - LEEWAY_SECONDS:
            raise InvalidToken("The access token is not valid yet: is the issuer's clock right?")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise InvalidToken(f"The access token has no subject of 1 to {MAX_SUBJECT} characters.")
    return Identity(hash_subject(issuer.url, subject), expires_at, _workspaces(claims, issuer.workspaces_claim))


def _is_for_audience(audience: str, audiences: Json) -> bool:
    return audience in audiences if isinstance(audiences, list) else audience == audiences


def _timestamp(claims: JsonObject, name: str) -> float | None:
    timestamp = claims.get(name)
    if timestamp is None:
        return None
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float) or not 0 <= timestamp < 1e12:
        raise InvalidToken(f"The claim {name} of the access token is no moment.")
    return float(timestamp)


def _workspaces(claims: JsonObject, claim_name: str | None) -> tuple[str, ...] | None:
    """Those that the claim names; None where no claim does."""
    if claim_name is None:
        return None
    claim = claims.get(claim_name)
    items = claim if isinstance(claim, list) else [] if claim is None else [claim]
    ids = [each for each in items if isinstance(each, str) and _is_workspace_id(each)]
    if len(ids) < len(items) or len(ids) > MAX_WORKSPACES:
        raise InvalidToken(f"The claim {claim_name} must be a workspace's id, or a list of at most {MAX_WORKSPACES}.")
    return tuple(dict.fromkeys(ids))


def _is_workspace_id(text: str) -> bool:
    return 0 < len(text) <= MAX_WORKSPACE_ID and text.isprintable()


def _parse_object(data: bytes) -> JsonObject:
    """A JSON object. Raises `ValueError`, also for names that come twice, of which readers take either."""
    parsed: Json = json.loads(data.decode(), object_pairs_hook=_reject_duplicates, parse_constant=_reject_constant)
    if not isinstance(parsed, dict):
        raise ValueError("That is no object.")
    return parsed


def _reject_duplicates(pairs: list[tuple[str, Json]]) -> JsonObject:
    by_name = dict(pairs)
    if len(by_name) < len(pairs):
        raise ValueError("A name comes twice.")
    return by_name


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON.")
