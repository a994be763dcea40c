"""An access token (JWT) of an issuer, read and verified by PyJWT; `claims` checks what it says.

PyJWT accepts more than this gateway: padding, repeated names, other types. What differs is refused here.

Sources: RFC 7515 (JWS), RFC 7519 (JWT), RFC 9068 (access tokens), RFC 8725 (best current practices).
"""

import json
import re

from jwt import InvalidTokenError, PyJWS
from jwt.utils import base64url_decode
from msgspec import Struct

from tidegate.errors import InvalidToken
from tidegate.identity.key_set import ALGORITHMS, PublicKey
from tidegate.json import Json, JsonObject

MAX_TOKEN_CHARACTERS = 16 * 1024

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_JWS = PyJWS(ALGORITHMS)


class UnverifiedToken(Struct, frozen=True):
    """A token whose signature and claims have not been checked."""

    text: str
    algorithm: str
    key_id: str | None
    claims: JsonObject

    def is_signed_by(self, public_key: PublicKey) -> bool:
        """True if the token has this key's signature. The key must be of the kind that the algorithm needs."""
        try:
            _JWS.decode(self.text, public_key, [self.algorithm])
        except InvalidTokenError:
            return False
        return True


def parse_token(text: str) -> UnverifiedToken:
    """Parse a token. Raises `InvalidToken`, also for unsupported algorithms; no message quotes the token."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise InvalidToken(f"The access token is longer than {MAX_TOKEN_CHARACTERS} characters.")
    if not _COMPACT.fullmatch(text):
        raise _malformed()
    try:
        header = _parse_object(base64url_decode(text.partition(".")[0]))
    except (ValueError, RecursionError):
        raise _malformed() from None
    algorithm, key_id = _check_header(header)
    try:
        payload: bytes = _JWS.decode_complete(text, options={"verify_signature": False})["payload"]
        claims = _parse_object(payload)
    except (InvalidTokenError, ValueError, RecursionError):
        raise _malformed() from None
    return UnverifiedToken(text, algorithm, key_id, claims)


def _check_header(header: JsonObject) -> tuple[str, str | None]:
    """The algorithm and the key id of a header that this gateway accepts. Raises `InvalidToken`."""
    algorithm, key_id, token_type = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken(f"The access token must be signed with one of {', '.join(ALGORITHMS)}.")
    if "crit" in header:
        raise InvalidToken("The access token requires an extension that this gateway does not support.")
    if not isinstance(token_type, str) or token_type.lower() not in _TYPES:
        raise InvalidToken("The token is not an access token: its type must be at+jwt or JWT.")
    if not isinstance(key_id, str | None):
        raise _malformed()
    return algorithm, key_id


def _malformed() -> InvalidToken:
    return InvalidToken("The access token is malformed.")


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
