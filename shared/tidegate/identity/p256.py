"""Verification of ECDSA signatures on the curve P-256 (ES256) in pure Python: a few milliseconds each.

All values are public, so it need not run in constant time. A token is verified once a minute.

Sources: FIPS 186-5 §6.4.2, SEC 1 §2.2.1 and §4.1.4, RFC 7518 §3.4; formulas of Jacobian
coordinates: https://hyperelliptic.org/EFD/g1p/auto-shortw-jacobian-3.html. Tested against `cryptography`.
"""

import hashlib
from typing import TypeAlias

from msgspec import Struct

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

_Point: TypeAlias = tuple[int, int, int]
"""(X, Y, Z) stands for the point X / Z², Y / Z³; Z is 0 at infinity."""

_INFINITY: _Point = (1, 1, 0)


class P256PublicKey(Struct, frozen=True):
    """A point on the curve. Creating one that is not on the curve raises `ValueError`."""

    x: int
    y: int

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        if not (0 <= x < P and 0 <= y < P) or (y * y - (x * x * x - 3 * x + B)) % P:
            raise ValueError("The point is not on the curve P-256.")

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True if `signature` (r and s, 32 bytes each) is that of `message` with SHA-256."""
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        if len(signature) != 64 or not (0 < r < N and 0 < s < N):
            return False
        inverse = pow(s, -1, N)
        digest = int.from_bytes(hashlib.sha256(message).digest())
        x, _, z = _multiply_and_add(digest * inverse % N, r * inverse % N, (self.x, self.y, 1))
        return z != 0 and x * pow(z, -2, P) % P % N == r


def _multiply_and_add(u: int, v: int, q: _Point) -> _Point:
    """u·G + v·q in one loop (Shamir's trick)."""
    g = (*G, 1)
    sums = (_INFINITY, g, q, _add(g, q))
    total = _INFINITY
    for bit in range(max(u.bit_length(), v.bit_length()) - 1, -1, -1):
        total = _double(total)
        index = (u >> bit & 1) | (v >> bit & 1) << 1
        if index:
            total = _add(total, sums[index])
    return total


def _double(point: _Point) -> _Point:
    x, y, z = point
    if z == 0:  # no point of P-256 has order 2, so that y is never 0
        return _INFINITY
    delta, gamma = z * z % P, y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    z3 = ((y + z) * (y + z) - gamma - delta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, z3


def _add(one: _Point, other: _Point) -> _Point:
    (x1, y1, z1), (x2, y2, z2) = one, other
    if z1 == 0 or z2 == 0:
        return other if z1 == 0 else one
    z1z1, z2z2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * z2z2 % P, x2 * z1z1 % P
    s1, s2 = y1 * z2 * z2z2 % P, y2 * z1 * z1z1 % P
    h, r = (u2 - u1) % P, (s2 - s1) % P
    if h == 0:
        return _double(one) if r == 0 else _INFINITY
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - s1 * hhh) % P, z1 * z2 * h % P
