"""What goes to Cohere is what its documents allow, and comes back in the caller's terms."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.providers import cohere_schema
from tests.providers.assembling import read_chunks, read_completion, run
from tests.providers.calls import asking, built, sent
from tidegate.domain.usage import INVALID_COUNT
from tidegate.errors import (
    ContentPolicyViolation,
    InvalidRequest,
    ProviderAuth,
    ProviderBadRequest,
    ProviderFailed,
    ProviderMalformed,
    StreamCut,
    UpstreamError,
)
from tidegate.providers import caller_terms
from tidegate.providers.base import StreamEvent
from tidegate.providers.cohere import PROVIDER
from tidegate.providers.cohere.thinking import supports_thinking

CASES = sorted((Path(__file__).parent / "cases" / "cohere").glob("*/sent.json"))
START = StreamEvent("message-start", '{"type":"message-start","delta":{"message":{"role":"assistant"}}}')
END = StreamEvent("message-end", '{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}')


def replying(path: Path) -> Any:
    return json.loads((path.parent / "reply.json").read_text())


def events(*said: Any) -> list[StreamEvent]:
    return [START, *(StreamEvent(one["type"], json.dumps(one)) for one in said)]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.parent.name)
def test_every_case_sends_what_cohere_accepts(path: Path) -> None:
    body = json.loads(path.read_text())
    if "error" not in body:
        cohere_schema.check(body["body"])


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.parent.name)
def test_every_case_answers_in_the_openai_sdks_types(path: Path) -> None:
    if not (path.parent / "reply.json").exists():
        return
    reply = replying(path)
    if isinstance(reply, list):
        read_chunks(reply)
    elif "error" not in reply:
        read_completion(reply)


def test_a_tool_has_its_own_name_again_in_the_reply() -> None:
    name = "home.weather-now"
    tool = {"type": "function", "function": {"name": name}}
    past = {"id": "a", "type": "function", "function": {"name": name, "arguments": "{}"}}
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "tool_calls": [past]}]
    request = built(
        PROVIDER, asking(messages=[*turns, {"role": "tool", "tool_call_id": "a", "content": "1"}], tools=[tool])
    )
    body = json.loads(request.body)
    wire = body["tools"][0]["function"]["name"]
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == wire
    cohere_schema.check(body)
    called = {"id": "b", "type": "function", "function": {"name": wire, "arguments": "{}"}}
    reply = PROVIDER.parse_completion({"message": {"tool_calls": [called]}, "finish_reason": "TOOL_CALL"})
    message = caller_terms.restore_completion(request, reply)["choices"][0]["message"]
    assert message["tool_calls"][0]["function"] == {"name": name, "arguments": "{}"}


def test_names_that_differ_only_in_what_cohere_refuses_stay_apart() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("a-b", "a.b", "a_b", "1")]
    body, _ = sent(PROVIDER, asking(tools=tools))
    assert len({tool["function"]["name"] for tool in body["tools"]}) == 4
    cohere_schema.check(body)


def test_penalties_of_zero_are_not_sent_since_some_models_take_only_one() -> None:
    body, ignored = sent(PROVIDER, asking(frequency_penalty=0, presence_penalty=0.5))
    assert (body.get("frequency_penalty"), body["presence_penalty"], ignored) == (None, 0.5, ())


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("command-a-reasoning-08-2025", True),
        ("command-a-plus-05-2026", True),
        ("command-b", True),
        ("command-a-03-2025", False),
        ("command-a-vision-07-2025", False),
        ("command-r7b-12-2024", False),
        ("c4ai-aya-expanse-32b", False),
    ],
)
def test_models_that_came_before_reasoning_are_not_asked_for_it(model: str, expected: bool) -> None:
    assert supports_thinking(model) is expected
    body, ignored = sent(PROVIDER, asking(reasoning_effort="high"), model)
    assert ("thinking" in body, ignored == ()) == (expected, expected)


def test_thoughts_of_another_kind_of_model_become_the_plan_before_its_calls() -> None:
    called = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    turns = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "Well.", "reasoning": "Look first.", "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]
    body, _ = sent(PROVIDER, asking(messages=turns), "command-a-03-2025")
    assert (body["messages"][1]["tool_plan"], body["messages"][1]["content"]) == ("Look first.", "Well.")
    body, _ = sent(PROVIDER, asking(messages=turns), "command-a-reasoning-08-2025")
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "Look first."}


@pytest.mark.parametrize("part", [{"type": "video_url", "video_url": {"url": "https://a.invalid/b.mp4"}}])
def test_what_cohere_cannot_see_is_refused_by_its_path(part: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(PROVIDER, asking(messages=[{"role": "user", "content": [{"type": "text", "text": "Hi"}, part]}]))
    assert caught.value.param == "messages[0].content[1]"


def test_pictures_belong_to_users() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://a.invalid/b.png"}}
    with pytest.raises(InvalidRequest):
        sent(PROVIDER, asking(messages=[{"role": "system", "content": [part]}, {"role": "user", "content": "Hi"}]))


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (403, "forbidden", ProviderAuth),
        (402, "please add a payment method", ProviderAuth),
        (498, "invalid api token", ProviderAuth),
        (498, "blocked input: it holds a blocklisted token", ContentPolicyViolation),
        (499, "request cancelled", ProviderFailed),
        (500, "internal server error", ProviderFailed),
        (501, "not implemented", ProviderBadRequest),
        (422, "unprocessable", ProviderBadRequest),
    ],
)
def test_statuses_of_cohere_are_classified(status: int, message: str, kind: type[UpstreamError]) -> None:
    error = PROVIDER.parse_error(status, {}, {"id": "e", "message": message})
    assert (type(error), error.upstream_status) == (kind, status)


@pytest.mark.parametrize("body", [None, [], {}, {"message": None}, {"message": {"content": [1]}}])
def test_a_reply_of_no_known_shape_is_malformed(body: Any) -> None:
    with pytest.raises(ProviderMalformed):
        PROVIDER.parse_completion(body)


def test_a_fraction_is_rounded_up_and_a_count_that_is_none_is_told_from_0() -> None:
    odd = {"input_tokens": 1.5, "output_tokens": "twelve"}
    reply = PROVIDER.parse_completion({"message": {}, "finish_reason": "COMPLETE", "usage": {"tokens": odd}})
    assert reply["usage"] == {"prompt_tokens": 2, "completion_tokens": INVALID_COUNT, "total_tokens": INVALID_COUNT}


@pytest.mark.parametrize("data", ["{", "1", '"text"', "[1]"])
def test_an_event_that_is_not_a_json_object_is_malformed(data: str) -> None:
    with pytest.raises(ProviderMalformed):
        run(PROVIDER, [[START, StreamEvent("message", data)]])


@pytest.mark.parametrize("novel", [{"type": "sound-delta", "delta": {"message": {"sound": "…"}}}, {}])
def test_events_that_nobody_knows_yet_are_passed_over(novel: Any) -> None:
    late = StreamEvent("message", json.dumps(novel))
    chunks = run(PROVIDER, [[*events({"type": "debug", "prompt": "p"}), late, END]])
    assert read_chunks([chunk for batch in chunks for chunk in batch]).voices[0].text == ""


def test_nothing_after_the_end_is_read() -> None:
    late = StreamEvent("content-delta", '{"type":"content-delta","delta":{"message":{"content":{"text":"late"}}}}')
    chunks = run(PROVIDER, [[START, END, late], [late]])
    assert read_chunks([chunk for batch in chunks for chunk in batch]).voices[0].text == ""


def test_parallel_calls_that_all_have_the_same_place_stay_apart() -> None:
    def start(name: str) -> Any:
        call = {"id": name, "type": "function", "function": {"name": name, "arguments": ""}}
        return {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}}

    more = {
        "type": "tool-call-delta",
        "index": 0,
        "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}},
    }
    chunks = run(PROVIDER, [[*events(start("a"), more, start("b"), more), END]])
    reading = read_chunks([chunk for batch in chunks for chunk in batch])
    assert reading.voices[0].calls == [("a", {}), ("b", {})]


def test_a_done_is_no_end() -> None:
    with pytest.raises(StreamCut):
        run(PROVIDER, [[START, StreamEvent("message", "[DONE]")]])


@pytest.mark.parametrize(("native", "ours"), [("ERROR_TOXIC", "content_filter"), ("ERROR_LIMIT", "length")])
def test_a_reply_that_was_stopped_is_not_at_its_end(native: str, ours: str) -> None:
    body: Any = {"message": {"content": [{"type": "text", "text": "a"}]}, "finish_reason": native}
    (choice,) = PROVIDER.parse_completion(body)["choices"]
    assert (choice["finish_reason"], choice.get("native_finish_reason")) == (ours, native)
