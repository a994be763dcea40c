"""The public keys of an issuer (a JWK set), and the algorithms whose signatures they verify.

Sources: RFC 7517 (JWK), RFC 7518 §3 and §6 (JWA), RFC 8725 (best current practices).
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from tidegate.identity import p256, rsa
from tidegate.json import Json, JsonObject

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
MAX_EXPONENT = 2**32
MAX_KEYS = 100

_PublicKey: TypeAlias = rsa.RsaPublicKey | p256.P256PublicKey
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class IssuerKey(Struct, frozen=True):
    """One public key; `id` and `algorithm` are None if the key set omits them."""

    id: str | None
    algorithm: str | None
    public_key: _PublicKey

    def supports_algorithm(self, algorithm: str) -> bool:
        """True if this key can verify signatures of that algorithm."""
        is_elliptic = isinstance(self.public_key, p256.P256PublicKey)
        return is_elliptic == (algorithm == "ES256") and self.algorithm in (None, algorithm)

    def verify(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """True if `signature` is this key's signature of `message`."""
        return self.supports_algorithm(algorithm) and ALGORITHMS[algorithm](self.public_key, message, signature)


def _rsa_pkcs1(hash: rsa.HashName) -> Callable[[_PublicKey, bytes, bytes], bool]:
    return lambda key, message, signature: isinstance(key, rsa.RsaPublicKey) and key.verify(message, signature, hash)


def _ps256(key: _PublicKey, message: bytes, signature: bytes) -> bool:
    return isinstance(key, rsa.RsaPublicKey) and key.verify_pss(message, signature, "sha256")


def _es256(key: _PublicKey, message: bytes, signature: bytes) -> bool:
    return isinstance(key, p256.P256PublicKey) and key.verify(message, signature)


ALGORITHMS: dict[str, Callable[[_PublicKey, bytes, bytes], bool]] = {
    "RS256": _rsa_pkcs1("sha256"),
    "RS384": _rsa_pkcs1("sha384"),
    "RS512": _rsa_pkcs1("sha512"),
    "PS256": _ps256,
    "ES256": _es256,
}
"""All accepted algorithms. None uses a shared secret, so a token's header cannot select one."""


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


def decode_base64url(text: Json) -> bytes:
    """Decode base64url without padding. Raises `ValueError`."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("The text is not base64url without padding.")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _parse_key(document: JsonObject) -> IssuerKey | None:
    algorithm, operations = document.get("alg"), document.get("key_ops", ["verify"])
    is_for_signatures = document.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not is_for_signatures or not isinstance(algorithm, str | None) or algorithm not in (None, *ALGORITHMS):
        return None
    id = document.get("kid")
    try:
        public_key = _parse_public_key(document)
    except ValueError:
        return None
    return IssuerKey(id if isinstance(id, str) else None, algorithm, public_key)


def _parse_public_key(document: JsonObject) -> _PublicKey:
    match document:
        case {"kty": "RSA", "n": modulus, "e": exponent}:
            n, e = int.from_bytes(decode_base64url(modulus)), int.from_bytes(decode_base64url(exponent))
            # With the exponent 1, anyone could forge a signature.
            if not (MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS and 1 < e < MAX_EXPONENT and n & e & 1):
                raise ValueError("The numbers are not a valid RSA key.")
            return rsa.RsaPublicKey(n, e)
        case {"kty": "EC", "crv": "P-256", "x": x, "y": y}:
            coordinates = decode_base64url(x), decode_base64url(y)
            if any(len(coordinate) != 32 for coordinate in coordinates):
                raise ValueError("The coordinates of a P-256 key must have 32 bytes.")
            return p256.P256PublicKey(*(int.from_bytes(coordinate) for coordinate in coordinates))
        case _:
            raise ValueError("The type of the key is not supported.")
