"""Failures as replies: the only place where the error tree meets HTTP.

Source: https://platform.openai.com/docs/guides/error-codes
"""

import math
from collections.abc import Iterable

from tidegate.api.reply import latin1
from tidegate.domain.account import Rate
from tidegate.errors import NoRoom, TidegateError
from tidegate.json import encode


def envelope(error: TidegateError) -> dict[str, dict[str, object]]:
    """The body of a reply."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def event(error: TidegateError) -> dict[str, dict[str, object]]:
    """The same as the last event of a stream. Its usage is within the error, which is all that SDKs hand on."""
    told = envelope(error)
    return told if error.usage is None else {"error": {**told["error"], "usage": error.usage}}


def headers(error: TidegateError) -> list[tuple[bytes, bytes]]:
    """The headers that belong to the failure itself."""
    made: list[tuple[bytes, bytes]] = []
    if error.retry_after_seconds is not None:
        made.append((b"retry-after", b"%d" % math.ceil(error.retry_after_seconds)))
    if error.should_retry is not None:
        made.append((b"x-should-retry", b"true" if error.should_retry else b"false"))
    made += attempts(error.attempts, error.failed_attempts)
    if isinstance(error, NoRoom) and error.limit.endswith("_per_minute"):
        unit = error.limit.removesuffix("_per_minute")
        made += rate_limit(unit, Rate(int(error.most), int(error.left), error.retry_after_seconds or 0))
    return made


def attempts(made: int, failed: Iterable[object]) -> list[tuple[bytes, bytes]]:
    """How often providers were asked, and what became of the tries that failed: who, why, and how long each took."""
    headers = [(b"x-tidegate-attempts", b"%d" % made)] if made else []
    told = ", ".join(map(str, failed))
    return [*headers, (b"x-tidegate-failed-attempts", latin1(told))] if told else headers


def rate_limit(unit: str, rate: Rate) -> list[tuple[bytes, bytes]]:
    """OpenAI's headers of a rate, of "requests" or "tokens".

    Source: https://platform.openai.com/docs/guides/rate-limits (rate limits in headers).
    """
    name = unit.encode()
    return [
        (b"x-ratelimit-limit-" + name, b"%d" % rate.limit),
        (b"x-ratelimit-remaining-" + name, b"%d" % rate.remaining),
        (b"x-ratelimit-reset-" + name, b"%.3fs" % rate.reset_seconds),
    ]


def internal() -> TidegateError:
    """What a caller learns of our own bugs: nothing but that it is one."""
    error = TidegateError("The gateway failed. The request id leads to the log.")
    error.code = "internal_error"
    return error


def body(error: TidegateError) -> bytes:
    return encode(envelope(error))
