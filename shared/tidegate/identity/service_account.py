"""The signed claim with which a Google service account asks for an access token. PyJWT signs it.

Source: https://developers.google.com/identity/protocols/oauth2/service-account (signed JWT).
"""

from collections.abc import Mapping

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tidegate.json import Json

MIN_KEY_BITS = 2048
"""Source: RFC 7518 §3.3. Google's own keys have as many."""


def create_assertion(claims: Mapping[str, Json], private_key_pem: str, key_id: Json) -> str:
    """A JWT with `claims`, signed with RS256. Raises `ValueError`, whose message quotes nothing of the key."""
    headers = {"kid": key_id} if isinstance(key_id, str) else None
    return jwt.encode(dict(claims), _parse_private_key(private_key_pem), "RS256", headers)


def _parse_private_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (TypeError, ValueError, UnsupportedAlgorithm):  # TypeError: the key is encrypted
        raise ValueError("The private key is not a valid PEM key without a password.") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("The private key is not an RSA key.")
    if key.key_size < MIN_KEY_BITS:
        raise ValueError(f"The private key has fewer than {MIN_KEY_BITS} bits.")
    return key
