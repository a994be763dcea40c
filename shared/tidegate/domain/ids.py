"""Identifiers. Time and randomness come from outside, so that tests can say what they are."""

import secrets

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def ulid(now: float) -> str:
    """26 characters that sort by time: 48 bits of milliseconds, 80 random bits.

    Source: https://github.com/ulid/spec
    """
    value = (int(now * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def completion_id(surface: str, now: float) -> str:
    """`chatcmpl-…`, or `gen-<unix seconds>-<8 alphanumerics>` on the neuroflash surface."""
    if surface == "neuroflash":
        return f"gen-{int(now)}-{_random(8)}"
    return f"chatcmpl-{_random(29)}"


def _random(length: int) -> str:
    bits = secrets.randbits(length * 8)
    return "".join(_ALPHANUMERIC[(bits >> shift & 255) % 62] for shift in range(0, length * 8, 8))
