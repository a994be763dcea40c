"""Replies in the caller's terms again, whole and streamed."""

from typing import Any

from tidegate.providers import caller_terms
from tidegate.providers.base import UpstreamRequest
from tidegate.providers.chat_translator import needs_restoring

RENAMED = UpstreamRequest("u", b"", caller_tool_names={"get_weather_1": "get.weather"})
ANSWERED = UpstreamRequest("u", b"", answer_tool="answer")
LEGACY = UpstreamRequest("u", b"", legacy_functions=True)


def call(name: str, arguments: str, **fields: Any) -> dict[str, Any]:
    return {**fields, "id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": arguments}}


def whole(request: UpstreamRequest, *calls: Any, content: str | None = None, finish: str = "tool_calls") -> Any:
    message = {"role": "assistant", "content": content, "refusal": None, "tool_calls": list(calls)}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    reply: Any = {"object": "chat.completion", "choices": [choice], "system_fingerprint": None}
    done = caller_terms.restore_completion(request, reply)["choices"][0]
    return done["message"], done["finish_reason"]


def streamed(request: UpstreamRequest, *deltas: Any, finish: str = "tool_calls") -> Any:
    restorer, choices = caller_terms.StreamRestorer(request), list[Any]()
    for delta in [*deltas, {}]:
        finished = finish if delta == {} else None
        choice: Any = {"index": 0, "delta": delta, "finish_reason": finished}
        batch: Any = restorer.restore([{"object": "chat.completion.chunk", "choices": [choice]}])
        choices += [chunk["choices"][0] for chunk in batch]
    return [choice["delta"] for choice in choices[:-1]], choices[-1]["finish_reason"]


async def test_names_are_the_callers_again() -> None:
    message, finish = whole(RENAMED, call("get_weather_1", "{}"), call("other", "{}"))
    assert [c["function"]["name"] for c in message["tool_calls"]] == ["get.weather", "other"]
    assert finish == "tool_calls"
    deltas, _ = streamed(RENAMED, {"tool_calls": [call("get_weather_1", "", index=0)]})
    assert deltas[0]["tool_calls"][0]["function"]["name"] == "get.weather"


async def test_the_answers_arguments_become_the_content() -> None:
    message, finish = whole(ANSWERED, call("answer", '{"a": 1}'))
    assert (message, finish) == ({"role": "assistant", "content": '{"a": 1}', "refusal": None}, "stop")
    deltas, finish = streamed(
        ANSWERED,
        {"tool_calls": [call("answer", "", index=0)]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
    )
    assert (deltas, finish) == ([{"content": '{"a"'}, {"content": ": 1}"}], "stop")


async def test_real_calls_beside_the_answer_stay_and_are_counted_from_nought() -> None:
    message, finish = whole(ANSWERED, call("answer", "{}"), call("real", "{}"))
    assert ([c["function"]["name"] for c in message["tool_calls"]], finish) == (["real"], "tool_calls")
    deltas, finish = streamed(
        ANSWERED,
        {"tool_calls": [call("answer", "{}", index=0)]},
        {"tool_calls": [call("real", "", index=1)]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    )
    assert [d.get("tool_calls", [{}])[0].get("index") for d in deltas] == [None, 0, 0]
    assert finish == "tool_calls"


def test_an_answer_that_was_cut_keeps_its_finish_reason() -> None:
    assert whole(ANSWERED, call("answer", '{"a'), finish="length")[1] == "length"


async def test_callers_of_functions_get_a_function_call() -> None:
    message, finish = whole(LEGACY, call("f", "{}"), call("g", "{}"))
    assert (message["function_call"], "tool_calls" in message, finish) == (
        {"name": "f", "arguments": "{}"},
        False,
        "function_call",
    )
    deltas, finish = streamed(
        LEGACY,
        {"tool_calls": [call("f", "", index=0)]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {"tool_calls": [call("g", "{}", index=1)]},
    )
    assert (deltas, finish) == (
        [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}],
        "function_call",
    )


def test_a_request_without_any_of_it_needs_nothing() -> None:
    assert not needs_restoring(UpstreamRequest("u", b""))
