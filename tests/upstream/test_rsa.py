"""Our signer against the one of `cryptography`, with keys made for the test."""

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.upstream import rsa

KEYS = [generate_private_key(65537, size) for size in (2048, 3072)]


def pem(key: RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("key", KEYS, ids=["2048", "3072"])
def test_a_signature_is_the_same_as_that_of_cryptography(key: RSAPrivateKey, form: PrivateFormat) -> None:
    ours = rsa.read(pem(key, form))

    @settings(max_examples=20, deadline=None)
    @given(st.binary(max_size=300))
    def same(message: bytes) -> None:
        assert ours.sign(message) == key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    same()


def test_a_key_does_not_show_itself() -> None:
    shown = repr(rsa.read(pem(KEYS[0])))
    assert str(KEYS[0].private_numbers().d) not in shown
    assert str(KEYS[0].private_numbers().p) not in shown


def test_a_key_as_json_holds_it_is_read() -> None:
    assert rsa.read(pem(KEYS[0]).replace("\n", "\r\n")) == rsa.read(pem(KEYS[0]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----",
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(generate_private_key(65537, 2048))[:900] + "\n-----END PRIVATE KEY-----",
    ],
)
def test_what_is_no_key_of_rsa_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^The private key is not (PEM|a key of RSA)\.$"):
        rsa.read(text)


def test_a_key_whose_numbers_do_not_fit_signs_nothing() -> None:
    key = rsa.read(pem(KEYS[0]))
    with pytest.raises(ValueError, match="does not fit together"):
        rsa.PrivateKey(key.n, key.e, key.d + 2, key.p, key.q).sign(b"")
