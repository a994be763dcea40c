"""Which private keys of a service account sign, and what is said about the others."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.identity.google_account import KEY, PEM
from tidegate.identity.service_account import create_assertion

INVALID = "The private key is not a valid PEM key without a password."


def pem(
    key: RSAPrivateKey | ec.EllipticCurvePrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


@pytest.mark.parametrize(
    "text", [PEM, pem(KEY, PrivateFormat.TraditionalOpenSSL), PEM.replace("\n", "\r\n"), PEM.strip()]
)
def test_the_claim_is_signed_with_the_key_however_it_is_written(text: str) -> None:
    claims = {"iss": "tidegate@project.invalid", "scope": "all"}
    assertion = create_assertion(claims, text, "kid-1")
    decoded = jwt.decode_complete(assertion, KEY.public_key(), ["RS256"])
    assert (decoded["header"], decoded["payload"]) == ({"alg": "RS256", "typ": "JWT", "kid": "kid-1"}, claims)


def test_a_key_without_an_id_has_none_in_the_header() -> None:
    assert jwt.get_unverified_header(create_assertion({}, PEM, None)) == {"alg": "RS256", "typ": "JWT"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", INVALID),
        ("no key", INVALID),
        ("é", INVALID),
        ("-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----", INVALID),
        ("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----", INVALID),
        (PEM[:900] + "\n-----END PRIVATE KEY-----", INVALID),
        (pem(KEY, encryption=BestAvailableEncryption(b"a password")), INVALID),
        (KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), INVALID),
        (pem(ec.generate_private_key(ec.SECP256R1())), "The private key is not an RSA key."),
        (pem(generate_private_key(65537, 1024)), "The private key has fewer than 2048 bits."),
    ],
)
def test_other_keys_are_refused_and_not_quoted(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="private key") as caught:
        create_assertion({}, text, None)
    assert str(caught.value) == message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
