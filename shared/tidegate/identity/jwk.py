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

_Public: TypeAlias = rsa.PublicKey | p256.PublicKey
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Key(Struct, frozen=True):
    """One key; `id` and `algorithm` are None where the set does not say."""

    id: str | None
    algorithm: str | None
    public: _Public

    def fits(self, algorithm: str) -> bool:
        """Whether signatures of that algorithm may be this key's."""
        is_of_curve = isinstance(self.public, p256.PublicKey)
        return is_of_curve == (algorithm == "ES256") and self.algorithm in (None, algorithm)

    def verify(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether it is this key's signature of `message`."""
        return self.fits(algorithm) and ALGORITHMS[algorithm](self.public, message, signature)


def _rs(hash: rsa.Hash) -> Callable[[_Public, bytes, bytes], bool]:
    return lambda key, message, signature: isinstance(key, rsa.PublicKey) and key.verify(message, signature, hash)


def _ps256(key: _Public, message: bytes, signature: bytes) -> bool:
    return isinstance(key, rsa.PublicKey) and key.verify_pss(message, signature, "sha256")


def _es256(key: _Public, message: bytes, signature: bytes) -> bool:
    return isinstance(key, p256.PublicKey) and key.verify(message, signature)


ALGORITHMS: dict[str, Callable[[_Public, bytes, bytes], bool]] = {
    "RS256": _rs("sha256"),
    "RS384": _rs("sha384"),
    "RS512": _rs("sha512"),
    "PS256": _ps256,
    "ES256": _es256,
}
"""All that are taken: none with a shared secret, whatever a token's head says."""


def read(document: Json) -> tuple[Key, ...]:
    """The keys for signatures in a JWK set. Others are left out; raises `ValueError` where none is left."""
    match document:
        case {"keys": [*listed]}:
            keys = tuple(key for each in listed[:MAX_KEYS] if isinstance(each, dict) and (key := _key(each)))
        case _:
            keys = ()
    if not keys:
        raise ValueError("There is no key in the set whose signatures could be verified.")
    return keys


def octets(text: Json) -> bytes:
    """What base64url without padding stands for. Raises `ValueError`."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("That is not base64url.")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _key(document: JsonObject) -> Key | None:
    algorithm, operations = document.get("alg"), document.get("key_ops", ["verify"])
    signs = document.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not signs or not isinstance(algorithm, str | None) or algorithm not in (None, *ALGORITHMS):
        return None
    id = document.get("kid")
    try:
        public = _public(document)
    except ValueError:
        return None
    return Key(id if isinstance(id, str) else None, algorithm, public)


def _public(document: JsonObject) -> _Public:
    match document:
        case {"kty": "RSA", "n": modulus, "e": exponent}:
            n, e = int.from_bytes(octets(modulus)), int.from_bytes(octets(exponent))
            # With the exponent 1 everybody could sign.
            if not (MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS and 1 < e < MAX_EXPONENT and n & e & 1):
                raise ValueError("The numbers are no key of RSA.")
            return rsa.PublicKey(n, e)
        case {"kty": "EC", "crv": "P-256", "x": x, "y": y}:
            coordinates = octets(x), octets(y)
            if any(len(each) != 32 for each in coordinates):
                raise ValueError("The numbers are no key of P-256.")
            return p256.PublicKey(*(int.from_bytes(each) for each in coordinates))
        case _:
            raise ValueError("There is no such kind of key.")
