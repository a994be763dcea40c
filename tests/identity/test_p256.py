"""Our verifier of ES256 against the signer and the verifier of `cryptography`, with keys made for the test."""

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.identity import p256
from tidegate.identity.p256 import N, P, P256PublicKey

KEY = ec.generate_private_key(ec.SECP256R1())
SHA256 = ec.ECDSA(hashes.SHA256())


def public(key: ec.EllipticCurvePrivateKey = KEY) -> P256PublicKey:
    numbers = key.public_key().public_numbers()
    return P256PublicKey(numbers.x, numbers.y)


def joined(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


def sign(message: bytes, key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    return joined(*decode_dss_signature(key.sign(message, SHA256)))


def test_what_cryptography_signs_is_verified_and_nothing_else() -> None:
    @settings(max_examples=15, deadline=None)
    @given(st.binary(max_size=300), st.integers(0, 511))
    def agree(message: bytes, bit: int) -> None:
        signature = sign(message)
        assert public().verify(message, signature)
        assert not public().verify(message + b".", signature)
        flipped = int.from_bytes(signature) ^ 1 << bit
        assert not public().verify(message, flipped.to_bytes(64))

    agree()


def test_we_agree_about_random_numbers() -> None:
    theirs = KEY.public_key()

    @settings(max_examples=15, deadline=None)
    @given(st.integers(1, N - 1), st.integers(1, N - 1))
    def refused(r: int, s: int) -> None:
        with pytest.raises(InvalidSignature):
            theirs.verify(encode_dss_signature(r, s), b"message", SHA256)
        assert not public().verify(b"message", joined(r, s))

    refused()


def test_the_other_solution_for_s_is_a_signature_too_as_the_standard_has_it() -> None:
    signature = sign(b"m")
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    assert public().verify(b"m", joined(r, N - s))


def test_numbers_outside_their_range_are_refused() -> None:
    signature = sign(b"m")
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    edges = [0, 1, N - 1, N, N + 1, P, 2**256 - 1]
    tried = [joined(a, b) for a in (*edges, r) for b in (*edges, s) if (a, b) != (r, s)]
    assert not any(public().verify(b"m", each) for each in tried)


@pytest.mark.parametrize("wrong", [b"", bytes(64), bytes(63), bytes(65), bytes(128)])
def test_signatures_of_another_shape_are_refused(wrong: bytes) -> None:
    assert not public().verify(b"m", wrong)


def test_leading_zeros_are_part_of_a_signature() -> None:
    signature = sign(b"m")
    for bad in (b"\x00" + signature, signature + b"\x00", signature[:63], KEY.sign(b"m", SHA256)):
        assert not public().verify(b"m", bad)
    message = next(text for text in (str(i).encode() for i in range(10_000)) if sign_fixed(text)[0] == 0)
    assert public().verify(message, sign_fixed(message))
    assert not public().verify(message, sign_fixed(message)[1:])


def sign_fixed(message: bytes) -> bytes:
    """A signature whose r begins with a zero for some messages: r is made from one of a few multiples of G."""
    d = KEY.private_numbers().private_value
    k = int.from_bytes(hashlib.sha256(message).digest()) % 4096 + 2
    r = MULTIPLES.setdefault(k, ec.derive_private_key(k, ec.SECP256R1()).public_key().public_numbers().x) % N
    digest = int.from_bytes(hashlib.sha256(message).digest())
    return joined(r, pow(k, -1, N) * (digest + r * d) % N)


MULTIPLES: dict[int, int] = {}


@pytest.mark.parametrize("d", [1, 2, 3, N - 2, N - 1])
def test_keys_whose_sums_with_the_base_point_are_special_are_verified(d: int) -> None:
    """Of these the points G and Q are the same, opposite, or meet while they are added."""
    key = ec.derive_private_key(d, ec.SECP256R1())
    for message in (b"", b"one", b"two"):
        assert public(key).verify(message, sign(message, key))
        assert not public(key).verify(message + b".", sign(message, key))


def test_a_sum_at_infinity_is_no_signature() -> None:
    """u·G + v·Q with Q = d·G is infinite where r = -digest / d: of no message is that r the right one."""
    digest = int.from_bytes(hashlib.sha256(b"m").digest())
    d = KEY.private_numbers().private_value
    r = -digest * pow(d, -1, N) % N
    assert not public().verify(b"m", joined(r, 1))


@pytest.mark.parametrize(
    ("x", "y"),
    [(0, 0), (0, 1), (1, 1), (p256.G[0], p256.G[1] + 1), (p256.G[0] + P, p256.G[1]), (-1, 1), (p256.G[0], -p256.G[1])],
)
def test_a_point_that_is_not_on_the_curve_is_no_key(x: int, y: int) -> None:
    with pytest.raises(ValueError, match="not on the curve"):
        P256PublicKey(x, y)
