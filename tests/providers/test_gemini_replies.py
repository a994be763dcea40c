"""Gemini's replies where cases and recordings do not reach: failures, broken replies, and how a choice ends."""

import json
from typing import Any

import pytest

from tests.providers.assembling import read_chunks, run
from tidegate.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    ProviderAuth,
    ProviderBadRequest,
    ProviderFailed,
    ProviderMalformed,
    ProviderModelNotFound,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderTimeout,
    StreamCut,
)
from tidegate.providers.base import StreamEvent
from tidegate.providers.gemini import PROVIDER as GEMINI

TOO_LONG = "The input token count (9) exceeds the maximum number of tokens allowed (8)."


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"status": "INVALID_ARGUMENT", "message": TOO_LONG}, ContextLengthExceeded),
        (400, {"status": "FAILED_PRECONDITION", "message": "User location is not supported."}, ProviderBadRequest),
        (400, {"status": "INVALID_ARGUMENT", "message": "It violates our usage guidelines."}, ContentPolicyViolation),
        (401, {"status": "UNAUTHENTICATED", "message": "Invalid credentials."}, ProviderAuth),
        (403, {"status": "PERMISSION_DENIED", "message": "Denied."}, ProviderAuth),
        (404, {"status": "NOT_FOUND", "message": "models/x is not found."}, ProviderModelNotFound),
        (429, {"status": "RESOURCE_EXHAUSTED", "message": "Resource exhausted."}, ProviderRateLimited),
        (499, {"status": "CANCELLED", "message": "Cancelled."}, ProviderFailed),
        (500, {"status": "INTERNAL", "message": "An internal error has occurred."}, ProviderFailed),
        (503, {"status": "UNAVAILABLE", "message": "The model is overloaded."}, ProviderOverloaded),
        (504, {"status": "DEADLINE_EXCEEDED", "message": "Deadline expired."}, ProviderTimeout),
    ],
)  # fmt: skip
@pytest.mark.parametrize("listed", [False, True])
def test_a_failure_is_classified_in_a_reply_in_a_list_and_in_a_stream(
    status: int, error: Any, kind: Any, listed: bool
) -> None:
    body: Any = {"error": {"code": status, **error}}
    body = [body] if listed else body
    found = GEMINI.parse_error(status, {}, body)
    assert (type(found), found.native_code) == (kind, error["status"])
    with pytest.raises(kind):
        GEMINI.parse_completion(body)
    with pytest.raises(kind):
        run(GEMINI, [[StreamEvent("message", json.dumps(body))]])


def test_a_refused_field_is_named_and_a_key_is_not() -> None:
    violation = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "contents[0].parts"}],
    }
    key = "AIza" + "x" * 35
    error = {"code": 400, "message": f"Bad part: {key}", "status": "INVALID_ARGUMENT", "details": [violation]}
    found = GEMINI.parse_error(400, {}, {"error": error})
    assert (found.param, found.message) == ("contents[0].parts", "Bad part: [redacted]")


@pytest.mark.parametrize(
    "body",
    [
        [],
        [{}],
        None,
        "text",
        {},
        {"candidates": []},
        {"candidates": [1]},
    ],
)
def test_a_reply_that_is_none_is_a_failure_that_may_be_tried_again(body: Any) -> None:
    with pytest.raises(ProviderMalformed):
        GEMINI.parse_completion(body)


@pytest.mark.parametrize(
    "data", ['{"candidates": 1}', '{"candidates": [1]}', '{"candidates": [{"content": {"parts": [1]}}]}', "{}"]
)
def test_an_event_without_anything_usable_is_skipped(data: str) -> None:
    said = '{"candidates": [{"content": {"parts": ["Hi"]}, "finishReason": "STOP"}]}'
    batches = run(GEMINI, [[StreamEvent("message", data), StreamEvent("message", said)]])
    voice = read_chunks([chunk for batch in batches for chunk in batch]).voices[0]
    assert (voice.text, voice.ended) == ("Hi", "stop")


@pytest.mark.parametrize("data", ["[]", "1", "not json"])
def test_an_event_that_is_none_is_a_failure(data: str) -> None:
    with pytest.raises(ProviderMalformed):
        run(GEMINI, [[StreamEvent("message", data)]])


def test_a_stream_without_events_is_cut() -> None:
    with pytest.raises(StreamCut):
        run(GEMINI, [])
    with pytest.raises(StreamCut):
        run(GEMINI, [[StreamEvent("message", '{"usageMetadata": {"promptTokenCount": 1}}')]])


def test_two_candidates_of_a_stream_end_each_on_its_own() -> None:
    events = [
        {
            "candidates": [
                {"index": 0, "content": {"parts": [{"text": "a"}]}},
                {"index": 1, "content": {"parts": [{"text": "b"}]}},
            ]
        },
        {"candidates": [{"index": 1, "finishReason": "STOP"}]},
    ]
    with pytest.raises(StreamCut):
        run(GEMINI, [[StreamEvent("message", json.dumps(event)) for event in events]])
    events.append({"candidates": [{"index": 0, "finishReason": "MAX_TOKENS"}]})
    chunks = [
        chunk
        for batch in run(GEMINI, [[StreamEvent("message", json.dumps(event)) for event in events]])
        for chunk in batch
    ]
    ends = {
        choice["index"]: choice["finish_reason"]
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["finish_reason"]
    }
    assert ends == {0: "length", 1: "stop"}


@pytest.mark.parametrize(
    ("native", "ours"),
    [
        ("STOP", "tool_calls"),
        ("MAX_TOKENS", "length"),
        ("RECITATION", "content_filter"),
        ("NEWLY_INVENTED", "tool_calls"),
    ],
)
def test_a_call_that_was_cut_or_filtered_does_not_end_with_tool_calls(native: str, ours: str) -> None:
    candidate = {"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]}, "finishReason": native}
    (choice,) = GEMINI.parse_completion({"candidates": [candidate]})["choices"]
    assert (choice["finish_reason"], choice.get("native_finish_reason")) == (ours, native)


def test_the_same_call_in_another_reply_has_another_id() -> None:
    def called(response_id: str) -> Any:
        candidate = {"content": {"parts": [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}]}}
        body: Any = {"responseId": response_id, "candidates": [{**candidate, "finishReason": "STOP"}]}
        return [made["id"] for made in GEMINI.parse_completion(body)["choices"][0]["message"].get("tool_calls", [])]

    assert called("r1") == called("r1")
    assert len({*called("r1"), *called("r2")}) == 4


def test_speech_is_audio_of_the_message() -> None:
    candidate = {
        "content": {"parts": [{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAA"}}]},
        "finishReason": "STOP",
    }
    body: Any = {"responseId": "r", "candidates": [candidate]}
    audio: Any = GEMINI.parse_completion(body)["choices"][0]["message"].get("audio")
    assert audio | {"id": "-"} == {
        "id": "-",
        "data": "AAAA",
        "expires_at": 0,
        "transcript": "",
        "mime_type": "audio/L16;rate=24000",
    }


def test_what_was_cached_is_told_by_kind() -> None:
    kinds = [{"modality": kind, "tokenCount": count} for kind, count in (("TEXT", 1), ("AUDIO", 20), ("VIDEO", 300))]
    counted = {"promptTokenCount": 400, "cachedContentTokenCount": 321, "totalTokenCount": 400}
    body: Any = {
        "candidates": [{"finishReason": "STOP"}],
        "usageMetadata": counted | {"promptTokensDetails": kinds, "cacheTokensDetails": kinds},
    }
    told = GEMINI.parse_completion(body).get("usage", {}).get("prompt_tokens_details")
    assert told == {
        "cached_tokens": 321,
        "audio_tokens": 20,
        "video_tokens": 300,
        "cached_tokens_details": {"audio_tokens": 20, "video_tokens": 300},
    }


@pytest.mark.parametrize(
    ("version", "queries", "counted", "searches"),
    [
        ("gemini-3-flash-preview", ["", "a", "b", "a"], {}, 2),
        ("gemini-2.5-pro", ["a", "b"], {}, 1),
        (None, ["a", "b"], {}, 2),
        ("gemini-3.5-flash", ["", ""], {}, 0),
        ("gemini-2.5-flash", [], {}, 0),
        ("gemini-3.5-flash", [], {"billedToolCalls": [{"tool": "GOOGLE_SEARCH", "successfulToolCallCount": 3}]}, 3),
        ("gemini-3.5-flash", [], {"billedToolCalls": [{"tool": "GOOGLE_MAPS", "successfulToolCallCount": 3}]}, 0),
    ],
)
def test_searches_are_counted_as_google_charges_for_them(
    version: str | None, queries: list[str], counted: Any, searches: int
) -> None:
    def reply(index: int, found: list[str]) -> Any:
        said = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "index": index}
        return said | {"groundingMetadata": {"webSearchQueries": found}}

    used = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2} | counted
    body: Any = {"usageMetadata": used} | ({"modelVersion": version} if version else {})
    whole = GEMINI.parse_completion(body | {"candidates": [reply(0, queries), reply(1, queries[1:])]})
    halves = [body | {"candidates": [reply(0, half)]} for half in (queries[:2], queries[2:])]
    streamed = run(GEMINI, [[StreamEvent("message", json.dumps(half)) for half in halves]])[-1][-1]
    expected = {"web_search_requests": searches} if searches else None
    assert whole.get("usage", {}).get("server_tool_use") == expected
    assert streamed["usage"].get("server_tool_use") == expected


@pytest.mark.parametrize("finish", ["SAFETY", "MAX_TOKENS", "STOP"])
def test_a_finish_that_comes_alone_is_one(finish: str) -> None:
    said: Any = {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}
    chunks = run(
        GEMINI,
        [[StreamEvent("message", json.dumps(each)) for each in (said, {"candidates": [{"finishReason": finish}]})]],
    )
    assert [choice["native_finish_reason"] for choice in chunks[-1][-1]["choices"]] == [finish]


@pytest.mark.parametrize("finish", ["OTHER", "NO_IMAGE", "NEWLY_INVENTED"])
def test_a_reply_that_ends_oddly_without_an_answer_is_no_success(finish: str) -> None:
    silent: Any = {"candidates": [{"content": {"parts": [{"text": "Hm.", "thought": True}]}, "finishReason": finish}]}
    with pytest.raises(ProviderMalformed):
        GEMINI.parse_completion(silent)
    with pytest.raises(ProviderMalformed):
        run(GEMINI, [[StreamEvent("message", json.dumps(silent))]])
    answer: Any = {"candidates": [{"content": {"parts": [{"text": "Hm."}]}, "finishReason": finish}]}
    (choice,) = GEMINI.parse_completion(answer)["choices"]
    assert (choice["finish_reason"], choice.get("native_finish_reason")) == ("stop", finish)
