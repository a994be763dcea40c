import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.policy.guardrails.given import Judge, batches, call, chunk, guard, said, streamed
from tidegate.chat.assemble import CompletionAssembler
from tidegate.chat.completion import Chunk
from tidegate.domain.guardrails import Guardrail, Verdict
from tidegate.errors import GuardrailUnavailable, GuardrailViolation
from tidegate.policy.guardrails.protocol import Guard

MAIL = "jane@example.com"
WORDS = "a quiet word " * 40
USAGE: Any = {"object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 3}}


def on_stream(name: str, *rails: Guardrail, **fields: Any) -> Guard:
    return guard(call(stream=True, guardrails=[name], **fields), *rails)


def spoken(text: str, size: int = 7) -> list[Chunk]:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    return [chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in pieces)]


def whole(chunks: list[Chunk]) -> Any:
    assembly = CompletionAssembler()
    for each in chunks:
        assembly.add(each)
    return assembly.reply()["choices"]


async def until_violation(given: Guard, *chunks: Chunk) -> list[Chunk]:
    """What was passed on before it."""
    passed: list[Chunk] = []
    with pytest.raises(GuardrailViolation):
        async for batch in given.check_stream(batches(*chunks)):
            passed += batch
    return passed


async def test_a_windows_stream_is_masked_and_stays_a_stream() -> None:
    given = on_stream("personal-data-mask")
    sent = [*spoken(f"{WORDS}{MAIL}. {WORDS}"), chunk({}, "stop"), USAGE]
    passed = await streamed(given, *sent)
    assert said(passed) == f"{WORDS}[EMAIL]. {WORDS}"
    assert len(passed) > 8
    assert passed[0] == sent[0]
    assert passed[-2:] == [chunk({}, "stop"), USAGE]
    assert given.header == "personal-data-mask;mode=window"


async def test_a_window_cuts_before_any_of_what_it_blocks() -> None:
    passed = await until_violation(on_stream("personal-data"), *spoken(f"{WORDS}{MAIL} {WORDS}"), chunk({}, "stop"))
    assert WORDS.startswith(said(passed))
    assert len(said(passed)) > 100


async def test_what_comes_last_is_found_before_the_end_is_told() -> None:
    passed = await until_violation(on_stream("personal-data"), *spoken(f"write to {MAIL}"), chunk({}, "stop"))
    assert said(passed) == ""
    assert all(choice["finish_reason"] is None for each in passed for choice in each["choices"])


async def test_a_stream_without_an_end_is_checked_to_its_last_word() -> None:
    assert said(await streamed(on_stream("personal-data-mask"), *spoken(f"to {MAIL}"))) == "to [EMAIL]"
    await until_violation(on_stream("personal-data"), *spoken(f"to {MAIL}"))


async def test_choices_do_not_mix() -> None:
    sent = [
        chunk({"content": piece}, index=index) for index, piece in ((0, "jane@exam"), (1, "no mail"), (0, "ple.com "))
    ]
    ends = [chunk({}, "stop", index) for index in (0, 1)]
    passed = await streamed(on_stream("personal-data-mask", n=2), *sent, *ends)
    assert [said(passed, index=index) for index in (0, 1)] == ["[EMAIL] ", "no mail"]


async def test_what_was_thought_is_passed_on_before_what_is_said() -> None:
    details = [{"type": "reasoning.text", "index": 0, "text": "thinking", "signature": "s"}]
    sent = [
        chunk({"role": "assistant", "reasoning": "think", "reasoning_content": "think"}),
        chunk({"reasoning": "ing", "reasoning_content": "ing", "reasoning_details": details}),
        chunk({"content": "said"}),
        chunk({}, "stop"),
    ]
    passed = await streamed(on_stream("secrets"), *sent)
    assert [each["choices"][0]["delta"] for each in passed] == [
        {"role": "assistant", "content": None},
        {"reasoning": "thinking", "reasoning_content": "thinking"},
        {"reasoning_details": details},
        {"content": "said"},
        {},
    ]


async def test_reasoning_that_was_masked_loses_its_details() -> None:
    details = [{"type": "reasoning.text", "index": 0, "text": MAIL}]
    sent = [chunk({"reasoning": MAIL, "reasoning_details": details}), chunk({"content": "x"}, "stop")]
    (choice,) = whole(await streamed(on_stream("personal-data-mask"), *sent))
    assert choice["message"] == {"role": "assistant", "content": "x", "refusal": None, "reasoning": "[EMAIL]"}


@pytest.mark.parametrize("field", ["text", "summary"])
async def test_details_are_read_also_where_they_say_something_else(field: str) -> None:
    pieces = [{"type": "reasoning.text", "index": 0, field: piece} for piece in ("jane@exa", "mple.com")]
    sent = [chunk({"reasoning_details": [piece]}) for piece in pieces]
    (choice,) = whole(await streamed(on_stream("personal-data-mask"), *sent, chunk({"content": "x"}, "stop")))
    assert "reasoning_details" not in choice["message"]
    await until_violation(on_stream("personal-data"), *sent, chunk({"content": "x"}, "stop"))


def called(*pieces: str) -> list[Chunk]:
    first = {"index": 0, "id": "1", "type": "function", "function": {"name": "send", "arguments": ""}}
    rest = [chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces]
    return [chunk({"role": "assistant", "content": None, "tool_calls": [first]}), *rest, chunk({}, "tool_calls")]


async def test_the_arguments_of_a_tool_wait_for_their_end() -> None:
    passed = await streamed(on_stream("personal-data-mask"), *called('{"to":"jane@', 'example.com","n":', "1}"))
    (choice,) = whole(passed)
    assert choice["message"]["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "send", "arguments": '{"to":"[EMAIL]","n":1}'}}
    ]
    assert choice["finish_reason"] == "tool_calls"
    assert passed[0]["choices"][0]["delta"].get("tool_calls") is not None


async def test_arguments_are_blocked_as_well() -> None:
    await until_violation(on_stream("personal-data"), *called(json.dumps({"to": MAIL})))


async def test_so_are_those_of_the_older_function_call_and_of_custom_tools() -> None:
    older = [chunk({"function_call": {"name": "f", "arguments": ""}}), chunk({"function_call": {"arguments": MAIL}})]
    (choice,) = whole(await streamed(on_stream("personal-data-mask"), *older, chunk({}, "function_call")))
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "[EMAIL]"}
    custom = [{"index": 0, "id": "1", "type": "custom", "custom": {"name": "f", "input": ""}}]
    rest = [{"index": 0, "custom": {"input": MAIL}}]
    sent = [chunk({"tool_calls": custom}), chunk({"tool_calls": rest}), chunk({}, "tool_calls")]
    (choice,) = whole(await streamed(on_stream("personal-data-mask"), *sent))
    assert choice["message"]["tool_calls"][0]["custom"] == {"name": "f", "input": "[EMAIL]"}


BUFFERED = Guardrail("g", "personal", action="mask", stream="buffer")


async def test_a_buffer_gives_nothing_away_and_passes_on_what_came() -> None:
    sent = [*spoken(WORDS), chunk({}, "stop"), USAGE]
    given = on_stream("g", BUFFERED)
    found = [batch async for batch in given.check_stream(batches(*sent))]
    assert found == [sent]
    assert given.header == "g;mode=buffer"


async def test_a_buffer_masks_and_blocks() -> None:
    sent = [*spoken(f"{WORDS}{MAIL}"), chunk({}, "stop"), USAGE]
    passed = await streamed(on_stream("g", BUFFERED), *sent)
    assert said(passed) == f"{WORDS}[EMAIL]"
    assert passed[-1]["choices"] == []
    blocking = Guardrail("g", "personal", stream="buffer")
    assert await until_violation(on_stream("g", blocking), *sent) == []


async def test_one_buffer_holds_the_stream_for_all() -> None:
    rails = (Guardrail("a", "secrets"), Guardrail("b", "words", words=("acme",), stream="buffer"))
    given = guard(call(stream=True, guardrails=["a", "b", "prompt-injection"]), *rails)
    assert given.header == "a;mode=buffer, b;mode=buffer, prompt-injection"


@pytest.mark.parametrize("fields", [{"logprobs": True}, {"modalities": ["text", "audio"]}])
async def test_what_cannot_lag_behind_holds_the_stream(fields: dict[str, Any]) -> None:
    assert on_stream("secrets", **fields).header == "secrets;mode=buffer"


async def test_a_whole_answer_has_no_mode() -> None:
    assert guard(call(guardrails=["secrets", "prompt-injection"])).header == "secrets, prompt-injection"


async def test_somebody_else_sees_the_whole_of_a_stream() -> None:
    judge = Judge(lambda question: Verdict(question.stage == "input"))
    rail = Guardrail("g", "webhook", url="https://hook.example")
    given = guard(call(stream=True, guardrails=["g"]), rail, judge=judge)
    assert await until_violation(given, *spoken(WORDS), chunk({}, "stop")) == []
    assert [question.texts for question in judge.asked] == [(WORDS,)]


async def test_an_answer_that_cannot_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.policy.guardrails.runner.MAX_HELD_BYTES", 1000)
    with pytest.raises(GuardrailUnavailable, match="too long to be checked"):
        await streamed(on_stream("g", BUFFERED), *spoken(WORDS))


async def test_a_guardrail_on_prompts_leaves_the_stream_alone() -> None:
    sent = [*spoken(MAIL), chunk({}, "stop"), USAGE]
    assert await streamed(on_stream("prompt-injection"), *sent) == sent


ENDLESS = r"(.*)*(.*)*x{20}y"


async def test_a_pattern_that_takes_too_long_is_given_up_once() -> None:
    rail = Guardrail("g", "regex", patterns=(ENDLESS,), window_characters=8000)
    sent = [chunk({"content": "x" * 30_000}) for _ in range(3)]
    with pytest.raises(GuardrailUnavailable):
        await streamed(on_stream("g", rail), *sent)
    passed = await streamed(on_stream("g", replace(rail, fails="open")), *sent, chunk({}, "stop"))
    assert said(passed) == "x" * 90_000
