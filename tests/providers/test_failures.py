"""Failures are classified once, whatever shape they come in."""

import time
from typing import Any

import pytest

from tidegate.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    ProviderAuth,
    ProviderBadRequest,
    ProviderFailed,
    ProviderModelNotFound,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderTimeout,
    UpstreamError,
)
from tidegate.providers import Registry
from tidegate.providers.openai.error_body import scrub
from tidegate.providers.openai.retry_after import parse_duration


def failure(status: int, body: Any, **headers: str) -> UpstreamError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Registry().load("openai").parse_error(status, named, body)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, ContextLengthExceeded),
        (
            400,
            {"object": "error", "message": "Prompt contains 9 tokens, too large for model with 8"},
            ContextLengthExceeded,
        ),
        (
            422,
            {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4"},
            ContextLengthExceeded,
        ),
        (400, {"error": {"message": "the request exceeds the available context size."}}, ContextLengthExceeded),
        (
            400,
            {"code": "invalid", "error": "This model's maximum prompt length is 8 but there are 9"},
            ContextLengthExceeded,
        ),
        (400, {"message": "too many tokens: the prompt cannot exceed 128000 tokens"}, ContextLengthExceeded),
        (413, {"error": {"message": "Request too large"}}, ProviderBadRequest),
        (400, {"error": {"message": "Content Exists Risk"}}, ContentPolicyViolation),
        (400, {"error": {"code": "data_inspection_failed", "message": "x"}}, ContentPolicyViolation),
        (403, {"error": {"message": "You do not have access"}}, ProviderAuth),
        (403, {"error": {"message": "no access to model", "code": "model_not_found"}}, ProviderModelNotFound),
        (400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}], ProviderAuth),
        (404, {"detail": "Not Found"}, ProviderModelNotFound),
        (404, {"error": {"code": "DeploymentNotFound", "message": "No such deployment"}}, ProviderModelNotFound),
        (400, {"error": {"message": "The model `x` does not exist", "param": "model"}}, ProviderModelNotFound),
        (400, {"error": {"message": "The model does not know the tool", "param": "tools"}}, ProviderBadRequest),
        (408, "", ProviderTimeout),
        (504, "<html>504 Gateway Time-out</html>", ProviderTimeout),
        (429, {"message": "Too many requests", "type": "too_many_requests_error"}, ProviderRateLimited),
        (498, {"error": {"message": "Flex tier capacity exceeded"}}, ProviderOverloaded),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, ProviderOverloaded),
        (500, {"error": {"message": "The engine is currently overloaded"}}, ProviderOverloaded),
        (500, "", ProviderFailed),
        (302, "", ProviderFailed),
        (418, {"weird": 1}, ProviderBadRequest),
        (500, None, ProviderFailed),
        (500, 7, ProviderFailed),
    ],
)
def test_a_failure_has_one_class(status: int, body: Any, kind: type[UpstreamError]) -> None:
    error = failure(status, body)
    assert type(error) is kind
    assert error.upstream_status == status
    assert error.message


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"error": {"message": "a", "param": "p"}}, "a", "p"),
        ({"error": "b"}, "b", None),
        ({"detail": "c"}, "c", None),
        ({"detail": [{"loc": ["body", "stop", 0], "msg": "too long"}]}, "body.stop.0: too long", "stop.0"),
        ({"message": {"detail": [{"loc": ["body", "n"], "msg": "no"}]}}, "body.n: no", "n"),
        ({"error_code": "BAD_REQUEST", "message": "d"}, "d", None),
        ("<html><body><h1>Bad</h1>\n request</body></html>", "Bad request", None),
        ({}, "openai answered with HTTP 400 and no message.", None),
    ],
)
def test_the_providers_own_words_are_found(body: Any, message: str, param: str | None) -> None:
    error = failure(400, body)
    assert (error.message, error.param) == (message, param)


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry_after": "3"}, "", 3.0),
        ({"retry_after": "3", "retry_after_ms": "250"}, "", 0.25),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", 10.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:10 GMT"}, "", None),
        ({"retry_after": "soon"}, "", None),
        ({"x_ratelimit_reset_requests": "1s", "x_ratelimit_reset_tokens": "6m0s"}, "", 360.0),
        (
            {
                "x_ratelimit_reset_requests": "1s",
                "x_ratelimit_remaining_requests": "0",
                "x_ratelimit_reset_tokens": "9s",
            },
            "",
            1.0,
        ),
        ({}, "Please try again in 1m2.5s.", 62.5),
        ({}, "Please retry after 9 seconds.", 9.0),
        ({"retry_after": "9" * 12}, "", 366 * 86400.0),
        ({}, "", None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(headers: dict[str, str], message: str, seconds: float | None) -> None:
    assert failure(429, {"error": {"message": message}}, **headers).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("status", "seconds"), [(408, 3.0), (409, 3.0), (500, 3.0), (502, 3.0), (504, 3.0), (400, None), (401, None)]
)
def test_whatever_may_pass_says_how_long_to_wait(status: int, seconds: float | None) -> None:
    error = failure(status, {"error": {"message": "Try again in 9s."}}, retry_after="3", x_ratelimit_reset_tokens="5s")
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("20ms", 0.02), ("1h2m3s", 3723.0), ("7.66s", 7.66), ("", None), ("x", None)]
)
def test_spans_are_read(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


_FAKE = "x9" * 12


@pytest.mark.parametrize(
    "message",
    [
        f"bad sk-proj-{_FAKE}",
        f"bad gsk_{_FAKE}",
        f"Bearer {_FAKE}",
        f"Incorrect API key provided: {_FAKE}",
        "ab12****yz",
        f"AIza{_FAKE}",
    ],
)
def test_no_message_holds_a_key(message: str) -> None:
    assert _FAKE not in failure(400, {"error": {"message": message}}).message
    assert "****" not in scrub(message)


@pytest.mark.parametrize(
    ("message", "left"),
    [
        (
            "Cannot read https://media.invalid/a.png?X-Amz-Date=1&X-Amz-Signature=0123.",
            "Cannot read https://media.invalid/a.png?[redacted]",
        ),
        ('"https://m.invalid/a?sv=1&sig=abc" failed', '"https://m.invalid/a?[redacted]" failed'),
        ("See https://docs.invalid/a?page=2.", "See https://docs.invalid/a?page=2."),
        ("No access to arn:aws:s3:::private-bucket/a.", "No access to [redacted]"),
        ("projects/123456789012/models/x is lost", "projects/[redacted]/models/x is lost"),
        ("Rate limit reached in organization org-AbCdEfGh12345678 on tokens", None),
        ("Rate limit reached in organization proj_AbCdEfGh12345678 on tokens", None),
        ("Rate limit reached in organization user-AbCdEfGh123456789012 on tokens", None),
        ("over the limit (org: 00000000-aaaa-1111, model: m)", "over the limit (org: [redacted], model: m)"),
        ("projects/harbour-1/locations/eu is lost", "projects/[redacted]/locations/eu is lost"),
        ("an org-wide limit of the org-structure", "an org-wide limit of the org-structure"),
    ],
)
def test_signatures_and_accounts_are_never_passed_on(message: str, left: str | None) -> None:
    assert scrub(message) == (left or "Rate limit reached in organization [redacted] on tokens")


@pytest.mark.parametrize("piece", ["sk-", "key_", "https://", "a?sig=", "org-", "proj_", "user-", "ab*", "arn:aws"])
def test_no_text_takes_long_to_mask(piece: str) -> None:
    """A provider may repeat what the caller has sent."""
    started = time.process_time()
    scrub(piece * (100_000 // len(piece)))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "message", ["keyword_argument_error in sk-learn", "skateboarding is fun", "xai-responses", "req_011CeCGmBjaWkq"]
)
def test_other_words_stay(message: str) -> None:
    assert scrub(message) == message


def test_an_auth_failure_says_nothing_of_the_key() -> None:
    error = failure(401, {"error": {"message": "Your key abc is wrong", "code": "invalid_api_key"}})
    assert error.message == "openai refused the gateway's credentials or account (HTTP 401)."
    assert (error.status, error.native_code) == (502, "invalid_api_key")
