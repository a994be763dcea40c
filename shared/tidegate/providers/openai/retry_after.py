"""Parses how long a provider asks to wait, from every place where providers put it.

Sources: RFC 9110 §10.2.3 (`retry-after`), https://platform.openai.com/docs/guides/rate-limits (`x-ratelimit-reset-*`,
spans such as "6m0s"), https://openrouter.ai/docs/api-reference/limits (`metadata.headers`, milliseconds since 1970).
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from tidegate.json import Json
from tidegate.lazy import late_pattern

_DURATION = late_pattern(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?", re.ASCII)
_HINT = late_pattern(
    r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|[dhms]))+|\d+ seconds?)", re.ASCII | re.I
)
_MAX_SECONDS = 366 * 86400.0


def retry_delay_seconds(headers: Mapping[str, str], message: str, metadata: Json = None) -> float | None:
    """Return the seconds to wait before a retry, None if the provider did not say."""
    wait = header_delay_seconds(headers)
    if wait is None:
        wait = _metadata(metadata, headers)
    if wait is None and (match := _HINT.search(message)):
        wait = parse_duration(match[1].removesuffix(" seconds").removesuffix(" second"))
    if wait is None:
        wait = _reset(headers)
    return None if wait is None else min(wait, _MAX_SECONDS)


def parse_duration(text: str) -> float | None:
    """Return the seconds in "1m30.5s", "20ms" or "7"; None for any other text."""
    text = text.strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text, re.ASCII):
        return float(text)
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return None
    unit_seconds = (86400.0, 3600.0, 60.0, 1.0, 0.001)
    return sum(float(part) * unit for part, unit in zip(match.groups(), unit_seconds, strict=True) if part)


def header_delay_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in `retry-after` or `retry-after-ms`, which any status may carry."""
    after = headers.get("retry-after", "")
    seconds = parse_duration(after)
    milliseconds = parse_duration(headers.get("retry-after-ms", ""))
    wait = milliseconds / 1000 if milliseconds else seconds
    if wait is None:
        wait = _until(after, headers)
    return None if wait is None else min(wait, _MAX_SECONDS)


def _until(when: str, headers: Mapping[str, str]) -> float | None:
    """Return the seconds from the reply's `date` header to the date `when`: providers are pure and read no clock."""
    try:
        difference = parsedate_to_datetime(when) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, difference.total_seconds())


def _metadata(metadata: Json, headers: Mapping[str, str]) -> float | None:
    match metadata:
        case {"retry_after_seconds": int() | float() as seconds}:
            return max(0.0, float(seconds))
        case {"headers": {"X-RateLimit-Reset": str() | int() as resets_at_ms}} if str(resets_at_ms).isdigit():
            try:
                now = parsedate_to_datetime(headers.get("date", "")).timestamp()
            except (ValueError, TypeError):
                return None
            return max(0.0, int(resets_at_ms) / 1000 - now)
        case _:
            return None


def _reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until the exhausted limits reset; until all limits do, if none is marked as exhausted."""
    waits: list[tuple[bool, float]] = []
    for unit in ("requests", "tokens"):
        wait = parse_duration(headers.get(f"x-ratelimit-reset-{unit}", ""))
        if wait is not None:
            waits.append((headers.get(f"x-ratelimit-remaining-{unit}") == "0", wait))
    exhausted = [wait for is_exhausted, wait in waits if is_exhausted]
    return max(exhausted or [wait for _, wait in waits], default=None)
