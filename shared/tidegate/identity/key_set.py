"""The public keys of an issuer (a JWK set): which of them may verify access tokens, and with which algorithms.

PyJWT reads the keys; what it would accept and this gateway does not is refused here.

Sources: RFC 7517 (JWK), RFC 7518 §3 and §6 (JWA), RFC 8725 (best current practices).
"""

import re
from typing import TypeAlias, cast

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from msgspec import Struct

from tidegate.json import Json, JsonObject

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256")
"""All accepted algorithms. None uses a shared secret, so a token's header cannot select one."""

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
MAX_EXPONENT = 2**32
MAX_KEYS = 100

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class IssuerKey(Struct, frozen=True):
    """One public key; `id` and `algorithm` are None if the key set omits them."""

    id: str | None
    algorithm: str | None
    public_key: PublicKey

    def supports_algorithm(self, algorithm: str) -> bool:
        """True if this key can verify signatures of that algorithm."""
        is_elliptic = isinstance(self.public_key, EllipticCurvePublicKey)
        return is_elliptic == (algorithm == "ES256") and self.algorithm in (None, algorithm)


def parse_key_set(document: Json) -> tuple[IssuerKey, ...]:
    """The usable signature keys of a JWK set; other keys are skipped. Raises `ValueError` if there are none."""
    match document:
        case {"keys": [*documents]}:
            objects = [each for each in documents[:MAX_KEYS] if isinstance(each, dict)]
            keys = tuple(key for each in objects if (key := _parse_key(each)))
        case _:
            keys = ()
    if not keys:
        raise ValueError("The key set has no key for a supported signature algorithm.")
    return keys


def _parse_key(document: JsonObject) -> IssuerKey | None:
    algorithm, operations = document.get("alg"), document.get("key_ops", ["verify"])
    is_for_signatures = document.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not is_for_signatures or not isinstance(algorithm, str | None) or algorithm not in (None, *ALGORITHMS):
        return None
    id = document.get("kid")
    try:
        public_key = _parse_public_key(document)
    except (PyJWTError, ValueError):
        return None
    return IssuerKey(id if isinstance(id, str) else None, algorithm, public_key)


def _parse_public_key(document: JsonObject) -> PublicKey:
    """The public key of a JWK. Private parts are not read. Raises `ValueError` and `PyJWTError`."""
    match document:
        case {"kty": "RSA", "n": modulus, "e": exponent}:
            members = {"kty": "RSA", "n": _require_base64url(modulus), "e": _require_base64url(exponent)}
            key = cast(RSAPublicKey, RSAAlgorithm.from_jwk(members))
            numbers = key.public_numbers()
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS or numbers.e >= MAX_EXPONENT or not numbers.n & 1:
                raise ValueError("The numbers are not a valid RSA key.")
            return key
        case {"kty": "EC", "crv": "P-256", "x": x, "y": y}:
            members = {"kty": "EC", "crv": "P-256", "x": _require_base64url(x), "y": _require_base64url(y)}
            return cast(EllipticCurvePublicKey, ECAlgorithm.from_jwk(members))
        case _:
            raise ValueError("The type of the key is not supported.")


def _require_base64url(text: Json) -> str:
    """The text itself. Raises `ValueError` for padding and other characters, which PyJWT would skip."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise ValueError("The text is not base64url without padding.")
    return text
