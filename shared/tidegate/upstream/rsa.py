"""RSA signatures (RS256) without a C library: Google wants one in an hour, and `cryptography` is slow to load.

Sources: RFC 8017 §8.2.1 (RSASSA-PKCS1-v1_5) and §A.1.2, RFC 5208 (PKCS #8), ITU-T X.690 (DER). Proved against
`cryptography` in its test.
"""

import hashlib
import re
from base64 import b64decode
from binascii import Error
from dataclasses import dataclass, field

_PEM = re.compile(r"-----BEGIN (RSA )?PRIVATE KEY-----(.+?)-----END (?:RSA )?PRIVATE KEY-----", re.S)
_RSA = bytes.fromhex("06092a864886f70d010101")  # the identifier 1.2.840.113549.1.1.1, rsaEncryption
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key of two primes; what its numbers are called is what RFC 8017 calls them."""

    n: int
    e: int
    d: int = field(repr=False)
    p: int = field(repr=False)
    q: int = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`, RSASSA-PKCS1-v1_5 with SHA-256."""
        size = (self.n.bit_length() + 7) // 8
        digest = _SHA256 + hashlib.sha256(message).digest()
        padded = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
        m = int.from_bytes(padded)
        # By the Chinese remainder theorem: a quarter of the time of pow(m, d, n).
        s1, s2 = pow(m, self.d % (self.p - 1), self.p), pow(m, self.d % (self.q - 1), self.q)
        s = s2 + self.q * ((s1 - s2) * pow(self.q, -1, self.p) % self.p)
        if pow(s, self.e, self.n) != m:  # a wrong signature would give the primes away
            raise ValueError("The private key does not fit together.")
        return s.to_bytes(size)


def read(pem: str) -> PrivateKey:
    """The key in a PEM text, of PKCS #8 or PKCS #1. Raises `ValueError`, whose message holds nothing of it."""
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("The private key is not PEM.")
    try:
        der = b64decode("".join(found[2].split()), validate=True)
        return _key(der if found[1] else _unwrapped(der))
    except (Error, IndexError):
        raise ValueError("The private key is not a key of RSA.") from None


def _unwrapped(der: bytes) -> bytes:
    """What PKCS #8 wraps: version, algorithm, and the key as octets."""
    outer = _value(der, 0, _SEQUENCE)[0]
    _, at = _value(outer, 0, _INTEGER)
    algorithm, at = _value(outer, at, _SEQUENCE)
    if not algorithm.startswith(_RSA):
        raise IndexError
    return _value(outer, at, _OCTETS)[0]


def _key(der: bytes) -> PrivateKey:
    numbers: list[int] = []
    body, at = _value(der, 0, _SEQUENCE)[0], 0
    for _ in range(6):
        value, at = _value(body, at, _INTEGER)
        numbers.append(int.from_bytes(value))
    version, n, e, d, p, q = numbers
    if version != 0 or p * q != n or n.bit_length() < 1024:
        raise IndexError
    return PrivateKey(n, e, d, p, q)


def _value(der: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """The value at that place, and where the next one begins. Raises `IndexError` where it is none of that tag."""
    if der[at] != tag:
        raise IndexError
    length, at = der[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(der[at : at + count]), at + count
    if at + length > len(der):
        raise IndexError
    return der[at : at + length], at + length
