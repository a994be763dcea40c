"""How long a provider asks us to wait, from every place where providers say so.

Sources: RFC 9110 §10.2.3 (`retry-after`), https://platform.openai.com/docs/guides/rate-limits (`x-ratelimit-reset-*`,
spans such as "6m0s"), https://openrouter.ai/docs/api-reference/limits (`metadata.headers`, milliseconds since 1970).
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from tidegate.json import Json

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?", re.ASCII)
_SAID = re.compile(r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|[dhms]))+|\d+ seconds?)", re.ASCII | re.I)
_LONGEST = 366 * 86400.0


def retry_delay_seconds(headers: Mapping[str, str], message: str, metadata: Json = None) -> float | None:
    """Seconds to wait before another try, None where the provider did not say."""
    wait = header_delay_seconds(headers)
    if wait is None:
        wait = _metadata(metadata, headers)
    if wait is None and (said := _SAID.search(message)):
        wait = parse_duration(said[1].removesuffix(" seconds").removesuffix(" second"))
    if wait is None:
        wait = _reset(headers)
    return None if wait is None else min(wait, _LONGEST)


def parse_duration(text: str) -> float | None:
    """Seconds in "1m30.5s", "20ms" or "7"; None for anything else."""
    text = text.strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text, re.ASCII):
        return float(text)
    found = _SPAN.fullmatch(text)
    if not text or found is None:
        return None
    sizes = (86400.0, 3600.0, 60.0, 1.0, 0.001)
    return sum(float(part) * size for part, size in zip(found.groups(), sizes, strict=True) if part)


def header_delay_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds that `retry-after` or `retry-after-ms` names, with whatever status it came."""
    after = headers.get("retry-after", "")
    seconds = parse_duration(after)
    milliseconds = parse_duration(headers.get("retry-after-ms", ""))
    wait = milliseconds / 1000 if milliseconds else seconds
    if wait is None:
        wait = _until(after, headers)
    return None if wait is None else min(wait, _LONGEST)


def _until(when: str, headers: Mapping[str, str]) -> float | None:
    """Seconds from the reply's own `date` to a date: providers are pure and read no clock."""
    try:
        gap = parsedate_to_datetime(when) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, gap.total_seconds())


def _metadata(metadata: Json, headers: Mapping[str, str]) -> float | None:
    match metadata:
        case {"retry_after_seconds": int() | float() as seconds}:
            return max(0.0, float(seconds))
        case {"headers": {"X-RateLimit-Reset": str() | int() as at}} if str(at).isdigit():
            try:
                now = parsedate_to_datetime(headers.get("date", "")).timestamp()
            except (ValueError, TypeError):
                return None
            return max(0.0, int(at) / 1000 - now)
        case _:
            return None


def _reset(headers: Mapping[str, str]) -> float | None:
    """The reset of the limit that is used up; of all of them where none says so."""
    waits: list[tuple[bool, float]] = []
    for kind in ("requests", "tokens"):
        wait = parse_duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
        if wait is not None:
            waits.append((headers.get(f"x-ratelimit-remaining-{kind}") == "0", wait))
    spent = [wait for is_spent, wait in waits if is_spent]
    return max(spent or [wait for _, wait in waits], default=None)
