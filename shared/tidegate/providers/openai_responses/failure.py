"""Failed responses: their codes in terms of HTTP, since a failure inside a stream or a 200 has no status.

Source: https://platform.openai.com/docs/api-reference/responses/object (`error`, 2026-11), and the codes that Codex
tells apart (https://github.com/openai/codex, codex-api/src/sse/responses.rs, 2026-11).
"""

from tidegate import errors
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import failure
from tidegate.providers.openai.error_body import scrub

_POLICY_CODES = frozenset(
    {"invalid_prompt", "bio_policy", "cyber_policy", "misalignment_policy_violation", "image_content_policy_violation"}
)
_STATUS = {
    **{"rate_limit_exceeded": 429, "insufficient_quota": 429, "usage_not_included": 429},
    **{"server_is_overloaded": 503, "slow_down": 503, "vector_store_timeout": 504},
    **dict.fromkeys(
        (
            *("data_residency_mismatch", "invalid_image", "invalid_image_format", "invalid_base64_image"),
            *("invalid_image_url", "image_too_large", "image_too_small", "image_parse_error", "invalid_image_mode"),
            *("image_file_too_large", "unsupported_image_media_type", "empty_image_file", "failed_to_download_image"),
            "image_file_not_found",
        ),
        400,
    ),
}


def from_event(provider: str, raw: JsonObject) -> errors.UpstreamError:
    """Return the error of a failed response, or of an event that reports a failure."""
    error = _error(raw)
    code = error.get("code")
    message = error.get("message")
    if isinstance(code, str) and code in _POLICY_CODES:
        text = scrub(message) if isinstance(message, str) and message else "The provider refused the prompt."
        return errors.ContentPolicyViolation(text, upstream_status=400, native_code=code)
    status = _STATUS.get(code, 200) if isinstance(code, str) else 200
    return failure.from_reply(provider, status, {}, {"error": error or "The response failed."})


def _error(raw: JsonObject) -> JsonObject:
    """Return the error, which stands in the response, in the event, or is the event itself."""
    candidates: list[Json] = [raw.get("error")]
    if isinstance(response := raw.get("response"), dict):
        candidates.insert(0, response.get("error"))
    for candidate in candidates:
        if isinstance(candidate, dict) and candidate:
            return candidate
        if isinstance(candidate, str) and candidate:
            return {"message": candidate}
    return {name: raw[name] for name in ("code", "message", "param") if raw.get(name) is not None}
