"""RSA signatures in pure Python: Google needs one an hour, and `cryptography` is large and slow to import.

Only our own keys sign. Verifying uses public values alone, so it need not run in constant time.

Sources: RFC 8017 §8.1.2 (RSASSA-PSS), §8.2 (RSASSA-PKCS1-v1_5), §9 and §A.1.2, RFC 5208 (PKCS #8), ITU-T X.690 (DER).
Tested against `cryptography`.
"""

import hashlib
import re
from base64 import b64decode
from binascii import Error
from typing import Literal

from msgspec import Struct

from tidegate.domain.redacted import Redacted

HashName = Literal["sha256", "sha384", "sha512"]

_PEM = re.compile(r"-----BEGIN (RSA )?PRIVATE KEY-----(.+?)-----END (?:RSA )?PRIVATE KEY-----", re.S)
_RSA_IDENTIFIER = bytes.fromhex("06092a864886f70d010101")  # the identifier 1.2.840.113549.1.1.1, rsaEncryption
_DIGEST_INFO: dict[HashName, bytes] = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30


class RsaPrivateKey(Redacted, Struct, frozen=True):
    """A private key of two primes. RFC 8017 defines the names of the numbers."""

    n: int
    e: int
    d: int
    p: int
    q: int

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`, RSASSA-PKCS1-v1_5 with SHA-256."""
        size = (self.n.bit_length() + 7) // 8
        m = int.from_bytes(_pad_pkcs1(message, "sha256", size))
        # By the Chinese remainder theorem: a quarter of the time of pow(m, d, n).
        s1, s2 = pow(m, self.d % (self.p - 1), self.p), pow(m, self.d % (self.q - 1), self.q)
        s = s2 + self.q * ((s1 - s2) * pow(self.q, -1, self.p) % self.p)
        if pow(s, self.e, self.n) != m:  # a wrong signature would reveal the primes
            raise ValueError("The numbers of the private key are inconsistent.")
        return s.to_bytes(size)


class RsaPublicKey(Struct, frozen=True):
    """The modulus and the exponent of a public key."""

    n: int
    e: int

    def verify(self, message: bytes, signature: bytes, hash: HashName) -> bool:
        """True for the RSASSA-PKCS1-v1_5 signature of `message`. Every byte of the padding is compared."""
        encoded = self._decrypt(signature)
        return encoded is not None and encoded == _pad_pkcs1(message, hash, len(encoded))

    def verify_pss(self, message: bytes, signature: bytes, hash: HashName) -> bool:
        """True for an RSASSA-PSS signature of `message` with a salt as long as the hash (RFC 7518 §3.5)."""
        encoded = self._decrypt(signature)
        return encoded is not None and _is_pss_encoding(encoded, message, hash, self.n.bit_length() - 1)

    def _decrypt(self, signature: bytes) -> bytes | None:
        size, s = (self.n.bit_length() + 7) // 8, int.from_bytes(signature)
        if len(signature) != size or s >= self.n:
            return None
        return pow(s, self.e, self.n).to_bytes(size)


def parse_private_key(pem: str) -> RsaPrivateKey:
    """Parse a private key in PEM, PKCS #8 or PKCS #1. Raises `ValueError`, whose message quotes nothing of the text."""
    match = _PEM.search(pem)
    if match is None:
        raise ValueError("The private key is not PEM.")
    try:
        der = b64decode("".join(match[2].split()), validate=True)
        return _parse_pkcs1(der if match[1] else _unwrap_pkcs8(der))
    except (Error, IndexError):
        raise ValueError("The private key is not an RSA key.") from None


def _pad_pkcs1(message: bytes, hash: HashName, size: int) -> bytes:
    """The encoding EMSA-PKCS1-v1_5."""
    digest = _DIGEST_INFO[hash] + hashlib.new(hash, message).digest()
    return b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest


def _is_pss_encoding(encoded: bytes, message: bytes, hash: HashName, bits: int) -> bool:
    """The operation EMSA-PSS-VERIFY. RFC 8017 §9.1.2 defines the names of the values."""
    digest = hashlib.new(hash, message).digest()
    size = (bits + 7) // 8
    if size < 2 * len(digest) + 2 or any(encoded[: len(encoded) - size]):
        return False
    em = encoded[len(encoded) - size :]
    h_at = size - len(digest) - 1
    masked, h = em[:h_at], em[h_at:-1]
    zeros = 8 * size - bits
    if em[-1] != 0xBC or masked[0] >> (8 - zeros):
        return False
    block = int.from_bytes(masked) ^ int.from_bytes(_mgf1(h, h_at, hash))
    db = (block & ((1 << (8 * h_at - zeros)) - 1)).to_bytes(h_at)
    salt_at = h_at - len(digest)
    if any(db[: salt_at - 1]) or db[salt_at - 1] != 1:
        return False
    return h == hashlib.new(hash, bytes(8) + digest + db[salt_at:]).digest()


def _mgf1(seed: bytes, length: int, hash: HashName) -> bytes:
    """The mask generation function MGF1."""
    mask = b""
    for counter in range(length):
        if len(mask) >= length:
            break
        mask += hashlib.new(hash, seed + counter.to_bytes(4)).digest()
    return mask[:length]


def _unwrap_pkcs8(der: bytes) -> bytes:
    """The PKCS #1 key in a PKCS #8 structure, which holds the version, the algorithm, and the key as octets."""
    outer = _read_der_value(der, 0, _SEQUENCE)[0]
    _, offset = _read_der_value(outer, 0, _INTEGER)
    algorithm, offset = _read_der_value(outer, offset, _SEQUENCE)
    if not algorithm.startswith(_RSA_IDENTIFIER):
        raise IndexError
    return _read_der_value(outer, offset, _OCTETS)[0]


def _parse_pkcs1(der: bytes) -> RsaPrivateKey:
    numbers: list[int] = []
    body, offset = _read_der_value(der, 0, _SEQUENCE)[0], 0
    for _ in range(6):
        value, offset = _read_der_value(body, offset, _INTEGER)
        numbers.append(int.from_bytes(value))
    version, n, e, d, p, q = numbers
    if version != 0 or p * q != n or n.bit_length() < 1024:
        raise IndexError
    return RsaPrivateKey(n, e, d, p, q)


def _read_der_value(der: bytes, offset: int, tag: int) -> tuple[bytes, int]:
    """The value at `offset`, and the offset of the next one. Raises `IndexError` if the value has another tag."""
    if der[offset] != tag:
        raise IndexError
    length, offset = der[offset + 1], offset + 2
    if length >= 0x80:
        count = length & 0x7F
        length, offset = int.from_bytes(der[offset : offset + count]), offset + count
    if offset + length > len(der):
        raise IndexError
    return der[offset : offset + length], offset + length
