"""Identifiers of calls and completions. The caller passes the time."""

import hashlib
from functools import lru_cache
from os import urandom

_CROCKFORD = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(bytes((first, second)) for first in _CROCKFORD for second in _CROCKFORD)
_ALPHANUMERIC = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Tables from random byte to character: every call needs an identifier.
_RANDOM_CROCKFORD = _CROCKFORD * 8
_RANDOM_ALPHANUMERIC = bytes(_ALPHANUMERIC[byte % 62] for byte in range(256))


def ulid(now: float) -> str:
    """A ULID: 26 characters that sort by time, from 48 bits of milliseconds and 80 random bits.

    Source: https://github.com/ulid/spec
    """
    milliseconds = int(now * 1000)  # as `_time_part`: this runs for each call
    time_part = _beginning(milliseconds >> 10) + _PAIRS[milliseconds & 1023]
    return (time_part + urandom(16).translate(_RANDOM_CROCKFORD)).decode()


def min_ulid(at: float) -> str:
    """A bound for ranges: not larger than any `ulid` from `at` on, and larger than all earlier ones."""
    milliseconds = min(max(0, int(at * 1000)), (1 << 48) - 1)
    return _time_part(milliseconds).decode()


def ulid_time(id: str) -> float:
    """The time of a ULID, or of its beginning, in UTC seconds; 0 for text without one."""
    milliseconds = 0
    for character in id[:10].ljust(10, "0").encode():
        milliseconds = milliseconds << 5 | max(0, _CROCKFORD.find(character))
    return milliseconds / 1000


def derived_ulid(at: float, seed: str) -> str:
    """A ULID of that time whose other bits are a digest of the seed: a repetition gives the same."""
    digest = hashlib.sha256(seed.encode(errors="surrogatepass")).digest()
    return min_ulid(at) + digest[:16].translate(_RANDOM_CROCKFORD).decode()


def random_letters(length: int) -> str:
    """Return `length` random letters and digits."""
    return urandom(length).translate(_RANDOM_ALPHANUMERIC).decode()


def _time_part(milliseconds: int) -> bytes:
    """Return the first ten characters of a ULID: 48 bits, in pairs of characters."""
    return _beginning(milliseconds >> 10) + _PAIRS[milliseconds & 1023]


@lru_cache(maxsize=16)
def _beginning(seconds: int) -> bytes:
    """Return the first eight characters of a ULID from one of these seconds, which have 1,024 milliseconds each."""
    pairs = _PAIRS
    return (
        pairs[(seconds >> 30) & 1023]
        + pairs[(seconds >> 20) & 1023]
        + pairs[(seconds >> 10) & 1023]
        + pairs[seconds & 1023]
    )
