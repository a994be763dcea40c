"""Access tokens (JWT): taken apart, and their claims checked. Pure; who signed them is `oidc.py`'s question.

Sources: RFC 7515 (JWS), RFC 7519 (JWT), RFC 9068 (access tokens), RFC 8725 (best current practices).
"""

import json

from msgspec import Struct

from tidegate.domain.identity import MAX_SUBJECT, Identity, Issuer, hash_subject
from tidegate.errors import ExpiredToken, InvalidToken
from tidegate.identity.jwk import ALGORITHMS, octets
from tidegate.json import Json, JsonObject

MAX_TOKEN_CHARACTERS = 16 * 1024
MAX_WORKSPACES = 100
MAX_WORKSPACE_ID = 128
LEEWAY_SECONDS = 60.0
"""How far the issuer's clock and ours may be apart."""

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})


class Token(Struct, frozen=True):
    """A token in its parts: what is signed, by which key, and what it claims; nothing of it is proved yet."""

    algorithm: str
    key_id: str | None
    claims: JsonObject
    signed: bytes
    signature: bytes


def read(text: str) -> Token:
    """The token. Raises `InvalidToken`, also for algorithms that are not taken; no message repeats any of it."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise InvalidToken(f"The access token is longer than {MAX_TOKEN_CHARACTERS} characters.")
    try:
        signed, _, last = text.rpartition(".")
        first, second = signed.split(".")
        head, claims, signature = _object(octets(first)), _object(octets(second)), octets(last)
    except (ValueError, RecursionError):
        raise InvalidToken("The access token is malformed.") from None
    algorithm, key_id, kind = head.get("alg"), head.get("kid"), head.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken(f"The access token must be signed with one of {', '.join(ALGORITHMS)}.")
    if "crit" in head:
        raise InvalidToken("The access token has an extension that this gateway does not know.")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise InvalidToken("The token is no access token: its type must be at+jwt or JWT.")
    if not isinstance(key_id, str | None):
        raise InvalidToken("The access token is malformed.")
    return Token(algorithm, key_id, claims, signed.encode(), signature)


def identity(claims: JsonObject, issuer: Issuer, now: float) -> Identity:
    """Whom the claims are about, if they are for us and for now (UTC seconds).

    Raises `ExpiredToken`, and `InvalidToken` that says which claim is wrong, never what it says.
    """
    if claims.get("iss") != issuer.url:
        raise InvalidToken("The access token is from another issuer.")
    if not _is_for(issuer.audience, claims.get("aud")):
        raise InvalidToken("The access token is for another audience.")
    expires_at = _moment(claims, "exp")
    if expires_at is None:
        raise InvalidToken("The access token has no moment of expiry.")
    if now >= expires_at + LEEWAY_SECONDS:
        raise ExpiredToken("The access token has expired: get a new one.")
    for name in ("nbf", "iat"):
        begins = _moment(claims, name)
        if begins is not None and now < begins - LEEWAY_SECONDS:
            raise InvalidToken("The access token is not valid yet: is the issuer's clock right?")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise InvalidToken(f"The access token has no subject of 1 to {MAX_SUBJECT} characters.")
    return Identity(hash_subject(issuer.url, subject), expires_at, _workspaces(claims, issuer.workspaces_claim))


def _is_for(audience: str, claimed: Json) -> bool:
    return audience in claimed if isinstance(claimed, list) else audience == claimed


def _moment(claims: JsonObject, name: str) -> float | None:
    moment = claims.get(name)
    if moment is None:
        return None
    if isinstance(moment, bool) or not isinstance(moment, int | float) or not 0 <= moment < 1e12:
        raise InvalidToken(f"The claim {name} of the access token is no moment.")
    return float(moment)


def _workspaces(claims: JsonObject, name: str | None) -> tuple[str, ...] | None:
    """Those that the claim names; None where no claim does."""
    if name is None:
        return None
    claimed = claims.get(name)
    listed = claimed if isinstance(claimed, list) else [] if claimed is None else [claimed]
    ids = [each for each in listed if isinstance(each, str) and _is_id(each)]
    if len(ids) < len(listed) or len(ids) > MAX_WORKSPACES:
        raise InvalidToken(f"The claim {name} must be a workspace's id, or a list of at most {MAX_WORKSPACES}.")
    return tuple(dict.fromkeys(ids))


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_WORKSPACE_ID and text.isprintable()


def _object(data: bytes) -> JsonObject:
    """A JSON object. Raises `ValueError`, also for names that come twice, of which readers take either."""
    found: Json = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    if not isinstance(found, dict):
        raise ValueError("That is no object.")
    return found


def _unique(pairs: list[tuple[str, Json]]) -> JsonObject:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("A name comes twice.")
    return made


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON.")
