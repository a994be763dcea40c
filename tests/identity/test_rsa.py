"""Our signatures against those of `cryptography`, with keys made for the test."""

import hashlib
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    generate_private_key,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)
from cryptography.hazmat.primitives.serialization import PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.identity import rsa

KEYS = [generate_private_key(65537, size) for size in (2048, 3072)]


def pem(key: RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("key", KEYS, ids=["2048", "3072"])
def test_a_signature_is_the_same_as_that_of_cryptography(key: RSAPrivateKey, form: PrivateFormat) -> None:
    ours = rsa.parse_private_key(pem(key, form))

    @settings(max_examples=20, deadline=None)
    @given(st.binary(max_size=300))
    def same(message: bytes) -> None:
        assert ours.sign(message) == key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    same()


def test_a_key_does_not_show_itself() -> None:
    shown = repr(rsa.parse_private_key(pem(KEYS[0])))
    assert str(KEYS[0].private_numbers().d) not in shown
    assert str(KEYS[0].private_numbers().p) not in shown


def test_a_key_as_json_holds_it_is_read() -> None:
    assert rsa.parse_private_key(pem(KEYS[0]).replace("\n", "\r\n")) == rsa.parse_private_key(pem(KEYS[0]))


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
    with pytest.raises(ValueError, match=r"^The private key is not (PEM|an RSA key)\.$"):
        rsa.parse_private_key(text)


def test_a_key_whose_numbers_do_not_fit_signs_nothing() -> None:
    key = rsa.parse_private_key(pem(KEYS[0]))
    with pytest.raises(ValueError, match="are inconsistent"):
        rsa.RsaPrivateKey(key.n, key.e, key.d + 2, key.p, key.q).sign(b"")


HASHES: dict[Any, Any] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


def odd_key() -> RSAPrivateKey:
    """A modulus of 2049 bits, of which the block of PSS is a byte shorter: OpenSSL makes none by itself."""
    for _ in range(100):
        p = generate_private_key(65537, 2048).private_numbers().p
        q = generate_private_key(65537, 2050).private_numbers().q
        if (p * q).bit_length() == 2049:
            d = pow(65537, -1, (p - 1) * (q - 1))
            parts = (rsa_crt_dmp1(d, p), rsa_crt_dmq1(d, q), rsa_crt_iqmp(p, q))
            return RSAPrivateNumbers(p, q, d, *parts, RSAPublicNumbers(65537, p * q)).private_key()
    raise AssertionError


ODD_KEYS = [*KEYS, odd_key()]


def public(key: RSAPrivateKey) -> rsa.RsaPublicKey:
    numbers = key.public_key().public_numbers()
    return rsa.RsaPublicKey(numbers.n, numbers.e)


def pss(hash: str, salt: int | None = None) -> padding.PSS:
    return padding.PSS(padding.MGF1(HASHES[hash]), HASHES[hash].digest_size if salt is None else salt)


def spoilt(signature: bytes) -> list[bytes]:
    """Signatures that differ in a bit, in length, or are nothing like one."""
    flipped = [
        signature[:at] + bytes([signature[at] ^ bit]) + signature[at + 1 :] for at in (0, 7, -2) for bit in (1, 128)
    ]
    size = len(signature)
    return [
        *flipped,
        signature + b"\x00",
        b"\x00" + signature,
        signature[:-1],
        signature[1:],
        b"",
        bytes(size),
        bytes(size - 1) + b"\x01",
        b"\xff" * size,
    ]


@pytest.mark.parametrize("hash", HASHES)
@pytest.mark.parametrize("key", ODD_KEYS, ids=["2048", "3072", "2049"])
def test_what_cryptography_signs_is_verified_and_nothing_else(key: RSAPrivateKey, hash: rsa.HashName) -> None:
    ours = public(key)

    @settings(max_examples=8, deadline=None)
    @given(st.binary(max_size=300), st.binary(min_size=1, max_size=300))
    def agree(message: bytes, other: bytes) -> None:
        plain, salted = (key.sign(message, way, HASHES[hash]) for way in (padding.PKCS1v15(), pss(hash)))
        assert ours.verify(message, plain, hash)
        assert ours.verify_pss(message, salted, hash)
        assert ours.verify(other, plain, hash) == ours.verify_pss(other, salted, hash) == (other == message)
        assert not ours.verify(message, salted, hash)
        assert not ours.verify_pss(message, plain, hash)
        for bad in spoilt(plain):
            assert not ours.verify(message, bad, hash)
        for bad in spoilt(salted):
            assert not ours.verify_pss(message, bad, hash)

    agree()


def test_random_numbers_are_no_signatures_for_either_of_us() -> None:
    ours, theirs = public(KEYS[0]), KEYS[0].public_key()

    @settings(max_examples=30, deadline=None)
    @given(st.binary(min_size=256, max_size=256))
    def refused(signature: bytes) -> None:
        for way in (padding.PKCS1v15(), pss("sha256")):
            with pytest.raises(InvalidSignature):
                theirs.verify(signature, b"message", way, HASHES["sha256"])
        assert not ours.verify(b"message", signature, "sha256")
        assert not ours.verify_pss(b"message", signature, "sha256")

    refused()


def test_a_signature_counts_for_its_hash_and_its_key_only() -> None:
    plain, salted = (KEYS[0].sign(b"m", way, HASHES["sha256"]) for way in (padding.PKCS1v15(), pss("sha256")))
    assert not public(KEYS[0]).verify(b"m", plain, "sha512")
    assert not public(KEYS[0]).verify_pss(b"m", salted, "sha384")
    other = public(generate_private_key(65537, 2048))
    assert not other.verify(b"m", plain, "sha256")
    assert not other.verify_pss(b"m", salted, "sha256")


def test_a_signature_is_a_number_below_the_modulus() -> None:
    key, ours = ODD_KEYS[2], public(ODD_KEYS[2])
    signature = key.sign(b"m", padding.PKCS1v15(), HASHES["sha256"])
    again = int.from_bytes(signature) + ours.n  # the same number modulo n, and as long
    assert ours.verify(b"m", signature, "sha256")
    assert not ours.verify(b"m", again.to_bytes(len(signature)), "sha256")


def test_salts_of_another_length_are_refused() -> None:
    for salt in (0, 20, 31, 33):
        assert not public(KEYS[0]).verify_pss(b"m", KEYS[0].sign(b"m", pss("sha256", salt), HASHES["sha256"]), "sha256")


def blocks(message: bytes, size: int) -> dict[str, bytes]:
    """What a lenient verifier takes for a padded digest, by what is wrong with it."""
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
    bare = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + hashlib.sha256(message).digest()
    full = b"\xff" * (size - len(info) - 3)
    return {
        "a short padding, and garbage after the digest": b"\x00\x01" + b"\xff" * 8 + b"\x00" + info + full[8:],
        "another kind of block": b"\x00\x02" + full + b"\x00" + info,
        "a first byte": b"\x01\x01" + full + b"\x00" + info,
        "a zero in the padding": b"\x00\x01" + full[:-1] + b"\x00\x00" + info,
        "another padding": b"\x00\x01" + b"\xfe" * len(full) + b"\x00" + info,
        "no padding": bytes(size - len(info)) + info,
        "an algorithm without its parameters": b"\x00\x01" + full + b"\xff\xff\x00" + bare,
        "no algorithm": b"\x00\x01" + full + b"\xff" * 19 + b"\x00" + info[19:],
    }


@pytest.mark.parametrize("wrong", blocks(b"", 256))
def test_a_block_that_is_padded_otherwise_is_refused(wrong: str) -> None:
    numbers = KEYS[0].private_numbers()
    ours = public(KEYS[0])
    block = blocks(b"m", 256)[wrong]
    assert len(block) == 256
    signature = pow(int.from_bytes(block), numbers.d, ours.n).to_bytes(256)
    assert not ours.verify(b"m", signature, "sha256")


def test_a_cube_root_forges_nothing_where_the_exponent_is_three() -> None:
    """Bleichenbacher's forgery of 2006: a perfect cube that begins like a padded digest, made without a private key."""
    ours = rsa.RsaPublicKey(public(KEYS[1]).n, 3)
    size = 384
    wanted = blocks(b"m", size)["a short padding, and garbage after the digest"]
    begin = wanted[: 11 + 51]
    low = int.from_bytes(begin) << 8 * (size - len(begin))
    root = next_cube_root(low)
    assert (root**3).to_bytes(size).startswith(begin)
    assert not ours.verify(b"m", root.to_bytes(size), "sha256")


def next_cube_root(number: int) -> int:
    below, above = 0, 1 << (number.bit_length() // 3 + 2)
    while below < above:
        middle = (below + above) // 2
        below, above = (middle + 1, above) if middle**3 < number else (below, middle)
    return below


def test_a_key_too_short_for_a_hash_verifies_nothing() -> None:
    short = rsa.RsaPublicKey((1 << 511) + 1, 65537)
    assert not short.verify(b"m", bytes(64), "sha512")
    assert not short.verify_pss(b"m", bytes(64), "sha512")
