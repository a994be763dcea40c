"""An issuer of access tokens for tests, on the keys of `cryptography`; what it makes may be wrong in any part."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.store_worlds import NOON

URL = "https://issuer.example"
AUDIENCE = "tidegate"
RSA_KEY = generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
HASHES: dict[str, Any] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return base64(value.to_bytes(size or (value.bit_length() + 7) // 8))


def public_rsa(key: RSAPrivateKey = RSA_KEY, **fields: Any) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": "rsa", "use": "sig", "n": number(numbers.n), "e": number(numbers.e), **fields}


def public_ec(key: ec.EllipticCurvePrivateKey = EC_KEY, **fields: Any) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    x, y = number(numbers.x, 32), number(numbers.y, 32)
    return {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": x, "y": y, **fields}


def signature(algorithm: str, message: bytes) -> bytes:
    if algorithm == "ES256":
        r, s = decode_dss_signature(EC_KEY.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
    hash = HASHES[algorithm[2:]]
    pss = padding.PSS(padding.MGF1(hash), hash.digest_size)
    return RSA_KEY.sign(message, pss if algorithm.startswith("PS") else padding.PKCS1v15(), hash)


def signed(head: Any, claims: Any, sign: Callable[[bytes], bytes]) -> str:
    """A token of any head and claims: values, or the bytes that stand for them."""
    parts = (each if isinstance(each, bytes) else json.dumps(each).encode() for each in (head, claims))
    message = ".".join(map(base64, parts))
    return f"{message}.{base64(sign(message.encode()))}"


def claims(**changed: Any) -> dict[str, Any]:
    """Good ones; None leaves a claim out."""
    good = {"iss": URL, "aud": AUDIENCE, "sub": "service-1", "iat": NOON, "exp": NOON + 600}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def token(algorithm: str = "RS256", head: dict[str, Any] | None = None, **changed: Any) -> str:
    """A good token, whose claims may be `changed`."""
    kid = "ec" if algorithm == "ES256" else "rsa"
    whole = {"alg": algorithm, "typ": "at+jwt", "kid": kid, **(head or {})}
    kept = {name: value for name, value in whole.items() if value is not None}
    return signed(kept, claims(**changed), lambda message: signature(algorithm, message))


@dataclass
class IssuerSite:
    """Answers for the issuer. `down` makes it fail, `configuration` and `keys` are its documents."""

    url: str = URL
    keys: Any = field(default_factory=lambda: {"keys": [public_rsa(), public_ec()]})
    configuration: Any = None
    down: int | Exception | None = None
    asked: list[str] = field(default_factory=list[str])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if isinstance(self.down, Exception):
            raise self.down
        if self.down is not None:
            return httpx.Response(self.down)
        if request.url.path == "/.well-known/openid-configuration":
            known = {"issuer": self.url, "jwks_uri": f"{self.url.rstrip('/')}/keys"}
            return _answer(known if self.configuration is None else self.configuration)
        return _answer(self.keys)


def _answer(document: Any) -> httpx.Response:
    if isinstance(document, bytes):
        return httpx.Response(200, content=document)
    return httpx.Response(200, json=document)
